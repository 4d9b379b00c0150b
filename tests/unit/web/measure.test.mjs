import assert from "node:assert/strict";
import test from "node:test";
import { WEB } from "./kit.mjs";

const { ClockOffset, Samples, duration } = await import(`${WEB}latency.js`);
const { endpoint, readConfig } = await import(`${WEB}endpoint.js`);

test("the clock offset is that of the probe with the shortest way", () => {
  const clock = new ClockOffset();
  assert.equal(clock.best, null);
  clock.add(1000, 9000, 500000, 500010); // 8 ms on the way, most of it one way
  clock.add(10000, 10210, 507105, 507115); // 100 us each way: ahead by 497000
  clock.add(20000, 24000, 519000, 519100);
  assert.deepEqual(clock.best, { offset: 497005, error: 100 });
  clock.add(30000, 29000, 1, 2); // a clock that was set back proves nothing
  assert.equal(clock.best.error, 100);
});

test("probes grow old", () => {
  const clock = new ClockOffset();
  clock.add(0, 10, 100, 105);
  clock.add(200e6, 200e6 + 1000, 300e6, 300e6 + 10);
  assert.equal(clock.best.error, 495);
});

test("quantiles are of the newest samples alone", () => {
  const samples = new Samples(100, 1000);
  assert.equal(samples.summary(0), null);
  for (let i = 1; i <= 200; i++)
    samples.add(i, i);
  assert.deepEqual(samples.summary(200), { p50: 150, p99: 199, count: 100 });
  assert.equal(samples.summary(1190).count, 11);
  assert.equal(samples.summary(5000), null);
  samples.add(-3, 6000);
  assert.deepEqual(samples.summary(6000), { p50: -3, p99: -3, count: 1 });
});

test("durations have three figures and a unit", () => {
  assert.deepEqual([0, 840, 12345, 123456, 2345678, 23456789, -840].map(duration),
                   ["0.00 ms", "0.84 ms", "12.3 ms", "123 ms", "2.3 s", "23 s", "-0.84 ms"]);
});

test("the WebSocket is where the configuration says, seen from the page", () => {
  const cases = [
    ["ws://127.0.0.1:9001/v1/ws", "127.0.0.1", "ws://127.0.0.1:9001/v1/ws"],
    ["ws://127.0.0.1:9001/v1/ws", "localhost", "ws://127.0.0.1:9001/v1/ws"],
    ["ws://127.0.0.1:9001/v1/ws", "10.0.0.7", "ws://10.0.0.7:9001/v1/ws"],
    ["ws://[::1]:9001/v1/ws", "desk.example", "ws://desk.example:9001/v1/ws"],
    ["ws://0.0.0.0:9001/v1/ws", "127.0.0.1", "ws://127.0.0.1:9001/v1/ws"],
    ["ws://[::]:9001/v1/ws", "[fe80::1]", "ws://[fe80::1]:9001/v1/ws"],
    ["ws://10.0.0.9:9001/v1/ws", "10.0.0.7", "ws://10.0.0.9:9001/v1/ws"],
    ["wss://feed.example/v1/ws", "10.0.0.7", "wss://feed.example/v1/ws"],
  ];
  for (const [ws, host, url] of cases)
    assert.equal(endpoint(ws, host), url, `${ws} from ${host}`);
});

test("a configuration that can't be read is an error that says so", async () => {
  const answer = (response) => async () => response;
  const good = { ok: true, json: async () => ({ ws: "ws://x/" }) };
  assert.deepEqual(await readConfig(answer(good), 1000), { ws: "ws://x/" });
  await assert.rejects(readConfig(answer({ ok: false, status: 404 }), 1000), /status 404/);
  const alone = { ok: true, json: async () => ({ ws: null }) };
  await assert.rejects(readConfig(answer(alone), 1000), { final: true, message: /no clients/ });
  const empty = { ok: true, json: async () => ({}) };
  await assert.rejects(readConfig(answer(empty), 1000), /no WebSocket/);
});
