// What the viewer prefers, kept in the browser. Without storage (private windows may have none) it lasts as long as the page.

const KEY = "hesper.";
const fallback = new Map();

/** The value that was kept under a name, or null. */
export function preference(name) {
  try {
    return localStorage.getItem(KEY + name);
  } catch {
    return fallback.get(name) ?? null;
  }
}

/** Keeps a value under a name. */
export function prefer(name, value) {
  fallback.set(name, value);
  try {
    localStorage.setItem(KEY + name, value);
  } catch {
    // The fallback has it.
  }
}
