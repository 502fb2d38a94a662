// The table of lines under the chart: which there are, what they come to, and which of them are drawn.

import { si } from "./numbers.js";

/** @typedef {import("./chart.js").ColoredLine} ColoredLine */

/** Columns with numbers, in their order. */
const COLUMNS = ["value", "last", "min", "avg", "max"];

/** From so many lines on there is a box to look for one. */
const MANY_LINES = 12;

export class Legend {
  #elements;
  #onChange;
  /** @type {ColoredLine[]} */
  #lines = [];
  /** @type {Map<string, {row: HTMLTableRowElement, cells: Record<string, HTMLTableCellElement>, toggle: HTMLButtonElement, label: HTMLButtonElement}>} */
  #rows = new Map();
  /** The keys of lines that are not drawn. */
  #hidden = new Set();
  #sort = { column: null, isDescending: true };
  #filter = "";
  #cursor = null;

  /**
   * @param {{body: HTMLTableSectionElement, head: HTMLTableSectionElement, filter: HTMLInputElement, all: HTMLButtonElement, scroll: HTMLElement}} elements
   * @param {() => void} onChange other lines are to be drawn
   */
  constructor(elements, onChange) {
    this.#elements = elements;
    this.#onChange = onChange;
    for (const button of elements.head.querySelectorAll("button")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset.column));
    }
    elements.filter.addEventListener("input", () => {
      this.#filter = elements.filter.value.trim().toLowerCase();
      this.#arrange();
    });
    elements.all.addEventListener("click", () => this.#hide(new Set()));
    elements.scroll.addEventListener("scroll", () => this.#writeCursor(), { passive: true });
  }

  /** Draws all lines again: the next are those of another expression. */
  forget() {
    this.#hidden.clear();
    this.#filter = this.#elements.filter.value = "";
    this.#sort = { column: null, isDescending: true };
  }

  /** The lines that are to be drawn. */
  visible() {
    return this.#lines.filter((line) => !this.#hidden.has(line.key));
  }

  /** @param {ColoredLine[]} lines */
  show(lines) {
    this.#lines = lines;
    const rows = new Map();
    for (const line of lines) rows.set(line.key, this.#rows.get(line.key) ?? this.#newRow(line.key));
    this.#rows = rows;
    for (const line of lines) this.#write(line);
    this.#elements.filter.hidden = lines.length < MANY_LINES;
    this.#arrange();
  }

  /**
   * Shows the values at a time, or none.
   * @param {number | null} index
   * @param {string | null} nearest the key of the line under the pointer
   */
  point(index, nearest) {
    if (this.#cursor?.nearest !== nearest) {
      this.#rows.get(this.#cursor?.nearest)?.row.classList.remove("nearest");
      this.#rows.get(nearest)?.row.classList.add("nearest");
    }
    this.#cursor = { index, nearest };
    this.#writeCursor();
  }

  #newRow(key) {
    const row = document.createElement("tr");
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    const toggle = head.appendChild(document.createElement("button"));
    toggle.type = "button";
    toggle.className = "swatch";
    toggle.addEventListener("click", () => this.#toggle(key));
    const label = head.appendChild(document.createElement("button"));
    label.type = "button";
    label.className = "label";
    row.addEventListener("click", (event) => {
      if (event.target.closest(".swatch")) return;
      if (event.ctrlKey || event.metaKey) this.#toggle(key);
      else this.#isolate(key);
    });
    const cells = {};
    for (const column of COLUMNS) {
      cells[column] = row.appendChild(document.createElement("td"));
      cells[column].className = column;
    }
    return { row, cells, toggle, label };
  }

  #write(line) {
    const { row, cells, toggle, label } = this.#rows.get(line.key);
    const isHidden = this.#hidden.has(line.key);
    row.classList.toggle("hidden-line", isHidden);
    toggle.style.setProperty("--color", line.color);
    toggle.setAttribute("aria-pressed", String(!isHidden));
    toggle.setAttribute("aria-label", `Draw ${line.label}`);
    toggle.title = isHidden ? "Draw this line" : "Hide this line";
    label.textContent = line.style.shape === "vspan" ? `${line.label} · shaded` : line.label;
    label.title = `${line.label}\n${tagsText(line.tags)}`;
    for (const column of ["last", "min", "avg", "max"]) {
      cells[column].textContent = si(line.stats[column]);
      cells[column].title = String(line.stats[column]);
    }
  }

  #writeCursor() {
    const index = this.#cursor?.index ?? null;
    this.#elements.head.parentElement.classList.toggle("pointing", index !== null);
    const inSight = this.#rowsInSight();
    for (const line of this.#arranged().slice(inSight.from, inSight.to)) {
      const text = index === null ? "" : si(line.values[index]);
      const cell = this.#rows.get(line.key).cells.value;
      if (cell.textContent !== text) cell.textContent = text;
    }
  }

  /** Of a thousand rows only those in sight are worth the writing. */
  #rowsInSight() {
    const { scroll, body } = this.#elements;
    const height = body.rows[0]?.offsetHeight || 28;
    const from = Math.max(0, Math.floor(scroll.scrollTop / height) - 2);
    return { from, to: from + Math.ceil(scroll.clientHeight / height) + 4 };
  }

  /** The lines in the order of their rows, without those that are filtered out. */
  #arranged() {
    const found = this.#lines.filter((line) => line.label.toLowerCase().includes(this.#filter));
    const { column, isDescending } = this.#sort;
    if (column === null) return found;
    const sign = isDescending ? -1 : 1;
    if (column === "label") return found.sort((a, b) => sign * a.label.localeCompare(b.label, undefined, { numeric: true }));
    const number = (line) => (column === "value" ? line.values[this.#cursor?.index ?? line.values.length - 1] : line.stats[column]);
    // Lines without a value come last either way.
    const rank = (value) => (Number.isNaN(value) ? -Infinity * -sign : value);
    return found.sort((a, b) => sign * (rank(number(a)) - rank(number(b))) || 0);
  }

  #arrange() {
    const { body, head, all } = this.#elements;
    body.replaceChildren(...this.#arranged().map((line) => this.#rows.get(line.key).row));
    for (const button of head.querySelectorAll("button")) {
      const isSorted = button.dataset.column === this.#sort.column;
      const order = this.#sort.isDescending ? "descending" : "ascending";
      button.closest("th").setAttribute("aria-sort", isSorted ? order : "none");
    }
    all.hidden = this.#lines.every((line) => !this.#hidden.has(line.key));
    this.#writeCursor();
  }

  #sortBy(column) {
    const { column: before, isDescending } = this.#sort;
    const firstDescending = column !== "label";
    if (before !== column) this.#sort = { column, isDescending: firstDescending };
    else if (isDescending === firstDescending) this.#sort = { column, isDescending: !isDescending };
    else this.#sort = { column: null, isDescending: true };
    this.#arrange();
  }

  /** Draws one line alone, or all again. */
  #isolate(key) {
    const visible = this.visible();
    const isAlone = visible.length === 1 && visible[0].key === key;
    const others = this.#lines.map((line) => line.key).filter((other) => other !== key);
    this.#hide(new Set(isAlone ? [] : others));
  }

  #toggle(key) {
    const hidden = new Set(this.#hidden);
    if (!hidden.delete(key)) hidden.add(key);
    this.#hide(hidden);
  }

  #hide(hidden) {
    this.#hidden = hidden;
    for (const line of this.#lines) this.#write(line);
    this.#elements.all.hidden = hidden.size === 0;
    this.#onChange();
  }
}

function tagsText(tags) {
  return Object.entries(tags).map(([key, value]) => `${key} = ${value}`).join("\n");
}
