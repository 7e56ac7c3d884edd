// The dead letters of a group: what could not be handled, and why; to look into,
// to send back, to delete.

import { ask, get, group } from "./api.js";
import { button, h, keyed, show, text } from "./dom.js";
import { attempt, confirm, open, toast } from "./dialog.js";
import { clock, count, full, none, plain, plural, time } from "./format.js";
import { section } from "./parts.js";
import { allow } from "./steer.js";

const phone = matchMedia("(max-width: 700px)"), pageSize = () => (phone.matches ? 10 : 50);
const patience = 25_000; // ms; the server looks for 20 s
const reasons = ["decode", "filter", "handle", "timeout", "panic", "crash"];

export function lettersSection(name) {
  const reason = h("select", { "aria-label": "Reason", change: filter }, h("option", { value: "" }, "any reason"), reasons.map((r) => h("option", { value: r }, r)));
  const needle = h("input", { type: "search", placeholder: "part of the error", "aria-label": "Part of the error", change: filter });
  const replay = button("Replay…", () => change("replay"));
  const purge = button("Purge…", () => change("purge"), { class: "danger-quiet" });
  const refresh = button("Refresh", reload);
  const more = button("More", () => load(next, pageSize()));
  const body = h("tbody", { role: "rowgroup" });
  const all = h("input", { type: "checkbox", "aria-label": "Choose all that are shown", change: () => {
    for (const box of body.querySelectorAll("input")) choose(box, all.checked);
    tellChosen();
  } });
  const table = h("table", { class: "plain letters", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, h("th", { scope: "col", role: "columnheader" }, all), ["Letter", "Entry", "Reason", "Error", "Tries", "Written"].map((t) => h("th", { scope: "col", role: "columnheader", class: t === "Tries" ? "num" : t === "Error" ? "wide" : "" }, t)))), body);
  const bar = h("div", { class: "bar" }, reason, needle, refresh, h("span", { class: "grow" }), replay, purge);
  const part = section("Dead letters", bar, table, more);
  const chosen = new Set(); // IDs
  let letters = [], next = "", known = null, there = null, turn = 0, ended = false;

  const filters = () => ({ ...(reason.value ? { reasons: [reason.value] } : {}), ...(needle.value.trim() ? { error: needle.value.trim() } : {}) });

  function choose(box, is) {
    box.checked = is;
    if (is) chosen.add(box.value);
    else chosen.delete(box.value);
  }

  // tellChosen has the buttons say what they are about.
  function tellChosen() {
    const which = chosen.size > 0 ? count(chosen.size) : Object.keys(filters()).length > 0 ? "all that match" : there === null ? "all" : "all " + count(there);
    text(replay, `Replay ${which}…`);
    text(purge, `Purge ${which}…`);
    all.checked = letters.length > 0 && letters.every((l) => chosen.has(l.letter_id));
  }

  // load reads letters from an ID on, or anew. The latest call counts.
  async function load(from, limit) {
    const mine = ++turn;
    await attempt(async () => {
      const query = new URLSearchParams({ limit });
      if (reason.value) query.append("reason", reason.value);
      if (needle.value.trim()) query.append("error", needle.value.trim());
      if (from) query.append("from", from);
      const page = await get(group(name, "/dead?" + query), { timeout: patience });
      if (ended || mine !== turn) return;
      letters = from ? [...letters, ...page.letters] : page.letters;
      next = page.next;
      const allThere = next === "" && Object.keys(filters()).length === 0;
      if (allThere) known = letters.length; // the count that comes with the groups may be a second old
      else if (!from) known = there;
      const shown = new Set(letters.map((l) => l.letter_id));
      for (const id of chosen) if (!shown.has(id)) chosen.delete(id);
      draw();
    });
  }

  // reload reads as many as are shown.
  function reload() {
    return load("", Math.min(1000, Math.max(pageSize(), letters.length)));
  }

  function filter() {
    chosen.clear();
    return load("", pageSize());
  }

  function draw() {
    keyed(body, letters, (l) => l.letter_id, (l) => {
      const box = h("input", { type: "checkbox", value: l.letter_id, "aria-label": "Choose " + l.letter_id, change: () => {
        choose(box, box.checked);
        tellChosen();
      } });
      const look = button(l.letter_id, () => attempt(() => lookInto(name, l.letter_id)), { class: "link mono" });
      return h("tr", { role: "row" }, h("td", { role: "cell" }, box), h("td", { role: "cell", "data-label": "Letter" }, look),
        ["mono", "", "wide error", "num", ""].map((c, i) => h("td", { role: "cell", class: c, "data-label": ["Entry", "Reason", "Error", "Tries", "Written"][i] })));
    }, (row, l) => {
      const cells = row.children;
      text(cells[2], l.id ?? none);
      text(cells[3], l.state === "buried" ? l.stage : l.stage ? `${l.stage}, ${l.state}` : l.state);
      text(cells[4], plain(l.error ?? l.fault ?? none, 1000));
      text(cells[5], count(l.attempts));
      const written = Number(l.letter_id.split("-")[0]);
      text(cells[6], clock(written));
      cells[6].title = full(written);
      cells[0].firstChild.checked = chosen.has(l.letter_id);
    });
    show(more, next !== "");
    show(table, letters.length > 0);
    tellChosen();
    tellNews();
  }

  // tellNews says when there are more or fewer letters than when they were read.
  // Where somebody reads on or has chosen some they stay until they ask.
  function tellNews() {
    const more = known === null || there === null ? 0 : there - known;
    text(refresh, more === 0 ? "Refresh" : more > 0 ? `Refresh: ${count(more)} new` : `Refresh: ${count(-more)} gone`);
  }

  // change replays or purges what is chosen, or else what the filters let through:
  // those that it has counted first, and none that came later.
  async function change(what) {
    const which = chosen.size > 0 ? { ids: [...chosen] } : Object.keys(filters()).length > 0 ? filters() : { all: true };
    const method = what === "replay" ? "POST" : "DELETE";
    const path = group(name, what === "replay" ? "/dead/replay" : "/dead");
    await attempt(async () => {
      const { letters: n, last } = await ask(method, path, { ...which, dry_run: true });
      if (n === 0) {
        toast("There is no such dead letter.");
        return;
      }
      const these = which.ids ? which : { ...which, to: last };
      const many = (which.all ? "all " : "") + plural(n, "dead letter");
      await confirm(what === "replay" ? {
        head: `Replay ${many}?`, label: `Replay ${count(n)}`,
        body: h("p", {}, `${name} gets them again, and no other group. What fails once more becomes a dead letter again.`),
        act: async () => {
          const done = await ask(method, path, these);
          toast(`${plural(done.letters, "dead letter")} sent back to ${name}.`);
          chosen.clear();
        },
      } : {
        head: `Purge ${many}?`, label: `Purge ${count(n)}`, danger: true,
        body: h("p", {}, "They are deleted for good, and with them the only copy of what could not be handled."),
        act: async () => {
          const done = await ask(method, path, these);
          toast(`${plural(done.letters, "dead letter")} deleted.`);
          chosen.clear();
        },
      });
      reload(); // nobody has to wait for it to press again
    });
  }

  return {
    node: part.node,
    unmount() {
      ended = true;
    },
    update(g) {
      allow([replay, purge]);
      part.count(g.dead_letters === null ? "" : g.dead_letters === 0 ? "none" : `${count(g.dead_letters)}, oldest first`);
      show(bar, g.dead_letters !== 0 || letters.length > 0);
      if (there !== g.dead_letters) {
        there = g.dead_letters;
        if (chosen.size === 0 && letters.length <= pageSize()) reload();
        else draw();
      }
      if (letters.length === 0) {
        show(table, false);
        show(more, false);
      }
    },
  };
}

