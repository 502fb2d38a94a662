// Numbers as people read them: four digits and an SI prefix.

const PREFIXES = ["y", "z", "a", "f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z", "Y"];
const NO_PREFIX = 8;

/**
 * A number in at most four digits: `1.234k`, `12.5m`, `–` for no value.
 * @param {number} value
 * @returns {string}
 */
export function si(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(4));
  const prefix = prefixOf(Math.abs(rounded));
  if (prefix === null) return value.toExponential(3);
  return `${Number((rounded / scaleOf(prefix)).toPrecision(4))}${PREFIXES[prefix]}`;
}

/**
 * The labels of an axis, with as many decimals as tell neighbours apart.
 * @param {number[]} ticks
 * @param {number} distance between two ticks
 * @returns {string[]}
 */
export function siTicks(ticks, distance) {
  const largest = Math.max(...ticks.map(Math.abs));
  // Below one, thousandths beside whole numbers would be hard to compare: all have the prefix of the largest.
  const least = Math.min(NO_PREFIX, prefixOf(largest) ?? NO_PREFIX);
  return ticks.map((tick) => {
    // Sums of distances miss zero by a little.
    if (Math.abs(tick) < distance * 1e-6) return "0";
    const prefix = prefixOf(Math.abs(tick));
    if (prefix === null) return tick.toExponential(2);
    const shown = Math.max(prefix, least);
    const scale = scaleOf(shown);
    return `${Number((tick / scale).toFixed(decimalsOf(distance / scale)))}${PREFIXES[shown]}`;
  });
}

/** Where a number belongs in the list of prefixes; null for one that is too large or small for all of them. */
function prefixOf(size) {
  if (size === 0) return NO_PREFIX;
  // Just below a power of ten the logarithm may round up.
  const prefix = NO_PREFIX + Math.floor(Math.log10(size * (1 + 1e-12)) / 3);
  return PREFIXES[prefix] === undefined ? null : prefix;
}

function scaleOf(prefix) {
  return Number(`1e${3 * (prefix - NO_PREFIX)}`);
}

/** The decimals that a distance such as 0.25 needs. */
function decimalsOf(distance) {
  for (let decimals = 0; decimals < 9; decimals++) {
    const scaled = distance * 10 ** decimals;
    if (Math.abs(scaled - Math.round(scaled)) < 1e-6 * Math.max(1, scaled)) return decimals;
  }
  return 9;
}
