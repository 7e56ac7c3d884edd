// One market: its chart with the numbers of a window, and its windows as a table.

import { candles } from "./chart.js";
import { attr, h, keyed, text } from "./dom.js";
import { clock, count, minute, none, plain, plural, scaled, short } from "./format.js";

const shownWindows = 12;

// labelOf is a key as people see it; one that cannot be seen is quoted.
export function labelOf(key, m) {
  const says = plain(key);
  if (says.trim() !== "") return says;
  return m.key === "" ? "all" : JSON.stringify(says);
}

// tellOf says a window in one line.
const tellOf = (m) => (w) => {
  const price = (v) => scaled(v === null ? null : Math.round(v), m.decimals.price);
  const mean = w.mean === null ? "" : ` vwap ${scaled(w.mean, m.decimals.price, m.decimals.price + 1)}`;
  return `${clock(w.start)}  open ${price(w.open)} high ${price(w.high)} low ${price(w.low)} close ${price(w.close)}${mean}  volume ${scaled(w.volume, m.decimals.volume)}${w.trades === null ? "" : `  ${plural(w.trades, "trade")}`}`;
};

// card shows a key; alone it is larger and has its windows in numbers. update takes
// the key's windows and which of them fit: the last one's start and how many.
export function card({ key, m, href, alone }) {
  const label = labelOf(key, m);
  const price = h("b", { class: "price" });
  const change = h("span", { class: "change" });
  const readout = h("p", { class: "readout", "aria-live": "off" });
  const tell = tellOf(m);
  let picked = null, latest = null;
  const chart = candles({ height: alone ? 420 : 176, label, onpick: (w) => {
    picked = w;
    attr(readout, "aria-live", w ? "polite" : "off");
    read();
  } });
  const list = alone ? windowTable(m) : null;
  const node = h("article", { class: "card", "data-key": String(key) },
    h("header", {}, h("h2", { title: label }, h("a", { href, title: alone ? "all markets" : label + " alone" }, label)), price, change),
    chart.node, readout, list?.node);

  function read() {
    const w = picked ?? latest;
    readout.classList.toggle("picked", picked !== null);
    const says = (v) => scaled(v, m.decimals.price);
    const parts = !w ? [["", "no windows of this key"]] : [
      ["", minute(w.start)], ["O", says(w.open)], ["H", says(w.high)], ["L", says(w.low)], ["C", says(w.close)],
      m.mean && ["vwap", w.mean === null ? none : scaled(w.mean, m.decimals.price, m.decimals.price + 1)],
      ["vol", w.volume === null ? none : short(w.volume / 10 ** m.decimals.volume)],
      w.trades !== null && alone && ["trades", count(w.trades)],
    ].filter(Boolean);
    keyed(readout, parts, (p) => p[0], (p) => h("span", {}, p[0] && h("i", {}, p[0] + " "), h("span")), (part, p) => text(part.lastChild, p[1]));
  }
  node.update = (windows, until, slots) => {
    const all = windows.filter((w) => w.start > until - slots * m.size && w.start <= until);
    latest = all.at(-1) ?? null;
    const first = all[0];
    text(price, latest ? scaled(latest.close, m.decimals.price) : "");
    const moved = latest && first.open ? ((latest.close - first.open) / first.open) * 100 : null;
    text(change, moved === null ? "" : `${moved > 0 ? "+" : moved < 0 ? "−" : ""}${Math.abs(moved).toFixed(1)} % since ${minute(first.start)}`);
    if (picked) picked = all.find((w) => w.start === picked.start) ?? null;
    chart.update({ windows: all, size: m.size, until, slots, decimals: m.decimals, tell });
    list?.update(all.slice(-shownWindows).reverse());
    read();
  };
  return node;
}

// legendOf says what a chart shows.
export function legendOf(m) {
  return ["filled: closed higher", "hollow: lower", m.mean && "line: " + m.mean, `bars: ${m.volume ?? m.trades ?? "none"}`].filter(Boolean).join(" · ");
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
