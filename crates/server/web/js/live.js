// Keeps what is shown up to date: asks again after every step, as long as somebody looks.

/** More often than this is never asked. */
const MIN_PERIOD_MILLIS = 1000;

/** More seldom than this neither: a store's step is a minute at most. */
const MAX_PERIOD_MILLIS = 60_000;

/** After the end of a step its first datapoints are under way for a moment. */
const GRACE_MILLIS = 400;

/** The longest wait after failures. */
const MAX_RETRY_MILLIS = 30_000;

export class Live {
  #ask;
  #onState;
  #timer = null;
  #failures = 0;
  #isPaused = false;
  #isWanted = false;
  #periodMillis = 5000;

  /**
   * @param {() => void} ask asks for the data
   * @param {(state: "live" | "failing" | "paused" | "hidden" | "fixed") => void} onState
   */
  constructor(ask, onState) {
    this.#ask = ask;
    this.#onState = onState;
    document.addEventListener("visibilitychange", () => {
      this.#tell();
      if (document.hidden) this.#stop();
      else if (this.#runs()) this.#ask();
    });
  }

  /** What the viewer sees does, or does not, end now. */
  want(isWanted) {
    this.#isWanted = isWanted;
    this.#failures = 0;
    this.#stop();
    this.#tell();
  }

  /** Pauses, or goes on. */
  toggle() {
    this.#isPaused = !this.#isPaused;
    this.#tell();
    if (this.#runs()) this.#ask();
    else this.#stop();
  }

  /** An answer came, with datapoints every `stepMillis`: the next is worth asking for after the end of a step. */
  answered(stepMillis) {
    this.#failures = 0;
    this.#tell();
    this.#periodMillis = Math.max(MIN_PERIOD_MILLIS, Math.min(MAX_PERIOD_MILLIS, stepMillis));
    const rest = this.#periodMillis - (Date.now() % this.#periodMillis);
    this.#schedule(rest + GRACE_MILLIS);
  }

  /** No answer came. */
  failed() {
    this.#failures += 1;
    this.#tell();
    const wait = this.#periodMillis * 2 ** Math.min(this.#failures - 1, 5);
    this.#schedule(Math.max(2000, Math.min(MAX_RETRY_MILLIS, wait)));
  }

  #runs() {
    return this.#isWanted && !this.#isPaused && !document.hidden;
  }

  #schedule(millis) {
    this.#stop();
    if (this.#runs()) this.#timer = setTimeout(() => this.#ask(), millis);
  }

  #stop() {
    clearTimeout(this.#timer);
  }

  #tell() {
    if (!this.#isWanted) this.#onState("fixed");
    else if (this.#isPaused) this.#onState("paused");
    else if (document.hidden) this.#onState("hidden");
    else this.#onState(this.#failures > 0 ? "failing" : "live");
  }
}
