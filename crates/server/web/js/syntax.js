// Programs in colour.

/**
 * A program as pieces of text, the words, numbers and parentheses of the language in their colours.
 * @param {string} program
 * @returns {(string | HTMLElement)[]}
 */
export function colored(program) {
  return program.split(/([,\n])/).map((piece) => {
    const kind = kindOf(piece.trim());
    if (!kind) return piece;
    const span = document.createElement("span");
    span.className = `token-${kind}`;
    span.textContent = piece;
    return span;
  });
}

/** The same, with leave to break the line after each comma. */
export function breakable(program) {
  return colored(program).flatMap((piece) => (piece.textContent === "," ? [piece, document.createElement("wbr")] : [piece]));
}

function kindOf(text) {
  if (text === ",") return "comma";
  if (text.startsWith(":")) return "word";
  if (text === "(" || text === ")") return "parenthesis";
  if (/^-?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(text)) return "number";
  return null;
}
