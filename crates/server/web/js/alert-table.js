// The table behind the strip of alerts: what is active, all rules, and what has happened.

import { loadHistory } from "./alerts.js";
import { si } from "./numbers.js";
import { breakable } from "./syntax.js";
import { clock, dateAndClock, spanText } from "./times.js";
import { read } from "./view.js";

const URGENCY = { firing: 0, pending: 1, resolved: 2 };
const COLUMNS = {
  active: ["State", "Rule", "Severity", "Group", "Value", "Since", "Summary", "Runbook"],
  rules: ["Health", "Rule", "Severity", "Expression", "For", "Evaluated", "Last error", "Runbook"],
  history: ["Time", "Change", "Rule", "Severity", "Group", "Value", "Summary"],
};

export class AlertTable {
  #elements;
  #go;
  #tab = "active";
  /** @type {import("./alerts.js").Status | null} */
  #status = null;
  /** @type {import("./times.js").Zone} */
  #zone = "local";

  /**
   * @param {{panel: HTMLElement, tabs: HTMLElement, table: HTMLTableElement, empty: HTMLElement}} elements
   * @param {(changes: Partial<import("./view.js").View>) => void} go
   */
  constructor(elements, go) {
    this.#elements = elements;
    this.#go = go;
    for (const tab of elements.tabs.querySelectorAll("button")) {
      tab.addEventListener("click", () => {
        this.#tab = tab.dataset.tab;
        this.#render();
      });
    }
  }

  /**
   * @param {import("./alerts.js").Status | null} status
   * @param {import("./times.js").Zone} zone
   */
  show(status, zone) {
    this.#status = status;
    this.#zone = zone;
    if (!this.#elements.panel.hidden) this.#render();
  }

  /** Opens or closes the table. */
  toggle() {
    const { panel } = this.#elements;
    panel.hidden = !panel.hidden;
    if (!panel.hidden) this.#render();
    return !panel.hidden;
  }

  async #render() {
    const tab = this.#tab;
    for (const button of this.#elements.tabs.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.tab === tab));
    }
    const rules = this.#status?.rules ?? [];
    if (tab === "active") this.#fill(tab, this.#activeRows(rules), "Nothing fires, and nothing is pending.");
    if (tab === "rules") this.#fill(tab, rules.map((rule) => this.#ruleRow(rule)), "There are no rules.");
    if (tab !== "history") return;
    try {
      const transitions = await loadHistory();
      if (this.#tab !== tab) return;
      this.#fill(tab, transitions.map((change) => this.#historyRow(change)), "No alert has changed yet.");
    } catch (error) {
      this.#fill(tab, [], error.message);
    }
  }

  #fill(tab, rows, empty) {
    const { table, empty: note } = this.#elements;
    const head = document.createElement("tr");
    head.append(...COLUMNS[tab].map((name) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      return cell;
    }));
    // Filling the table anew must not take the focus from whoever is in it.
    const focused = table.contains(document.activeElement) ? document.activeElement.closest("tr")?.dataset.key : undefined;
    table.tHead.replaceChildren(head);
    table.tBodies[0].replaceChildren(...rows);
    if (focused) rows.find((row) => row.dataset.key === focused)?.querySelector("button, a")?.focus({ preventScroll: true });
    table.hidden = rows.length === 0;
    note.hidden = rows.length > 0;
    note.textContent = empty;
  }

  #activeRows(rules) {
    const alerts = rules.flatMap((rule) => rule.alerts.map((alert) => ({ rule, alert })));
    const began = ({ alert }) => Date.parse(alert.starts_at ?? alert.since);
    alerts.sort((a, b) => URGENCY[a.alert.state] - URGENCY[b.alert.state] || began(b) - began(a));
    return alerts.map(({ rule, alert }) => {
      const value = alert.no_data ? "no data" : si(alert.value);
      const from = Date.parse(alert.since);
      const until = alert.ends_at ? ` – ${clock(Date.parse(alert.ends_at), this.#zone)}` : "";
      const since = `${this.#time(alert.since)}${until || ` (${spanText(Date.now() - from)})`}`;
      return this.#row(`${rule.name} ${groupText(alert.group)}`, [
        pill(alert.state, alert.state),
        this.#graphButton(rule.name, alert.page, alert.state !== "resolved"),
        alert.severity,
        groupText(alert.group),
        value,
        since,
        alert.summary,
        runbookLink(alert.runbook ?? rule.runbook),
      ], alert.page, alert.state !== "resolved");
    });
  }

  #ruleRow(rule) {
    const evaluated = rule.evaluated ? this.#time(rule.evaluated) : "not yet";
    const error = rule.last_error ? `${rule.last_error.message} (${this.#time(rule.last_error.at)})` : "";
    const health = { ok: "quiet", error: "error", unknown: "none" }[rule.health] ?? "none";
    const expr = document.createElement("code");
    expr.append(...breakable(rule.expr));
    return this.#row(rule.name, [
      pill(health, rule.health),
      this.#graphButton(rule.name, rule.page, true),
      rule.severity,
      expr,
      rule.for ?? "",
      evaluated,
      error,
      runbookLink(rule.runbook),
    ], rule.page, true);
  }

  #historyRow(change) {
    const cells = [
      this.#time(change.at),
      pill(change.to === "inactive" ? "none" : change.to, change.to),
      change.rule,
      change.severity,
      groupText(change.group),
      si(change.value),
      change.reason ? `${change.summary} (${change.reason})` : change.summary,
    ];
    return this.#row(`${change.at} ${change.rule} ${groupText(change.group)}`, cells);
  }

  #row(key, cells, page = undefined, isLive = false) {
    const row = document.createElement("tr");
    row.dataset.key = key;
    row.append(...cells.map((content, i) => {
      const cell = document.createElement("td");
      // Narrow windows show each row as a card, with the names of the columns in it.
      cell.dataset.column = COLUMNS[this.#tab][i];
      cell.append(content ?? "");
      return cell;
    }));
    if (page) {
      row.className = "has-graph";
      row.addEventListener("click", (event) => {
        if (!event.target.closest("a, button")) this.#goToPage(page, isLive);
      });
    }
    return row;
  }

  #graphButton(name, page, isLive) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.textContent = name;
    button.title = "Show the graph";
    button.addEventListener("click", () => this.#goToPage(page, isLive));
    return button;
  }

  /** A time of the API; that it was today goes without saying. */
  #time(text) {
    const millis = Date.parse(text);
    const full = dateAndClock(millis, this.#zone);
    const isToday = full.slice(0, 10) === dateAndClock(Date.now(), this.#zone).slice(0, 10);
    return isToday ? clock(millis, this.#zone) : full;
  }

  /** The graph of an alert that goes on shall go on too. */
  #goToPage(page, isLive) {
    if (!page) return;
    const { q, s, e } = read(new URL(page, location.origin).search);
    this.#go(isLive ? { q, s, e: "now", step: "" } : { q, s, e, step: "" });
  }
}

function groupText(group) {
  return Object.entries(group ?? {}).map(([key, value]) => `${key}=${value}`).join(" ");
}

function pill(kind, text) {
  const element = document.createElement("span");
  element.className = `pill ${kind}`;
  element.textContent = text;
  return element;
}

/** A rule's author writes the address: only the schemes of the web are followed. */
function runbookLink(runbook) {
  if (!runbook || !/^https?:\/\//i.test(runbook)) return runbook ?? "";
  const link = document.createElement("a");
  link.href = runbook;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = "Open";
  return link;
}
