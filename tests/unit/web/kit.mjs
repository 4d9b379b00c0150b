// What the tests of the page's modules share: a clock that is turned by hand, a socket that is fed
// by hand, and messages as PROTOCOL.md has them.

export const WEB = "../../../src/http/web/";

export const VECTORS = {
  first: {
    b: [["64012.33", "0.50000000"], ["64011.90", "1.00000000"], ["64010.00", "1.25000000"]],
    a: [["64012.34", "0.12000000"], ["64013.01", "0.30000000"]],
  },
  change: { b: [["64011.90", "0.00000000"]], a: [] },
  cs: { first: 1905641782, changed: 1006567732, at_depth_1: 2172007027 },
};

export const BOOK = "book.sim.BTC-USD.10.100ms";
export const TRADES = "trades.sim.BTC-USD.raw";
export const BBO = "bbo.sim.BTC-USD.raw";

export function described(channel, more = {}) {
  return { channel, sid: 7, epoch: "e1", seq: 5, px_dp: 2, sz_dp: 8, recovered: null, ...more };
}

export function snapshot(channel, seq, data, more = {}) {
  return { channel, type: "snapshot", epoch: "e1", seq, prev: null, state: "live",
           te: null, ti: 1, tp: 2, data, ...more };
}

export function update(channel, prev, seq, data, more = {}) {
  return { channel, type: "update", seq, prev, te: null, ti: 1, tp: 2, data, ...more };
}

export function stated(channel, state, reason) {
  const params = { channel, type: "state", seq: 0, state, te: null, ti: 1, tp: 1 };
  return reason === undefined ? params : { ...params, reason };
}

export function trade(id) {
  return { id: String(id), px: "10.00", sz: "1.00000000", side: "buy", te: 1 };
}

export const trades = (...ids) => ids.map(trade);

export class FakeSocket {
  constructor(url) {
    this.url = url;
    this.sent = [];
    this.closed = false;
    this.readyState = 1;
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closed = true;
  }

  say(message) {
    this.onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }

  notify(method, params) {
    this.say({ jsonrpc: "2.0", method, params });
  }

  data(params) {
    this.notify("subscription", params);
  }

  // Requests of that method since the last look.
  take(method) {
    const found = this.sent.filter((request) => request.method === method);
    this.sent = this.sent.filter((request) => request.method !== method);
    return found;
  }

  reply(request, result) {
    this.say({ jsonrpc: "2.0", id: request.id, us_in: 1, us_out: 2, result });
  }

  fail(request, error) {
    this.say({ jsonrpc: "2.0", id: request.id, us_in: 1, us_out: 2, error });
  }
}

// Time that moves when it is told to: installed in place of setTimeout and clearTimeout.
export class FakeTime {
  constructor() {
    this.ms = 1000;
    this.timers = new Map();
    this.next = 1;
    globalThis.setTimeout = (run, wait_ms) => {
      this.timers.set(this.next, { run, at_ms: this.ms + wait_ms });
      return this.next++;
    };
    globalThis.clearTimeout = (id) => this.timers.delete(id);
  }

  get clock() {
    return { now_ms: () => this.ms, wall_us: () => 1.79e15 + this.ms * 1000 };
  }

  pass(span_ms) {
    const end_ms = this.ms + span_ms;
    for (;;) {
      const due = [...this.timers].filter(([, { at_ms }]) => at_ms <= end_ms)
        .sort(([, a], [, b]) => a.at_ms - b.at_ms)[0];
      if (due === undefined)
        break;
      this.timers.delete(due[0]);
      this.ms = due[1].at_ms;
      due[1].run();
    }
    this.ms = end_ms;
  }
}

// Lets everything happen that waits for a promise.
export const settle = () => new Promise((resolve) => setImmediate(resolve));
