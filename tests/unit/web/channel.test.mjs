import assert from "node:assert/strict";
import test from "node:test";
import { BBO, BOOK, TRADES, VECTORS, WEB, described, snapshot, stated, trades, update }
  from "./kit.mjs";

const { Channel, Violation } = await import(`${WEB}channel.js`);
const { conditionOf, age } = await import(`${WEB}condition.js`);

const { first, change, cs } = VECTORS;

function opened(name, entry = {}) {
  const channel = new Channel(name);
  channel.describe(described(name, entry), false);
  return channel;
}

function filledBook() {
  const channel = opened(BOOK);
  channel.take(snapshot(BOOK, 10, first, { cs: cs.first }));
  return channel;
}

const changed = (prev) => update(BOOK, prev, 12, change, { cs: cs.changed });

test("a book follows snapshot and update, and each checksum is verified", () => {
  const channel = filledBook();
  assert.equal(channel.take(changed(10)), "update");
  assert.equal(channel.seq, 12);
  assert.equal(channel.verified, 2);
  assert.equal(channel.usable, true);
});

test("an update that does not start at what is held is a violation", () => {
  for (const prev of [9, 11, null])
    assert.throws(() => filledBook().take(changed(prev)), Violation);
});

test("an update before the snapshot is a violation", () => {
  assert.throws(() => opened(BOOK).take(changed(10)), Violation);
  assert.throws(() => opened(BBO).take(update(BBO, null, 12, {})), Violation);
});

test("a wrong checksum is a violation, of snapshots too", () => {
  assert.throws(() => filledBook().take(update(BOOK, 10, 12, change, { cs: cs.first })), Violation);
  assert.throws(() => opened(BOOK).take(snapshot(BOOK, 10, first, { cs: 1 })), Violation);
});

test("a price finer than the scale is a violation", () => {
  const finer = { b: [["1.234", "1.00000000"]], a: [] };
  assert.throws(() => filledBook().take(update(BOOK, 10, 11, finer, { cs: 0 })), Violation);
});

test("a snapshot is the whole truth, also with a lower seq and a new epoch", () => {
  const channel = filledBook();
  channel.take(snapshot(BOOK, 3, { b: [], a: [] }, { cs: 0, epoch: "e2" }));
  assert.equal(channel.seq, 3);
  assert.equal(channel.epoch, "e2");
  assert.equal(channel.book.empty, true);
});

test("new terms make a book wait for its snapshot, and trades of the same epoch just go on", () => {
  const book = filledBook();
  book.describe(described(BOOK, { px_dp: 3 }), true);
  assert.throws(() => book.take(changed(10)), Violation);
  const channel = opened(TRADES);
  channel.take(snapshot(TRADES, 2, trades(1, 2)));
  channel.describe(described(TRADES, { px_dp: 3 }), true);
  channel.take(update(TRADES, 2, 3, trades(3)));
  channel.describe(described(TRADES, { epoch: "e2" }), true);
  assert.equal(channel.seq, null);
});

test("a resumed position holds when it was recovered, and is given up when not", () => {
  const channel = opened(TRADES);
  channel.take(snapshot(TRADES, 2, trades(1, 2)));
  assert.deepEqual(channel.position, { epoch: "e1", seq: 2 });
  channel.describe(described(TRADES, { recovered: true, replayed: 1 }), false);
  channel.take(update(TRADES, 2, 3, trades(3)));
  assert.deepEqual(channel.trades.map(({ id }) => id), ["1", "2", "3"]);
  channel.describe(described(TRADES, { recovered: false, code: 4001 }), false);
  assert.equal(channel.seq, null);
});

test("an update of trades has exactly as many as its numbers say", () => {
  const channel = opened(TRADES);
  channel.take(snapshot(TRADES, 2, trades(1, 2)));
  assert.throws(() => channel.take(update(TRADES, 2, 5, trades(3, 4))), Violation);
});

