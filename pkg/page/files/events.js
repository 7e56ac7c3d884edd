// Everything that has happened, as it happens.

import { h, show, text } from "./dom.js";
import { plural } from "./format.js";
import { eventList } from "./parts.js";
import { state } from "./store.js";

export function mount(root) {
  const group = h("select", { "aria-label": "Group", change: update }, h("option", { value: "" }, "all groups"));
  const kind = h("select", { "aria-label": "Kind", change: update }, h("option", { value: "" }, "all kinds"),
    ["state", "restart", "verdict", "sink-down", "sink-up", "loss", "dead-letters", "error", "reload"].map((k) => h("option", { value: k }, k)));
  const note = h("p", { class: "note" });
  const list = eventList();
  root.append(h("div", { class: "title-row" }, h("h1", {}, "Events"), h("div", { class: "bar" }, group, kind)), list.node, note);
  let names = "";

  function update() {
    const now = state.groups.map((g) => g.name).join("\n");
    if (now !== names) {
      names = now;
      const chosen = group.value;
      group.replaceChildren(h("option", { value: "" }, "all groups"), ...state.groups.map((g) => h("option", { value: g.name }, g.name)));
      group.value = state.groups.some((g) => g.name === chosen) ? chosen : "";
    }
    const shown = state.events.filter((e) => (!group.value || e.group === group.value) && (!kind.value || e.kind === kind.value));
    list.update(shown);
    show(note, shown.length === 0 || state.missed > 0);
    text(note, shown.length === 0 ? "Nothing of that kind has happened since the page was opened, or lately before." : `${plural(state.missed, "event")} came faster than this page could take them.`);
  }
  return { update };
}
