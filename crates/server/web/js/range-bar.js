// The choice of the range, the step and the zone.

import { endsNow } from "./view.js";
import { boundOf, boundText } from "./times.js";

const RANGES = ["5m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "1w"];
const STEPS = ["5s", "10s", "30s", "1m", "5m", "15m", "1h", "6h", "1d"];

/** Ranges that were looked at before one was marked in the chart. */
const MAX_BEFORE = 50;

export class RangeBar {
  #elements;
  #go;
  /** @type {import("./view.js").View} */
  #view;
  /** @type {import("./graph.js").Graph | null} */
  #graph = null;
  #before = [];

  /**
   * @param {{ranges: HTMLElement, custom: HTMLFormElement, opener: HTMLButtonElement, start: HTMLInputElement, end: HTMLInputElement, step: HTMLSelectElement, earlier: HTMLButtonElement, later: HTMLButtonElement, wider: HTMLButtonElement}} elements
   * @param {(changes: Partial<import("./view.js").View>) => void} go
   */
  constructor(elements, go) {
    this.#elements = elements;
    this.#go = go;
    const { ranges, custom, opener, start, end, step, earlier, later, wider } = elements;
    ranges.replaceChildren(...RANGES.map((range) => this.#rangeButton(range)));
    opener.addEventListener("click", () => this.#showCustom(custom.hidden));
    custom.addEventListener("submit", (event) => {
      event.preventDefault();
      const { tz } = this.#view;
      this.#go({ s: boundOf(start.value, tz) || "e-30m", e: boundOf(end.value, tz) || "now" });
    });
    step.addEventListener("change", () => this.#go({ step: step.value }));
    earlier.addEventListener("click", () => this.#shift(-0.5));
    later.addEventListener("click", () => this.#shift(0.5));
    wider.addEventListener("click", () => this.#widen());
  }

  /** @param {import("./view.js").View} view */
  show(view) {
    this.#view = view;
    const { ranges, custom, opener, start, end, step } = this.#elements;
    const chosen = endsNow(view) && view.e === "now" ? view.s.replace(/^(e|now)-/, "") : "";
    for (const button of ranges.children) button.setAttribute("aria-pressed", String(button.textContent === chosen));
    opener.setAttribute("aria-pressed", String(!RANGES.includes(chosen)));
    if (document.activeElement?.form !== custom) {
      start.value = boundText(view.s, view.tz);
      end.value = boundText(view.e, view.tz);
    }
    const steps = STEPS.includes(view.step) || !view.step ? STEPS : [view.step, ...STEPS];
    step.replaceChildren(new Option("auto", ""), ...steps.map((text) => new Option(text, text)));
    step.value = view.step;
  }

  /** @param {import("./graph.js").Graph} graph what is shown now */
  showGraph(graph) {
    this.#graph = graph;
  }

  /** Goes to a range that was marked in the chart. */
  zoom(start, end) {
    const step = this.#graph?.step ?? 1000;
    // A value is about the step that ends at its time, so the range begins a step before its first.
    const from = Math.floor(start / step) * step;
    const to = Math.max(Math.ceil(end / step) * step, from + step);
    const { s, e } = this.#view;
    this.#before = [...this.#before, { s, e }].slice(-MAX_BEFORE);
    this.#go({ s: String(from), e: String(to) });
  }

  /** Goes back to the range before; to a wider one when there is none. */
  back() {
    const before = this.#before.pop();
    if (before) this.#go(before);
    else this.#widen();
  }

  #rangeButton(range) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = range;
    button.addEventListener("click", () => {
      this.#before = [];
      this.#go({ s: `e-${range}`, e: "now" });
    });
    return button;
  }

  #showCustom(isShown) {
    const { custom, opener, start } = this.#elements;
    custom.hidden = !isShown;
    opener.setAttribute("aria-expanded", String(isShown));
    if (isShown) start.focus();
  }

  #shift(share) {
    const bounds = this.#bounds();
    if (!bounds) return;
    const distance = Math.round(bounds.length * share);
    this.#goTo(bounds.start + distance, bounds.end + distance, bounds);
  }

  #widen() {
    const bounds = this.#bounds();
    if (!bounds) return;
    const half = Math.round(bounds.length / 2);
    this.#goTo(bounds.start - half, bounds.end + half, bounds);
  }

  #goTo(start, end, { step }) {
    const round = (millis) => String(Math.round(millis / step) * step);
    if (end < Date.now()) this.#go({ s: round(start), e: round(end) });
    else this.#go({ s: `e-${Math.round((end - start) / 1000)}s`, e: "now" });
  }

  #bounds() {
    if (!this.#graph) return null;
    const { times, step } = this.#graph;
    const [start, end] = [times[0] - step, times.at(-1)];
    return { start, end, step, length: end - start };
  }
}
