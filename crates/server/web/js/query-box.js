// The box for an expression, with its colours, its errors and the expressions before.

import { prefer, preference } from "./preferences.js";
import { breakable, colored } from "./syntax.js";

/** Expressions that are remembered. */
const MAX_REMEMBERED = 40;

export class QueryBox {
  #elements;
  #run;
  /** Where the viewer is among the remembered ones; -1 for what is being typed. */
  #place = -1;
  #draft = "";
  /** What was put into the box, and how it is laid out there. */
  #given = { program: "", layout: "" };

  /**
   * @param {{input: HTMLTextAreaElement, colors: HTMLElement, error: HTMLElement, form: HTMLFormElement, remembered: HTMLButtonElement, list: HTMLElement, clear: HTMLButtonElement}} elements
   * @param {(program: string) => void} run
   */
  constructor(elements, run) {
    this.#elements = elements;
    this.#run = run;
    const { input, form, remembered, list, clear } = elements;
    input.addEventListener("input", () => {
      this.#place = -1;
      this.#paint();
    });
    input.addEventListener("keydown", (event) => this.#onKey(event));
    input.addEventListener("scroll", () => this.#followScroll());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    clear.addEventListener("click", () => {
      this.text = "";
      input.focus();
    });
    remembered.addEventListener("click", () => this.#toggleList());
    document.addEventListener("click", (event) => {
      if (!list.hidden && !event.target.closest(".remembered")) this.#closeList();
    });
    list.parentElement.addEventListener("keydown", (event) => this.#onListKey(event));
    // The height depends on the width.
    new ResizeObserver(() => this.#fit()).observe(input.parentElement);
  }

  /** The expression, as it was given when nobody changed it since. */
  get text() {
    const { program, layout } = this.#given;
    const { value } = this.#elements.input;
    return value === layout ? program : value;
  }

  set text(program) {
    const layout = laidOut(program, this.#columns());
    this.#given = { program, layout };
    this.#elements.input.value = layout;
    this.#place = -1;
    this.#paint();
  }

  focus() {
    this.#elements.input.focus();
  }

  submit() {
    const program = this.text.trim();
    if (program) this.#run(program);
  }

  /** Shows what the server said about the expression; nothing for an empty text. */
  showError(message) {
    const { error, input } = this.#elements;
    error.textContent = message;
    error.hidden = message === "";
    input.setAttribute("aria-invalid", String(message !== ""));
  }

  /** Puts an expression before all that are remembered. */
  remember(program) {
    const others = remembered().filter((other) => other !== program);
    prefer("expressions", JSON.stringify([program, ...others].slice(0, MAX_REMEMBERED)));
  }

  #onKey(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      this.#walk(event.key === "ArrowUp" ? 1 : -1);
    }
  }

  /** Goes through the remembered expressions. */
  #walk(direction) {
    const all = remembered();
    const place = Math.max(-1, Math.min(all.length - 1, this.#place + direction));
    if (this.#place === -1) this.#draft = this.text;
    this.text = place === -1 ? this.#draft : all[place];
    this.#place = place;
  }

  #toggleList() {
    const { list, remembered: button } = this.#elements;
    if (!list.hidden) return this.#closeList();
    const items = remembered().map((program) => this.#item(program));
    if (items.length === 0) {
      const empty = document.createElement("p");
      empty.textContent = "Expressions that gave an answer are kept here, in this browser.";
      items.push(empty);
    }
    list.replaceChildren(...items);
    list.hidden = false;
    button.setAttribute("aria-expanded", "true");
    list.querySelector("button")?.focus();
  }

  #closeList() {
    this.#elements.list.hidden = true;
    this.#elements.remembered.setAttribute("aria-expanded", "false");
  }

  #item(program) {
    const item = document.createElement("button");
    item.type = "button";
    item.append(...breakable(program));
    item.addEventListener("click", () => {
      this.#closeList();
      this.text = program;
      this.submit();
      this.focus();
    });
    return item;
  }

  #onListKey(event) {
    const { list, remembered: button } = this.#elements;
    if (list.hidden) return;
    if (event.key === "Escape") {
      this.#closeList();
      button.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const items = [...list.querySelectorAll("button")];
      const at = items.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      items[(at + items.length) % items.length]?.focus();
    }
  }

  #paint() {
    this.#elements.colors.replaceChildren(...colored(this.#elements.input.value), "\n");
    this.#elements.clear.hidden = this.text === "";
    this.#fit();
  }

  /** As high as its text, within the bounds of the style sheet. */
  #fit() {
    const { input, colors } = this.#elements;
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight + 2}px`;
    // Without the bar for scrolling, so that both break their lines at the same places.
    colors.style.width = `${input.clientWidth}px`;
    this.#followScroll();
  }

  /** How many characters fit into a line. */
  #columns() {
    const { input, colors } = this.#elements;
    const style = getComputedStyle(colors);
    const canvas = document.createElement("canvas").getContext("2d");
    canvas.font = `${style.fontSize} ${style.fontFamily}`;
    const room = input.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return Math.max(20, Math.floor(room / canvas.measureText("m").width) - 1);
  }

  #followScroll() {
    const { input, colors } = this.#elements;
    colors.style.transform = `translateY(${-input.scrollTop}px)`;
  }
}

/** A program on one line that is too long for the box, broken between its tokens. All others stay as they are written. */
function laidOut(program, columns) {
  if (program.includes("\n") || program.length <= columns) return program;
  const lines = [];
  let line = "";
  for (const token of program.split(/(?<=,)/)) {
    if (line !== "" && line.length + token.length > columns) {
      lines.push(line);
      line = "";
    }
    line += token;
  }
  return [...lines, line].join("\n");
}

function remembered() {
  try {
    const all = JSON.parse(preference("expressions") ?? "[]");
    return Array.isArray(all) ? all.filter((program) => typeof program === "string") : [];
  } catch {
    return [];
  }
}
