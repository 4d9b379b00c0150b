import assert from "node:assert/strict";
import test from "node:test";
import { BBO, BOOK, FakeSocket, FakeTime, TRADES, VECTORS, WEB, described, settle, snapshot, trades,
         update } from "./kit.mjs";

const { Client } = await import(`${WEB}client.js`);
const { backoff, mayReturn } = await import(`${WEB}connection.js`);

const { first, change, cs } = VECTORS;

// A client on a fake socket; `told` is what it reported.
class Bench {
  constructor({ find = async () => "ws://fake/" } = {}) {
    this.time = new FakeTime();
    this.sockets = [];
    this.told = [];
    this.client = new Client({
      find,
      open: (url) => {
        this.sockets.push(new FakeSocket(url));
        return this.socket;
      },
      clock: this.time.clock,
      random: () => 0.5,
      on: {
        status: () => {},
        hello: (params) => this.told.push(["hello", params.version]),
        data: (channel, type, params) => this.told.push([type, channel.name, params.seq]),
        channel: () => {},
        violation: (channel, text) => this.told.push(["violation", channel.name, text]),
        probe: () => {},
      },
    });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  async connect() {
    this.client.start();
    await settle();
    this.socket.onopen();
  }

  // Answers the one subscribe request that is waiting, as a server would.
  accept(entries = {}) {
    const [request, ...more] = this.socket.take("subscribe");
    assert.equal(more.length, 0);
    const subscribed = request.params.channels.map((name) => described(name, entries[name]));
    this.socket.reply(request, { subscribed, failed: [] });
    return request.params;
  }

  release() {
    const [request] = this.socket.take("unsubscribe");
    this.socket.reply(request, { unsubscribed: request.params.channels, failed: [] });
    return request.params.channels;
  }
}

test("what is wanted is asked for in one request, and the rest is given up", async () => {
  const bench = new Bench();
  bench.client.want([BOOK, BBO]);
  await bench.connect();
  assert.deepEqual(bench.accept(), { channels: [BOOK, BBO] });
  bench.client.want([BOOK, TRADES]);
  assert.deepEqual(bench.release(), [BBO]);
  assert.deepEqual(bench.accept(), { channels: [TRADES] });
  bench.client.want([BOOK, TRADES]);
  assert.equal(bench.socket.take("subscribe").length, 0);
});

test("wishes that change while a request is under way are met after its reply", async () => {
  const bench = new Bench();
  await bench.connect();
  bench.client.want([BBO]);
  bench.client.want([]);
  assert.equal(bench.socket.take("unsubscribe").length, 0);
  bench.accept();
  bench.client.want([BBO]); // again, while it is being given up
  assert.deepEqual(bench.release(), [BBO]);
  assert.deepEqual(bench.accept(), { channels: [BBO] });
});

test("data of a channel reach the page, and nothing more after it was given up", async () => {
  const bench = new Bench();
  bench.client.want([BOOK]);
  await bench.connect();
  bench.accept();
  bench.socket.data(snapshot(BOOK, 10, first, { cs: cs.first }));
  bench.socket.data(update(BOOK, 10, 12, change, { cs: cs.changed }));
  bench.client.want([]);
  bench.socket.data(update(BOOK, 12, 13, change, { cs: 1 }));
  assert.deepEqual(bench.told, [["snapshot", BOOK, 10], ["update", BOOK, 12]]);
});

test("a broken rule is told, and the channel asked for anew with a snapshot", async () => {
  const bench = new Bench();
  bench.client.want([BOOK]);
  await bench.connect();
  bench.accept();
  bench.socket.data(snapshot(BOOK, 10, first, { cs: cs.first }));
  bench.socket.data(update(BOOK, 10, 12, change, { cs: 1 }));
  assert.deepEqual(bench.told.at(-1), ["violation", BOOK, "the checksum does not match"]);
  assert.equal(bench.client.channel(BOOK), null);
  bench.socket.data(update(BOOK, 12, 13, change, { cs: 1 })); // on its way before it was given up
  bench.release();
  assert.deepEqual(bench.accept(), { channels: [BOOK] });
  bench.socket.data(snapshot(BOOK, 13, first, { cs: cs.first }));
  assert.equal(bench.client.channel(BOOK).usable, true);
  assert.equal(bench.client.violations, 1);
});

test("a channel that stays wrong is asked for ever more rarely", async () => {
  const bench = new Bench();
  bench.client.want([BOOK]);
  await bench.connect();
  const waits = [];
  for (let round = 0; round < 9; round++) {
    let wait_ms = 0;
    while (bench.socket.sent.every(({ method }) => method !== "subscribe") && wait_ms < 60000) {
      bench.socket.take("ping").forEach((ping) => bench.socket.reply(ping, "pong"));
      bench.time.pass(100);
      wait_ms += 100;
    }
    waits.push(wait_ms);
    bench.accept();
    bench.socket.data(snapshot(BOOK, 10, first, { cs: 1 }));
    bench.release();
  }
  assert.deepEqual(waits.slice(0, 5), [0, 0, 2000, 4000, 8000]);
  assert.ok(waits.every((wait_ms) => wait_ms <= 30000));
});

test("what may come later is asked for again, and what can't be is not", async () => {
  const bench = new Bench();
  bench.client.want([BOOK, BBO]);
  await bench.connect();
  const [request] = bench.socket.take("subscribe");
  bench.socket.reply(request, { subscribed: [], failed: [
    { channel: BOOK, code: 2003, message: "unknown instrument", retryable: true },
    { channel: BBO, code: 2006, message: "option not supported", retryable: false }] });
  assert.equal(bench.client.refused.get(BBO).code, 2006);
  bench.time.pass(4900);
  assert.equal(bench.socket.take("subscribe").length, 0);
  bench.time.pass(200);
  assert.deepEqual(bench.accept(), { channels: [BOOK] });
});

test("a channel that the server ends is asked for again later", async () => {
  const bench = new Bench();
  bench.client.want([BBO]);
  await bench.connect();
  bench.accept();
  bench.socket.notify("unsubscribed", { channel: BBO, code: 2003 });
  assert.equal(bench.client.channel(BBO), null);
  bench.time.pass(5100);
  assert.deepEqual(bench.accept(), { channels: [BBO] });
});

test("messages of later versions are passed over", async () => {
  const bench = new Bench();
  bench.client.want([BBO]);
  await bench.connect();
  bench.socket.notify("hello", { version: "9.9" });
  bench.accept();
  bench.socket.say("no json");
  bench.socket.say([1, 2]);
  bench.socket.say({ id: 999, result: "unasked" });
  bench.socket.notify("heartbeat", { time: 1, quiet: [] });
  bench.socket.notify("weather", { channel: BBO });
  bench.socket.data({ channel: BBO, type: "digest", seq: 1 });
  bench.socket.data({ channel: "book.unasked.X-Y.10.100ms", type: "update", seq: 1, prev: 0 });
  bench.socket.notify("lag", { channel: BBO, action: "conflate", from: 1, to: 2, count: 1 });
  assert.deepEqual(bench.told, [["hello", "9.9"], ["lag", BBO, undefined]]);
});

test("after a loss it comes back, subscribes to all, and resumes the trades", async () => {
  const bench = new Bench();
  bench.client.want([BOOK, TRADES]);
  await bench.connect();
  bench.accept();
  bench.socket.data(snapshot(BOOK, 10, first, { cs: cs.first }));
  bench.socket.data(snapshot(TRADES, 2, trades(1, 2)));
  bench.socket.onclose({ code: 1001, reason: "shutting down" });
  assert.equal(bench.client.channel(BOOK), null);
  assert.equal(bench.client.connection.phase, "waiting");
  assert.equal(bench.client.connection.detail, "shutting down");
  bench.time.pass(15000);
  await settle();
  assert.equal(bench.sockets.length, 2);
  bench.socket.onopen();
  const asked = bench.accept({ [TRADES]: { recovered: true, replayed: 1 } });
  assert.deepEqual(asked, { channels: [BOOK, TRADES],
                            resume: { [TRADES]: { epoch: "e1", seq: 2 } } });
  bench.socket.data(update(TRADES, 2, 3, trades(3)));
  assert.equal(bench.client.channel(TRADES).trades.length, 3);
  assert.equal(bench.client.channel(BOOK).usable, false);
});

test("trades are resumed also when a connection is lost before it answered", async () => {
  const bench = new Bench();
  bench.client.want([TRADES]);
  await bench.connect();
  bench.accept();
  bench.socket.data(snapshot(TRADES, 2, trades(1, 2)));
  for (let losses = 1; losses <= 2; losses++) {
    bench.socket.onclose({ code: 1001, reason: "shutting down" });
    bench.time.pass(15000 * losses);
    await settle();
    assert.equal(bench.sockets.length, 1 + losses);
    bench.socket.onopen(); // asks, and gets no answer the first time
  }
  const asked = bench.accept({ [TRADES]: { recovered: true, replayed: 1 } });
  assert.deepEqual(asked.resume, { [TRADES]: { epoch: "e1", seq: 2 } });
});

test("a line that is dead without saying so is given up when a ping is not answered", async () => {
  const bench = new Bench();
  await bench.connect();
  assert.equal(bench.socket.take("ping").length, 1);
  bench.time.pass(9900);
  assert.equal(bench.client.connection.phase, "open");
  bench.time.pass(200);
  assert.equal(bench.client.connection.phase, "waiting");
  assert.equal(bench.socket.closed, true);
});

test("nothing is sent on a socket that is closing", async () => {
  const bench = new Bench();
  await bench.connect();
  bench.socket.sent = [];
  bench.socket.readyState = 2;
  bench.client.want([BBO]);
  assert.deepEqual(bench.socket.sent, []);
  bench.socket.onclose({ code: 1001, reason: "" });
  bench.time.pass(15000);
  await settle();
  bench.socket.onopen();
  assert.deepEqual(bench.accept(), { channels: [BBO] });
});

test("pings go on, quickly at first and then every few seconds", async () => {
  const bench = new Bench();
  await bench.connect();
  let pings = 0;
  for (let ms = 0; ms < 20000; ms += 20) {
    bench.socket.take("ping").forEach((ping) => {
      pings += 1;
      bench.socket.reply(ping, "pong");
    });
    bench.time.pass(20);
  }
  assert.equal(bench.client.connection.phase, "open");
  assert.ok(pings >= 10 && pings <= 14, `${pings} pings`);
});

test("a server that can't be asked where its socket is, is asked again", async () => {
  let tries = 0;
  const bench = new Bench({ find: async () => {
    tries += 1;
    if (tries === 1)
      throw new Error("no answer");
    return "ws://found/";
  } });
  bench.client.start();
  await settle();
  assert.equal(bench.client.connection.detail, "no answer");
  bench.time.pass(15000);
  await settle();
  assert.equal(bench.socket.url, "ws://found/");
});

test("a server that serves no clients is asked once", async () => {
  let tries = 0;
  const bench = new Bench({ find: async () => {
    tries += 1;
    throw Object.assign(new Error("serves no clients"), { final: true });
  } });
  bench.client.start();
  await settle();
  assert.equal(bench.client.connection.phase, "unserved");
  assert.equal(bench.client.connection.detail, "serves no clients");
  bench.time.pass(100000);
  await settle();
  assert.equal(tries, 1);
  assert.equal(bench.client.connection.phase, "unserved");
});

test("the waits double up to a bound, and are random", () => {
  assert.deepEqual([0, 1, 2, 5, 50].map((attempt) => backoff(attempt, () => 1)),
                   [500, 1000, 2000, 15000, 15000]);
  assert.equal(backoff(3, () => 0.5), 2000);
  assert.equal(backoff(9, () => 0), 200);
});

test("codes that forbid to come back are obeyed", async () => {
  for (const code of [1001, 1006, 1008, 1011, 4401, 4408])
    assert.equal(mayReturn(code), true, String(code));
  for (const code of [1002, 1003, 1007, 1009, 4429, 4500, 4503, 4599])
    assert.equal(mayReturn(code), false, String(code));
  const bench = new Bench();
  await bench.connect();
  bench.socket.onclose({ code: 4503, reason: "forbidden" });
  assert.equal(bench.client.connection.phase, "stopped");
  bench.time.pass(100000);
  assert.equal(bench.sockets.length, 1);
});
