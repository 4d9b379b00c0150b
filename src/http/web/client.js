// The client of the protocol: holds the channels that are wanted, and nothing else. Channels are
// asked for and given up in as few requests as possible; one that broke a rule is given up and
// asked for anew.

import { Channel, Violation } from "./channel.js";
import { Connection } from "./connection.js";

const CHANNELS_PER_REQUEST = 500; // well within message_bytes of any server
const RETRY_MS = 5000; // of a channel that may come later
const MISTRUST_MS_MAX = 30000; // between two tries; right for longer than that, and all is forgiven

export class Client {
  // The options of Connection, but on: {status(), hello(params), data(channel, type, params,
  // at_us), channel(channel), violation(channel, text), probe(...)}.
  constructor({ on, ...options }) {
    this.on = on;
    this.clock = options.clock;
    this.connection = new Connection({
      ...options,
      on: {
        status: () => this.#status(),
        open: () => this.reconcile(),
        notification: (method, params, at_us) => this.#notification(method, params, at_us),
        probe: (...times) => on.probe(...times),
      },
    });
    this.hello = null;
    this.wanted = new Set();
    this.channels = new Map(); // name -> {channel, phase}: asked, open, closing
    this.refused = new Map(); // name -> {code, message, retry_at_ms}
    this.doubts = new Map(); // name -> {count, until_ms}
    this.resume = new Map(); // name -> the trades that the last connection left
    this.violations = 0;
    this.timer = null;
  }

  start() {
    this.connection.start();
  }

  get open() {
    return this.connection.phase === "open";
  }

  // The channel under its full name, if the server confirmed it on this connection.
  channel(name) {
    const entry = this.channels.get(name);
    return entry?.phase === "open" ? entry.channel : null;
  }

  // From now on these names, complete, and no others.
  want(names) {
    this.wanted = new Set(names);
    for (const name of this.refused.keys()) {
      if (!this.wanted.has(name))
        this.refused.delete(name);
    }
    this.reconcile();
  }

  // Ask for what is missing and give up what is not wanted. What is under way is looked at again
  // when its reply comes.
  reconcile() {
    if (!this.open)
      return;
    const ask = [];
    const drop = [];
    for (const [name, entry] of this.channels) {
      if (entry.phase === "open" && !this.wanted.has(name))
        drop.push(name);
    }
    let next_ms = Infinity;
    for (const name of this.wanted) {
      const at_ms = this.#due(name);
      if (this.channels.has(name))
        continue;
      if (at_ms <= this.clock.now_ms())
        ask.push(name);
      else
        next_ms = Math.min(next_ms, at_ms);
    }
    this.#each(drop, (names) => this.#unsubscribe(names));
    this.#each(ask, (names) => this.#subscribe(names));
    this.#later(next_ms);
  }

  // When a wanted channel may be asked for.
  #due(name) {
    return Math.max(this.refused.get(name)?.retry_at_ms ?? 0, this.doubts.get(name)?.until_ms ?? 0);
  }

  #later(at_ms) {
    clearTimeout(this.timer);
    if (at_ms !== Infinity)
      this.timer = setTimeout(() => this.reconcile(), at_ms - this.clock.now_ms());
  }

  #each(names, send) {
    for (let i = 0; i < names.length; i += CHANNELS_PER_REQUEST)
      send(names.slice(i, i + CHANNELS_PER_REQUEST));
  }

  #subscribe(names) {
    const resume = {};
    for (const name of names) {
      const channel = this.resume.get(name) ?? new Channel(name);
      this.resume.delete(name);
      if (channel.position !== null)
        resume[name] = channel.position;
      this.channels.set(name, { channel, phase: "asked" });
    }
    const some = Object.keys(resume).length > 0;
    const params = some ? { channels: names, resume } : { channels: names };
    this.connection.request("subscribe", params, (error, reply) => {
      if (error !== null)
        names.forEach((name) => this.#refuse(name, error));
      else
        this.#answered(reply.result);
      this.reconcile();
    });
  }

  #answered({ subscribed, failed }) {
    for (const description of subscribed) {
      const entry = this.channels.get(description.channel);
      if (entry === undefined)
        continue;
      entry.channel.describe(description, false);
      entry.phase = "open";
      this.refused.delete(description.channel);
      this.on.channel(entry.channel);
    }
    for (const failure of failed)
      this.#refuse(failure.channel, failure);
  }

  #refuse(name, { code, message, retryable }) {
    const retry_at_ms = retryable ? this.clock.now_ms() + RETRY_MS : Infinity;
    this.channels.delete(name);
    this.refused.set(name, { code, message, retry_at_ms });
    this.on.status();
  }

  #unsubscribe(names) {
    for (const name of names)
      this.channels.get(name).phase = "closing";
    this.connection.request("unsubscribe", { channels: names }, () => {
      names.forEach((name) => this.channels.delete(name));
      this.reconcile();
    });
  }

  #status() {
    if (!this.open)
      this.#forget();
    this.on.status();
  }

  // The connection is gone, and with it every channel; trades may be resumed where they stand.
  #forget() {
    clearTimeout(this.timer);
    for (const [name, { channel, phase }] of this.channels) {
      // Asked again and not answered yet: it still stands where it stood before.
      if (channel.kind === "trades" && phase !== "closing" && channel.position !== null)
        this.resume.set(name, channel);
    }
    for (const name of this.resume.keys()) {
      if (!this.wanted.has(name))
        this.resume.delete(name);
    }
    this.channels.clear();
    this.refused.clear();
    this.hello = null;
  }

  #notification(method, params, at_us) {
    switch (method) {
    case "hello":
      this.hello = params;
      this.on.hello(params);
      break;
    case "subscription":
    case "subscribed":
    case "lag":
    case "gap":
      this.#ofChannel(method, params, at_us);
      break;
    case "unsubscribed":
      this.#refuse(params.channel, { code: params.code, message: "ended by the server",
                                     retryable: params.retryable ?? true });
      this.reconcile();
      break;
    default: // heartbeat, and what later versions have: being alive is all it says here
    }
  }

  // What still comes of a channel that was given up is not looked at.
  #ofChannel(method, params, at_us) {
    const channel = this.channel(params.channel);
    if (channel === null)
      return;
    try {
      this.#apply(channel, method, params, at_us);
    } catch (error) {
      if (!(error instanceof Violation))
        throw error;
      this.#distrust(channel, error.message);
    }
  }

  #apply(channel, method, params, at_us) {
    if (method === "subscribed") {
      channel.describe(params, true);
      this.on.channel(channel);
    } else if (method === "lag") {
      this.on.data(channel, "lag", params, at_us);
    } else if (method === "gap") {
      channel.gap(params);
      this.on.data(channel, "gap", params, at_us);
    } else {
      const type = channel.take(params);
      if (type !== null)
        this.on.data(channel, type, params, at_us);
    }
  }

  #distrust(channel, text) {
    const now_ms = this.clock.now_ms();
    const last = this.doubts.get(channel.name);
    const again = last !== undefined && now_ms < last.until_ms + MISTRUST_MS_MAX;
    const count = again ? last.count + 1 : 1;
    const wait_ms = count === 1 ? 0 : Math.min(MISTRUST_MS_MAX, 500 * 2 ** count);
    this.doubts.set(channel.name, { count, until_ms: now_ms + wait_ms });
    this.violations += 1;
    this.on.violation(channel, text);
    this.#unsubscribe([channel.name]);
  }
}
