// The windows of a group with the handler "window" as the page knows them: the
// busiest keys, and for each of them its windows by their start.

import { get, group } from "./api.js";
import { serverNow } from "./store.js";

export const mostSlots = 60; // windows of a key, back from now

const rankedKeys = 20, pageSize = 5000;
const mostPages = 8; // of one answer
const mostAddress = 3500; // bytes of keys in a request's address; a server takes no long ones

// idOf tells keys apart: 5 and "5" are two.
export const idOf = (key) => (typeof key === "number" ? "n" : "t") + key;

// meaningOf finds the measures that a chart is made of among those of a group.
function meaningOf(page) {
  const of = (f, path) => page.measures.find((m) => m.function === f && (path === undefined || m.path === path));
  const price = (of("first") ?? of("last") ?? of("wavg") ?? of("max"))?.path;
  const volume = of("sum");
  return {
    table: page.table, size: page.size_seconds * 1000, key: page.key, by: page.by,
    open: of("first", price)?.name, close: of("last", price)?.name, high: of("max", price)?.name, low: of("min", price)?.name, mean: of("wavg", price)?.name,
    volume: volume?.name, trades: of("count")?.name, pricePath: price, volumePath: volume?.path,
    decimals: { price: page.measures.find((m) => m.path === price)?.decimals ?? 0, volume: volume?.decimals ?? 0 },
  };
}

// windowOf is a window of the API as a chart draws it.
function windowOf(w, m) {
  const v = (name) => (name === undefined ? null : w.values[name] ?? null);
  const mean = v(m.mean), close = v(m.close) ?? mean, open = v(m.open) ?? close;
  return {
    start: Date.parse(w.start), open, close, mean, trades: v(m.trades), volume: v(m.volume) ?? v(m.trades),
    high: v(m.high) ?? (open === null ? null : Math.max(open, close)), low: v(m.low) ?? (open === null ? null : Math.min(open, close)),
  };
}

// addresses cuts keys into lists that fit into a request's address each. A key that
// fits into none is in none.
function addresses(keys) {
  const lists = [];
  let room = 0;
  for (const k of keys) {
    const length = addressOf(k);
    if (length > mostAddress) continue;
    if (length > room) {
      lists.push([]);
      room = mostAddress;
    }
    lists.at(-1).push(k);
    room -= length;
  }
  return lists;
}

const addressOf = (k) => new URLSearchParams({ key: String(k.key) }).toString().length + 1;

// windowsOf reads the windows of a group; chosen is the text of the one key that is
// wanted beside the busiest ones, or undefined. Its reads end with the signal.
export function windowsOf(name, chosen, signal) {
  const series = new Map(); // by idOf(key): its windows by their start
  let ranked = [];
  const known = {
    m: null, // what the measures mean; null until rank
    keys: [], // the busiest first
    complete: true, // false: only the newest windows were ranked
    cut: false, // not all windows were read
    at: 0, // when they were read last, by this clock; 0: never

    // listOf are the windows of a key, oldest first.
    listOf: (k) => [...(series.get(idOf(k.key)) ?? new Map()).values()].sort((a, b) => a.start - b.start),

    // starts are those of all windows.
    starts: () => [...series.values()].flatMap((w) => [...w.keys()]),

    // tooLong are keys that cannot be asked for.
    tooLong: () => known.keys.filter((k) => addressOf(k) > mostAddress).length,

    rank, look,
  };

  // span is from when to when the windows are looked at, each in ms. Windows that
  // begin later than the next one are of a clock that is wrong.
  function span() {
    const size = known.m?.size ?? 60_000;
    const now = Math.floor(serverNow() / size) * size;
    return { since: Math.max(0, now - mostSlots * size), recent: Math.max(0, now - 2 * size), until: now + 2 * size };
  }

  // rank reads which keys are the busiest. It is true when the measures are others
  // than before: what was read means nothing then.
  async function rank() {
    const { since, until } = span();
    const page = await get(group(name, `/windows/keys?limit=${rankedKeys}&since=${since}&until=${until}`), { signal });
    const m = meaningOf(page);
    const others = JSON.stringify(m) !== JSON.stringify(known.m);
    if (others) series.clear();
    known.m = m;
    known.complete = page.complete;
    ranked = page.keys;
    addChosen();
    if (known.keys.length === 0) known.at = Date.now();
    return others;
  }

  // addChosen adds the key that is wanted to the busiest ones: the text, the integer
  // or both, whatever has windows.
  function addChosen() {
    known.keys = ranked;
    if (chosen === undefined || ranked.some((k) => String(k.key) === chosen)) return;
    const found = [chosen, Number(chosen)].filter((key) => series.get(idOf(key))?.size > 0);
    known.keys = [...ranked, ...(found.length > 0 ? found : [chosen]).map((key) => ({ key, values: {} }))];
  }

  // look reads the windows that may have changed: with whole, and of a key that is
  // new here, all of them, else those from the last but one on.
  async function look(whole) {
    const { since, recent, until } = span();
    const fresh = known.keys.filter((k) => whole || !series.has(idOf(k.key)));
    const others = known.keys.filter((k) => !fresh.includes(k));
    let cut = false;
    for (const [keys, from] of [...addresses(fresh).map((keys) => [keys, since]), ...addresses(others).map((keys) => [keys, recent])]) {
      cut = !(await read(keys, from, until)) || cut;
    }
    known.cut = cut;
    if (known.keys.length > 0) known.at = Date.now();
    const wanted = new Set(known.keys.map((k) => idOf(k.key)));
    for (const [id, windows] of series) {
      if (!wanted.has(id) && id.slice(1) !== chosen) series.delete(id);
      for (const start of windows.keys()) if (start < since || start >= until) windows.delete(start);
    }
    addChosen();
  }

  // read is false when there were more windows than a page can show.
  async function read(keys, since, until) {
    let after = "";
    for (let n = 0; n < mostPages; n++) {
      const query = new URLSearchParams({ since, until, limit: pageSize });
      for (const k of keys) query.append("key", String(k.key));
      if (after) query.set("after", after);
      const page = await get(group(name, "/windows?" + query), { signal });
      for (const k of keys) if (!series.has(idOf(k.key))) series.set(idOf(k.key), new Map());
      for (const w of page.windows) {
        const id = idOf(w.key);
        if (!series.has(id) && String(w.key) === chosen) series.set(id, new Map());
        const start = Date.parse(w.start);
        if (start < until) series.get(id)?.set(start, windowOf(w, known.m));
      }
      after = page.next;
      if (!after) return true;
    }
    return false;
  }
  return known;
}
