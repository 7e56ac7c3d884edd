// Moving a group to another position: what it would come to first, then the move.

import { ask, get, group } from "./api.js";
import { attr, button, h, show, text } from "./dom.js";
import { faultLine, open, toast } from "./dialog.js";
import { count, none, plural } from "./format.js";
import { groupOf, subscribe } from "./store.js";

const targets = [
  ["latest", "after the last entry: what is there is skipped"],
  ["earliest", "before the first entry: everything comes again"],
  ["other", "after an ID, from a time on, or a time ago"],
];

// seek opens the dialog; pause() pauses the group.
export function seek(name, pause) {
  let unsubscribe = () => {};
  return open((close) => {
    const fault = faultLine();
    const stands = h("p", { class: "note" }, "Asking where it stands…");
    const other = h("input", { type: "text", id: "seek-to", placeholder: "-1h, 2025-11-23T12:00:00Z, 1763856000123-0", "aria-label": "Position", spellcheck: "false", input: forget, focus: () => choose("other") });
    const radios = targets.map(([value, says]) => h("label", { class: "choice" },
      h("input", { type: "radio", name: "seek-target", value, change: forget, checked: value === "other" }), h("b", {}, value), h("span", {}, says)));
    const rebuild = h("input", { type: "checkbox", id: "seek-rebuild", change: forget });
    const result = h("dl", { class: "facts seek-result", hidden: true });
    const notes = h("ul", { class: "problems", hidden: true });
    const runs = h("p", { class: "fault row", hidden: true }, h("span", { class: "grow" }, `${name} runs. It is moved only while it is paused or stopped: pause it first.`),
      button("Pause", () => pause().catch((err) => fault.tell(err))));
    let looked = null; // the request that the result is of

    function choose(value) {
      for (const label of radios) label.firstChild.checked = label.firstChild.value === value;
    }
    const wanted = () => {
      const value = radios.map((label) => label.firstChild).find((radio) => radio.checked).value;
      return rebuild.checked ? { rebuild: true } : { to: value === "other" ? other.value.trim() : value };
    };

    // follow lets the group be moved when the result is of what the dialog says, and
    // the group rests.
    function follow() {
      const resting = Boolean(groupOf(name)?.suspended);
      show(runs, !resting);
      move.disabled = looked === null || !resting;
      attr(move, "class", move.disabled ? null : "danger");
      attr(move, "title", looked === null ? "a dry run says first what it comes to" : resting ? null : "it runs");
      for (const part of [...radios.map((label) => label.firstChild), other]) part.disabled = rebuild.checked;
    }

    // forget puts a result away that is not of what the dialog says any more.
    function forget() {
      looked = null;
      show(result, false);
      show(notes, false);
      follow();
      fault.clear();
    }

    async function send(dryRun) {
      fault.clear();
      try {
        return await ask("PUT", group(name, "/position"), { ...(dryRun ? wanted() : looked), dry_run: dryRun });
      } catch (err) {
        fault.tell(err);
        return null;
      }
    }

    const dry = button("Dry run", async () => {
      const asked = wanted();
      const s = await send(true);
      if (!s) return;
      looked = asked;
      const about = s.exact ? "" : "at least ";
      result.replaceChildren(...[
        ["From", s.from ?? "not in Redis yet"], ["To", "after " + s.to],
        ["Comes again", about + count(s.repeats)], ["Is skipped", about + count(s.skips)],
        ["Stays pending", count(s.pending)], ["Gone from the stream", s.gone < 0 ? "some" : count(s.gone)],
        ["A repeated entry", s.effect || "not known"],
      ].map(([label, value]) => h("div", { class: "fact" }, h("dt", {}, label), h("dd", {}, value))));
      show(result, true);
      notes.replaceChildren(...s.notes.map((note) => h("li", {}, note)));
      show(notes, s.notes.length > 0);
      follow();
    }, { id: "seek-dry" });
    const move = button("Move", async () => {
      const s = await send(false);
      if (!s) return;
      toast(`${name} goes on after ${s.to}: ${plural(s.repeats, "entry comes", "entries come")} again, ${plural(s.skips, "is", "are")} skipped.`);
      close(s);
    }, { id: "seek-move", disabled: true });

    unsubscribe = subscribe(follow);
    follow();
    get(group(name, "/position")).then((p) => {
      text(stands, `It stands at ${p.last_delivered ?? "no position"}; the stream goes from ${p.first_entry ?? none} to ${p.last_generated ?? none}, ${plural(p.length, "entry", "entries")}.`);
    }, (err) => fault.tell(err));

    return {
      head: `Move ${name}`,
      body: [stands, h("fieldset", {}, h("legend", {}, "It goes on"), radios, other),
        h("label", { class: "choice", for: "seek-rebuild" }, rebuild, h("b", {}, "rebuild"), h("span", {}, "empty what its handler has made, and begin with the first entry")),
        result, notes, runs, fault.node],
      buttons: [button("Close", () => close()), dry, move],
    };
  }).finally(() => unsubscribe());
}
