// The market as a group with the handler "window" sums it up: the busiest keys,
// a chart for each, and the trades as they happen.

import { card, labelOf, legendOf } from "./card.js";
import { attr, h, keyed, show, text } from "./dom.js";
import { count, nameOf, none, plain, plural, scaled, short, span } from "./format.js";
import { manifest, serverNow, state } from "./store.js";
import { tape } from "./tape.js";
import { idOf, mostSlots, windowsOf } from "./windows.js";

const shownCharts = 6, fewestSlots = 16;
const rankEvery = 3000, lookEvery = 1000; // ms

export function mount(root, wanted, chosen) {
  const about = h("span", { class: "about" });
  const tabs = h("div", { class: "bar" });
  const note = h("p", { class: "note" });
  const place = h("div", { class: "market" });
  root.append(h("div", { class: "title-row" }, h("div", { class: "titles" }, h("h1", {}, "Market"), about), tabs), note, place);
  let running = null, name = null;

  function update() {
    const all = state.groups.filter((g) => g.handler === "window").map((g) => g.name);
    show(tabs, all.length > 1);
    keyed(tabs, all, (n) => n, (n) => h("a", { href: "#/market/" + encodeURIComponent(n), class: "tab" }, n), (a, n) => attr(a, "aria-current", n === name ? "page" : null));
    const now = wanted === undefined ? all[0] : all.find((n) => n === wanted);
    if (now && now !== name) {
      name = now;
      running?.end();
      running = markets({ name, chosen, about, note, place });
      return update();
    }
    if (!running) {
      text(note, state.at === 0 ? "Waiting for the server…" : wanted !== undefined ? `No group ${plain(wanted)} with the handler window runs.` : "No group sums up windows. One with the handler window in the manifest shows its market here.");
    }
  }
  return { update, unmount: () => running?.end(), age: () => running?.age() };
}

