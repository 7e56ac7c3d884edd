// The admin server's API: requests, and streams of server-sent events. EventSource
// cannot send the token, so streams are read from fetch.

const key = "fanout.token";

// token is what the server wants to see, for this tab alone.
export const token = {
  get: () => sessionStorage.getItem(key) ?? "",
  set: (value) => sessionStorage.setItem(key, value),
  clear: () => sessionStorage.removeItem(key),
};

// Problem is an answer that says what is wrong and what to do.
export class Problem extends Error {
  constructor(status, body) {
    super(body?.error ?? `the server answers ${status}`);
    this.status = status;
    this.hint = body?.hint ?? "";
    this.faults = body?.faults ?? [];
  }
}

const headers = (more, t) => (t ? { ...more, Authorization: "Bearer " + t } : more);

let refused = () => {};

// onRefused has fn called when the server does not take the token.
export function onRefused(fn) {
  refused = fn;
}

async function problemOf(response, shown) {
  if (response.status === 401 && shown === token.get()) refused();
  let body = null;
  try {
    body = await response.json();
  } catch {
    // what stands between us and the server has answered
  }
  return new Problem(response.status, body);
}

// ask sends a request and returns the answer's JSON. It waits for that as long as
// timeout says, in ms; 0 is for as long as it takes.
export async function ask(method, path, body, { signal, timeout = 0 } = {}) {
  const shown = token.get(), abort = new AbortController();
  const cancel = () => abort.abort();
  signal?.addEventListener("abort", cancel);
  if (signal?.aborted) cancel();
  const timer = timeout && setTimeout(cancel, timeout);
  try {
    const response = await fetch(path, {
      method, signal: abort.signal, cache: "no-store", credentials: "omit",
      headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }, shown),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw await problemOf(response, shown);
    return await response.json();
  } catch (err) {
    if (err instanceof Problem || signal?.aborted) throw err;
    if (abort.signal.aborted) throw new Problem(0, { error: `no answer came within ${timeout / 1000} s`, hint: "the server, or the way to it, is busy" });
    throw new Problem(0, { error: "the server cannot be reached", hint: "see whether fanout runs" });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

export const get = (path, { signal, timeout = 5000 } = {}) => ask("GET", path, undefined, { signal, timeout });

// group is the path of a group, or of something below it.
export function group(name, rest = "") {
  return "/v1/groups/" + encodeURIComponent(name) + rest;
}

// A browser opens six connections to a server for all windows of the page together.
// takePlace gives one of so many places of a name, for the caller to give back by
// calling it, or null: streams that wait for one leave connections for requests.
async function takePlace({ name, most }) {
  if (!navigator.locks) return () => {}; // the page has come over plain HTTP from another machine
  for (let i = 0; i < most; i++) {
    const giveBack = await new Promise((taken) => {
      navigator.locks.request(`fanout ${name} ${i}`, { ifAvailable: true }, (lock) =>
        lock ? new Promise((end) => { taken(end); }) : taken(null));
    });
    if (giveBack) return giveBack;
  }
  return null;
}

const firstRetry = 1000, lastRetry = 10_000, placeRetry = 2000; // ms

// follow reads a stream until close is called, and comes back when it ends:
//
//   open()                    it is connected
//   message(name, data, id)   an event; data is its JSON
//   lost(problem, retryAt)    it is not; a 401 is final
//
// silence() is after how many ms without a byte the connection counts as dead.
// places are how many windows may follow at once, by a name. after is the ID after
// which it begins; lastID() is the one that has come last.
export function follow(path, { open, message, lost, silence, places, after = "" }) {
  let ended = false, abort = null, timer = 0, failures = 0, lastID = after, giveBack = null;

  async function connect() {
    if (!giveBack) {
      giveBack = await takePlace(places);
      if (ended) return giveBack?.();
      if (!giveBack) {
        timer = setTimeout(connect, placeRetry);
        return lost?.(new Problem(0, { error: `${places.most} other windows of this page follow the ${places.name}, a browser has no connections for more`, hint: "close one of them" }), null);
      }
    }
    abort = new AbortController();
    const shown = token.get();
    let heard = Date.now();
    const watchdog = setInterval(() => {
      if (Date.now() - heard > silence()) abort.abort();
    }, 1000);
    let fault = new Problem(0, { error: "the connection has ended", hint: "" });
    try {
      const response = await fetch(path, {
        signal: abort.signal, cache: "no-store", credentials: "omit",
        headers: headers(lastID ? { Accept: "text/event-stream", "Last-Event-ID": lastID } : { Accept: "text/event-stream" }, shown),
      });
      if (!response.ok) throw await problemOf(response, shown);
      if (ended) return;
      open?.();
      failures = 0;
      const take = parser((name, data, id) => {
        if (id !== undefined) lastID = id;
        if (data !== null && !ended) message(name, data, id);
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || ended) break;
        heard = Date.now();
        take(value);
        if (ended) break; // by what has come
      }
    } catch (err) {
      if (err instanceof Problem) fault = err;
    } finally {
      clearInterval(watchdog);
      abort.abort();
    }
    if (ended) return;
    if (fault.status === 401) {
      lost?.(fault, null);
      return;
    }
    const wait = Math.min(lastRetry, firstRetry * 2 ** failures++) * (0.8 + Math.random() * 0.4);
    timer = setTimeout(connect, wait);
    lost?.(fault, Date.now() + wait);
  }

  connect();
  return {
    lastID: () => lastID,
    close() {
      ended = true;
      clearTimeout(timer);
      abort?.abort();
      giveBack?.();
    },
  };
}

// parse reads JSON; integers that are no longer exact as numbers are texts.
function parse(data) {
  if (!/\d{16}/.test(data)) return JSON.parse(data);
  return JSON.parse(data, (_, v, at) => (typeof v === "number" && !Number.isSafeInteger(v) && /^-?\d+$/.test(at?.source ?? "") ? at.source : v));
}

// parser takes pieces of a stream and gives its events; data is null for one
// that has only an ID.
export function parser(give) {
  let rest = "";
  return (piece) => {
    rest += piece;
    let begin = 0;
    for (let end; (end = rest.indexOf("\n\n", begin)) >= 0; begin = end + 2) {
      let name = "message", data = "", id, any = false;
      for (const line of rest.slice(begin, end).split("\n")) {
        if (line.startsWith("data: ")) {
          data += line.slice(6);
          any = true;
        } else if (line.startsWith("event: ")) name = line.slice(7);
        else if (line.startsWith("id: ")) id = line.slice(4);
      }
      if (!any) {
        if (id !== undefined) give(name, null, id);
        continue;
      }
      let value;
      try {
        value = parse(data);
      } catch {
        continue; // a server that is none of ours
      }
      give(name, value, id);
    }
    rest = rest.slice(begin);
  };
}
