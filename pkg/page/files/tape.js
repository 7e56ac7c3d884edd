// The trades of a stream as they happen, from a group with the handler "live":
// GET /live/GROUP. Events for which the condition of a group that notifies holds
// come marked.

import { follow } from "./api.js";
import { attr, button, h, keyed, show, text } from "./dom.js";
import { count, millis, nameOf, none, plain, plural, rate, scaled, short } from "./format.js";
import { chip, tone } from "./parts.js";
import { groupOf } from "./store.js";

const shownTrades = 22, shownMarked = 10, rememberedIDs = 2000, slow = matchMedia("(prefers-reduced-motion: reduce)");
const settling = 1500; // ms after a connection in which old events may come
const longestMark = 1000; // letters; a server takes no long ones

// valueAt reads a path of an event, as odds.ticks or legs[0].price.
export function valueAt(event, path) {
  let v = event;
  for (const step of path.replace(/\[(\d+)\]/g, ".$1").split(".")) v = v?.[step];
  return v === undefined ? null : v;
}

// markOf is the expression that holds for what any of the groups notifies of: of as
// many of them as fit.
function markOf(notifiers) {
  const fitting = [];
  for (const { where } of notifiers) {
    if ([...fitting, `(${where})`].join(" or ").length <= longestMark) fitting.push(`(${where})`);
  }
  return fitting.length === 1 ? fitting[0].slice(1, -1) : fitting.join(" or ");
}

