// The frame of the page: navigation, how old what it shows is, the token, and the
// view that the address names.

import { token } from "./api.js";
import { attr, button, h, show, text } from "./dom.js";
import { mount as eventsView } from "./events.js";
import { clock, plural, span, time } from "./format.js";
import { mount as groupView } from "./group.js";
import { mount as groupsView } from "./groups.js";
import { mount as marketView } from "./market.js";
import { tone, verdictName } from "./parts.js";
import { changed, connect, forget, state, subscribe } from "./store.js";

// stale is after how many ms without news what is shown is called old.
const stale = () => Math.max(4000, 3 * state.pace);
const partStale = 6000; // ms, the same for what a view asks for itself

const views = [
  { pattern: /^\/group\/([^/]+)$/, tab: "groups", mount: groupView },
  { pattern: /^\/market(?:\/([^/]+)(?:\/([^/]*))?)?$/, tab: "market", mount: marketView },
  { pattern: /^\/events$/, tab: "events", mount: eventsView },
  { pattern: /^\/?$/, tab: "groups", mount: groupsView },
];

const tabs = {
  groups: h("a", { href: "#/" }, "Groups"),
  market: h("a", { href: "#/market" }, "Market"),
  events: h("a", { href: "#/events" }, "Events"),
};
const tally = h("div", { class: "tally", "aria-label": "verdicts" });
const light = h("span", { class: "light" }, h("i"), h("span"));
const alarm = h("div", { class: "alarm", role: "alert", hidden: true });
const readOnly = h("span", { class: "badge", hidden: true, title: "admin.read_only is set in the manifest: this server changes nothing" }, "read-only");
const unread = h("div", { class: "alarm calm", role: "status", hidden: true });
const signOut = button("Forget token", forget, { class: "link", hidden: true });
const main = h("main", { id: "main", tabindex: "-1" });
const foot = h("footer", {}, h("span"), h("span"));
const lock = lockView();

document.body.append(
  h("a", { class: "skip", href: "#main", click: (e) => {
    e.preventDefault();
    main.focus();
  } }, "Skip to content"),
  h("header", { class: "top" },
    h("a", { class: "brand", href: "#/", "aria-label": "fanout: all groups" }, "fanout"),
    h("nav", { "aria-label": "Views" }, Object.values(tabs)),
    tally, h("div", { class: "top-right" }, readOnly, signOut, light)),
  alarm, unread, lock.node, main, foot);

let view = null;

// leave takes the view away with all that it shows and follows.
function leave() {
  view?.unmount?.();
  view = null;
  main.replaceChildren();
}

function route() {
  leave();
  if (state.locked) return;
  const at = location.hash.slice(1) || "/";
  for (const v of views) {
    const parts = partsOf(v.pattern.exec(at));
    if (!parts) continue;
    for (const [name, link] of Object.entries(tabs)) attr(link, "aria-current", name === v.tab ? "page" : null);
    view = v.mount(main, ...parts);
    view.update?.();
    scrollTo(0, 0);
    return;
  }
  location.hash = "#/";
}

// partsOf are the names in an address, null when it is none.
function partsOf(found) {
  try {
    return found && found.slice(1).map((part) => part && decodeURIComponent(part));
  } catch {
    return null;
  }
}

function update() {
  show(lock.node, state.locked);
  show(main, !state.locked);
  show(readOnly, state.server?.read_only === true);
  show(signOut, token.get() !== "" && !state.locked);
  if (state.locked) {
    leave();
    for (const question of document.querySelectorAll("dialog")) question.close();
  }
  if (!state.locked && !view) route();
  view?.update?.();
  tick();
  updateTally();
  updateFoot();
  const refused = state.reload && !state.reload.done;
  show(unread, refused);
  if (refused) text(unread, `The manifest was not taken at ${clock(time(state.reload.at))}, what ran before runs on: ${state.reload.error.replaceAll("\n", "; ")}`);
}

// tick says how old what is shown is; it also runs when nothing comes.
function tick() {
  const age = state.at ? Date.now() - state.at : null;
  const old = age === null || age > stale();
  const part = view?.age?.(); // of what the view asks for itself
  const live = state.connected && !old && !(part?.ms > partStale);
  attr(light, "data-tone", live ? "good" : "bad");
  text(light.lastChild, live ? "live" : !state.connected ? "disconnected" : old ? "waiting" : "old");
  attr(light, "title", age === null ? "" : `as of ${clock(state.at)}`);
  document.documentElement.classList.toggle("stale", !live && state.at > 0);
  show(alarm, !live && !state.locked && (state.at > 0 || state.problem !== null));
  if (alarm.hidden) return;
  const why = state.problem ? `: ${state.problem.message}` : "";
  const next = state.retryAt ? ` Next try in ${span((state.retryAt - Date.now()) / 1000)}.` : "";
  const asOf = state.at ? ` What you see is ${span(age / 1000)} old, as of ${clock(state.at)}.` : "";
  text(alarm, !state.connected ? `Disconnected${why}.${asOf}${next}` : old ? `Nothing comes from the server.${asOf}` : `${part.name} are ${span(part.ms / 1000)} old${part.why ? ": " + part.why : ""}.`);
}

function updateFoot() {
  text(foot.firstChild, state.server ? `fanout ${state.server.version}` : "");
  text(foot.lastChild, state.groups.length > 0 ? plural(state.groups.length, "group") + (state.groups[0].server ? ` on ${state.groups[0].server}` : "") : "");
}

function updateTally() {
  const counts = new Map();
  for (const g of state.groups) counts.set(g.verdict.code, (counts.get(g.verdict.code) ?? 0) + 1);
  const order = ["bad", "warn", "calm", "good"];
  const list = [...counts].sort((a, b) => order.indexOf(tone(a[0])) - order.indexOf(tone(b[0])));
  while (tally.childElementCount > list.length) tally.lastChild.remove();
  while (tally.childElementCount < list.length) tally.append(h("span", {}));
  list.forEach(([code, n], i) => {
    attr(tally.children[i], "data-tone", tone(code));
    text(tally.children[i], `${n} ${verdictName(code)}`);
  });
  const worst = list[0]?.[0];
  document.title = worst && tone(worst) !== "good" ? `${verdictName(worst)} · fanout` : "fanout";
}

// lockView asks for the token. It is kept for this tab, and sent as a header.
function lockView() {
  const field = h("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const note = h("p", { class: "fault", role: "alert", hidden: true }, "This token is not the one. It is admin.token of the manifest, or what admin.token_file holds.");
  const form = h("form", { class: "lock", hidden: true, submit: (e) => {
    e.preventDefault();
    if (field.value.trim() === "") return;
    token.set(field.value.trim());
    field.value = "";
    tried = state.refusals;
    connect();
  } },
  h("h1", {}, "This server wants its token"),
  h("label", { for: "token" }, "Token"),
  h("div", { class: "row" }, field, h("button", { type: "submit", class: "primary" }, "Unlock")),
  note, h("p", { class: "note" }, "It is kept in this tab until it is closed, and sent to this server alone."));
  let tried = Infinity; // refusals when a token was given
  let was = false;
  subscribe(() => {
    if (!state.locked) tried = Infinity;
    show(note, state.refusals > tried);
    if (state.locked && !was) requestAnimationFrame(() => field.focus());
    was = state.locked;
  });
  return { node: form };
}

addEventListener("hashchange", () => {
  route();
  main.focus({ preventScroll: true });
});
subscribe(update);
setInterval(tick, 1000);
route();
connect();
changed();
