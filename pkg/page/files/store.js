// What the page knows: the groups as the server told last, their history, the
// newest events, and whether it is connected. Views subscribe to it.

import { follow, get, onRefused, token } from "./api.js";
import { sum } from "./format.js";

const historySeconds = 600, keptEvents = 500;

export const state = {
  server: null, // version, read_only
  groups: [],
  reload: null, // what became of the latest one
  events: [], // newest first
  missed: 0, // events
  at: 0, // when the groups came, by this clock; 0: never
  pace: 1000, // between two lists of them, ms: those of many groups come less often
  skew: 0, // the server's clock less this one, ms
  connected: false,
  problem: null, // why it is not connected
  retryAt: null,
  locked: false, // the token is missing or wrong: nothing is known
  refusals: 0, // of tokens
};

const listeners = new Set();
const histories = new Map(); // by group
let scheduled = false, stream = null, eventNumber = 0;

// subscribe calls fn after each change, at most once a frame. It returns what
// ends that.
export function subscribe(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

// changed asks for a call of the listeners.
export function changed() {
  if (scheduled) return;
  scheduled = true;
  const run = () => {
    if (!scheduled) return;
    scheduled = false;
    for (const fn of [...listeners]) fn();
  };
  requestAnimationFrame(run);
}

// serverNow is the time by the server's clock.
export const serverNow = () => Date.now() + state.skew;

export const groupOf = (name) => state.groups.find((g) => g.name === name) ?? null;

// history of a group: the newest 10 minutes, one sample a second, oldest first.
export const history = (name) => histories.get(name) ?? [];

// connect follows the server while the page is seen, and not otherwise: a browser
// has few connections for all tabs together.
export function connect() {
  stream?.close();
  stream = null;
  if (document.hidden) return;
  const first = state.events.length === 0;
  stream = follow("/v1/watch?recent=" + (first ? 200 : 100), {
    open() {
      state.connected = true;
      state.locked = false;
      state.problem = state.retryAt = null;
      changed();
    },
    message,
    lost(problem, retryAt) {
      state.connected = false;
      state.problem = problem;
      state.retryAt = retryAt;
      changed();
    },
    silence: () => Math.max(15_000, 4 * state.pace),
    places: { name: "groups", most: 3 },
  });
}

// lock forgets all that is known, until a token is taken.
function lock() {
  stream?.close();
  stream = null;
  Object.assign(state, { server: null, groups: [], reload: null, events: [], missed: 0, at: 0, connected: false, problem: null, retryAt: null, locked: true });
  histories.clear();
  noted.clear();
  config = null;
  changed();
}

onRefused(() => {
  state.refusals++;
  lock();
});

// forget takes the token away from this tab, and what it has shown.
export function forget() {
  token.clear();
  lock();
  connect();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.close();
    stream = null;
    state.connected = false;
  } else connect();
});

function message(name, data) {
  switch (name) {
    case "server":
      state.server = data;
      state.pace = data.pace_ms;
      state.skew = Date.parse(data.time) - Date.now();
      break;
    case "groups":
      state.groups = data.groups;
      state.reload = data.reload ?? null;
      state.at = Date.now();
      state.pace = data.pace_ms;
      state.skew = Date.parse(data.time) - state.at;
      for (const g of data.groups) remember(g, Math.floor(Date.parse(data.time) / 1000));
      for (const name of histories.keys()) {
        if (!data.groups.some((g) => g.name === name)) histories.delete(name);
      }
      break;
    case "dropped":
      state.missed += data.dropped;
      break;
    case "message":
      note(data);
      break;
  }
  changed();
}

// absorb takes a group as an answer has told it, before the next look at all.
export function absorb(group) {
  state.groups = state.groups.map((g) => (g.name === group.name ? group : g));
  changed();
}

const noted = new Set(); // what the kept events say

// note takes an event, once: those that came before the connection was lost come
// again.
function note(e) {
  const says = `${e.time} ${e.group} ${e.text}`;
  if (noted.has(says)) return;
  noted.add(says);
  e.number = ++eventNumber;
  e.says = says;
  state.events.unshift(e);
  while (state.events.length > keptEvents) noted.delete(state.events.pop().says);
  if (e.kind === "reload") config = null;
}

// remember adds a sample a second to the history of a group. The first ones are
// those that the server kept.
function remember(g, second) {
  let list = histories.get(g.name);
  if (!list) {
    const n = g.backlog_history.length;
    list = g.backlog_history.map((backlog, i) => ({ second: second - n + i, backlog, settled: null, added: null }));
    histories.set(g.name, list);
  }
  const sample = {
    second, backlog: g.backlog ?? null,
    settled: g.rates.ten_seconds.settled, added: g.rates.ten_seconds.added,
  };
  const last = list[list.length - 1];
  if (last && last.second >= second) list[list.length - 1] = sample;
  else list.push(sample);
  while (list.length > 0 && list[0].second <= second - historySeconds) list.shift();
}

let config = null, configFor = "";

// manifest is the one that runs. It is asked for again when groups have come, gone
// or started anew.
export async function manifest() {
  const now = state.groups.map((g) => g.name + " " + g.incarnation).join("\n");
  if (!config || configFor !== now) {
    config = await get("/v1/config");
    configFor = now;
  }
  return config;
}

// restarts of a group, in all.
export const restartsOf = (g) => sum(g.restarts);
