// The browser of tags: the keys and values there are, narrowed to what the expression in the box is about.

import { queriesOf, tags } from "./server.js";
import { clause, grouped, narrowed, token } from "./program.js";

/** Items asked for at a time. */
const PAGE = 100;

/** How long to wait for the next key press before asking. */
const TYPING_MILLIS = 200;

export class TagBrowser {
  #elements;
  #box;
  /** The key whose values are listed; null while the keys are. */
  #key = null;
  /** Asking for another list gives up on the one before. */
  #asking = new AbortController();
  #typing = null;

  /**
   * @param {{list: HTMLElement, filter: HTMLInputElement, back: HTMLButtonElement, title: HTMLElement, group: HTMLButtonElement, narrow: HTMLInputElement, status: HTMLElement, more: HTMLButtonElement}} elements
   * @param {{text: () => string, change: (program: string) => void}} box the expression, and how to change it
   */
  constructor(elements, box) {
    this.#elements = elements;
    this.#box = box;
    const { filter, back, group, narrow } = elements;
    filter.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.refresh(), TYPING_MILLIS);
    });
    back.addEventListener("click", () => this.#open(null));
    group.addEventListener("click", () => box.change(grouped(box.text(), this.#key)));
    narrow.addEventListener("change", () => this.refresh());
  }

  /** Lists the keys, or the values of the key that is open, anew. */
  async refresh() {
    this.#asking.abort();
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    const { list, title, back, group, filter, status, more } = this.#elements;
    const key = this.#key;
    title.textContent = key ?? "Tags";
    back.hidden = key === null;
    group.hidden = key === null || this.#box.text().trim() === "";
    filter.placeholder = key === null ? "Find a key" : `Find a value of ${key}`;
    more.hidden = true;
    try {
      const query = await this.#query(signal);
      list.replaceChildren();
      await this.#append(query, undefined, signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      list.replaceChildren();
      status.textContent = error.message;
    }
  }

  #open(key) {
    this.#key = key;
    this.#elements.filter.value = "";
    this.#elements.list.scrollTop = 0;
    this.refresh();
  }

  async #append(query, offset, signal) {
    const { list, filter, status, more } = this.#elements;
    const key = this.#key;
    const wanted = { key: key ?? undefined, query, offset, limit: PAGE };
    const { texts, next, missing } = await tags(wanted, signal);
    const sought = filter.value.trim().toLowerCase();
    // Values were looked for by the server, which has no such query for keys.
    const found = key === null ? sorted(texts.filter((text) => text.toLowerCase().includes(sought))) : texts;
    list.append(...found.map((text) => this.#item(text)));
    const count = list.children.length;
    const what = `${key === null ? "key" : "value"}${count === 1 && !next ? "" : "s"}`;
    status.textContent = count === 0 && !next ? `No ${what}` : `${count}${next ? "+" : ""} ${what}`;
    if (missing) status.textContent += ` · partial, without ${missing}`;
    more.hidden = !next;
    more.onclick = () => {
      more.hidden = true;
      this.#append(query, next, signal).catch((error) => {
        if (error.name !== "AbortError") status.textContent = error.message;
      });
    };
  }

  #item(text) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    const key = this.#key;
    if (key === null) {
      button.className = "key";
      button.addEventListener("click", () => this.#open(text));
    } else {
      button.title = `Add ${clause(key, text)}`;
      const isChosen = this.#box.text().replace(/\s/g, "").includes(clause(key, text));
      button.setAttribute("aria-pressed", String(isChosen));
      button.addEventListener("click", () => this.#box.change(narrowed(this.#box.text(), key, text)));
    }
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  /** What the listed tags have to match, if anything. */
  async #query(signal) {
    const parts = [];
    const { narrow, filter } = this.#elements;
    if (narrow.checked && this.#box.text().trim() !== "") {
      const queries = await queriesOf(this.#box.text(), signal).catch((error) => {
        if (error.name === "AbortError") throw error;
        // While it is being typed an expression narrows nothing down.
        return [];
      });
      if (queries.length > 0) parts.push(queries.join(",") + ",:or".repeat(queries.length - 1));
    }
    const sought = filter.value.trim();
    if (this.#key !== null && sought !== "") {
      const pattern = `.*${sought.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`;
      parts.push(`${token(this.#key)},${token(pattern)},:reic`);
    }
    return parts.join(",") + ",:and".repeat(Math.max(0, parts.length - 1));
  }
}

/** The name first: everything begins with it. */
function sorted(keys) {
  return keys.includes("name") ? ["name", ...keys.filter((key) => key !== "name")] : keys;
}
