// Alerts: a strip that says how things stand, and the data behind its table.

import { Refusal, ask } from "./server.js";
import { clock } from "./times.js";

/**
 * What `/api/v1/alerts` tells of a rule and of an alert; only what the page uses.
 * @typedef {object} Alert
 * @property {"firing" | "pending" | "resolved"} state
 * @property {string} summary
 * @property {string} severity
 * @property {Record<string, string>} group
 * @property {number | null} value
 * @property {boolean} no_data
 * @property {string} since
 * @property {string} [starts_at]
 * @property {string} [ends_at]
 * @property {string} [runbook]
 * @property {string} page
 *
 * @typedef {object} Rule
 * @property {string} name
 * @property {"ok" | "error" | "unknown"} health
 * @property {string} severity
 * @property {string} expr
 * @property {string} [runbook]
 * @property {string} [evaluated]
 * @property {{at: string, message: string}} [last_error]
 * @property {string} page
 * @property {Alert[]} alerts
 *
 * @typedef {object} Status
 * @property {string} [evaluated]
 * @property {string} [state_error]
 * @property {Rule[]} rules
 */

/**
 * How all rules stand; null when the node has no alerts.
 * @returns {Promise<Status | null>}
 */
export async function loadAlerts() {
  try {
    const status = await (await ask("/api/v1/alerts")).json();
    return { ...status, rules: status.rules ?? [] };
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

/** The last changes of alerts, newest first. */
export async function loadHistory() {
  const answer = await (await ask("/api/v1/alerts/history")).json();
  const transitions = Array.isArray(answer) ? answer : (answer.transitions ?? []);
  return [...transitions].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

/** How many alerts are in each state, and how many rules are in error. */
export function countsOf(status) {
  const alerts = status.rules.flatMap((rule) => rule.alerts);
  const inState = (state) => alerts.filter((alert) => alert.state === state).length;
  return {
    firing: inState("firing"),
    pending: inState("pending"),
    resolved: inState("resolved"),
    errors: status.rules.filter((rule) => rule.health === "error").length,
  };
}

/** The strip at the top of the page. */
export class AlertStrip {
  #button;
  #counts;
  #note;

  /** @param {{button: HTMLButtonElement, counts: HTMLElement, note: HTMLElement}} elements */
  constructor({ button, counts, note }) {
    this.#button = button;
    this.#counts = counts;
    this.#note = note;
  }

  /**
   * @param {Status | null} status
   * @param {import("./times.js").Zone} zone
   */
  show(status, zone) {
    if (!status || status.rules.length === 0) {
      this.#write("none", [["none", "No alert rules"]], status ? "Start the node with --rules to have some." : "");
      return;
    }
    const { firing, pending, errors } = countsOf(status);
    const pills = [];
    if (firing > 0) pills.push(["firing", `${firing} firing`]);
    if (pending > 0) pills.push(["pending", `${pending} pending`]);
    if (firing + pending === 0 && errors < status.rules.length) pills.push(["quiet", "All quiet"]);
    if (errors > 0) pills.push(["error", `${errors} ${errors === 1 ? "rule" : "rules"} not evaluated`]);
    const worst = pills[0][0];
    const rules = `${status.rules.length} ${status.rules.length === 1 ? "rule" : "rules"}`;
    const evaluated = status.evaluated ? `, evaluated ${clock(Date.parse(status.evaluated), zone)}` : ", not evaluated yet";
    this.#write(worst, pills, status.state_error ? `State cannot be written: ${status.state_error}` : rules + evaluated);
  }

  /** Says that nothing is known of alerts, which is not the same as quiet. */
  showFailure(message) {
    this.#write("error", [["error", "Alerts unknown"]], message);
  }

  #write(worst, pills, note) {
    this.#button.dataset.worst = worst;
    const elements = pills.map(([kind, text]) => {
      const pill = document.createElement("span");
      pill.className = `pill ${kind}`;
      pill.textContent = text;
      return pill;
    });
    this.#counts.replaceChildren(...elements);
    this.#note.textContent = note;
    const firing = pills.find(([kind]) => kind === "firing");
    document.title = firing ? `(${firing[1]}) Hesper` : "Hesper";
  }
}
