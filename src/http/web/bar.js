// The bar: the connection, and what was measured.

import { byId, setData, setText } from "./dom.js";
import { duration } from "./latency.js";

function writePair(id, summary, title) {
  const box = byId(id);
  const [p50, p99] = box.querySelectorAll("b");
  setText(p50, summary === null ? "\u2013" : duration(summary.p50));
  setText(p99, summary === null ? "\u2013" : duration(summary.p99));
  if (box.title !== title)
    box.title = title;
}

export class Bar {
  // link(): {phase, detail, wait_ms, told_at: texts and a number}; measured(): {wire, venue, rate,
  // clock, lags}
  constructor({ link, measured, retry }) {
    this.link = link;
    this.measured = measured;
    byId("link-retry").addEventListener("click", retry);
  }

  draw() {
    const { phase, detail, wait_ms, told_at } = this.link();
    const seconds = Math.max(1, Math.ceil(wait_ms / 1000));
    const text = { open: "Connected", waiting: `Reconnecting in ${seconds} s`,
                   stopped: "Disconnected", unserved: "No clients here" }[phase] ?? "Connecting";
    setData(document.body, "link", phase);
    setText(byId("link-text"), text);
    byId("notice").hidden = detail === "";
    const lost = detail === "" ? "" : `No connection: ${detail}.${told_at}`;
    setText(byId("notice-text"), phase === "unserved" ? `${detail}.` : lost);
    this.#measured();
  }

  #measured() {
    const { wire, venue, rate, clock, lags } = this.measured();
    const offset = clock === null ? "not known yet"
      : `${duration(clock.offset)}, give or take ${duration(clock.error)}`;
    writePair("stat-wire", wire, "From published in the server to received in this browser, over " +
      "the last 30 s, of messages that no rate holds back. The server's clock is ahead by " +
      `${offset}.`);
    writePair("stat-venue", venue, "From the venue's time of the event to received by the " +
      "server, over the last 30 s. Includes whatever the two clocks differ.");
    setText(byId("stat-rate").querySelector("b"), rate === null ? "\u2013" : String(rate));
    const lagged = `This browser was behind, and brought up to date, ${lags} times.`;
    byId("stat-rate").title = lagged;
  }
}
