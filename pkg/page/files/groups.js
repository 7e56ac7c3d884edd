// All groups at a glance.

import { attr, h, keyed, show, text } from "./dom.js";
import { spark } from "./chart.js";
import { count, plural, rate, short, span } from "./format.js";
import { chip, eventList, section, sinceThen, tone } from "./parts.js";
import { history, restartsOf, state } from "./store.js";

const manyGroups = 12; // from here on there is a field to search in

// columns are a name, a class and what the name means.
const columns = [
  ["Group", null, null], ["Verdict", null, null], ["Rate /s", "num", "settled each second, over ten seconds"],
  ["Lag", "num wide-lag", "entries not delivered yet, and those pending, over the last ten minutes"],
  ["Pending", "num", "delivered and not settled, in all processes"], ["Oldest", "num", "age of the oldest pending entry"],
  ["In flight", "num", "held by this process"], ["Dead", "num", "dead letters in Redis"], ["Restarts", "num", "since the process started"],
];

export function mount(root) {
  const search = h("input", { type: "search", placeholder: "Find a group", "aria-label": "Find a group", input: update });
  const onlyBad = h("input", { type: "checkbox", id: "only-bad", change: update });
  const bar = h("div", { class: "bar" }, search, h("label", { for: "only-bad" }, onlyBad, " only what is not OK"));
  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { class: "groups", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(([name, kind, title]) => h("th", { scope: "col", role: "columnheader", class: kind, title }, name)))),
    body);
  const empty = h("p", { class: "note" });
  const list = eventList();
  const news = section("Latest events", list.node, h("p", { class: "more" }, h("a", { href: "#/events" }, "All events")));
  root.append(h("h1", { class: "hidden-title" }, "Groups"), bar, table, empty, news.node);

  function update() {
    show(bar, state.groups.length >= manyGroups);
    const wanted = search.value.trim().toLowerCase();
    const rows = bar.hidden ? state.groups : state.groups.filter((g) =>
      (g.name.includes(wanted) || g.stream.toLowerCase().includes(wanted) || g.handler.includes(wanted)) && (!onlyBad.checked || tone(g.verdict.code) !== "good"));
    keyed(body, rows, (g) => g.name, makeRow, (row, g) => row.update(g));
    show(empty, rows.length === 0);
    text(empty, state.at === 0 ? "Waiting for the server…" : state.groups.length === 0 ? "No group runs: the manifest enables none." : "No group is like that.");
    list.update(state.events.slice(0, 14));
    show(news.node, state.events.length > 0);
  }
  return { update };
}

function makeRow(g) {
  const link = h("a", { href: "#/group/" + encodeURIComponent(g.name), class: "group-name" }, g.name);
  const about = h("span", { class: "about" });
  const why = h("span", { class: "why" });
  const verdict = chip();
  const since = h("span", { class: "about" });
  const line = spark({ height: 26, slots: 300 });
  const lag = h("span", { class: "lag-now" });
  const cells = {};
  const cell = (name, ...children) => {
    const td = h("td", { class: "num", role: "cell", "data-label": name }, ...children);
    cells[name] = td;
    return td;
  };
  const row = h("tr", { role: "row", "data-group": g.name },
    h("td", { role: "cell", class: "cell-group" }, link, about, why),
    h("td", { role: "cell", class: "cell-verdict" }, verdict.node, since),
    cell("Rate /s"),
    h("td", { role: "cell", class: "num cell-lag", "data-label": "Lag" }, h("span", { class: "lag" }, line.node, lag)),
    cell("Pending"), cell("Oldest"), cell("In flight"), cell("Dead"), cell("Restarts"));
  row.update = (g) => {
    attr(row, "data-tone", tone(g.verdict.code));
    text(about, `${g.handler} · ${g.stream}`);
    const worrying = tone(g.verdict.code) !== "good";
    text(why, worrying ? g.verdict.why : "");
    verdict.update(g.verdict);
    text(since, sinceThen(g.verdict.since));
    text(cells["Rate /s"], rate(g.rates.ten_seconds.settled));
    line.update(history(g.name).map((p) => p.backlog), `lag of ${g.name} over the last minutes, now ${g.lag === null ? "not known" : count(g.lag)}`);
    text(lag, g.lag === null ? "?" : short(g.lag));
    attr(lag, "title", g.lag === null ? "Redis cannot tell" : plural(g.lag, "entry", "entries") + " not delivered yet");
    number(cells.Pending, g.observed_at ? g.pending : null);
    text(cells.Oldest, g.oldest_pending_seconds ? span(g.oldest_pending_seconds) : g.observed_at && g.pending === 0 ? "" : "–");
    number(cells["In flight"], g.in_flight);
    number(cells.Dead, g.dead_letters);
    attr(cells.Dead, "data-tone", g.dead_letters > 0 ? "warn" : null);
    number(cells.Restarts, restartsOf(g));
  };
  return row;
}

function number(cell, n) {
  text(cell, n === null ? "–" : short(n));
  cell.classList.toggle("zero", n === 0);
}
