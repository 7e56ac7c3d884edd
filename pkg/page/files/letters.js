// The dead letters of a group: what could not be handled, and why; to look into,
// to send back, to delete.

import { ask, get, group } from "./api.js";
import { button, h, keyed, show, text } from "./dom.js";
import { attempt, confirm, open, toast } from "./dialog.js";
import { clock, count, full, none, plural } from "./format.js";
import { section } from "./parts.js";
import { allow } from "./steer.js";

const pageSize = 50, reasons = ["decode", "filter", "handle", "timeout", "panic", "crash"];

export function lettersSection(name) {
  const reason = h("select", { "aria-label": "Reason", change: reload }, h("option", { value: "" }, "any reason"), reasons.map((r) => h("option", { value: r }, r)));
  const needle = h("input", { type: "search", placeholder: "part of the error", "aria-label": "Part of the error", change: reload });
  const replay = button("Replay…", () => change("replay"));
  const purge = button("Purge…", () => change("purge"), { class: "danger-quiet" });
  const refresh = button("Refresh", () => reload());
  const more = button("More", () => load(next));
  const body = h("tbody", { role: "rowgroup" });
  const all = h("input", { type: "checkbox", "aria-label": "Choose all that are shown", change: () => {
    for (const box of body.querySelectorAll("input")) box.checked = all.checked;
    countChosen();
  } });
  const table = h("table", { class: "plain letters", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, h("th", { scope: "col", role: "columnheader" }, all), ["Letter", "Entry", "Reason", "Error", "Tries", "Written"].map((t) => h("th", { scope: "col", role: "columnheader", class: t === "Tries" ? "num" : t === "Error" ? "wide" : "" }, t)))), body);
  const bar = h("div", { class: "bar" }, reason, needle, refresh, h("span", { class: "grow" }), replay, purge);
  const part = section("Dead letters", bar, table, more);
  let letters = [], next = "", known = null, loading = false, ended = false;

  const filters = () => ({ ...(reason.value ? { reasons: [reason.value] } : {}), ...(needle.value.trim() ? { error: needle.value.trim() } : {}) });
  const chosen = () => [...body.querySelectorAll("input:checked")].map((box) => box.value);

  function countChosen() {
    const n = chosen().length;
    text(replay, n > 0 ? `Replay ${n}…` : "Replay…");
    text(purge, n > 0 ? `Purge ${n}…` : "Purge…");
  }

  async function load(from) {
    if (loading) return;
    loading = true;
    await attempt(async () => {
      const query = new URLSearchParams({ limit: pageSize });
      if (reason.value) query.append("reason", reason.value);
      if (needle.value.trim()) query.append("error", needle.value.trim());
      if (from) query.append("from", from);
      const page = await get(group(name, "/dead?" + query));
      if (ended) return;
      letters = from ? [...letters, ...page.letters] : page.letters;
      next = page.next;
      draw();
    });
    loading = false;
  }

  function reload() {
    all.checked = false;
    return load("");
  }

  function draw() {
    keyed(body, letters, (l) => l.letter_id, (l) => {
      const box = h("input", { type: "checkbox", value: l.letter_id, "aria-label": "Choose " + l.letter_id, change: countChosen });
      const look = button(l.letter_id, () => attempt(() => lookInto(name, l.letter_id)), { class: "link mono" });
      return h("tr", { role: "row" }, h("td", { role: "cell" }, box), h("td", { role: "cell", "data-label": "Letter" }, look),
        ["mono", "", "wide error", "num", ""].map((c, i) => h("td", { role: "cell", class: c, "data-label": ["Entry", "Reason", "Error", "Tries", "Written"][i] })));
    }, (row, l) => {
      const cells = row.children;
      text(cells[2], l.id ?? none);
      text(cells[3], l.state === "buried" ? l.stage : l.stage ? `${l.stage}, ${l.state}` : l.state);
      text(cells[4], l.error ?? l.fault ?? none);
      text(cells[5], count(l.attempts));
      const written = Number(l.letter_id.split("-")[0]);
      text(cells[6], clock(written));
      cells[6].title = full(written);
    });
    show(more, next !== "");
    show(table, letters.length > 0);
    countChosen();
  }

  // change replays or purges what is chosen, or else what the filters let through,
  // and says how many that is first.
  async function change(what) {
    const ids = chosen();
    const which = ids.length > 0 ? { ids } : Object.keys(filters()).length > 0 ? filters() : { all: true };
    const method = what === "replay" ? "POST" : "DELETE";
    const path = group(name, what === "replay" ? "/dead/replay" : "/dead");
    await attempt(async () => {
      const { letters: n } = await ask(method, path, { ...which, dry_run: true });
      if (n === 0) {
        toast("There is no such dead letter.");
        return;
      }
      const many = plural(n, "dead letter");
      await confirm(what === "replay" ? {
        head: `Replay ${many}?`, label: `Replay ${count(n)}`,
        body: h("p", {}, `${name} gets them again, and no other group. What fails once more becomes a dead letter again.`),
        act: async () => {
          const done = await ask(method, path, which);
          toast(`${plural(done.letters, "dead letter")} sent back to ${name}.`);
        },
      } : {
        head: `Purge ${many}?`, label: `Purge ${count(n)}`, danger: true,
        body: h("p", {}, "They are deleted for good, and with them the only copy of what could not be handled."),
        act: async () => {
          const done = await ask(method, path, which);
          toast(`${plural(done.letters, "dead letter")} deleted.`);
        },
      });
      await reload();
    });
  }

  return {
    node: part.node,
    unmount() {
      ended = true;
    },
    update(g) {
      allow([replay, purge]);
      part.count(g.dead_letters === null ? "" : g.dead_letters === 0 ? "none" : count(g.dead_letters));
      const any = g.dead_letters !== 0 || letters.length > 0;
      show(bar, any);
      if (known !== g.dead_letters) {
        known = g.dead_letters;
        load("");
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
        h("div", { class: key === "error" ? "fact long" : "fact" }, h("dt", {}, key.replaceAll("_", " ")), h("dd", {}, String(v))))),
      h("h3", {}, "Fields of the entry"),
      (fields ?? []).map((f) => h("div", { class: "field" }, h("b", {}, f.name ?? `base64 ${f.name_base64}`), h("pre", { tabindex: "0" }, f.value === undefined ? `base64 ${f.value_base64}` : pretty(f.value)))),
    ],
    buttons: [button("Close", () => close(), { autofocus: true })],
  }));
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
