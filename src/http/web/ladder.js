// The ladder: asks above, bids below, the spread between. Its rows are made once; a frame writes
// the texts that changed.

import { basisPoints, format, subtract } from "./decimal.js";
import { byId, make, redraw, setDecimal, setText } from "./dom.js";

const LEVELS_MIN = 10;
const LEVELS_MAX = 20;
const ROW_PX_MIN = 20;
const ROW_PX_MAX = 24;
const MIDDLE_PX = 42; // the spread, its margins, and the padding of the ladder
const SCALE_DECAY = 0.97; // of the longest bar per frame: bars grow at once and shrink slowly

function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}

class Level {
  constructor(side) {
    this.bars = [make("i"), make("i")]; // the total so far, and the level's own size over it
    this.px = make("span", { class: "px", role: "cell" });
    this.sz = make("span", { class: "sz", role: "cell" });
    this.sum = make("span", { class: "sum", role: "cell" });
    this.element = make("div", { class: `level ${side}`, role: "row" },
                        ...this.bars, this.px, this.sz, this.sum);
    this.widths = ["", ""];
  }

  // level: of the book, or undefined. total: text. parts: of the width, 0 to 1, of both bars.
  draw(level, total, parts) {
    setText(this.px, level?.px ?? "");
    setDecimal(this.sz, level?.sz ?? "");
    setText(this.sum, total);
    for (const [i, part] of parts.entries()) {
      const width = `scaleX(${part.toFixed(3)})`;
      if (width !== this.widths[i]) {
        this.widths[i] = width;
        this.bars[i].style.transform = width;
      }
    }
  }
}

export class Ladder {
  // channel(): of the book that is shown, or null. narrow: a MediaQueryList, true on a phone.
  constructor({ channel, narrow }) {
    this.channel = channel;
    this.narrow = narrow;
    this.element = byId("ladder");
    this.element.setAttribute("role", "table");
    this.spread = make("b", {}, "\u2013");
    this.points = make("span");
    this.middle = make("div", { class: "middle", role: "row" }, "Spread", this.spread, this.points);
    this.scale = 0;
    this.depth = 0;
    new ResizeObserver(() => this.fit()).observe(this.element);
    this.fit();
  }

  // As many levels as there is room for.
  fit() {
    const room_px = this.narrow.matches ? 0 : (this.element.clientHeight - MIDDLE_PX) / 2;
    const depth = clamp(Math.floor(room_px / ROW_PX_MIN), LEVELS_MIN, LEVELS_MAX);
    const row_px = this.narrow.matches ? ROW_PX_MAX
                                       : clamp(Math.floor(room_px / depth), ROW_PX_MIN, ROW_PX_MAX);
    this.element.style.setProperty("--row", `${row_px}px`);
    if (depth === this.depth)
      return;
    this.depth = depth;
    this.asks = Array.from({ length: depth }, () => new Level("ask"));
    this.bids = Array.from({ length: depth }, () => new Level("bid"));
    this.element.replaceChildren(...this.asks.map((level) => level.element).reverse(), this.middle,
                                 ...this.bids.map((level) => level.element));
    redraw(this);
  }

  // Another market: nothing of the one before may stay.
  reset() {
    this.scale = 0;
    this.#drawBook(null);
  }

  draw() {
    const channel = this.channel();
    if (channel !== null && channel.seq !== null)
      this.#drawBook(channel);
  }

  #drawBook(channel) {
    const bids = channel?.book.bids.levels.slice(0, this.depth) ?? [];
    const asks = channel?.book.asks.levels.slice(0, this.depth) ?? [];
    // Floats are good enough for the widths of bars, and used for nothing else.
    const sum = (levels) => levels.reduce((total, { size }) => total + Number(size), 0);
    const longest = Math.max(sum(bids), sum(asks));
    this.scale = Math.max(longest, this.scale * SCALE_DECAY);
    this.#drawSide(this.bids, bids, channel?.dp.sz ?? 0);
    this.#drawSide(this.asks, asks, channel?.dp.sz ?? 0);
    const both = bids.length > 0 && asks.length > 0;
    setText(this.spread, both ? subtract(asks[0].px, bids[0].px) : "\u2013");
    setText(this.points, both ? basisPoints(bids[0].px, asks[0].px) : "");
  }

  #drawSide(rows, levels, dp) {
    let total = 0n;
    for (const [rank, row] of rows.entries()) {
      const level = levels[rank];
      total += level?.size ?? 0n;
      row.draw(level, level === undefined ? "" : format(total, dp),
               level === undefined ? [0, 0] : [Number(total) / this.scale,
                                               Number(level.size) / this.scale]);
    }
  }
}
