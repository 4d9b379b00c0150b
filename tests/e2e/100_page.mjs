// Drives the live page in Chromium for 100_page.py: node 100_page.mjs PLAYWRIGHT CHROMIUM HTTP WS
// SCREENSHOTS. Prints a line for each check that passed; "@stop", "@start" and "@subscriptions" are
// wishes, each answered by one line on stdin.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [package_path, executablePath, http, ws, screenshots] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(join(package_path, "index.mjs")).href);

const DESK = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const NARROW = { width: 360, height: 740 };
const WAIT_MS = 30000;
const IN_SIGHT_MAX = 60; // subscriptions of a page that has hundreds of markets
const OLD = "coinbase.OLD-USD";

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(wish) {
  console.log(`@${wish}`);
  return (await answers.next()).value;
}

// How many there are, once it is so.
async function subscriptions(fits) {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const count = Number(await ask("subscriptions"));
    if (fits(count))
      return;
    assert.ok(Date.now() < deadline, `${count} subscriptions`);
  }
}

// The flags keep Chromium from asking for anything by itself.
const profile = mkdtempSync(join(tmpdir(), "tickfan-page-"));
const browser = await chromium.launch({
  executablePath,
  env: { ...process.env, HOME: profile },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

// A page that notes what goes wrong in it and where it sends requests.
async function open(viewport, { scheme = "light", hash = "", tamper = null } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: scheme });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.faults = [];
  page.asked = new Set();
  page.on("console", (message) => message.type() !== "log" && page.faults.push(message.text()));
  page.on("pageerror", (error) => page.faults.push(error.stack));
  page.on("request", (request) => page.asked.add(new URL(request.url()).host));
  page.on("websocket", (socket) => page.asked.add(new URL(socket.url()).host));
  if (tamper !== null)
    await page.routeWebSocket(/\/v1\/ws/, tamper);
  await page.goto(`${http}/${hash}`);
  return page;
}

async function close(page) {
  assert.deepEqual(page.faults, []);
  const here = new Set([new URL(http).host, new URL(ws).host]);
  for (const host of page.asked)
    assert.ok(here.has(host), `a request to ${host}`);
  await page.context().close();
}

const shoot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`) });
const is = (page, wanted) => page.waitForSelector(`#market[data-condition="${wanted}"]`);
const linkIs = (page, wanted) => page.waitForSelector(`body[data-link="${wanted}"]`);

async function fits(page) {
  for (const box of ["html", "#market", "#rows"]) {
    const [inner, outer] = await page.locator(box).evaluate((e) => [e.scrollWidth, e.clientWidth]);
    assert.ok(inner <= outer, `${box} is ${inner} px in ${outer} px`);
  }
}

// Looks at every frame for a while: {frames, crossed, oneSided, prices, shifts}. Prices are
// compared as integers, as the page has to.
function watchFrames(page, span_ms) {
  return page.evaluate((span) => new Promise((resolve) => {
    const seen = { frames: 0, crossed: 0, oneSided: 0, prices: new Set(), shifts: 0 };
    const observer = new PerformanceObserver((entries) => {
      seen.shifts += entries.getEntries().reduce((sum, entry) => sum + entry.value, 0);
    });
    observer.observe({ type: "layout-shift" });
    const texts = (side) => [...document.querySelectorAll(`#ladder .${side} .px`)]
      .map((cell) => cell.textContent).filter(Boolean);
    const end = performance.now() + span;
    const look = () => {
      const key = (text) => BigInt(text.replace(".", ""));
      const asks = texts("ask").map(key);
      const bids = texts("bid").map(key);
      seen.frames += 1;
      seen.oneSided += asks.length === 0 || bids.length === 0 ? 1 : 0;
      const sorted = [...asks, ...bids].every((each, i, all) => i === 0 || all[i - 1] > each);
      seen.crossed += sorted ? 0 : 1;
      document.querySelectorAll("#rows .px").forEach((cell, i) => {
        seen.prices.add(`${i} ${cell.textContent}`);
      });
      if (performance.now() < end)
        requestAnimationFrame(look);
      else
        resolve({ ...seen, prices: seen.prices.size });
    };
    look();
  }), span_ms);
}

