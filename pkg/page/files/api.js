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

function headers(more) {
  const t = token.get();
  return t ? { ...more, Authorization: "Bearer " + t } : more;
}

async function problemOf(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    // what stands between us and the server has answered
  }
  return new Problem(response.status, body);
}

// ask sends a request and returns the answer's JSON.
export async function ask(method, path, body, signal) {
  let response;
  try {
    response = await fetch(path, {
      method, signal, cache: "no-store", credentials: "omit",
      headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    throw new Problem(0, { error: "the server cannot be reached", hint: "see whether fanout runs" });
  }
  if (!response.ok) throw await problemOf(response);
  return response.json();
}

export const get = (path, signal) => ask("GET", path, undefined, signal);

// group is the path of a group, or of something below it.
export function group(name, rest = "") {
  return "/v1/groups/" + encodeURIComponent(name) + rest;
}

const firstRetry = 1000, lastRetry = 10_000; // ms

// follow reads a stream until close is called, and comes back when it ends:
//
//   open()                    it is connected
//   message(name, data, id)   an event; data is its JSON
//   lost(problem, retryAt)    it is not; a 401 is final
//
// silence is after how many ms without a byte the connection counts as dead.
export function follow(path, { open, message, lost, silence = 20_000 }) {
  let ended = false, abort = null, timer = 0, failures = 0, lastID = "";

  async function connect() {
    abort = new AbortController();
    let heard = Date.now();
    const watchdog = setInterval(() => {
      if (Date.now() - heard > silence) abort.abort();
    }, 1000);
    let fault = new Problem(0, { error: "the connection has ended", hint: "" });
    try {
      const response = await fetch(path, {
        signal: abort.signal, cache: "no-store", credentials: "omit",
        headers: headers(lastID ? { Accept: "text/event-stream", "Last-Event-ID": lastID } : { Accept: "text/event-stream" }),
      });
      if (!response.ok) throw await problemOf(response);
      open?.();
      failures = 0;
      const parse = parser((name, data, id) => {
        if (id !== undefined) lastID = id;
        if (data !== null) message(name, data, id);
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || ended) break;
        heard = Date.now();
        parse(value);
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
    lost?.(fault, Date.now() + wait);
    timer = setTimeout(connect, wait);
  }

  connect();
  return {
    close() {
      ended = true;
      clearTimeout(timer);
      abort?.abort();
    },
  };
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
        value = JSON.parse(data);
      } catch {
        continue; // a server that is none of ours
      }
      give(name, value, id);
    }
    rest = rest.slice(begin);
  };
}