// lookInto shows a letter with all of its fields.
async function lookInto(name, id) {
  const { fields, ...about } = await get(group(name, "/dead/" + encodeURIComponent(id)));
  await open((close) => ({
    head: `Dead letter ${id}`,
    body: [
      h("dl", { class: "facts wide" }, Object.entries(about).filter(([, v]) => v !== null && v !== "").map(([key, v]) =>
        h("div", { class: key === "error" ? "fact long" : "fact" }, h("dt", {}, key.replaceAll("_", " ")), valueOf(v)))),
      h("h3", {}, "Fields of the entry"),
      (fields ?? []).map((f) => h("div", { class: "field" }, h("b", {}, f.name ?? `base64 ${f.name_base64}`), h("pre", { tabindex: "0" }, f.value === undefined ? `base64 ${f.value_base64}` : pretty(f.value)))),
    ],
    buttons: [button("Close", () => close(), { autofocus: true })],
  }));
}

// valueOf is a value of a letter; times are of this clock, as in the list.
function valueOf(v) {
  const at = typeof v === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(v) ? time(v) : null;
  return at === null ? h("dd", {}, plain(v, 4000)) : h("dd", { title: v }, clock(at));
}

// pretty spreads out JSON whose numbers survive it; others are shown as they are.
function pretty(value) {
  if (/\d{16}/.test(value)) return value;
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value;
  }
}
