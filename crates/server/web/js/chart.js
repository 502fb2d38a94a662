// The chart: lines, areas, stacks and stripes over time, with crosshair, zoom and up to five axes. It draws with uPlot.

import { withAlpha } from "./palette.js";
import { siTicks } from "./numbers.js";
import { drawSpans, pile, stackPaths } from "./shapes.js";
import { timeTicks } from "./times.js";
import { Tooltip } from "./tooltip.js";

/** @typedef {import("./graph.js").Line} Line */
/** @typedef {Line & {color: string}} ColoredLine */

/** With more lines than this each is drawn thin. */
const MANY_LINES = 60;

/** Narrower than this a drag is taken for a click. */
const MIN_DRAG_PIXELS = 5;

/** The opacity of the filled shapes, when the expression does not say. */
const FILL_ALPHA = { area: 0.35, stack: 0.85, vspan: 0.25 };

export class Chart {
  #host;
  #plot = null;
  #tooltip;
  #shown = null;
  #handlers;
  #isHeld = false;
  #waiting = null;

  /**
   * @param {HTMLElement} host
   * @param {object} handlers
   * @param {(start: number, end: number) => void} handlers.zoom a range was marked
   * @param {() => void} handlers.back the range before is wanted
   * @param {(index: number | null, key: string | null) => void} handlers.cursor the time and the line under the pointer
   */
  constructor(host, handlers) {
    this.#host = host;
    this.#handlers = handlers;
    this.#tooltip = new Tooltip();
    new ResizeObserver(() => this.#resize()).observe(host);
    host.addEventListener("keydown", (event) => this.#onKey(event));
    host.addEventListener("mousedown", () => (this.#isHeld = true));
    for (const end of ["mouseup", "blur"]) addEventListener(end, () => this.#release());
  }

  /** The width in pixels, by which the server chooses the step. */
  get width() {
    // Out of sight the chart has no width of its own.
    const width = this.#host.clientWidth || this.#host.closest("main").clientWidth;
    return Math.max(200, Math.min(1440, Math.floor(width)));
  }

  /** Takes the chart away. */
  clear() {
    this.#plot?.destroy();
    this.#plot = null;
    this.#shown = null;
    this.#waiting = null;
  }

  /**
   * Shows lines.
   * @param {import("./graph.js").Graph} graph
   * @param {ColoredLine[]} lines those that are to be seen
   * @param {import("./times.js").Zone} zone
   */
  show(graph, lines, zone) {
    // A refresh must not break off a drag.
    if (this.#isHeld && this.#plot) {
      this.#waiting = [graph, lines, zone];
      return;
    }
    const index = this.#plot?.cursor.idx;
    const pointer = this.#plot ? { left: this.#plot.cursor.left, top: this.#plot.cursor.top } : null;
    this.#plot?.destroy();
    this.#shown = { graph, lines, zone };
    const { options, data } = this.#describe(graph, lines, zone);
    this.#plot = new uPlot(options, data, this.#host);
    this.#tooltip.attach(this.#plot.over);
    // A refresh must not take away what the viewer points at.
    if (index !== null && index !== undefined && pointer.left >= 0) this.#plot.setCursor(pointer);
  }

  #describe(graph, lines, zone) {
    const styles = getComputedStyle(this.#host);
    const ink = { text: styles.getPropertyValue("--muted"), grid: styles.getPropertyValue("--grid") };
    const font = `12px ${styles.fontFamily}`;
    const spans = lines.filter((line) => line.style.shape === "vspan");
    // What is filled lies below what is drawn.
    const order = ["stack", "area", "line"];
    const drawn = order.flatMap((shape) => lines.filter((line) => line.style.shape === shape));
    const series = [{}];
    const data = [graph.times];
    const piles = pilesOf(drawn, graph.times.length);
    for (const line of drawn) {
      const stacked = piles.get(line);
      data.push(stacked ? stacked.top : Array.from(line.values, (v) => (Number.isFinite(v) ? v : null)));
      series.push(seriesOf(line, stacked, lines.length > MANY_LINES));
    }
    const filled = new Set(drawn.filter((l) => l.style.shape !== "line").map((l) => scaleOf(l)));
    const scaleNames = [...new Set(drawn.map(scaleOf))].sort();
    if (scaleNames.length === 0) scaleNames.push("y0");
    const bounds = [graph.times[0] - graph.step, graph.times.at(-1)];
    const scales = { x: { time: true, range: () => bounds } };
    for (const name of scaleNames) scales[name] = { range: (u, min, max) => valueRange(min, max, filled.has(name)) };
    const options = {
      ...this.#size(),
      ms: 1,
      series,
      scales,
      axes: [timeAxis(zone, ink, font), ...scaleNames.map((name, i) => valueAxis(name, i, ink, font))],
      legend: { show: false },
      padding: [12, scaleNames.length > 1 ? 4 : 16, 0, 4],
      tzDate: (millis) => (zone === "UTC" ? uPlot.tzDate(new Date(millis), "Etc/UTC") : new Date(millis)),
      cursor: {
        drag: { x: true, y: false, setScale: false, dist: MIN_DRAG_PIXELS },
        points: { show: false },
        bind: { dblclick: () => () => this.#handlers.back() },
      },
      hooks: {
        drawClear: [(u) => spans.forEach((line) => drawSpans(u, line, withAlpha(line.color, alphaOf(line))))],
        setSelect: [(u) => this.#onSelect(u)],
        setCursor: [(u) => this.#onCursor(u, drawn)],
      },
    };
    return { options, data };
  }

  #release() {
    this.#isHeld = false;
    const waiting = this.#waiting;
    this.#waiting = null;
    // After the chart itself has seen the end of the drag.
    if (waiting) setTimeout(() => this.show(...waiting));
  }

  #size() {
    return { width: Math.max(200, this.#host.clientWidth), height: Math.max(160, this.#host.clientHeight) };
  }

  #resize() {
    const size = this.#size();
    const plot = this.#plot;
    if (plot && (plot.width !== size.width || plot.height !== size.height)) plot.setSize(size);
  }

  #onSelect(u) {
    const { left, width } = u.select;
    if (width < MIN_DRAG_PIXELS) return;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#handlers.zoom(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
  }

  #onCursor(u, drawn) {
    const { idx, left, top } = u.cursor;
    const isOver = idx !== null && idx !== undefined && left >= 0;
    const nearest = isOver ? nearestLine(u, drawn, idx, top) : null;
    this.#handlers.cursor(isOver ? idx : null, nearest?.key ?? null);
    const { graph, zone } = this.#shown;
    if (isOver) this.#tooltip.show(graph, drawn, nearest, idx, zone, { left, top });
    else this.#tooltip.hide();
  }

  /** Arrow keys move the crosshair by a step, with Shift by ten. */
  #onKey(event) {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const plot = this.#plot;
    if (!plot || !direction) return;
    event.preventDefault();
    const times = plot.data[0];
    const steps = direction * (event.shiftKey ? 10 : 1);
    const from = plot.cursor.idx ?? (direction < 0 ? times.length : -1);
    const to = Math.max(0, Math.min(times.length - 1, from + steps));
    plot.setCursor({ left: plot.valToPos(times[to], "x"), top: plot.over.clientHeight / 2 });
  }
}

/** @param {Line} line */
function scaleOf(line) {
  return `y${line.style.axis}`;
}

function alphaOf(line) {
  return line.style.alpha ?? FILL_ALPHA[line.style.shape] ?? 1;
}

/** Stacked lines with where they begin and end; each axis has a pile of its own. */
function pilesOf(drawn, count) {
  const stacked = drawn.filter((line) => line.style.shape === "stack");
  const piles = new Map();
  for (const scale of new Set(stacked.map(scaleOf))) {
    const members = stacked.filter((line) => scaleOf(line) === scale);
    pile(members, count).forEach((piled, i) => piles.set(members[i], piled));
  }
  return piles;
}

function seriesOf(line, stacked, isThin) {
  const { shape, width } = line.style;
  const scale = scaleOf(line);
  const fill = withAlpha(line.color, alphaOf(line));
  if (stacked) return { scale, fill, width: 0, paths: stackPaths(stacked.bottom), points: { show: false } };
  const stroke = shape === "line" ? fill : line.color;
  return {
    scale,
    stroke,
    fill: shape === "area" ? fill : undefined,
    width: isThin ? 1 : width * 1.5,
    // A value without neighbours has no line and would not be seen.
    points: { show: false, filter: isolated, size: 5, width: 1, stroke, fill: stroke },
  };
}

function isolated(u, seriesIdx) {
  const values = u.data[seriesIdx];
  const found = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null) found.push(i);
  }
  return found.length > 0 ? found : null;
}

/** The range of an axis; what is filled begins at zero. */
function valueRange(min, max, isFilled) {
  if (min === null || max === null || min === undefined || max === undefined) return [0, 1];
  const [least, most] = isFilled ? [Math.min(0, min), Math.max(0, max)] : [min, max];
  if (least === most) return least === 0 ? [0, 1] : [Math.min(0, least * 1.25), Math.max(0, least * 1.25)];
  return uPlot.rangeNum(least, most, { min: { pad: 0.08, soft: 0, mode: 3 }, max: { pad: 0.08, soft: 0, mode: 3 } });
}

function timeAxis(zone, ink, font) {
  return {
    stroke: ink.text,
    font,
    grid: { stroke: ink.grid, width: 1 },
    ticks: { stroke: ink.grid, width: 1, size: 5 },
    space: 70,
    values: (u, ticks, axis, space, distance) => timeTicks(ticks, zone, distance),
  };
}

function valueAxis(scale, i, ink, font) {
  return {
    scale,
    side: i === 0 ? 3 : 1,
    stroke: ink.text,
    font,
    size: 54,
    // The grid of a second axis would only confuse.
    grid: { show: i === 0, stroke: ink.grid, width: 1 },
    ticks: { show: i > 0, stroke: ink.grid, width: 1, size: 5 },
    values: (u, ticks, axis, space, distance) => siTicks(ticks, distance),
  };
}

/** The line whose value at `idx` is drawn closest to the height `top`. */
function nearestLine(u, drawn, idx, top) {
  let [nearest, least] = [null, Infinity];
  drawn.forEach((line, i) => {
    const value = u.data[i + 1][idx];
    if (value === null || value === undefined) return;
    let distance = Math.abs(u.valToPos(value, scaleOf(line)) - top);
    // Of a stack that is pointed at which is below its edge.
    if (line.style.shape === "stack" && u.valToPos(value, scaleOf(line)) > top) distance += 4;
    if (distance < least) [nearest, least] = [line, distance];
  });
  return nearest;
}
