// What the chart says beside the pointer: the time, and the values of the lines nearest to it.

import { si } from "./numbers.js";
import { dateAndClock } from "./times.js";

/** More lines than this do not fit; then the nearest is named alone. */
const MAX_LINES = 6;

/** The distance from the pointer, in pixels. */
const DISTANCE = 14;

export class Tooltip {
  #box = document.createElement("div");
  #area = null;

  constructor() {
    this.#box.className = "tooltip";
    this.#box.hidden = true;
  }

  /** Moves to the area of another chart. */
  attach(area) {
    this.#area = area;
    this.#box.hidden = true;
    area.append(this.#box);
  }

  hide() {
    this.#box.hidden = true;
  }

  /**
   * @param {import("./graph.js").Graph} graph
   * @param {import("./chart.js").ColoredLine[]} lines
   * @param {import("./chart.js").ColoredLine | null} nearest
   * @param {number} index of the time
   * @param {import("./times.js").Zone} zone
   * @param {{left: number, top: number}} pointer
   */
  show(graph, lines, nearest, index, zone, pointer) {
    const time = document.createElement("div");
    time.className = "tooltip-time";
    time.textContent = dateAndClock(graph.times[index], zone);
    if (isFilling(graph, index)) time.textContent += " · may still be filling";
    const few = lines.length <= MAX_LINES ? lines : [nearest].filter(Boolean);
    const rows = few.map((line) => this.#row(line, index, line === nearest && lines.length > 1));
    if (rows.length === 0) rows.push(note("no values"));
    else if (lines.length > few.length) rows.push(note(`${lines.length - few.length} more in the table`));
    this.#box.replaceChildren(time, ...rows);
    this.#box.hidden = false;
    this.#place(pointer);
  }

  #row(line, index, isNearest) {
    const row = document.createElement("div");
    row.className = isNearest ? "tooltip-row nearest" : "tooltip-row";
    const swatch = document.createElement("span");
    swatch.className = "dot";
    swatch.style.background = line.color;
    const label = document.createElement("span");
    label.className = "tooltip-label";
    label.textContent = line.label;
    const value = document.createElement("b");
    value.textContent = si(line.values[index]);
    row.append(swatch, label, value);
    return row;
  }

  /** Beside the pointer, on the side where there is room. */
  #place({ left, top }) {
    const { clientWidth, clientHeight } = this.#area;
    const { offsetWidth, offsetHeight } = this.#box;
    const fitsRight = left + DISTANCE + offsetWidth <= clientWidth;
    const x = fitsRight ? left + DISTANCE : Math.max(0, left - DISTANCE - offsetWidth);
    const y = Math.max(0, Math.min(top + DISTANCE, clientHeight - offsetHeight));
    this.#box.style.transform = `translate(${x}px, ${y}px)`;
  }
}

/** The largest step that a store may have. */
const MAX_STORE_STEP_MILLIS = 60_000;

/** True for a time whose datapoints may still be under way: clients publish in the step after. */
function isFilling(graph, index) {
  return graph.times[index] + Math.min(graph.step, MAX_STORE_STEP_MILLIS) > Date.now();
}

function note(text) {
  const row = document.createElement("div");
  row.className = "tooltip-time";
  row.textContent = text;
  return row;
}
