// One group: how it is, what it has met, and what can be done with it.

import { h, keyed, show, text } from "./dom.js";
import { lines } from "./chart.js";
import { clock, count, none, perSecond, plain, rate, short, span, sum, time } from "./format.js";
import { lettersSection } from "./letters.js";
import { ago, chip, eventList, section, sinceThen, stamp } from "./parts.js";
import { actions } from "./steer.js";
import { groupOf, history, manifest, restartsOf, state } from "./store.js";

const shownEvents = 20;

const facts = [
  ["Rate", (g) => perSecond(g.rates.ten_seconds.settled), "settled each second, over ten seconds"],
  ["Added", (g) => perSecond(g.rates.ten_seconds.added), "to the stream each second"],
  ["Lag", (g) => (g.lag === null ? "not known" : count(g.lag)), "entries not delivered yet"],
  ["Lag in time", (g) => (g.lag_seconds === null ? none : span(g.lag_seconds)), "age of the oldest entry not delivered yet"],
  ["Drained in", (g) => (g.drain_seconds === null ? none : span(g.drain_seconds)), "until nothing waits, if all goes on as in the last minute"],
  ["Pending", (g) => (g.observed_at ? count(g.pending) : none), "delivered and not settled, in all processes"],
  ["Oldest pending", (g) => (g.oldest_pending_seconds ? span(g.oldest_pending_seconds) : none), ""],
  ["In flight", (g) => count(g.in_flight), "held by this process"],
  ["Retrying", (g) => count(g.retrying), "wait for their next attempt"],
  ["Read", (g) => count(sum(g.read)), "deliveries begun by this process"],
  ["Settled", (g) => count((g.settled?.acked ?? 0) + (g.settled?.buried ?? 0) + (g.settled?.vanished ?? 0)), "for good, by this process"],
  ["Filtered", (g) => count(g.filtered), "did not match where"],
  ["Dead letters", (g) => count(g.dead_letters), "that Redis keeps"],
  ["Lost", (g) => count(sum(g.lost)), "by Redis before they were settled"],
  ["Stuck calls", (g) => count(g.stuck_calls + g.abandoned_calls), "run past their deadline, or outlived a restart"],
  ["Restarts", (g) => count(restartsOf(g)), "since the process started"],
  ["Stream length", (g) => (g.observed_at ? count(g.stream_length) : none), ""],
  ["Last success", (g) => ago(g.last_success), "of a call of the handler"],
];

export function mount(root, name) {
  const verdict = chip();
  const about = h("span", { class: "about" });
  const why = h("p", { class: "why" });
  const todo = h("p", { class: "todo" });
  const problems = h("ul", { class: "problems" });
  const steer = actions(name);
  const gone = h("p", { class: "note" });
  const values = facts.map(([label, , title]) => h("div", { class: "fact", title: title || null }, h("dt", {}, label), h("dd")));
  const backlog = lines({ label: "Waiting", height: 150 });
  const rates = lines({ label: "Each second", height: 150 });

  const consumers = table(["Consumer", "State", "Pending", "In flight", "Connection", "Last activity"], [2, 3], 4);
  const consumersPart = section("Consumers", consumers.node);
  const errors = table(["Error", "Kind", "Count", "First", "Last"], [2], 0);
  const errorsPart = section("Errors", errors.node);
  const restarts = table(["When", "Cause", "Error"], [], 2);
  const restartsPart = section("Restarts", restarts.node);
  const losses = table(["When", "Reason", "Entries", "Between", "What happened"], [2], 4);
  const lossesPart = section("Losses", losses.node);
  const letters = lettersSection(name);
  const config = h("pre", { class: "config", tabindex: "0" });
  const configPart = section("Manifest", h("p", { class: "note" }, "What runs, with defaults; secrets are masked."), config);
  const list = eventList({ groups: false });
  const newsPart = section("Events", list.node);
  const detail = h("div", { class: "detail" },
    h("dl", { class: "facts" }, values),
    h("div", { class: "pair" }, backlog.node, rates.node),
    letters.node, errorsPart.node, lossesPart.node, restartsPart.node, consumersPart.node,
    h("div", { class: "pair upper" }, newsPart.node, configPart.node));
  root.append(
    h("p", { class: "crumb" }, h("a", { href: "#/" }, "Groups"), " /"),
    h("div", { class: "title-row" }, h("h1", {}, name, " ", verdict.node, about), steer.node),
    why, todo, problems, gone, detail);

  let incarnation = null;

  async function loadConfig() {
    try {
      const all = await manifest();
      text(config, yaml({ [name]: all.groups?.[name] ?? null }));
    } catch {
      incarnation = null; // again with the next news
    }
  }

  function update() {
    const g = groupOf(name);
    show(detail, g !== null);
    show(steer.node, g !== null);
    show(gone, g === null);
    if (!g) {
      text(gone, state.at === 0 ? "Waiting for the server…" : `No group of that name runs. It may have left the manifest.`);
      return;
    }
    verdict.update(g.verdict);
    text(about, `${g.state}${time(g.since) === null ? "" : ` for ${sinceThen(g.since)}`} · ${g.handler} on ${g.stream}${g.signal ? ` · restart signal ${g.signal}` : ""}`);
    text(why, g.verdict.why);
    text(todo, g.verdict.do);
    show(todo, g.verdict.do !== "");
    const says = [...g.problems];
    if (g.breaker) says.unshift(`sink unavailable for ${sinceThen(g.breaker.since)}${g.breaker.next ? `, next try at ${clock(time(g.breaker.next))}` : ""}: ${g.breaker.error}`);
    if (g.next_retry) says.push(`next start at ${clock(time(g.next_retry))}`);
    if (g.suspended) says.push(`${g.suspended.state} by ${g.suspended.by} at ${clock(time(g.suspended.since))}`);
    keyed(problems, [...new Set(says.filter((p) => p !== g.verdict.why))], (p) => p, (p) => h("li", {}, p));
    show(problems, says.length > 0);
    steer.update(g);
    facts.forEach(([, value], i) => text(values[i].lastChild, value(g)));
    charts(g, backlog, rates);

    consumers.update(g.consumers, (c) => c.name, (c) => [
      c.name, c.state, c.pending === null ? none : count(c.pending), count(c.in_flight),
      c.connection ? `${c.connection.addr}${c.connection.id ? ` (client ${c.connection.id})` : ""}` : none, ago(c.last_activity),
    ]);
    consumersPart.count(g.consumers.length);
    errors.update(g.errors, (e) => e.kind + e.first, (e) => [e.error, e.kind, count(e.count), stampOf(e.first), stampOf(e.last)]);
    errorsPart.count(g.errors.length || "none");
    show(errors.node, g.errors.length > 0);
    const again = [...g.latest_restarts].reverse();
    restarts.update(again, (r) => r.at, (r) => [stampOf(r.at), r.cause, r.error || "–"]);
    restartsPart.count(restartsOf(g) || "none");
    show(restarts.node, again.length > 0);
    const lost = [...g.losses].reverse();
    losses.update(lost, (l) => l.at + l.first, (l) => [
      stampOf(l.at), l.reason + (l.certain ? "" : " (possible)"), l.entries === null ? "not known" : (l.certain ? "" : "at most ") + count(l.entries),
      l.first ? `${l.first} … ${l.last}` : none, l.note || "–",
    ]);
    lossesPart.count(lost.length || "none");
    show(losses.node, lost.length > 0);
    letters.update(g);
    const news = state.events.filter((e) => e.group === name).slice(0, shownEvents);
    list.update(news);
    newsPart.count(news.length || "none");
    if (incarnation !== g.incarnation) {
      incarnation = g.incarnation;
      loadConfig();
    }
  }
  return { update, unmount: () => letters.unmount() };
}

