// A graph as data: asked for, transposed to lines, with the style and the statistics of each.

import { Refusal, ask, encode, missingParts, normalize } from "./server.js";
import { styleOf } from "./program.js";
import { zoneName } from "./times.js";

/**
 * @typedef {object} Line
 * @property {string} key the label, made unique among the lines of the graph
 * @property {string} label
 * @property {Record<string, string>} tags
 * @property {Float64Array} values one a time; NaN where there is none
 * @property {import("./program.js").Style} style
 * @property {{last: number, min: number, avg: number, max: number}} stats over the whole range; NaN without values
 */

/**
 * @typedef {object} Graph
 * @property {number} step in milliseconds
 * @property {number[]} times in milliseconds since the epoch; a value is about the step that ends at its time
 * @property {Line[]} lines
 * @property {string[]} notices
 * @property {string} missing the parts that the answer lacks; empty for a whole answer
 * @property {string} read what the node had to read
 * @property {number} elapsedMillis
 */

/** Programs in parts, each with the style of its lines. A program is the same at every refresh. */
const plans = new Map();

/**
 * Asks for the lines of a view.
 * @param {import("./view.js").View} view
 * @param {number} width of the chart in pixels
 * @param {AbortSignal} signal
 * @returns {Promise<Graph>}
 */
export async function load(view, width, signal) {
  const began = performance.now();
  const [first, ...others] = await planOf(view.q, signal);
  const head = await loadPart(first, rangeParams(view, width), signal);
  // The clock may pass a step between two requests: the other parts are asked for the very times of the first.
  const { times, step } = head;
  const same = [
    ["s", String(times[0] - step)],
    ["e", String(times.at(-1))],
    ["step", `${step}ms`],
    ["w", String(Math.max(width, times.length))],
  ];
  const tails = await Promise.all(others.map((part) => loadPart(part, same, signal)));
  const all = [head, ...tails];
  const lines = all.flatMap((part) => part.lines);
  makeKeys(lines);
  return {
    step,
    times,
    lines,
    notices: [...new Set(all.flatMap((part) => part.notices))],
    missing: all.find((part) => part.missing)?.missing ?? "",
    read: head.read,
    elapsedMillis: performance.now() - began,
  };
}

/** The address under which the API gives the data of a view, in one of its formats. */
export function dataAddress(view, width, format) {
  return `/api/v1/graph?${encode([["q", view.q], ...rangeParams(view, width), ["format", format]])}`;
}

function rangeParams({ s, e, step, tz }, width) {
  const params = [["s", s], ["e", e], ["tz", zoneName(tz)], ["w", String(width)]];
  if (step) params.push(["step", step]);
  return params;
}

/**
 * The JSON of a graph has no styles. A program whose expressions differ in style is therefore asked for in parts, one for each style.
 */
async function planOf(program, signal) {
  const known = plans.get(program);
  if (known) return known;
  let exprs;
  try {
    exprs = await normalize(program, signal);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    // The graph API shall say what is wrong.
    return [{ style: styleOf(""), program }];
  }
  const parts = new Map();
  for (const expr of exprs) {
    const style = styleOf(expr);
    const key = JSON.stringify(style);
    if (!parts.has(key)) parts.set(key, { style, exprs: [] });
    parts.get(key).exprs.push(expr);
  }
  const plan = Array.from(parts.values(), (part) => ({ style: part.style, program: part.exprs.join(",") }));
  // What was typed goes to the server as it is whenever that is possible: its errors are about that text.
  if (plan.length < 2) return remember(program, [{ style: plan[0]?.style ?? styleOf(""), program }]);
  return remember(program, plan);
}

function remember(program, plan) {
  if (plans.size >= 100) plans.clear();
  plans.set(program, plan);
  return plan;
}

async function loadPart({ program, style }, range, signal) {
  const params = [["q", program], ...range, ["format", "json"]];
  const response = await ask("/api/v1/graph", params, signal);
  const { start, step, legend, metrics, values, notices } = await response.json();
  const lines = legend.map((label, i) => {
    // What JSON has no number for is written as "NaN", "Infinity" or "-Infinity".
    const own = Float64Array.from(values, (row) => Number(row[i]));
    return { key: label, label: label.trim(), tags: metrics[i], values: own, style, stats: statsOf(own) };
  });
  return {
    step,
    times: values.map((_, i) => start + i * step),
    lines,
    notices,
    missing: missingParts(response),
    read: response.headers.get("hesper-read") ?? "",
  };
}

/** Labels may repeat; keys may not. */
function makeKeys(lines) {
  const seen = new Map();
  for (const line of lines) {
    const count = (seen.get(line.label) ?? 0) + 1;
    seen.set(line.label, count);
    line.key = count === 1 ? line.label : `${line.label} (${count})`;
  }
}

function statsOf(values) {
  let [last, min, max, total, count] = [NaN, Infinity, -Infinity, 0, 0];
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    last = value;
    if (value < min) min = value;
    if (value > max) max = value;
    total += value;
    count += 1;
  }
  return count === 0 ? { last, min: NaN, avg: NaN, max: NaN } : { last, min, avg: total / count, max };
}
