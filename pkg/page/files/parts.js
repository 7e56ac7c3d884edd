// What several views show: verdicts, events, ages.

import { attr, h, keyed, text } from "./dom.js";
import { clock, full, none, plain, span, time } from "./format.js";
import { serverNow } from "./store.js";

// tones are how much a verdict, a state or a kind of event asks for attention.
const tones = {
  ok: "good", lagging: "warn", stalled: "bad", "sink-down": "bad", losing: "bad", tripped: "bad", stopped: "calm",
  error: "bad", loss: "bad", "dead-letters": "warn", restart: "warn", "sink-up": "good",
};

export const tone = (code) => tones[code] ?? "calm";

// verdictName is a verdict as people read it.
export const verdictName = (code) => code.replaceAll("-", " ").toUpperCase();

// chip is the verdict of a group.
export function chip() {
  const node = h("span", { class: "chip" }, h("i"), h("span"));
  return {
    node,
    update(verdict) {
      attr(node, "data-tone", tone(verdict.code));
      text(node.lastChild, verdictName(verdict.code));
      attr(node, "title", verdict.why);
    },
  };
}

// ago is how long ago a time of the API was.
export function ago(t) {
  const ms = time(t);
  return ms === null ? none : span((serverNow() - ms) / 1000) + " ago";
}

// sinceThen is how long something has lasted.
export function sinceThen(t) {
  const ms = time(t);
  return ms === null ? none : span((serverNow() - ms) / 1000);
}

// stamp writes a time of the API into a node, the whole of it as the title.
export function stamp(node, t) {
  const ms = time(t);
  text(node, clock(ms));
  attr(node, "title", full(ms));
}

// eventList shows events of the feed, newest first.
export function eventList({ groups = true } = {}) {
  const node = h("ol", { class: groups ? "events" : "events of-group" });
  return {
    node,
    update(events) {
      keyed(node, events, (e) => e.number, (e) => {
        const when = h("time", {});
        stamp(when, e.time);
        return h("li", { "data-tone": tone(e.kind === "verdict" ? e.text.split(":")[0].toLowerCase().replaceAll(" ", "-") : e.kind) },
          when,
          groups && (e.group ? h("a", { class: "event-group", href: "#/group/" + encodeURIComponent(e.group) }, e.group) : h("span", { class: "event-group" }, "process")),
          h("span", { class: "event-kind" }, e.kind),
          h("span", { class: "event-text" }, plain(e.text, 2000)));
      });
    },
  };
}

// section is a titled part of a view. Its count, when there is one, stands beside
// the title.
export function section(title, ...children) {
  const number = h("span", { class: "section-count" });
  const node = h("section", { class: "section" }, h("h2", {}, title, " ", number), ...children);
  return { node, count: (n) => text(number, n === null || n === undefined ? "" : n) };
}
