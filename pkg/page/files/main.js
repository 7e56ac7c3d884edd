// The frame of the page: navigation, how old what it shows is, the token, and the
// view that the address names.

import { token } from "./api.js";
import { attr, button, h, show, text } from "./dom.js";
import { mount as eventsView } from "./events.js";
import { clock, plural, span } from "./format.js";
import { mount as groupView } from "./group.js";
import { mount as groupsView } from "./groups.js";
import { mount as marketView } from "./market.js";
import { tone, verdictName } from "./parts.js";
import { changed, connect, state, subscribe } from "./store.js";

const stale = 4000; // ms without news after which what is shown is called old

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
const signOut = button("Forget token", () => {
  token.clear();
  connect();
}, { class: "link", hidden: true });
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
  alarm, lock.node, main, foot);

let view = null;

function route() {
  const at = location.hash.slice(1) || "/";
  for (const v of views) {
    const parts = partsOf(v.pattern.exec(at));
    if (!parts) continue;
    view?.unmount?.();
    main.replaceChildren();
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
  show(signOut, token.get() !== "");
  tick();
  updateTally();
  if (!state.locked) view?.update?.();
}

// tick says how old what is shown is; it also runs when nothing comes.
function tick() {
  const age = state.at ? Date.now() - state.at : null;
  const old = age === null || age > stale;
  const live = state.connected && !old;
  attr(light, "data-tone", live ? "good" : "bad");
  text(light.lastChild, live ? "live" : state.connected ? "waiting" : "disconnected");
  attr(light, "title", age === null ? "" : `as of ${clock(state.at)}`);
  document.documentElement.classList.toggle("stale", !live && state.at > 0);
  const why = state.problem && state.problem.status !== 401 ? `: ${state.problem.message}` : "";
  const next = state.retryAt ? ` Next try in ${span((state.retryAt - Date.now()) / 1000)}.` : "";
  const asOf = state.at ? ` What you see is ${span(age / 1000)} old, as of ${clock(state.at)}.` : "";
  show(alarm, !live && !state.locked && (state.at > 0 || state.problem !== null));
  if (!alarm.hidden) text(alarm, state.connected ? `Nothing comes from the server.${asOf}` : `Disconnected${why}.${asOf}${next}`);
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
    tried = true;
    connect();
  } },
  h("h1", {}, "This server wants its token"),
  h("label", { for: "token" }, "Token"),
  h("div", { class: "row" }, field, h("button", { type: "submit", class: "primary" }, "Unlock")),
  note, h("p", { class: "note" }, "It is kept in this tab until it is closed, and sent to this server alone."));
  let tried = false;
  let was = false;
  subscribe(() => {
    if (state.connected) tried = false;
    show(note, tried && state.locked);
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
