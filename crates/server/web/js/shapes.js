// Shapes that uPlot does not have: stacked areas and stripes of time. Both are about whole steps: a value holds from the time before
// to its own.

/** @typedef {import("./graph.js").Line} Line */

/**
 * Where each line of a stack begins and ends at each time. What is positive is piled up from zero, what is negative down from it;
 * a line without a value takes no room.
 * @param {Line[]} lines
 * @param {number} count of times
 * @returns {{bottom: (number | null)[], top: (number | null)[]}[]}
 */
export function pile(lines, count) {
  const above = new Float64Array(count);
  const below = new Float64Array(count);
  return lines.map((line) => {
    const bottom = new Array(count).fill(null);
    const top = new Array(count).fill(null);
    line.values.forEach((value, i) => {
      if (!Number.isFinite(value)) return;
      const heights = value < 0 ? below : above;
      bottom[i] = heights[i];
      heights[i] += value;
      top[i] = heights[i];
    });
    return { bottom, top };
  });
}

/**
 * A builder of paths for uPlot that fills from `bottom` to the values of the series.
 * @param {(number | null)[]} bottom
 */
export function stackPaths(bottom) {
  return (u, seriesIdx, from, to) => {
    const [times, top] = [u.data[0], u.data[seriesIdx]];
    const { scale } = u.series[seriesIdx];
    const x = (i) => Math.round(u.valToPos(times[i], "x", true));
    const y = (value) => Math.round(u.valToPos(value, scale, true));
    const fill = new Path2D();
    for (let i = from; i <= to; i++) {
      if (top[i] === null || top[i] === undefined) continue;
      // Whole pixels, so that neighbours neither overlap nor leave a seam.
      const right = x(i);
      const left = i > 0 ? x(i - 1) : right - stepPixels(u);
      const [edge, base] = [y(top[i]), y(bottom[i])];
      fill.rect(left, Math.min(edge, base), right - left, Math.abs(edge - base));
    }
    return { stroke: new Path2D(), fill, clip: null, band: null, gaps: null, flags: 0 };
  };
}

/**
 * Shades the times at which a line is true, which is neither NaN nor zero.
 * @param {uPlot} u
 * @param {Line} line
 * @param {string} color
 */
export function drawSpans(u, line, color) {
  const times = u.data[0];
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.fillStyle = color;
  for (let i = 0; i < times.length; i++) {
    if (!isTrue(line.values[i])) continue;
    const first = i;
    while (i + 1 < times.length && isTrue(line.values[i + 1])) i += 1;
    const right = Math.round(u.valToPos(times[i], "x", true));
    const from = Math.round(u.valToPos(times[first], "x", true)) - stepPixels(u);
    ctx.fillRect(from, top, right - from, height);
  }
  ctx.restore();
}

/** The least size of a value that counts as true. */
const TRUE_FROM = 1e-12;

function isTrue(value) {
  return Math.abs(value) >= TRUE_FROM;
}

/** The width of a step. */
function stepPixels(u) {
  const times = u.data[0];
  if (times.length < 2) return u.bbox.width;
  return Math.round(u.valToPos(times[1], "x", true) - u.valToPos(times[0], "x", true));
}
