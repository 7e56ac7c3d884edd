// The market as a group with the handler "window" sums it up: the busiest keys,
// a chart for each, and the trades as they happen.

import { get, group } from "./api.js";
import { candles } from "./chart.js";
import { attr, h, keyed, show, text } from "./dom.js";
import { clock, count, none, plural, scaled, short } from "./format.js";
import { manifest, serverNow, state } from "./store.js";
import { tape } from "./tape.js";

const shownCharts = 6, shownKeys = 20, shownWindows = 12, fewestSlots = 16, mostSlots = 60;
const rankEvery = 3000, lookEvery = 1000; // ms

export function mount(root, wanted, chosen) {
  const title = h("h1", {}, "Market");
  const about = h("span", { class: "about" });
  const groups = h("div", { class: "bar" });
  const note = h("p", { class: "note" });
  const keysBody = h("tbody");
  const keysHead = h("tr");
  const keysPart = h("section", { class: "section keys", hidden: true }, h("h2", {}, "Busiest"), h("table", { class: "plain tight" }, h("thead", {}, keysHead), keysBody));
  const charts = h("div", { class: chosen === undefined ? "charts" : "charts one" });
  const side = h("div", { class: "side" });
  root.append(h("div", { class: "title-row" }, h("div", { class: "titles" }, title, about), groups), note,
    h("div", { class: "market" }, keysPart, charts, side));

  let ended = false, running = null, name = null, names = "";

  function update() {
    const all = state.groups.filter((g) => g.handler === "window").map((g) => g.name);
    if (all.join("\n") !== names) {
      names = all.join("\n");
      show(groups, all.length > 1);
      keyed(groups, all, (n) => n, (n) => h("a", { href: "#/market/" + encodeURIComponent(n), class: "tab" }, n));
    }
    for (const a of groups.children) attr(a, "aria-current", a.textContent === name ? "page" : null);
    const now = wanted && all.includes(wanted) ? wanted : wanted ? null : all[0];
    if (now && now !== name) {
      name = now;
      begin();
    }
    if (!running) {
      text(note, state.at === 0 ? "Waiting for the server…" : !now && wanted ? `No group ${wanted} with the handler window runs.` : !now ? "No group sums up windows. One with the handler window in the manifest shows its market here." : "");
    }
  }

  function begin() {
    running?.end();
    running = show1({ name, chosen, about, note, keysPart, keysHead, keysBody, charts, side, ended: () => ended });
  }
  return {
    update,
    unmount() {
      ended = true;
      running?.end();
    },
  };
}

