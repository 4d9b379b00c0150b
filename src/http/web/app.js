// The live page: puts the client and the views together. Data flow one way: client -> channels ->
// views, which are drawn once in a frame. What is subscribed follows from what is in sight.

import { Bar } from "./bar.js";
import { Client } from "./client.js";
import { conditionOf } from "./condition.js";
import { byId, redraw, setText } from "./dom.js";
import { endpoint, NoClients, readConfig } from "./endpoint.js";
import { Head } from "./head.js";
import { Ladder } from "./ladder.js";
import { ClockOffset, Samples } from "./latency.js";
import { List } from "./list.js";
import { Tape, timeOfDay } from "./tape.js";

const CONFIG_MS_MAX = 5000;
const TICK_MS = 250; // ages, countdowns and figures of the bar
const LIST_EVERY_MS = 30000; // instruments may come and go
const LIST_AT_START_MS = 1000; // ... and a server that just started has none yet
const HIDDEN_GRACE_MS = 3000; // a glance at another tab costs nothing
const SUBPROTOCOL = "tickfan.v1.json";

const clock = {
  now_ms: () => performance.now(),
  wall_us: () => (performance.timeOrigin + performance.now()) * 1000,
};
const narrow = matchMedia("(max-width: 999px)");

const offset = new ClockOffset();
const wire = new Samples();
const venue = new Samples();
const rate = { count: 0, since_ms: clock.now_ms(), value: null };

let markets = [];
let selected = null; // a market, or null: the phone's list
let newest_us = null; // when the newest data of the selected market were published
let ahead_us = 0; // the server's clock before ours, as last known
let told_us = null; // when the last message of all came
let lags = 0;
let doubt = null; // what was wrong with a message, since this market was selected
let paused = false; // out of sight for a while
let last_ws = null;
let list_timer = null;

// ---- what is shown, what is subscribed ----

const names = {
  ticker: (key) => `ticker.${key}.250ms`,
  bbo: (key) => `bbo.${key}.raw`,
  book: (key) => `book.${key}.25.100ms`,
  trades: (key) => `trades.${key}.raw`,
};

function channel(kind, market = selected) {
  return market === null ? null : client.channel(names[kind](market.key));
}

function want() {
  if (paused) {
    client.want([]);
    return;
  }
  const seen = list.keysInSight;
  const wanted = seen.map(names.ticker);
  if (selected !== null)
    wanted.push(...Object.values(names).map((name) => name(selected.key)));
  else if (seen.length > 0)
    wanted.push(names.bbo(seen[0])); // something that no rate holds back, to measure by
  client.want(wanted);
}

function look() {
  if (selected === null)
    return null;
  const book = channel("book");
  const ticker = channel("ticker");
  const refusal = client.refused.get(names.book(selected.key));
  const condition = conditionOf(book ?? ticker, client.open, refusal);
  const age_ms = newest_us === null ? null : (clock.wall_us() + ahead_us - newest_us) / 1000;
  return { ticker, trades: channel("trades"), book, condition, age_ms, doubt };
}

function link() {
  const { phase, detail, retry_at_ms } = client.connection;
  return {
    phase,
    detail: phase === "open" ? "" : detail,
    wait_ms: (retry_at_ms ?? 0) - clock.now_ms(),
    told_at: told_us === null ? "" : ` What you see is of ${timeOfDay(told_us).slice(0, 8)}.`,
  };
}

function measured() {
  const now_ms = clock.now_ms();
  return { wire: wire.summary(now_ms), venue: venue.summary(now_ms), rate: rate.value,
           clock: offset.best, lags };
}

// ---- from the client ----

function measure(params, at_us) {
  const best = offset.best;
  const now_ms = clock.now_ms();
  if (best !== null)
    wire.add(Math.max(0, at_us + best.offset - params.tp), now_ms);
  if (params.te !== null)
    venue.add(params.ti - params.te, now_ms);
}

function onData(from, type, params, at_us) {
  rate.count += 1;
  told_us = at_us;
  lags += type === "lag" ? 1 : 0;
  const key = from.name.split(".").slice(1, 3).join(".");
  if (type === "update" && from.name.endsWith(".raw"))
    measure(params, at_us);
  if (from.kind === "ticker")
    list.touch(key);
  if (selected?.key === key) {
    if (type === "snapshot" || type === "update")
      newest_us = Math.max(newest_us, params.tp);
    redraw(head);
    if (from.kind === "book")
      redraw(ladder);
    if (from.kind === "trades")
      tape.touch();
  }
}