// Texts that are cut short among the cells that the selector finds.
const cutShort = (page, selector) => page.locator(selector).evaluateAll((cells) =>
  cells.filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent));

async function aDeskShowsALiveMarket() {
  const page = await open(DESK);
  await is(page, "live");
  await page.waitForSelector("#trades li:not([hidden])");
  const rows = await page.locator("#rows .px").count();
  const trades = await page.locator("#trades-note").textContent();
  const seen = await watchFrames(page, 3000);
  assert.ok(seen.frames > 3, `${seen.frames} frames`); // a busy machine draws few
  assert.equal(seen.crossed, 0);
  assert.equal(seen.oneSided, 0);
  assert.ok(seen.prices > rows, "no price changed");
  assert.ok(seen.shifts < 0.01, `layout shifts of ${seen.shifts}`);
  await page.waitForFunction((old) => document.getElementById("trades-note").textContent !== old,
                             trades);
  await page.waitForFunction(() => /ms|s/.test(document.querySelector("#stat-wire b").textContent));
  assert.match(await page.locator("#verified").textContent(), /^checksums verified: [1-9]/);
  const cut = await cutShort(page, "#rows .symbol");
  assert.deepEqual(cut.filter((symbol) => symbol.length <= "DOGE-USD".length), []);
  await shoot(page, "desk-light");
  await fits(page);
  await close(page);
}

async function findingAndChoosing() {
  const page = await open(DESK, { scheme: "dark" });
  await is(page, "live");
  const shown = () => page.locator("#rows li:not([hidden])").count();
  const all = await shown();
  await page.keyboard.press("/");
  await page.keyboard.type("eth sim");
  assert.ok(await shown() >= 1 && await shown() < all);
  for (const row of await page.locator("#rows li:not([hidden]) .symbol").all())
    assert.match(await row.textContent(), /ETH/);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("symbol").textContent.startsWith("ETH"));
  await is(page, "live");
  assert.equal(new URL(page.url()).hash, "#sim.ETH-USD");
  await page.locator("#find").fill("nothing like this");
  await page.waitForSelector("#none:not([hidden])");
  await page.locator("#find").press("Escape");
  assert.equal(await shown(), all);
  await page.locator("#find").press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.getElementById("symbol").textContent !== "ETH-USD");
  assert.notEqual(new URL(page.url()).hash, "#sim.ETH-USD");
  await is(page, "live");
  await page.goBack();
  await page.waitForFunction(() => document.getElementById("symbol").textContent === "ETH-USD");
  await is(page, "live");
  await shoot(page, "desk-dark");
  await close(page);
}

async function aPhoneShowsTheListOrOneMarket() {
  for (const [name, size, scheme] of [["phone", PHONE, "light"], ["narrow", NARROW, "dark"]]) {
    const page = await open(size, { scheme });
    await page.waitForSelector('#rows a[data-condition="live"]');
    assert.equal(await page.locator("#market").isVisible(), false);
    await fits(page);
    await shoot(page, `${name}-list-${scheme}`);
    await page.locator("#rows a").first().click();
    await is(page, "live");
    assert.equal(await page.locator("#rows").isVisible(), false);
    await page.waitForFunction(() => document.querySelector("#ladder .bid .px").textContent !== "");
    await page.waitForFunction(() => /\d/.test(document.querySelector(
      "#figures div:last-child dd").textContent));
    assert.deepEqual(await cutShort(page, "#figures dd"), []);
    await fits(page);
    await shoot(page, `${name}-market-${scheme}`);
    await page.locator(".back").click();
    await page.waitForSelector("#rows a");
    assert.equal(await page.locator("#market").isVisible(), false);
    await close(page);
  }
}

async function aStaleMarketIsNotShownAsLive() {
  for (const [name, size, scheme] of [["desk", DESK, "light"], ["phone", PHONE, "dark"]]) {
    const page = await open(size, { scheme, hash: `#${OLD}` });
    await is(page, "stale");
    assert.match(await page.locator("#condition").textContent(), /the link to the venue is down/);
    await page.waitForFunction(() => /\d s old/.test(document.getElementById("age").textContent));
    assert.equal(await page.locator("#ladder .bid .px").first().textContent(), "10.01");
    assert.equal(await page.locator("#last").textContent(), "10.01");
    assert.equal(await page.locator("#stamp").textContent(), "Stale");
    assert.equal(await page.locator("#stamp").isVisible(), true);
    await shoot(page, `${name}-stale-${scheme}`);
    await close(page);
  }
}

