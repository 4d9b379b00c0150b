// The head of the selected market: price, condition with the age of the data, and the figures.

import { age } from "./condition.js";
import { compare, percent, rounded, subtract } from "./decimal.js";
import { byId, flash, setClass, setData, setText } from "./dom.js";
import { direction } from "./list.js";

const NONE = "\u2013";
const VOLUME_FIGURES = 6; // has room on a phone

// Bid and ask are those of the ladder, so that the two never differ, and the rest is the ticker's.
function figuresOf(ticker, book) {
  const bid = book?.bids.levels[0]?.px ?? ticker?.bid;
  const ask = book?.asks.levels[0]?.px ?? ticker?.ask;
  const spread = bid && ask ? subtract(ask, bid) : NONE;
  return [bid ?? NONE, ask ?? NONE, spread, ticker?.h24 ?? NONE, ticker?.l24 ?? NONE,
          ticker?.v24 ? rounded(ticker.v24, VOLUME_FIGURES) : NONE];
}

export class Head {
  // look(): {ticker, trades, book: channels or null, doubt: text or null, condition, age_ms}, or
  // null
  constructor({ look }) {
    this.look = look;
    this.section = byId("market");
    this.figures = [...byId("figures").querySelectorAll("dd")];
    this.last = null;
  }

  // Another market: nothing of the one before may stay.
  reset(market) {
    this.last = null;
    setText(byId("symbol"), market?.symbol ?? NONE);
    setText(byId("venue"), market?.venue ?? "");
    setText(byId("last"), NONE);
    setText(byId("change"), "");
    setText(byId("verified"), "");
    byId("age").hidden = true;
    this.figures.forEach((element) => setText(element, NONE));
  }

  draw() {
    const seen = this.look();
    if (seen === null)
      return;
    this.#condition(seen);
    const ticker = seen.ticker?.data ?? null;
    const book = seen.book !== null && seen.book.seq !== null ? seen.book.book : null;
    const px = ticker?.px ?? seen.trades?.trades.at(-1)?.px; // not every venue has tickers
    if (px !== undefined)
      this.#price(px, ticker?.o24, seen.condition.kind === "live");
    if (ticker !== null || book !== null)
      figuresOf(ticker, book).forEach((text, i) => setText(this.figures[i], text));
    this.figures.at(-1).title = ticker?.v24 ?? "";
  }

  // What only counts up: a few times a second is enough, and calmer.
  tick() {
    const seen = this.look();
    if (seen === null)
      return;
    const { book, age_ms, doubt } = seen;
    byId("age").hidden = age_ms === null;
    setText(byId("age").lastElementChild, age_ms === null ? "" : `${age(age_ms)} old`);
    const verified = book?.verified > 0 ? `checksums verified: ${book.verified}` : "";
    setText(byId("verified"), doubt ?? verified);
    setClass(byId("verified"), doubt === null ? "aside" : "aside bad");
  }

  #price(px, open, live) {
    const last = byId("last");
    if (px !== this.last) {
      setText(last, px);
      if (this.last !== null && live)
        flash(byId("last-tint"), compare(px, this.last));
      this.last = px;
    }
    const change = open ? percent(open, px) : null;
    setText(byId("change"), change === null ? "" : `${change}%`);
    setClass(byId("change"), `change ${direction(change)}`);
  }

  #condition({ condition }) {
    setData(this.section, "condition", condition.kind);
    setText(byId("condition-name"), condition.name);
    setText(byId("condition-why"), condition.why);
    setText(byId("stamp"), condition.name);
  }
}
