// The trades of a stream as they happen, from a group with the handler "live":
// GET /live/GROUP. Events for which another group's condition holds come marked.

import { follow } from "./api.js";
import { attr, button, h, keyed, show, text } from "./dom.js";
import { count, millis, none, plural, rate, scaled } from "./format.js";

const shownTrades = 22, shownMarked = 10, slow = matchMedia("(prefers-reduced-motion: reduce)");

// valueAt reads a path of an event, as odds.ticks or legs[0].price.
export function valueAt(event, path) {
  let v = event;
  for (const step of path.replace(/\[(\d+)\]/g, ".$1").split(".")) v = v?.[step];
  return v === undefined ? null : v;
}

// tape follows a group. columns are {label, path, decimals}; mark is an expression
// and what it stands for, or null.
export function tape({ group, columns, mark }) {
  const speed = h("span", { class: "section-count" });
  const hold = button("Hold", () => {
    held = !held;
    text(hold, held ? "Go on" : "Hold");
    attr(hold, "aria-pressed", held);
    draw(true);
  }, { class: "small", "aria-pressed": false });
  const state = h("p", { class: "note", hidden: true });
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), columns.map((c) => h("th", { scope: "col", class: c.decimals === null ? "" : "num" }, c.label))));
  const body = h("tbody");
  const markedBody = h("tbody");
  const markedNote = h("p", { class: "note" });
  const tradesPart = h("section", { class: "section tape" }, h("div", { class: "title-row" }, h("h2", {}, "Trades ", speed), hold), state,
    h("table", { class: "plain tight" }, head, body));
  const markedPart = mark && h("section", { class: "section tape" }, h("h2", {}, "Notifications"), h("p", { class: "note" }, "What ", h("a", { href: "#/group/" + encodeURIComponent(mark.group) }, mark.group), " sends on: ", h("code", {}, mark.where)),
    h("table", { class: "plain tight" }, head.cloneNode(true), markedBody), markedNote);

  let trades = [], marked = [], number = 0, missed = 0, held = false, dirty = false;
  let second = 0, seen = 0, perSecond = null;

  const query = new URLSearchParams({ recent: "200" });
  if (mark) query.set("mark", mark.where);
  let stream = null;

  function connect() {
    stream?.close();
    stream = null;
    if (document.hidden) return;
    stream = follow(`/live/${encodeURIComponent(group)}?${query}`, {
      open: () => show(state, false),
      lost: (problem) => {
        text(state, `The trades do not come in: ${problem.message}`);
        show(state, true);
        perSecond = null;
      },
      silence: 40_000,
      message(name, data, id) {
        if (name === "missed") {
          missed += data.count ?? 0;
          return;
        }
        if (name === "refused") return;
        const t = { key: ++number, id, data, marked: name === "marked" };
        seen++;
        trades.push(t);
        if (trades.length > 4 * shownTrades) trades = trades.slice(-shownTrades);
        if (t.marked) {
          marked.push(t);
          if (marked.length > 4 * shownMarked) marked = marked.slice(-shownMarked);
        }
        dirty = true;
      },
    });
  }

  function draw(now) {
    const at = Date.now();
    if (at - second >= 1000) {
      perSecond = second && stream ? (seen * 1000) / (at - second) : perSecond;
      second = at;
      seen = 0;
      text(speed, perSecond === null ? "" : `${rate(perSecond)} /s${missed > 0 ? `, ${plural(missed, "event")} missed` : ""}`);
    }
    if (!dirty && !now) return;
    if (held) return;
    dirty = false;
    fill(body, trades.slice(-shownTrades).reverse());
    fill(markedBody, marked.slice(-shownMarked).reverse());
    text(markedNote, marked.length === 0 ? "None since the page was opened." : "");
  }

  function fill(into, list) {
    keyed(into, list, (t) => t.key, (t) => h("tr", { class: t.marked && into === body ? "marked" : null, "data-id": t.id },
      h("td", { class: "mono" }, millis(Number(t.id.split("-")[0]))),
      columns.map((c) => {
        const v = valueAt(t.data, c.path);
        return h("td", { class: c.decimals === null ? "" : "num" }, v === null ? none : c.decimals !== null && typeof v === "number" ? (c.decimals ? scaled(v, c.decimals) : count(v)) : String(v));
      })));
  }

  const seenAgain = () => connect();
  document.addEventListener("visibilitychange", seenAgain);
  const timer = setInterval(draw, slow.matches ? 2000 : 250);
  connect();
  return {
    parts: [tradesPart, markedPart].filter(Boolean),
    unmount() {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seenAgain);
      stream?.close();
    },
  };
}
