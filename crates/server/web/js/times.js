// Times in the zone of the viewer or in UTC, as texts of the page and as parameters of the server.

/** @typedef {"local" | "UTC"} Zone */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Years, months, days and so on of a time in a zone, as texts with leading zeros. */
function parts(millis, zone) {
  const date = new Date(millis);
  const numbers =
    zone === "UTC"
      ? [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
      : [date.getFullYear(), date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  return numbers.map((n) => String(n).padStart(2, "0"));
}

/** `14:03:05` */
export function clock(millis, zone) {
  const [, , , h, m, s] = parts(millis, zone);
  return `${h}:${m}:${s}`;
}

/** `2026-11-21 14:03:05` */
export function dateAndClock(millis, zone) {
  const [year, month, day] = parts(millis, zone);
  return `${year}-${month}-${day} ${clock(millis, zone)}`;
}

/** A range; the date of the end is left out when it is that of the start. */
export function rangeText(start, end, zone) {
  const [from, to] = [dateAndClock(start, zone), dateAndClock(end, zone)];
  const sameDay = from.slice(0, 10) === to.slice(0, 10);
  return `${from} – ${sameDay ? to.slice(11) : to}`;
}

/** Labels of a time axis: the clock, and the date where it changes. */
export function timeTicks(ticks, zone, distance) {
  let lastDate = "";
  return ticks.map((millis) => {
    const [year, month, day, h, m, s] = parts(millis, zone);
    const date = `${year}-${month}-${day}`;
    const isNewDate = date !== lastDate;
    lastDate = date;
    if (distance >= DAY) return date.slice(5);
    const time = distance < MINUTE ? `${h}:${m}:${s}` : `${h}:${m}`;
    return isNewDate ? `${time}\n${date.slice(5)}` : time;
  });
}

/** The name of a zone, as the server knows it. */
export function zoneName(zone) {
  return zone === "UTC" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** How long ago, roughly: `42s`, `7m`, `3h 10m`, `2d 4h`. */
export function spanText(millis) {
  const span = Math.max(0, millis);
  if (span < MINUTE) return `${Math.round(span / SECOND)}s`;
  if (span < HOUR) return `${Math.floor(span / MINUTE)}m`;
  const [large, unit, small, smallUnit] = span < DAY ? [HOUR, "h", MINUTE, "m"] : [DAY, "d", HOUR, "h"];
  const rest = Math.floor((span % large) / small);
  return `${Math.floor(span / large)}${unit}${rest ? ` ${rest}${smallUnit}` : ""}`;
}

/** The text of a step: `5s`, `1m`, `2h`. */
export function stepText(millis) {
  for (const [size, unit] of [[DAY, "d"], [HOUR, "h"], [MINUTE, "m"], [SECOND, "s"]]) {
    if (millis >= size && millis % size === 0) return `${millis / size}${unit}`;
  }
  return `${millis}ms`;
}

/** A bound of a range for people: times in milliseconds are written with date and clock, all else stays. */
export function boundText(bound, zone) {
  return /^\d{12,13}$/.test(bound) ? dateAndClock(Number(bound), zone) : bound;
}

/**
 * A bound of a range that somebody typed. A date without a zone is meant in the zone of the page and becomes milliseconds, so that
 * a link says the same to everybody; all else is for the server to understand.
 * @param {string} text
 * @param {Zone} zone
 */
export function boundOf(text, zone) {
  const found = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text.trim());
  if (!found) return text.trim();
  const [year, month, day, h = 0, m = 0, s = 0] = found.slice(1).map((n) => (n === undefined ? undefined : Number(n)));
  const millis = zone === "UTC" ? Date.UTC(year, month - 1, day, h, m, s) : new Date(year, month - 1, day, h, m, s).getTime();
  return String(millis);
}
