// The last trades, newest first. Rows are made once.

import { byId, make, redraw, setClass, setDecimal, setText } from "./dom.js";

const ROWS = 40;

// "14:03:07.218" of microseconds since 1970, in the reader's time zone; null is a time not known.
export function timeOfDay(us) {
  if (us === null)
    return "\u2013";
  const date = new Date(us / 1000);
  const two = (n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.` +
         String(date.getMilliseconds()).padStart(3, "0");
}

class Line {
  constructor() {
    this.time = make("time");
    this.px = make("b");
    this.sz = make("span");
    this.element = make("li", { hidden: "" }, this.time, this.px, this.sz);
    this.trade = undefined;
  }

  draw(trade) {
    if (trade === this.trade)
      return;
    this.trade = trade;
    this.element.hidden = trade === undefined;
    if (trade === undefined)
      return;
    const lost = "gap" in trade;
    setClass(this.element, lost ? "lost" : trade.side);
    setText(this.time, lost ? `${trade.gap} missing` : timeOfDay(trade.te));
    setText(this.px, lost ? "" : trade.px);
    setDecimal(this.sz, lost ? "" : trade.sz);
  }
}

export class Tape {
  // channel(): of the trades that are shown, or null
  constructor({ channel }) {
    this.channel = channel;
    this.lines = Array.from({ length: ROWS }, () => new Line());
    byId("trades").append(...this.lines.map((line) => line.element));
  }

  reset() {
    this.lines.forEach((line) => line.draw(undefined));
    setText(byId("trades-note"), "");
  }

  draw() {
    const channel = this.channel();
    if (channel === null || channel.seq === null)
      return;
    const { trades } = channel;
    this.lines.forEach((line, i) => line.draw(trades[trades.length - 1 - i]));
    setText(byId("trades-note"), trades.length === 0 ? "none yet" : `No. ${channel.seq}`);
  }

  touch() {
    redraw(this);
  }
}