async function onlyWhatIsInSightIsSubscribed() {
  const page = await open(DESK);
  await is(page, "live");
  await subscriptions((count) => count > 10 && count < IN_SIGHT_MAX);
  const last = page.locator("#rows li").last();
  await last.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => {
    const row = [...document.querySelectorAll('#rows a[href^="#sim."]')].at(-1);
    return row.dataset.condition === "live" && row.querySelector(".px").textContent !== "\u2013";
  });
  await subscriptions((count) => count > 10 && count < IN_SIGHT_MAX);
  await close(page);
}

// Headless Chromium has no hidden tabs: the page is told that it is one.
const hide = (page, hidden) => page.evaluate((value) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

async function aHiddenPageAsksForNothing() {
  const page = await open(DESK);
  await is(page, "live");
  await hide(page, true);
  await subscriptions((count) => count === 0);
  await is(page, "waiting");
  await hide(page, false);
  await is(page, "live");
  await close(page);
}

async function aWrongChecksumIsSeenAndMended() {
  let wrong = 1;
  const page = await open(DESK, { tamper: (route) => {
    const server = route.connectToServer();
    server.onMessage((text) => {
      const bad = wrong > 0 && /"channel":"book\..*"type":"update"/.test(text);
      wrong -= bad ? 1 : 0;
      route.send(bad ? text.replace(/"cs":\d+/, '"cs":1') : text);
    });
  } });
  await page.waitForFunction(() => document.getElementById("verified").textContent ===
                                   "book: the checksum does not match; subscribed anew");
  await is(page, "live");
  assert.equal(wrong, 0);
  await close(page);
}

async function aLostServerIsSaidAndItsReturnNoticed() {
  const pages = [["desk", await open(DESK)], ["phone", await open(PHONE, { scheme: "dark",
                                                                         hash: "#sim.BTC-USD" })]];
  for (const [, page] of pages)
    await is(page, "live");
  await ask("stop");
  for (const [name, page] of pages) {
    await linkIs(page, "waiting");
    await is(page, "offline");
    assert.equal(await page.locator('#rows a[data-condition="live"]').count(), 0);
    assert.match(await page.locator("#notice").textContent(), /No connection.*What you see is of/);
    assert.notEqual(await page.locator("#ladder .bid .px").first().textContent(), "");
    await shoot(page, `${name}-gone`);
  }
  await ask("start");
  for (const [, page] of pages) {
    await linkIs(page, "open");
    await is(page, "live");
    assert.equal(await page.locator("#notice").isVisible(), false);
    // What the browser itself says of connections that were refused meanwhile.
    const refused = /ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection/;
    page.faults = page.faults.filter((text) => !refused.test(text));
    await close(page);
  }
}

async function aServerWithoutClientsSaysSoOnce() {
  const page = await open(DESK);
  await is(page, "live");
  let asked = 0;
  await page.route("**/v1/config", (route) => {
    asked += 1;
    return route.fulfill({ json: { ws: null } });
  });
  await page.reload();
  await linkIs(page, "unserved");
  assert.equal(await page.locator("#notice-text").textContent(),
               "This process serves no clients.");
  await page.waitForTimeout(1500); // longer than a first wait
  assert.equal(asked, 1);
  await close(page);
}

mkdirSync(screenshots, { recursive: true });
let failed = false;
try {
  for (const check of [aDeskShowsALiveMarket, findingAndChoosing, aPhoneShowsTheListOrOneMarket,
                       aStaleMarketIsNotShownAsLive, onlyWhatIsInSightIsSubscribed,
                       aHiddenPageAsksForNothing, aServerWithoutClientsSaysSoOnce,
                       aWrongChecksumIsSeenAndMended,
                       aLostServerIsSaidAndItsReturnNoticed]) {
    const start = Date.now();
    await check().catch((error) => {
      throw new Error(`${check.name}: ${error.stack}`);
    });
    console.log(`${check.name}: ${((Date.now() - start) / 1000).toFixed(1)} s`);
  }
} catch (error) {
  console.error(error.message);
  failed = true;
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