test("a gap of the server moves on, and one of the venue does not", () => {
  const channel = opened(TRADES);
  channel.take(snapshot(TRADES, 2, trades(1, 2)));
  channel.gap({ channel: TRADES, cause: "venue", from: 2, to: 2, count: 3 });
  assert.equal(channel.seq, 2);
  channel.gap({ channel: TRADES, cause: "server", from: 2, to: 9, count: 7 });
  channel.take(update(TRADES, 9, 10, trades(10)));
  assert.deepEqual(channel.trades.slice(2).map((each) => each.gap ?? each.id), [3, 7, "10"]);
  assert.throws(() => channel.gap({ channel: TRADES, cause: "server", from: 2, to: 20, count: 18 }),
                Violation);
});

test("of trades only the newest are kept", () => {
  const channel = opened(TRADES);
  channel.take(snapshot(TRADES, 0, []));
  for (let i = 0; i < 500; i++)
    channel.take(update(TRADES, i, i + 1, trades(i)));
  assert.equal(channel.trades.length, 200);
  assert.equal(channel.trades.at(-1).id, "499");
});

test("types that are not known are passed over", () => {
  const channel = filledBook();
  assert.equal(channel.take({ channel: BOOK, type: "digest", seq: 99, prev: 1 }), null);
  assert.equal(channel.seq, 10);
});

test("after a resync a book is live only with its new data: live first, then the book", () => {
  const channel = filledBook();
  channel.take(stated(BOOK, "resync", "seq_gap"));
  assert.equal(channel.usable, false);
  channel.take(stated(BOOK, "live"));
  assert.equal(channel.usable, false);
  channel.take(snapshot(BOOK, 20, first, { cs: cs.first }));
  assert.equal(channel.usable, true);
});

test("... or the book while it is still resync, then live", () => {
  const channel = filledBook();
  channel.take(stated(BOOK, "resync", "crossed"));
  channel.take(snapshot(BOOK, 11, { b: [], a: [] }, { cs: 0, state: "resync", reason: "crossed" }));
  channel.take(stated(BOOK, "live"));
  assert.equal(channel.usable, false);
  channel.take(stated(BOOK, "resync", "crossed"));
  channel.take(snapshot(BOOK, 20, first, { cs: cs.first, state: "resync", reason: "crossed" }));
  assert.equal(channel.usable, false);
  channel.take(stated(BOOK, "live"));
  assert.equal(channel.usable, true);
});

test("nothing but a live market with its data is shown as live", () => {
  const kind = (channel, open = true) => conditionOf(channel, open).kind;
  const channel = filledBook();
  assert.equal(kind(channel), "live");
  assert.equal(kind(channel, false), "offline");
  assert.equal(kind(null), "waiting");
  assert.deepEqual(conditionOf(null, true, { message: "subscription limit reached" }),
                   { kind: "stale", name: "Refused", why: "subscription limit reached" });
  assert.equal(kind(opened(BOOK)), "waiting");
  for (const state of ["stale", "resync", "halted"]) {
    channel.take(stated(BOOK, state, "silent"));
    assert.equal(kind(channel), state);
    assert.equal(conditionOf(channel, true).why, "the venue stopped sending");
  }
  channel.take(stated(BOOK, "paused", "lunch_break"));
  assert.deepEqual(conditionOf(channel, true),
                   { kind: "stale", name: 'State "paused"', why: "lunch break" });
  channel.take(stated(BOOK, "live"));
  assert.equal(kind(channel), "resync");
});

test("a crossed book is not shown as live", () => {
  const channel = filledBook();
  channel.book.merge({ b: [["70000.00", "1.00000000"]], a: [] }, 10, channel.dp);
  assert.equal(conditionOf(channel, true).name, "Crossed");
});

test("ages have a unit that fits", () => {
  assert.deepEqual([-5, 999, 12345, 119999, 120000, 7200000].map(age),
                   ["<1 s", "<1 s", "12 s", "119 s", "2 min", "2 h"]);
});