// meaningOf finds the measures that a chart is made of among those of a group.
function meaningOf(page) {
  const of = (f, path) => page.measures.find((m) => m.function === f && (path === undefined || m.path === path));
  const price = (of("first") ?? of("last") ?? of("wavg") ?? of("max"))?.path;
  const volume = of("sum");
  return {
    size: page.size_seconds * 1000, key: page.key, by: page.by,
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

// show1 keeps the charts of one group up to date until it is ended.
function show1({ name, chosen, about, note, keysPart, keysHead, keysBody, charts, side, ended }) {
  const abort = new AbortController();
  let m = null, live = null, keys = [], failures = 0;
  const series = new Map(); // by key: its windows by their start
  const timers = [];

  const tell = (w) => {
    const price = (v) => scaled(v === null ? null : Math.round(v), m.decimals.price);
    const mean = w.mean === null ? "" : ` vwap ${scaled(w.mean, m.decimals.price, m.decimals.price + 1)}`;
    return `${clock(w.start)}  open ${price(w.open)} high ${price(w.high)} low ${price(w.low)} close ${price(w.close)}${mean}  volume ${scaled(w.volume, m.decimals.volume)}${w.trades === null ? "" : `  ${plural(w.trades, "trade")}`}`;
  };

  async function rank() {
    const slots = m ? m.size * mostSlots : 3_600_000;
    const page = await get(group(name, `/windows/keys?limit=${shownKeys}&since=${Math.floor(serverNow() - slots)}`), abort.signal);
    if (ended()) return;
    if (!m) {
      m = meaningOf(page);
      text(about, `${name} · windows of ${page.size_seconds < 60 ? page.size_seconds + " s" : page.size_seconds / 60 + " m"} by ${page.key || "no key"} · ${page.table}`);
      keysHead.replaceChildren(...[["Market", ""], m.close ? ["Last", "num"] : null, m.trades ? ["Trades", "num"] : null, m.volume ? ["Volume", "num"] : null].filter(Boolean).map(([t, c]) => h("th", { scope: "col", class: c }, t)));
      live = await liveOf(name, m);
      if (ended()) return;
      if (live) side.append(...live.parts);
    }
    keys = page.keys;
    if (chosen !== undefined && !keys.some((k) => String(k.key) === chosen)) keys = [...keys, { key: chosen, values: {}, windows: 0 }];
    text(note, page.keys.length === 0 ? "No trade has come in lately: there are no windows to show." : "");
    show(keysPart, page.keys.length > 0);
  }

  // labelOf is a key as people see it; one that cannot be seen is quoted.
  function labelOf(key) {
    const text = String(key);
    if (text.trim() !== "") return text;
    return m.key === "" ? "all" : JSON.stringify(text);
  }

  const shown = () => (chosen !== undefined ? keys.filter((k) => String(k.key) === chosen) : keys.slice(0, shownCharts));

  // look asks for the windows that may have changed: all of a market that is new
  // here, else those from the last but one on.
  async function look(whole) {
    if (keys.length === 0) return;
    const fresh = keys.filter((k) => whole || !series.has(String(k.key)));
    const oldest = Math.floor((serverNow() - mostSlots * m.size) / m.size) * m.size;
    const recent = Math.floor((serverNow() - 2 * m.size) / m.size) * m.size;
    for (const [list, since] of [[fresh, oldest], [keys.filter((k) => !fresh.includes(k)), recent]]) {
      if (list.length === 0) continue;
      for (let after = ""; ;) {
        const query = new URLSearchParams({ since: Math.max(0, since), limit: 5000 });
        for (const k of list) query.append("key", String(k.key));
        if (after) query.set("after", after);
        const page = await get(group(name, "/windows?" + query), abort.signal);
        if (ended()) return;
        for (const k of list) if (!series.has(String(k.key))) series.set(String(k.key), new Map());
        for (const w of page.windows) series.get(String(w.key))?.set(Date.parse(w.start), windowOf(w, m));
        after = page.next;
        if (!after) break;
      }
    }
    for (const [k, windows] of series) {
      if (!keys.some((one) => String(one.key) === k)) series.delete(k);
      for (const start of windows.keys()) if (start < oldest) windows.delete(start);
    }
    draw();
  }

  function draw() {
    const now = Math.floor(serverNow() / m.size) * m.size;
    const starts = [...series.values()].flatMap((w) => [...w.keys()]).filter((start) => start <= now + fewestSlots * m.size);
    const until = Math.max(now, ...starts); // the clock of the trades may be ahead
    const slots = Math.min(mostSlots, Math.max(fewestSlots, (until - Math.min(until, ...starts)) / m.size + 1));
    keyed(keysBody, keys.slice(0, shownKeys), (k) => String(k.key), makeKey, (row, k) => row.update(k));
    keyed(charts, shown(), (k) => String(k.key), makeCard, (card, k) => card.update(k, until, slots));
  }

  const listOf = (k) => [...(series.get(String(k.key)) ?? new Map()).values()].sort((a, b) => a.start - b.start);

  function makeKey(k) {
    const cells = [m.close, m.trades, m.volume].map((has) => (has ? h("td", { class: "num" }) : null));
    const row = h("tr", { "data-key": String(k.key), "aria-current": String(k.key) === chosen ? "true" : null },
      h("td", {}, h("a", { href: `#/market/${encodeURIComponent(name)}/${encodeURIComponent(String(k.key))}` }, labelOf(k.key))), cells);
    row.update = (k) => {
      const last = listOf(k).at(-1);
      if (cells[0]) text(cells[0], scaled(last?.close ?? null, m.decimals.price));
      if (cells[1]) text(cells[1], short(k.values[m.trades] ?? null));
      if (cells[2]) text(cells[2], k.values[m.volume] === undefined ? none : short(k.values[m.volume] / 10 ** m.decimals.volume));
    };
    return row;
  }

  function makeCard(k) {
    const label = labelOf(k.key);
    const price = h("b", { class: "price" });
    const change = h("span", { class: "change" });
    const readout = h("p", { class: "readout", "aria-live": "off" });
    let picked = null, latest = null;
    const chart = candles({ height: chosen === undefined ? 176 : 420, label, onpick: (w) => {
      picked = w;
      attr(readout, "aria-live", w ? "polite" : "off");
      read();
    } });
    const href = chosen === undefined ? `#/market/${encodeURIComponent(name)}/${encodeURIComponent(String(k.key))}` : `#/market/${encodeURIComponent(name)}`;
    const list = chosen === undefined ? null : windowTable(m);
    const card = h("article", { class: "card", "data-key": String(k.key) },
      h("header", {}, h("h2", {}, h("a", { href, title: chosen === undefined ? "this market alone" : "all markets" }, label)), price, change),
      chart.node, readout, list?.node);
    function read() {
      const w = picked ?? latest;
      if (!w) return text(readout, "");
      const price = (v) => scaled(v, m.decimals.price);
      readout.classList.toggle("picked", picked !== null);
      const parts = [["", clock(w.start).slice(0, 5)], ["O", price(w.open)], ["H", price(w.high)], ["L", price(w.low)], ["C", price(w.close)]];
      if (m.mean) parts.push(["vwap", w.mean === null ? none : scaled(w.mean, m.decimals.price, m.decimals.price + 1)]);
      parts.push(["vol", w.volume === null ? none : short(w.volume / 10 ** m.decimals.volume)]);
      if (w.trades !== null && chosen !== undefined) parts.push(["trades", count(w.trades)]);
      keyed(readout, parts, (p) => p[0], (p) => h("span", {}, p[0] && h("i", {}, p[0] + " "), h("span")), (node, p) => text(node.lastChild, p[1]));
    }
    card.update = (k, until, slots) => {
      const all = listOf(k).filter((w) => w.start > until - slots * m.size && w.start <= until);
      latest = all.at(-1) ?? null;
      const first = all[0];
      text(price, scaled(latest?.close ?? null, m.decimals.price));
      const moved = latest && first && first.open ? ((latest.close - first.open) / first.open) * 100 : null;
      text(change, moved === null ? "" : `${moved > 0 ? "+" : moved < 0 ? "−" : ""}${Math.abs(moved).toFixed(1)} %`);
      attr(change, "title", moved === null ? null : `since ${clock(first.start)}`);
      if (picked) picked = all.find((w) => w.start === picked.start) ?? null;
      chart.update({ windows: all, size: m.size, until, slots, decimals: m.decimals, tell });
      list?.update(all.slice(-shownWindows).reverse());
      read();
    };
    return card;
  }

  // every does something again and again, one after the other, as long as the page
  // is seen.
  function every(ms, act) {
    const slot = timers.push(0) - 1;
    const turn = async () => {
      if (ended() || abort.signal.aborted) return;
      if (!document.hidden) {
        try {
          await act();
          failures = 0;
        } catch (err) {
          if (err.name === "AbortError") return;
          failures++;
          if (failures > 1) text(note, `The windows cannot be read: ${err.message}. ${err.hint ?? ""}`);
        }
      }
      timers[slot] = setTimeout(turn, ms);
    };
    return turn();
  }

  let round = 0;
  every(rankEvery, rank).then(() => every(lookEvery, () => m && look(round++ % 30 === 0)));
  return {
    end() {
      abort.abort();
      timers.forEach(clearTimeout);
      live?.unmount();
    },
  };
}

// windowTable shows the newest windows of a market in numbers.
function windowTable(m) {
  const columns = [
    ["Window", (w) => clock(w.start)],
    m.close && ["Open", (w) => scaled(w.open, m.decimals.price)], ["High", (w) => scaled(w.high, m.decimals.price)],
    ["Low", (w) => scaled(w.low, m.decimals.price)], m.close && ["Close", (w) => scaled(w.close, m.decimals.price)],
    m.mean && ["vwap", (w) => scaled(w.mean, m.decimals.price, m.decimals.price + 1)],
    m.volume && ["Volume", (w) => scaled(w.volume, m.decimals.volume)], m.trades && ["Trades", (w) => count(w.trades)],
  ].filter(Boolean);
  const body = h("tbody");
  return {
    node: h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Windows" }, h("table", { class: "plain tight windows" },
      h("thead", {}, h("tr", {}, columns.map(([t], i) => h("th", { scope: "col", class: i > 0 ? "num" : "" }, t)))), body)),
    update(windows) {
      keyed(body, windows, (w) => w.start, () => h("tr", {}, columns.map((_, i) => h("td", { class: i > 0 ? "num" : "" }))), (row, w) => {
        columns.forEach(([, value], i) => text(row.children[i], value(w)));
      });
    },
  };
}

// liveOf is the tape of the group's stream, null when no group streams it.
async function liveOf(name, m) {
  let config;
  try {
    config = await manifest();
  } catch {
    return null;
  }
  const stream = config.groups[name]?.stream;
  const on = Object.entries(config.groups).filter(([, g]) => g.stream === stream && g.enabled);
  const streamer = on.find(([, g]) => g.handler.live);
  if (!streamer) return null;
  const notifier = on.find(([, g]) => g.handler.webhook && g.where);
  const columns = [{ label: m.key.split(".")[0].replace(/_id$/, "") || "key", path: m.key, decimals: null }];
  if (m.pricePath) columns.push({ label: m.pricePath.split(".")[0], path: m.pricePath, decimals: m.decimals.price });
  if (m.volumePath) columns.push({ label: m.volumePath.split(".")[0], path: m.volumePath, decimals: m.decimals.volume });
  return tape({ group: streamer[0], columns: columns.filter((c) => c.path), mark: notifier ? { group: notifier[0], where: notifier[1].where } : null });
}