function onViolation(from, text) {
  doubt = `${from.kind}: ${text}; subscribed anew`;
}

function onStatus() {
  if (!client.open) {
    offset.reset();
    wire.clear();
    venue.clear();
  }
  list.touchAll();
  redraw(head);
  redraw(bar);
}

function onProbe(...times) {
  offset.add(...times);
  ahead_us = offset.best?.offset ?? ahead_us;
}

function readInstruments() {
  clearTimeout(list_timer);
  if (!client.open)
    return;
  client.connection.request("get_instruments", {}, (error, reply) => {
    const some = error === null ? reply.result.instruments.length > 0 : markets.length > 0;
    list_timer = setTimeout(readInstruments, some ? LIST_EVERY_MS : LIST_AT_START_MS);
    if (error === null)
      onInstruments(reply.result.instruments);
  });
}

function onInstruments(instruments) {
  markets = instruments.filter(({ status }) => status !== "delisted").map((instrument) => ({
    key: `${instrument.venue}.${instrument.symbol}`,
    venue: instrument.venue,
    symbol: instrument.symbol,
  }));
  list.fill(markets);
  select();
}

// ---- which market: the address says ----

function named_key() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return ""; // none of our addresses
  }
}

function select() {
  const key = named_key();
  const named = markets.find((market) => market.key === key) ?? null;
  const market = named ?? (narrow.matches ? null : markets[0] ?? null);
  document.body.dataset.view = market === null ? "list" : "market";
  if (market?.key !== selected?.key) {
    selected = market;
    newest_us = null;
    doubt = null;
    head.reset(market);
    ladder.reset();
    tape.reset();
    byId("market").scrollTop = 0;
    list.select(market?.key ?? null);
  }
  want();
  redraw(head);
  redraw(ladder);
  tape.touch();
}

// ---- time, and being looked at ----

function tick() {
  const now_ms = clock.now_ms();
  if (now_ms - rate.since_ms >= 1000) {
    rate.value = client.open ? Math.round(rate.count * 1000 / (now_ms - rate.since_ms)) : null;
    rate.count = 0;
    rate.since_ms = now_ms;
    const px = selected === null ? null : channel("ticker")?.data?.px;
    document.title = px ? `${px} ${selected.symbol} \u00b7 tickfan` : "tickfan";
  }
  head.tick();
  redraw(head);
  redraw(bar);
}

let hide_timer = null;

function onVisibility() {
  clearTimeout(hide_timer);
  if (document.hidden) {
    hide_timer = setTimeout(() => {
      paused = true;
      want();
    }, HIDDEN_GRACE_MS);
    return;
  }
  paused = false;
  want();
  if (client.connection.phase === "waiting")
    client.start();
}

// ---- put together ----

async function find() {
  try {
    const config = await readConfig((...args) => fetch(...args), CONFIG_MS_MAX);
    last_ws = endpoint(config.ws, location.hostname);
    setText(byId("version"), config.version ?? "");
  } catch (error) {
    if (error instanceof NoClients)
      throw error;
    if (last_ws === null)
      throw new Error(`the server does not say where its WebSocket is (${error.message})`);
  }
  return last_ws;
}

const client = new Client({
  find,
  open: (url) => new WebSocket(url, SUBPROTOCOL),
  clock,
  on: {
    status: onStatus,
    hello: readInstruments,
    data: onData,
    channel: () => redraw(head),
    violation: onViolation,
    probe: onProbe,
  },
});
const list = new List({
  channelOf: (market) => channel("ticker", market),
  open: () => client.open,
  seen: want,
});
const head = new Head({ look });
const ladder = new Ladder({ channel: () => channel("book"), narrow });
const tape = new Tape({ channel: () => channel("trades") });
const bar = new Bar({ link, measured, retry: () => client.start() });

addEventListener("hashchange", select);
addEventListener("online", () => client.start());
document.addEventListener("visibilitychange", onVisibility);
narrow.addEventListener("change", () => {
  ladder.fit();
  select();
});
setInterval(tick, TICK_MS);
client.start();
