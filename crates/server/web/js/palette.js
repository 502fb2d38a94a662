// Colours of lines: told apart from each other, and from the background, in light and dark.

const LIGHT = ["#2563eb", "#c2410c", "#0f766e", "#9333ea", "#be123c", "#4d7c0f", "#0369a1", "#a16207", "#db2777", "#475569", "#15803d", "#7c2d12"];
const DARK = ["#60a5fa", "#fb923c", "#2dd4bf", "#c084fc", "#fb7185", "#a3e635", "#38bdf8", "#facc15", "#f472b6", "#94a3b8", "#4ade80", "#d6a77a"];

/** The angle that keeps hues apart however many there are. */
const GOLDEN_ANGLE = 137.508;

/** The colour of the line with number `i`. */
export function lineColor(i, isDark) {
  const colors = isDark ? DARK : LIGHT;
  if (i < colors.length) return colors[i];
  const hue = (i * GOLDEN_ANGLE) % 360;
  return isDark ? `hsl(${hue.toFixed(0)} 70% 68%)` : `hsl(${hue.toFixed(0)} 65% 38%)`;
}

/** Numbers lines by their labels, so that a line keeps its colour while others come and go. */
export class ColorBook {
  #numbers = new Map();

  /** Forgets all lines. */
  clear() {
    this.#numbers.clear();
  }

  /** The number of the line with this label. */
  numberOf(label) {
    if (!this.#numbers.has(label)) this.#numbers.set(label, this.#numbers.size);
    return this.#numbers.get(label);
  }
}

/** A colour made transparent. */
export function withAlpha(color, alpha) {
  return `color-mix(in srgb, ${color} ${Math.round(alpha * 100)}%, transparent)`;
}
