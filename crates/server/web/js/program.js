// What the page has to know of the stack language: enough to add a clause to a program and to see how its lines are to be drawn.

const QUERY_WORDS = new Set(
  "true false has eq lt le gt ge re reic contains starts ends in and or not".split(" ").map((word) => `:${word}`),
);

/** The tokens of a program; comments are none. */
export function tokens(program) {
  return program.replace(/\/\*.*?\*\//gs, "").split(",").map((token) => token.trim()).filter((token) => token !== "");
}

/** True when a program does no more than choose series. */
export function isQuery(program) {
  const all = tokens(program);
  return all.length > 0 && all.at(-1).startsWith(":") && all.every((t) => !t.startsWith(":") || QUERY_WORDS.has(t));
}

/** A text as a token: what the language would read as its own is written as an escape. */
export function token(text) {
  const escape = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const escaped = text.replace(/[,\s\\]/g, escape).replace(/^[:()]/, escape);
  return escaped.replace(/^\($|^\)$/, escape);
}

/** The query for a value of a key. */
export function clause(key, value) {
  return `${token(key)},${token(value)},:eq`;
}

/**
 * A program narrowed down to a value of a key. To choose a name is to begin anew: no series has two.
 */
export function narrowed(program, key, value) {
  const chosen = clause(key, value);
  if (program.trim() === "" || key === "name") return chosen;
  if (tokens(program).join(",").includes(chosen)) return program;
  return isQuery(program) ? `${trimmed(program)},${chosen},:and` : `${trimmed(program)},${chosen},:cq`;
}

/** A program whose lines are told apart by a key. */
export function grouped(program, key) {
  return `${trimmed(program)},(,${token(key)},),:by`;
}

function trimmed(program) {
  return program.trim().replace(/,$/, "");
}

/**
 * How the lines of an expression are drawn.
 * @typedef {object} Style
 * @property {"line" | "area" | "stack" | "vspan"} shape
 * @property {number} axis
 * @property {number} width
 * @property {string | null} color as CSS writes it; null for one of the palette
 * @property {number | null} alpha from 0 to 1
 */

/** The style that the settings of an expression in canonical form lead to. */
export function styleOf(canonical) {
  /** @type {Style} */
  const style = { shape: "line", axis: 0, width: 1, color: null, alpha: null };
  const all = tokens(canonical);
  all.forEach((word, i) => {
    const setting = all[i - 1];
    switch (word) {
      case ":line":
      case ":area":
      case ":stack":
      case ":vspan":
        style.shape = word.slice(1);
        break;
      case ":axis":
        style.axis = Number(setting) || 0;
        break;
      case ":lw":
        style.width = Number(setting) || 1;
        break;
      case ":alpha":
        style.alpha = parseInt(setting, 16) / 255;
        break;
      case ":color":
        if (/^[0-9a-f]{8}$/i.test(setting)) {
          style.color = `#${setting.slice(2)}`;
          style.alpha = parseInt(setting.slice(0, 2), 16) / 255;
        }
        break;
    }
  });
  return style;
}
