// What is looked at: the expression and the range. It is kept in the address, so that a link shows the same and back and forward work.

import { encode } from "./server.js";
import { preference } from "./preferences.js";

/**
 * @typedef {object} View
 * @property {string} q the expression
 * @property {string} s the start of the range, as the graph API takes it
 * @property {string} e the end of the range
 * @property {string} step the least step; empty for the one that fits the width
 * @property {import("./times.js").Zone} tz the zone in which times are shown and meant
 */

/** @type {View} */
const DEFAULTS = { q: "", s: "e-30m", e: "now", step: "", tz: "local" };

/** @type {View} */
let current = read(location.search);
const listeners = [];

/** The view of the query of an address. */
export function read(search) {
  const params = new URLSearchParams(search);
  const given = Object.keys(DEFAULTS).map((key) => [key, params.get(key) || DEFAULTS[key]]);
  const { tz, ...rest } = Object.fromEntries(given);
  const isUtc = tz === "UTC" || preference("zone") === "UTC";
  return { ...rest, tz: isUtc ? "UTC" : "local" };
}

/** @returns {View} */
export function view() {
  return current;
}

/** Calls `listener` with the view whenever it changes, or is asked for anew. */
export function onView(listener) {
  listeners.push(listener);
}

/**
 * Goes to a view that differs in `changes`. The one before stays behind the back button.
 * @param {Partial<View>} changes
 */
export function goTo(changes) {
  const next = { ...current, ...changes };
  const isNew = Object.keys(DEFAULTS).some((key) => next[key] !== current[key]);
  current = next;
  if (isNew) history.pushState(null, "", address(next));
  tell();
}

/** The address of a view. */
export function address({ q, s, e, step, tz }) {
  if (!q) return "/";
  const params = [["q", q], ["s", s], ["e", e]];
  if (step) params.push(["step", step]);
  // The viewer's own zone is nobody else's business: a link opens in the zone of whoever follows it.
  if (tz === "UTC") params.push(["tz", tz]);
  return `/?${encode(params)}`;
}

/** True when the range ends now, so that there is more to see with every step. */
export function endsNow({ e }) {
  return e.startsWith("now");
}

function tell() {
  for (const listener of listeners) listener(current);
}

addEventListener("popstate", () => {
  current = read(location.search);
  tell();
});
