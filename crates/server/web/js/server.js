// The node's HTTP API.

/** What the server said when it refused. */
export class Refusal extends Error {
  /**
   * @param {string} message
   * @param {number} status of HTTP
   */
  constructor(message, status) {
    super(message);
    this.status = status;
  }

  /** True when the same may be granted later. */
  get mayPass() {
    return this.status === 429 || this.status >= 500;
  }
}

/** The server could not be reached. */
export class Unreachable extends Error {}

/**
 * A query of an address. Expressions stay readable in it: RFC 3986 leaves colons, commas and parentheses alone.
 * @param {Iterable<[string, string]>} params
 */
export function encode(params) {
  const escaped = (text) => encodeURIComponent(text).replace(/%3A/g, ":").replace(/%2C/g, ",").replace(/%24/g, "$");
  return Array.from(params, ([key, value]) => `${key}=${escaped(value)}`).join("&");
}

/**
 * Asks the server.
 * @param {string} path
 * @param {Iterable<[string, string]>} params
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>} an answer with a status of success
 */
export async function ask(path, params = [], signal = undefined) {
  const query = encode(params);
  let response;
  try {
    response = await fetch(query ? `${path}?${query}` : path, { signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(`The node at ${location.host} does not answer.`);
  }
  if (response.ok) return response;
  throw new Refusal(await messageOf(response), response.status);
}

/** The message of an error in the shape of the API, or the body as it is. */
async function messageOf(response) {
  const body = await response.text();
  try {
    const { message } = JSON.parse(body);
    if (message) return Array.isArray(message) ? message.join("\n") : String(message);
  } catch {
    // Some errors are plain text.
  }
  return body || `${response.status} ${response.statusText}`;
}

/** The parts that an answer lacks, as the server names them; empty for a whole answer. */
export function missingParts(response) {
  return response.headers.get("hesper-partial") ?? "";
}

/**
 * A page of tag keys, or of the values of a key.
 * @param {{key?: string, query?: string, offset?: string, limit: number}} wanted
 * @param {AbortSignal} [signal]
 * @returns {Promise<{texts: string[], next: string | null, missing: string}>}
 */
export async function tags({ key, query, offset, limit }, signal) {
  const params = [["limit", String(limit)]];
  if (query) params.push(["q", query]);
  if (offset) params.push(["offset", offset]);
  const path = key === undefined ? "/api/v1/tags" : `/api/v1/tags/${encodeURIComponent(key)}`;
  const response = await ask(path, params, signal);
  const texts = await response.json();
  return { texts, next: response.headers.get("x-nflx-atlas-next-offset"), missing: missingParts(response) };
}

/** The canonical texts of the expressions of a program. */
export async function normalize(program, signal) {
  const response = await ask("/api/v1/expr/normalize", [["q", program]], signal);
  return response.json();
}

/** The queries by which a program chooses its series. */
export async function queriesOf(program, signal) {
  const response = await ask("/api/v1/expr/queries", [["q", program]], signal);
  return response.json();
}

/** The step of the store in milliseconds: that of a graph so short that nothing is summed up. */
export async function storeStep() {
  const response = await ask("/api/v1/graph", [["q", "0"], ["s", "e-5m"], ["e", "now"], ["w", "1440"], ["format", "json"]]);
  return (await response.json()).step;
}
