// Puts the page together: a view leads to a question, its answer to a chart, a legend and notices.

import { AlertStrip, loadAlerts } from "./alerts.js";
import { AlertTable } from "./alert-table.js";
import { Chart } from "./chart.js";
import { showExamples } from "./examples.js";
import { dataAddress, load } from "./graph.js";
import { Legend } from "./legend.js";
import { Live } from "./live.js";
import { ColorBook, lineColor } from "./palette.js";
import { prefer } from "./preferences.js";
import { QueryBox } from "./query-box.js";
import { RangeBar } from "./range-bar.js";
import { Refusal, storeStep } from "./server.js";
import { TagBrowser } from "./tag-browser.js";
import { clock, rangeText, stepText } from "./times.js";
import { endsNow, goTo, onView, view } from "./view.js";

const element = (id) => document.getElementById(id);
const elements = (names) => Object.fromEntries(Object.entries(names).map(([name, id]) => [name, element(id)]));

/** The graph that is shown, and the expression it is of. */
let shown = { graph: null, q: "" };
let asking = new AbortController();
const colors = new ColorBook();

const chart = new Chart(element("chart"), {
  zoom: (start, end) => ranges.zoom(start, end),
  back: () => ranges.back(),
  cursor: (index, key) => legend.point(index, key),
});
const legend = new Legend(
  elements({ body: "legend-body", head: "legend-head", filter: "legend-filter", all: "legend-all", scroll: "legend-scroll" }),
  draw,
);
const box = new QueryBox(
  elements({ input: "q", colors: "q-colors", error: "q-error", form: "q-form", remembered: "q-remembered", list: "q-list", clear: "q-clear" }),
  (q) => goTo({ q }),
);
const ranges = new RangeBar(
  elements({
    ranges: "ranges", custom: "custom", opener: "custom-opener", start: "custom-start", end: "custom-end",
    step: "step", earlier: "earlier", later: "later", wider: "wider",
  }),
  goTo,
);
const browser = new TagBrowser(
  elements({
    list: "tag-list", filter: "tag-filter", back: "tag-back", title: "tag-title", group: "tag-group",
    narrow: "tag-narrow", status: "tag-status", more: "tag-more",
  }),
  { text: () => box.text, change: (q) => goTo({ q }) },
);
const live = new Live(askForGraph, showLiveState);
const alertLive = new Live(askForAlerts, () => {});
const strip = new AlertStrip(elements({ button: "alert-strip", counts: "alert-counts", note: "alert-note" }));
const alerts = new AlertTable(
  elements({ panel: "alert-panel", tabs: "alert-tabs", table: "alert-table", empty: "alert-empty" }),
  (changes) => {
    goTo(changes);
    element("q-form").scrollIntoView({ block: "start" });
  },
);

/** The store's step, once it is known. */
let stepMillis = 5000;

function showView() {
  const { q, tz } = view();
  box.text = q;
  ranges.show(view());
  element("zone").value = tz;
  const isEmpty = q === "";
  element("empty").hidden = !isEmpty;
  for (const id of ["graph", "live", "updated", "panel-examples"]) element(id).hidden = isEmpty;
  box.showError("");
  browser.refresh();
  live.want(endsNow(view()) && !isEmpty);
  if (!isEmpty) askForGraph();
  openPanel(false);
}

async function askForGraph() {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const asked = view();
  element("graph").setAttribute("aria-busy", "true");
  try {
    const graph = await load(asked, chart.width, signal);
    if (asked.q !== shown.q) {
      // The lines of another expression have nothing to do with those before.
      colors.clear();
      legend.forget();
      box.remember(asked.q);
    }
    shown = { graph, q: asked.q };
    box.showError("");
    ranges.showGraph(graph);
    showGraph(graph);
    live.answered(graph.step);
  } catch (error) {
    if (error.name === "AbortError") return;
    showFailure(error, asked);
  }
  element("graph").setAttribute("aria-busy", "false");
}

function showGraph(graph) {
  const isDark = document.documentElement.dataset.theme === "dark";
  const lines = graph.lines.map((line) => ({
    ...line,
    color: line.style.color ?? lineColor(colors.numberOf(line.key), isDark),
  }));
  for (const id of ["graph", "live", "updated"]) element(id).hidden = false;
  legend.show(lines);
  draw();
  const { tz } = view();
  const points = graph.times.length;
  element("range-text").textContent = points ? rangeText(graph.times[0] - graph.step, graph.times.at(-1), tz) : "";
  const counts = `${lines.length} ${lines.length === 1 ? "line" : "lines"} · step ${stepText(graph.step)} · ${Math.round(graph.elapsedMillis)} ms`;
  element("answer-text").textContent = counts;
  element("answer-text").title = graph.read ? `Read: ${graph.read}` : "";
  element("updated").textContent = `updated ${clock(Date.now(), tz)}`;
  for (const format of ["png", "svg", "csv"]) {
    element(`as-${format}`).href = dataAddress(view(), chart.width, format);
  }
  element("as-json").href = dataAddress(view(), chart.width, "json");
  const hasData = lines.some((line) => !Number.isNaN(line.stats.last));
  element("no-data").hidden = hasData;
  showNotices(noticesOf(graph));
  element("graph").classList.remove("stale");
}

