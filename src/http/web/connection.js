// One WebSocket that is kept up: connects, connects again after a random wait that grows, matches
// replies to requests, and notices a dead line by pings of its own (a browser hides the others).

const OPEN = 1; // WebSocket.OPEN
const WAIT_FIRST_MS = 500;
const WAIT_MAX_MS = 15000;
const WAIT_MIN_MS = 200;
const SETTLED_MS = 10000; // open for so long: the next loss starts with a short wait again
const CONNECT_MS_MAX = 10000;
const PING_EVERY_MS = 5000;
const PONG_MS_MAX = 10000;
const PROBES_FIRST = 8; // pings at the start, for the clock offset
const PROBE_EVERY_MS = 120;

// We said something wrong, and would again. 4500 to 4599: not wanted here.
const OURS_TO_MEND = new Set([1002, 1003, 1007, 1009, 4429]);

export function mayReturn(code) {
  return !OURS_TO_MEND.has(code) && !(code >= 4500 && code <= 4599);
}

// "Full jitter": anything up to a bound that doubles. Many pages then do not come back at once.
export function backoff(attempt, random) {
  const bound = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.max(WAIT_MIN_MS, random() * bound);
}

export class Connection {
  // find: async, the URL; an error that has `final` set ends all tries. open: makes a WebSocket.
  // clock: {now_ms(), wall_us()}. on: {status(), open(), notification(method, params, at_us),
  // probe(t0, t1, us_in, us_out)}. random: of [0, 1).
  constructor({ find, open, clock, on, random = Math.random }) {
    Object.assign(this, { find, open, clock, on, random });
    this.phase = "idle"; // idle connecting open waiting stopped unserved
    this.detail = ""; // why it is waiting or stopped
    this.retry_at_ms = null;
    this.attempt = 0;
    this.socket = null;
    this.round = 0; // of connecting; what belongs to an older one is ignored
    this.timer = null;
    this.requests = new Map();
    this.next_id = 1;
  }

  // Connect now, whatever it was waiting for.
  start() {
    if (this.phase === "connecting" || this.phase === "open")
      return;
    clearTimeout(this.timer);
    const round = ++this.round;
    this.#become("connecting", "");
    this.timer = setTimeout(() => this.#lost(round, 0, "no answer"), CONNECT_MS_MAX);
    this.find().then((url) => this.#dial(round, url),
                     (error) => this.#unfound(round, error));
  }

  // done(error, reply): error is {code, message, retryable}, else null; the reply has result, us_in
  // and us_out. Called before any message that came after the reply.
  request(method, params, done) {
    const id = this.next_id++;
    this.requests.set(id, { done, sent_us: this.clock.wall_us() });
    if (this.socket.readyState === OPEN) // else it is closing, and its end is about to be told
      this.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
  }

  #become(phase, detail) {
    this.phase = phase;
    this.detail = detail;
    this.on.status();
  }

  #dial(round, url) {
    if (round !== this.round)
      return;
    let socket;
    try {
      socket = this.open(url);
    } catch (error) {
      this.#lost(round, 0, error.message);
      return;
    }
    this.socket = socket;
    socket.onopen = () => this.#opened(round);
    socket.onmessage = (event) => round === this.round && this.#message(event.data);
    socket.onclose = (event) => this.#lost(round, event.code, event.reason);
  }

  #opened(round) {
    if (round !== this.round)
      return;
    clearTimeout(this.timer);
    this.opened_ms = this.clock.now_ms();
    this.#become("open", "");
    this.on.open();
    this.#ping(round, PROBES_FIRST);
  }

  // One ping after the other: a reply that does not come in time means that the line is dead.
  #ping(round, quick) {
    if (round !== this.round)
      return;
    this.timer = setTimeout(() => this.#lost(round, 0, "the server does not answer"), PONG_MS_MAX);
    this.request("ping", undefined, () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#ping(round, Math.max(0, quick - 1)),
                              quick > 0 ? PROBE_EVERY_MS : PING_EVERY_MS);
    });
  }

  #unfound(round, error) {
    if (!error.final) {
      this.#lost(round, 0, error.message);
    } else if (round === this.round) {
      clearTimeout(this.timer);
      this.round += 1;
      this.#become("unserved", error.message);
    }
  }

  #lost(round, code, why) {
    if (round !== this.round)
      return;
    clearTimeout(this.timer);
    this.round += 1;
    const was_open = this.phase === "open";
    if (was_open && this.clock.now_ms() - this.opened_ms >= SETTLED_MS)
      this.attempt = 0;
    const socket = this.socket;
    this.socket = null;
    if (socket !== null && code === 0)
      socket.close();
    this.requests.clear();
    const detail = why || (was_open ? "the connection was lost" : "the server can't be reached");
    if (!mayReturn(code)) {
      this.#become("stopped", `${detail} (${code})`);
      return;
    }
    const wait_ms = backoff(this.attempt++, this.random);
    this.retry_at_ms = this.clock.now_ms() + wait_ms;
    this.timer = setTimeout(() => this.start(), wait_ms);
    this.#become("waiting", detail);
  }

  #message(text) {
    const at_us = this.clock.wall_us();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // not of this protocol
    }
    if (typeof message.method === "string")
      this.on.notification(message.method, message.params ?? {}, at_us);
    else
      this.#reply(message, at_us);
  }

  #reply(message, at_us) {
    const request = this.requests.get(message.id);
    if (request === undefined)
      return;
    this.requests.delete(message.id);
    this.on.probe(request.sent_us, at_us, message.us_in, message.us_out);
    request.done(message.error ?? null, message);
  }
}
