// The buttons that steer a group. A server that is read-only has them disabled,
// with the reason.

import { ask, group } from "./api.js";
import { attr, button, h, show, text } from "./dom.js";
import { attempt, confirm, toast } from "./dialog.js";
import { plural } from "./format.js";
import { seek } from "./seek.js";
import { absorb, groupOf, state } from "./store.js";

export const whyReadOnly = "This server is read-only: admin.read_only is set in the manifest.";

const who = "the page", timeout = 15_000; // ms

// allow disables what changes something on a server that takes no changes.
export function allow(buttons) {
  const refused = state.server?.read_only === true;
  for (const b of buttons) {
    attr(b, "aria-disabled", refused ? "true" : null);
    attr(b, "title", refused ? whyReadOnly : null);
  }
  return !refused;
}

async function steer(name, verb, done) {
  for (let n = 0; n < 12; n++) { // each request waits for five seconds
    const answer = await ask("POST", group(name, "/" + verb), { by: who }, { timeout });
    absorb(answer.status);
    if (answer.done) {
      toast(`${name} ${done}.`);
      return;
    }
  }
  toast(`${name} is on its way: it still finishes what it has begun.`);
}

export function actions(name) {
  const inFlight = () => {
    const g = groupOf(name);
    return g ? plural(g.in_flight, "entry", "entries") : "nothing";
  };
  const restart = button("Restart", () => confirm({
    head: `Restart ${name}?`, label: "Restart",
    body: h("p", {}, `It finishes what it has in flight (${inFlight()}), and begins anew with a new handler. The other groups do not notice.`),
    act: async () => {
      await ask("POST", group(name, "/restart"), undefined, { timeout });
      toast(`${name} restarts.`);
    },
  }));
  const pause = button("Pause", () => attempt(() => steer(name, "pause", "is paused")));
  const resume = button("Resume", () => attempt(() => steer(name, "resume", "goes on")), { class: "primary" });
  const stop = button("Stop", () => confirm({
    head: `Stop ${name}?`, label: "Stop", danger: true,
    body: h("p", {}, "It finishes what it has begun, gives back the rest, and takes nothing new until it is started. Entries wait in Redis meanwhile."),
    act: () => steer(name, "stop", "is stopped"),
  }));
  const start = button("Start", () => attempt(() => steer(name, "start", "runs")), { class: "primary" });
  const move = button("Seek…", () => seek(name, () => steer(name, "pause", "is paused")));
  const reason = h("span", { class: "note" });
  const node = h("div", { class: "actions" }, reason, resume, start, pause, restart, stop, move);
  return {
    node,
    update(g) {
      const wish = g.suspended?.state ?? "";
      show(pause, wish === "");
      show(stop, wish !== "stopped");
      show(resume, wish === "paused");
      show(start, wish === "stopped");
      show(restart, wish === "");
      const allowed = allow([restart, pause, resume, stop, start, move]);
      text(reason, "read-only");
      show(reason, !allowed);
      attr(reason, "title", allowed ? null : whyReadOnly);
    },
  };
}