const stampOf = (t) => {
  const node = h("time");
  stamp(node, t);
  return node;
};

function charts(g, backlog, rates) {
  const samples = history(g.name);
  if (samples.length === 0) return;
  const until = samples.at(-1).second;
  const since = Math.max(until - 600, Math.min(samples[0].second, until - 60));
  const pick = (field) => samples.map((p) => [p.second, p[field]]);
  backlog.update({ since, until, series: [{ name: "entries", class: "one", points: pick("backlog"), says: g.backlog === null ? "?" : short(g.backlog) }] });
  rates.update({ since, until, series: [
    { name: "settled", class: "one", points: pick("settled"), says: rate(g.rates.ten_seconds.settled) },
    { name: "added", class: "two", points: pick("added"), says: rate(g.rates.ten_seconds.added) },
  ] });
}

// table is a table of texts whose rows stay in place; the column wide takes what
// room there is.
function table(heads, numbers, wide) {
  const body = h("tbody", { role: "rowgroup" });
  const kind = (i) => (numbers.includes(i) ? "num" : i === wide ? "wide" : "");
  const node = h("table", { class: "plain", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((name, i) => h("th", { scope: "col", role: "columnheader", class: kind(i) }, name)))), body);
  return {
    node,
    update(items, key, cells) {
      keyed(body, items, key, () => h("tr", { role: "row" }, heads.map((name, i) => h("td", { role: "cell", class: kind(i), "data-label": name }))), (row, item) => {
        cells(item).forEach((value, i) => {
          const cell = row.children[i];
          if (value instanceof Node) {
            if (cell.textContent !== value.textContent) cell.replaceChildren(value);
          } else text(cell, typeof value === "string" ? plain(value, 2000) : value);
        });
      });
    },
  };
}

// yaml writes a value of the manifest as the file would have it, near enough to be
// read.
export function yaml(value, indent = "") {
  const lines = [];
  for (const [key, v] of Object.entries(value ?? {})) {
    if (v === null || v === "" || (typeof v === "object" && Object.keys(v).length === 0)) continue;
    if (typeof v !== "object") lines.push(`${indent}${key}: ${scalar(v)}`);
    else if (Array.isArray(v)) lines.push(`${indent}${key}: [${v.map(scalar).join(", ")}]`);
    else if (Object.values(v).every((x) => typeof x !== "object") && JSON.stringify(v).length < 90 && indent !== "") {
      lines.push(`${indent}${key}: {${Object.entries(v).filter(([, x]) => x !== "").map(([k, x]) => `${k}: ${scalar(x)}`).join(", ")}}`);
    } else lines.push(`${indent}${key}:`, yaml(v, indent + "  "));
  }
  return lines.join("\n");
}

const scalar = (v) => (typeof v === "string" && (v === "" || /^[\s\-?:,[\]{}#&*!|>'"%@`]|[:#]\s|\s$/.test(v)) ? JSON.stringify(v) : String(v));
