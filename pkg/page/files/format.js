// How numbers, spans and times are written.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const places = new Map();

export const none = "–"; // not known, or never

// count writes an integer: 1,234,567.
export function count(n) {
  return n === null || n === undefined ? none : whole.format(n);
}

// short writes an integer in little room: 1,234, 56.7k, 1.23M.
export function short(n) {
  if (n === null || n === undefined) return none;
  const a = Math.abs(n);
  if (a < 10_000) return whole.format(n);
  for (const [limit, unit] of [[1e6, "k"], [1e9, "M"], [1e12, "G"], [Infinity, "T"]]) {
    if (a < limit * 0.9995) {
      const v = (n / limit) * 1000;
      return v.toFixed(Math.abs(v) < 9.995 ? 2 : Math.abs(v) < 99.95 ? 1 : 0) + unit;
    }
  }
  return String(n);
}

// scaled writes an integer that has decimal places: scaled(245, 2) is 2.45. More
// digits than places are for means.
export function scaled(n, decimals, digits = decimals) {
  if (n === null || n === undefined) return none;
  let format = places.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    places.set(digits, format);
  }
  return format.format(n / 10 ** decimals);
}

// rate writes entries a second.
export function rate(r) {
  if (r === null || r === undefined) return none;
  return r > 0 && r < 9.95 ? r.toFixed(1) : whole.format(Math.round(r));
}

// perSecond is rate with its unit.
export const perSecond = (r) => (r === null || r === undefined ? none : rate(r) + " /s");

// span writes seconds: 0.4 s, 12 s, 3 m 20 s, 2 h 5 m, 3 d 4 h.
export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return none;
  const n = Math.max(0, seconds);
  if (n < 0.05) return "0 s";
  if (n < 9.95) return n.toFixed(1) + " s";
  const t = Math.round(n);
  if (t < 60) return t + " s";
  if (t < 3600) return two(t, 60, "m", "s");
  if (t < 86400) return two(t / 60, 60, "h", "m");
  return two(t / 3600, 24, "d", "h");
}

function two(n, base, large, small) {
  const whole = Math.floor(n / base);
  const rest = Math.floor(n % base);
  return rest > 0 ? `${whole} ${large} ${rest} ${small}` : `${whole} ${large}`;
}

// time reads a time of the API, null for none.
export function time(t) {
  if (!t) return null;
  const ms = Date.parse(t);
  return Number.isNaN(ms) || ms < 0 ? null : ms;
}

const two2 = (n) => String(n).padStart(2, "0");

// clock writes a time of this day as 14:03:09, another one with its date.
export function clock(ms) {
  if (ms === null || ms === undefined) return none;
  const d = new Date(ms);
  const hms = `${two2(d.getHours())}:${two2(d.getMinutes())}:${two2(d.getSeconds())}`;
  return d.toDateString() === new Date().toDateString() ? hms : `${d.getFullYear()}-${two2(d.getMonth() + 1)}-${two2(d.getDate())} ${hms}`;
}

// minute writes a time as 14:03.
export function minute(ms) {
  const d = new Date(ms);
  return `${two2(d.getHours())}:${two2(d.getMinutes())}`;
}

// millis writes a time as 14:03:09.412.
export function millis(ms) {
  return clock(ms) + "." + String(Math.floor(ms % 1000)).padStart(3, "0");
}

// full is a time in full, for titles.
export function full(ms) {
  return ms === null || ms === undefined ? "" : new Date(ms).toISOString();
}

// plural writes "1 entry", "2 entries".
export function plural(n, one, many = one + "s") {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// sum adds the numbers of an object.
export function sum(numbers) {
  return Object.values(numbers ?? {}).reduce((a, b) => a + b, 0);
}

const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

// plain is a text of others in one line, as it is: what cannot be seen, or turns
// the direction of letters, is written as \u202e. It is cut after so many letters.
export function plain(value, most = 200) {
  const line = String(value).slice(0, most + 1).replace(unseen, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  return line.length > most ? line.slice(0, most - 1) + "…" : line;
}

// nameOf is a path of an event as people call it: "Market" is market_id, "Odds" is
// odds.ticks.
export function nameOf(path) {
  const name = plain(path.split(/[.[]/)[0].replace(/_id$/, "").replaceAll("_", " "), 20);
  return name === "" ? "Key" : name[0].toUpperCase() + name.slice(1);
}