// tape follows a group. columns are {path, decimals}, decimals null for texts;
// notifiers {name, where} are the groups that notify of some events.
export function tape({ group, columns, notifiers }) {
  const verdict = chip(), speed = h("span", { class: "section-count" });
  const hold = button("Hold", () => {
    held = !held;
    text(hold, held ? "Go on" : "Hold");
    attr(hold, "aria-pressed", held);
    draw(true);
  }, { class: "small", "aria-pressed": false });
  const away = h("p", { class: "note", hidden: true }), judged = h("p", { class: "note", hidden: true });
  const head = () => h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "when" }, "Time"), columns.map((c) => h("th", { scope: "col", class: c.decimals === null ? "key" : "num" }, nameOf(c.path)))));
  const body = h("tbody"), markedBody = h("tbody"), markedNote = h("p", { class: "note" });
  const tradesPart = h("section", { class: "section tape" },
    h("div", { class: "title-row" }, h("h2", {}, "Trades ", verdict.node, speed), hold), away, judged, h("table", { class: "plain tight" }, head(), body));
  const lines = notifiers.map(({ name, where }) => {
    const how = chip(), wait = h("span");
    return { name, how, wait, node: h("p", { class: "note" }, h("a", { href: "#/group/" + encodeURIComponent(name) }, name), " ", how.node, wait, " ", h("code", {}, plain(where, 300))) };
  });
  const markedPart = notifiers.length > 0 && h("section", { class: "section tape" }, h("h2", {}, "Qualify for notifications"), lines.map((l) => l.node),
    h("table", { class: "plain tight" }, head(), markedBody), markedNote);

  const ids = new Set(); // of the events that have come last
  let trades = [], marked = [], number = 0, held = false, dirty = false, stream = null, lastID = "";
  let missed = 0, someMissed = false, openSince = 0, second = 0, seen = 0, perSecond = null;
  let mark = markOf(notifiers);

  function close() {
    lastID = stream?.lastID() || lastID;
    stream?.close();
    stream = null;
    openSince = 0;
  }

  // connect follows the group while the page is seen, from the last event that has
  // come.
  function connect() {
    close();
    if (document.hidden) return;
    const query = new URLSearchParams({ recent: "200" });
    if (mark) query.set("mark", mark);
    stream = follow(`/live/${encodeURIComponent(group)}?${query}`, {
      after: lastID,
      open() {
        show(away, false);
        openSince = Date.now();
        perSecond = null;
      },
      lost(problem) {
        openSince = 0;
        if (problem.status === 400 && mark) { // no server of ours, or a condition that it does not take from others
          text(judged, `Those that qualify cannot be told: ${plain(problem.message)}.`);
          show(judged, true);
          mark = "";
          connect();
          return;
        }
        text(away, `The trades do not come in: ${problem.message}.`);
        show(away, true);
      },
      message,
      silence: () => 40_000,
      places: { name: "trades", most: 2 },
    });
  }

  function message(name, data, id) {
    switch (name) {
      case "missed":
        missed += data.count ?? 0;
        someMissed ||= data.count === null;
        return;
      case "refused":
        if (data.id === null) return; // it is the token that is refused: the next request says so
        if (judged.hidden) text(judged, `Some events cannot be judged: ${plain(data.error)}.`);
        show(judged, true);
        return;
      case "message":
      case "marked":
        break;
      default: // gone: the answer to the next request says why
        return;
    }
    if (ids.has(id)) return; // it came before the connection was lost
    ids.add(id);
    if (ids.size > rememberedIDs) ids.delete(ids.values().next().value);
    const t = { key: ++number, id, data, marked: name === "marked" };
    seen++;
    trades.push(t);
    if (trades.length > 4 * shownTrades) trades = trades.slice(-shownTrades);
    if (t.marked) {
      marked.push(t);
      if (marked.length > 4 * shownMarked) marked = marked.slice(-shownMarked);
    }
    dirty = true;
  }

  // tell says how fast trades come, and how the groups are.
  function tell(at) {
    if (openSince === 0 || at - openSince < settling) perSecond = null;
    else perSecond = (seen * 1000) / (at - second);
    second = at;
    seen = 0;
    const gone = missed > 0 ? `${someMissed ? "more than " : ""}${plural(missed, "event")} missed` : someMissed ? "some events missed" : "";
    text(speed, [perSecond === null ? "" : `${rate(perSecond)} /s`, gone].filter(Boolean).join(", "));
    const streamer = groupOf(group);
    show(verdict.node, streamer !== null && tone(streamer.verdict.code) !== "good");
    if (streamer) verdict.update(streamer.verdict);
    for (const l of lines) {
      const g = groupOf(l.name);
      show(l.how.node, g !== null);
      if (g) l.how.update(g.verdict);
      text(l.wait, g?.backlog ? ` ${short(g.backlog)} ${g.backlog === 1 ? "waits" : "wait"}` : "");
    }
  }

  function draw(now) {
    const at = Date.now();
    if (at - second >= 1000) tell(at);
    if (held || (!dirty && !now)) return;
    dirty = false;
    fill(body, trades.slice(-shownTrades).reverse());
    fill(markedBody, marked.slice(-shownMarked).reverse());
    text(markedNote, marked.length === 0 ? "None yet." : "");
  }

  function fill(into, list) {
    keyed(into, list, (t) => t.key, (t) => {
      const at = millis(Number(t.id.split("-")[0]));
      return h("tr", { class: t.marked && into === body ? "marked" : null, "data-id": t.id }, h("td", { class: "mono when", title: at }, at), columns.map((c) => cell(c, valueAt(t.data, c.path))));
    });
  }

  document.addEventListener("visibilitychange", connect);
  const timer = setInterval(draw, slow.matches ? 2000 : 250);
  connect();
  tell(Date.now());
  draw(true);
  return {
    parts: [tradesPart, markedPart].filter(Boolean),
    unmount() {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", connect);
      close();
    },
  };
}

// cell is a value of an event in its column.
function cell({ decimals }, v) {
  if (v === null) return h("td", { class: decimals === null ? "key" : "num" }, none);
  if (typeof v === "number" && decimals !== null) return h("td", { class: "num" }, decimals ? scaled(v, decimals) : count(v));
  const says = plain(typeof v === "object" ? JSON.stringify(v) : v);
  return h("td", { class: decimals === null ? "key" : "num", title: says.length > 12 ? says : null }, says);
}
