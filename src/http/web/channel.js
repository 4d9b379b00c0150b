// What the client holds of one subscribed channel, and the rules by which messages change it. A
// message that breaks a rule throws a Violation; the remedy is to subscribe anew.

import { Book } from "./book.js";

const TRADES_KEPT = 200;

export class Violation extends Error {}

function require(holds, text) {
  if (!holds)
    throw new Violation(text);
}

export class Channel {
  // name is the full one: kind.venue.symbol[.depth].rate
  constructor(name) {
    const fields = name.split(".");
    this.name = name;
    this.kind = fields[0];
    this.depth = this.kind === "book" ? Number(fields.at(-2)) : 0;
    this.epoch = null;
    this.dp = { px: 0, sz: 0 };
    this.seq = null; // what is held; null: nothing yet, a snapshot must come first
    this.state = null;
    this.reason = null;
    this.fresh = false; // has the data come that goes with the state?
    this.data = null; // of ticker and bbo: the latest
    this.book = this.kind === "book" ? new Book() : null;
    this.trades = []; // newest last; {gap: count} where trades are missing
    this.verified = 0; // checksums that were right
  }

  get chained() {
    return this.kind === "book" || this.kind === "trades";
  }

  // After a resync the book and the bbo come anew; until then there is nothing to show as live.
  get emptied() {
    return this.kind === "book" || this.kind === "bbo";
  }

  get usable() {
    return this.seq !== null && this.state === "live" && (this.fresh || !this.emptied);
  }

  get position() {
    return this.seq === null ? null : { epoch: this.epoch, seq: this.seq };
  }

  // An entry of a subscribe reply, or of a `subscribed` notification: new terms. A snapshot
  // follows, except where a resumed position holds, and where trades go on under another scale.
  describe(entry, notified) {
    const goes_on = notified ? this.kind === "trades" && entry.epoch === this.epoch
                             : entry.recovered === true;
    this.epoch = entry.epoch;
    this.dp = { px: entry.px_dp, sz: entry.sz_dp };
    if (entry.depth_max !== undefined)
      this.depth = entry.depth_max;
    if (!goes_on)
      this.seq = null;
  }

  // The params of a data message. Returns its type, or null for one that is not known here.
  take(params) {
    const type = params.type;
    if (type !== "snapshot" && type !== "update" && type !== "state")
      return null;
    if (type === "update")
      this.#check(params);
    if ("state" in params) {
      this.state = params.state;
      this.reason = params.reason ?? null;
    }
    if (type === "state") {
      this.fresh = this.fresh && params.state !== "resync";
      return type;
    }
    if (type === "snapshot")
      this.epoch = params.epoch;
    this.#keep(params, type === "snapshot");
    this.seq = params.seq;
    return type;
  }

  #check(params) {
    require(this.seq !== null, "an update before the snapshot");
    if (this.chained)
      require(params.prev === this.seq, `an update from ${params.prev}, and ${this.seq} is held`);
    if (this.kind === "trades")
      require(params.data.length === params.seq - params.prev, "trades are missing in an update");
  }

  #keep(params, snapshot) {
    switch (this.kind) {
    case "book":
      this.#keepBook(params, snapshot);
      break;
    case "trades":
      this.trades = (snapshot ? params.data : this.trades.concat(params.data)).slice(-TRADES_KEPT);
      break;
    default:
      this.data = params.data;
      this.#freshen(snapshot, Object.values(params.data).some((value) => value !== null));
    }
  }

  #keepBook(params, snapshot) {
    try {
      if (snapshot)
        this.book.replace(params.data, this.depth, this.dp);
      else
        this.book.merge(params.data, this.depth, this.dp);
    } catch (error) {
      throw error instanceof RangeError ? new Violation(error.message) : error;
    }
    require(this.book.checksum() === params.cs, "the checksum does not match");
    this.verified += 1;
    this.#freshen(snapshot, !this.book.empty);
  }

  // A resync ends with `live` and the data behind it, or with data that are still `resync` and then
  // `live`. An empty snapshot during the resync is not the new book.
  #freshen(snapshot, filled) {
    const live = this.state === "live";
    this.fresh = snapshot ? live || filled : this.fresh || live;
  }

  // Trades are lost for good. By the server: their numbers are skipped. By the venue: they had
  // none.
  gap(params) {
    if (this.kind !== "trades" || this.seq === null)
      return;
    this.trades = this.trades.concat({ gap: params.count }).slice(-TRADES_KEPT);
    if (params.cause === "server") {
      require(params.from === this.seq, `a gap from ${params.from}, and ${this.seq} is held`);
      this.seq = params.to;
    }
  }
}