/** A partial answer is told of, whether the server says so in words or by the header alone. */
function noticesOf({ notices, missing }) {
  const told = notices.map((text) => ({ kind: /^partial/i.test(text) ? "partial" : "note", text }));
  const isTold = told.some(({ kind }) => kind === "partial");
  return missing && !isTold ? [{ kind: "partial", text: `partial answer, ${missing} is missing` }, ...told] : told;
}

function draw() {
  if (shown.graph) chart.show(shown.graph, legend.visible(), view().tz);
}

/**
 * What was shown before stays, marked as old: who mistypes, or waits for a node to come back, still wants to see it.
 * @param {Error} error
 * @param {import("./view.js").View} asked
 */
function showFailure(error, asked) {
  const hasGraph = shown.graph !== null;
  const isRefusal = error instanceof Refusal;
  const isOver = isRefusal && !error.mayPass;
  box.showError(isRefusal ? error.message : "");
  const notices = [];
  if (!isRefusal) notices.push(error.message);
  if (hasGraph) notices.push(asked.q === shown.q ? "The graph is not up to date." : "The graph is still that of the expression before.");
  if (!isOver && endsNow(asked)) notices.push("Trying again.");
  showNotices(notices.length > 0 ? [{ kind: isOver ? "note" : "partial", text: notices.join(" ") }] : []);
  element("graph").classList.toggle("stale", hasGraph);
  element("graph").hidden = !hasGraph;
  element("live").hidden = isOver;
  element("updated").hidden = !hasGraph;
  if (!isOver) live.failed();
}

function showNotices(notices) {
  const items = notices.map(({ kind, text }) => {
    const item = document.createElement("p");
    item.className = `notice ${kind}`;
    item.textContent = text.charAt(0).toUpperCase() + text.slice(1);
    return item;
  });
  element("notices").replaceChildren(...items);
}

function showLiveState(state) {
  const texts = { live: "Live", failing: "Retrying", paused: "Paused", hidden: "Paused", fixed: "Fixed range" };
  const button = element("live");
  button.dataset.state = state;
  button.textContent = texts[state];
  button.disabled = state === "fixed";
  button.setAttribute("aria-pressed", String(state === "live" || state === "failing"));
  button.title = state === "fixed" ? "The range does not end now" : "Ask again after every step";
}

async function askForAlerts() {
  const { tz } = view();
  try {
    const status = await loadAlerts();
    strip.show(status, tz);
    alerts.show(status, tz);
    alertLive.answered(stepMillis);
  } catch (error) {
    strip.showFailure(error.message);
    alertLive.failed();
  }
}

/** Opens or closes the drawer with the tags; wide windows show it anyway. */
function openPanel(isOpen) {
  const panel = element("panel");
  const wasOpen = panel.classList.contains("open");
  panel.classList.toggle("open", isOpen);
  element("panel-opener").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) element("panel-close").focus();
  else if (wasOpen) element("panel-opener").focus();
}

function wire() {
  element("live").addEventListener("click", () => live.toggle());
  element("theme").addEventListener("click", () => dispatchEvent(new Event("themetoggle")));
  addEventListener("themechange", () => shown.graph && showGraph(shown.graph));
  element("zone").addEventListener("change", ({ target }) => {
    prefer("zone", target.value);
    goTo({ tz: target.value });
    askForAlerts();
  });
  element("alert-strip").addEventListener("click", () => {
    element("alert-strip").setAttribute("aria-expanded", String(alerts.toggle()));
  });
  element("panel-opener").addEventListener("click", () => openPanel(true));
  element("panel-close").addEventListener("click", () => openPanel(false));
  element("help-opener").addEventListener("click", () => element("help").showModal());
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select");
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape") openPanel(false);
  });
  for (const list of document.querySelectorAll(".examples")) showExamples(list, (q) => goTo({ q }));
  onView(showView);
}

wire();
showView();
alertLive.want(true);
askForAlerts();
storeStep().then(
  (millis) => (stepMillis = millis),
  // The step that is assumed until then will do.
  () => {},
);