// markets keeps the charts of one group up to date until it is ended.
function markets({ name, chosen, about, note, place }) {
  const abort = new AbortController(), began = Date.now(), timers = [];
  const known = windowsOf(name, chosen, abort.signal);
  const ranking = h("span", { class: "section-count" }), newest = h("p", { class: "note" });
  const keysHead = h("tr"), keysBody = h("tbody");
  const keysPart = h("section", { class: "section keys", hidden: true }, h("h2", {}, "Busiest ", ranking), newest, h("table", { class: "plain tight" }, h("thead", {}, keysHead), keysBody));
  const legend = h("p", { class: "note chart-key" });
  const charts = h("div", { class: chosen === undefined ? "charts" : "charts one" });
  const side = h("div", { class: "side" });
  place.replaceChildren(keysPart, h("div", { class: "middle" }, legend, charts), side);
  let trades = null, tradesAre = "null", fault = null, failures = 0;

  async function rank() {
    if (await known.rank()) begin();
    if (abort.signal.aborted) return;
    show(keysPart, known.keys.length > 0);
    text(newest, known.complete ? "" : "of the newest 100,000 windows");
    show(newest, !known.complete);
    await followTrades();
  }

  // begin sets up what depends on the measures.
  function begin() {
    const { m } = known, seconds = m.size / 1000;
    text(about, `${name} · windows of ${span(seconds)} by ${m.key || "no key"} · ${m.table}`);
    text(ranking, `${m.by ? `by ${m.by}, ` : ""}last ${span(mostSlots * seconds)}`);
    text(legend, legendOf(m));
    keysHead.replaceChildren(...[[nameOf(m.key), "key"], m.close && ["Last", "num"], m.trades && ["Trades", "num"], m.volume && ["Volume", "num"]].filter(Boolean).map(([t, c]) => h("th", { scope: "col", class: c }, t)));
    keyed(keysBody, [], () => "");
    keyed(charts, [], () => "");
  }

  // followTrades shows the tape of the group's stream beside the charts, and another
  // one once the manifest says so.
  async function followTrades() {
    let wanted;
    try {
      wanted = tapeOf(await manifest(), name, known.m);
    } catch {
      return; // asked for again with the next ranking
    }
    if (abort.signal.aborted || JSON.stringify(wanted) === tradesAre) return;
    tradesAre = JSON.stringify(wanted);
    trades?.unmount();
    trades = wanted && tape(wanted);
    side.replaceChildren(...(trades?.parts ?? []));
  }

  function draw() {
    const { m, keys } = known;
    const now = Math.floor(serverNow() / m.size) * m.size;
    const starts = known.starts();
    const until = Math.max(now, ...starts); // the clock of the trades may be ahead
    const slots = Math.min(mostSlots, Math.max(fewestSlots, (until - Math.min(until, ...starts)) / m.size + 1));
    const addressOf = (k) => `#/market/${encodeURIComponent(name)}/${encodeURIComponent(String(k.key))}`;
    keyed(keysBody, keys, (k) => idOf(k.key), (k) => keyRow(k, m, addressOf(k), String(k.key) === chosen), (row, k) => row.update(k, known.listOf(k).at(-1)));
    const shown = chosen === undefined ? keys.slice(0, shownCharts) : keys.filter((k) => String(k.key) === chosen);
    keyed(charts, shown, (k) => idOf(k.key), (k) => card({ key: k.key, m, alone: chosen !== undefined, href: chosen === undefined ? addressOf(k) : `#/market/${encodeURIComponent(name)}` }),
      (node, k) => node.update(known.listOf(k), until, slots));
    const tooLong = known.tooLong();
    text(note, keys.length === 0 ? "No trade has come in lately: there are no windows to show."
      : [tooLong > 0 && `${plural(tooLong, "key is", "keys are")} too long for a chart.`, known.cut && "There are more windows than this page reads."].filter(Boolean).join(" "));
  }

  // every does something again and again, one after the other, as long as the page
  // is seen.
  function every(ms, act) {
    const slot = timers.push(0) - 1;
    const turn = async () => {
      if (abort.signal.aborted) return;
      if (!document.hidden) {
        try {
          await act();
          failures = 0;
          fault = null;
        } catch (err) {
          if (abort.signal.aborted) return;
          fault = err.message;
          if (++failures > 1) text(note, `The windows cannot be read: ${err.message}. ${err.hint ?? ""}`);
        }
      }
      if (!abort.signal.aborted) timers[slot] = setTimeout(turn, ms);
    };
    return turn();
  }

  let round = 0;
  every(rankEvery, rank).then(() => every(lookEvery, async () => {
    if (!known.m) return;
    await known.look(round++ % 30 === 0);
    if (!abort.signal.aborted) draw();
  }));
  return {
    age: () => ({ name: "The charts", ms: Date.now() - (known.at || began), why: fault }),
    end() {
      abort.abort();
      timers.forEach(clearTimeout);
      trades?.unmount();
    },
  };
}

// keyRow is a key in the list of the busiest ones.
function keyRow(k, m, href, chosen) {
  const cells = [m.close, m.trades, m.volume].map((has) => (has ? h("td", { class: "num" }) : null));
  const label = labelOf(k.key, m);
  const row = h("tr", { "data-key": String(k.key), "aria-current": chosen ? "true" : null },
    h("td", { class: "key" }, h("a", { href, title: label }, label)), cells);
  row.update = ({ values }, last) => {
    if (cells[0]) text(cells[0], scaled(last?.close ?? null, m.decimals.price));
    if (cells[1]) text(cells[1], values[m.trades] === undefined ? none : short(values[m.trades]));
    if (cells[2]) text(cells[2], values[m.volume] === undefined ? none : short(values[m.volume] / 10 ** m.decimals.volume));
    if (cells[1]) attr(cells[1], "title", values[m.trades] === undefined ? null : count(values[m.trades]));
  };
  return row;
}

// tapeOf is what the manifest says of the trades of a group's stream: which group
// streams them, and which ones notify of some. It is null when none streams them.
function tapeOf(config, name, m) {
  const stream = config.groups[name]?.stream;
  const on = Object.entries(config.groups).filter(([, g]) => g.stream === stream && g.enabled);
  const streamer = on.find(([, g]) => g.handler.live);
  if (!streamer) return null;
  const columns = [
    { path: m.key, decimals: null }, { path: m.pricePath, decimals: m.decimals.price }, { path: m.volumePath, decimals: m.decimals.volume },
  ].filter((c) => c.path);
  return { group: streamer[0], columns, notifiers: on.filter(([, g]) => g.handler.webhook && g.where).map(([name, g]) => ({ name, where: g.where })) };
}
