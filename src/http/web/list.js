// The list of all markets. Every market has a row; only rows in sight are subscribed, by their
// tickers, so that a long list costs what is seen of it.

import { compare, percent } from "./decimal.js";
import { conditionOf } from "./condition.js";
import { byId, flash, make, redraw, setClass, setData, setText } from "./dom.js";

const SEEN_MAX = 120; // rows subscribed at most
const MARGIN = "160px 0px"; // rows just out of sight are asked for before they come
const PAGE_ROWS = 10; // of the keys PageUp and PageDown
const SETTLE_MS = 120; // scrolling past is not looking

// One row. It keeps the last price, for the colour of the next.
class Row {
  constructor(market, observer) {
    const [base, ...rest] = market.symbol.split("-");
    this.market = market;
    this.words = `${market.symbol} ${market.venue}`.toLowerCase();
    this.px = make("span", {}, "\u2013");
    this.tint = make("i", { class: "tint" });
    this.move = make("span", { class: "move" });
    this.dot = make("i", { class: "dot", role: "img" });
    this.link = make("a", { href: `#${market.key}`, tabindex: "-1" },
      make("span", { class: "who" }, this.dot,
        make("span", { class: "symbol" }, base, make("span", {}, `-${rest.join("-")}`)),
        make("span", { class: "at" }, market.venue)),
      make("span", { class: "px" }, this.tint, this.px), this.move);
    this.item = make("li", {}, this.link);
    this.item.row = this;
    this.last = null;
    observer.observe(this.item);
  }

  draw(channel, open) {
    const condition = conditionOf(channel, open);
    setData(this.link, "condition", condition.kind);
    const title = condition.why ? `${condition.name}: ${condition.why}` : condition.name;
    if (this.dot.title !== title) {
      this.dot.title = title;
      this.dot.setAttribute("aria-label", title);
    }
    const ticker = channel?.data;
    if (!ticker)
      return;
    if (ticker.px !== undefined)
      this.#price(ticker.px, condition.kind === "live");
    this.#move(ticker, condition);
  }

  #price(px, live) {
    if (px === this.last)
      return;
    setText(this.px, px);
    if (this.last !== null && live)
      flash(this.tint, compare(px, this.last));
    this.last = px;
  }

  #move(ticker, condition) {
    if (condition.kind !== "live" && condition.kind !== "waiting") {
      setText(this.move, condition.kind);
      setClass(this.move, "move");
      return;
    }
    const change = ticker.px && ticker.o24 ? percent(ticker.o24, ticker.px) : null;
    setText(this.move, change === null ? "" : `${change}%`);
    setClass(this.move, `move ${direction(change)}`);
  }
}

export function direction(change) {
  return change === null || change === "0.00" ? "" : change.startsWith("-") ? "down" : "up";
}

export class List {
  // channelOf(market): its ticker's channel or null. open(): is there a connection? seen(): the
  // rows in sight changed.
  constructor({ channelOf, open, seen }) {
    this.channelOf = channelOf;
    this.open = open;
    this.rows = new Map(); // key -> Row
    this.visible = new Set();
    this.changed = new Set(); // rows to draw
    this.selected = null;
    this.venue = "all"; // or the only one shown
    this.buttons = new Map(); // venue -> its button
    this.element = byId("rows");
    this.find = byId("find");
    this.observer = new IntersectionObserver((entries) => this.#observed(entries, seen),
                                             { root: this.element, rootMargin: MARGIN });
    this.find.addEventListener("input", () => this.filter());
    this.find.addEventListener("keydown", (event) => this.#findKey(event));
    this.element.addEventListener("keydown", (event) => this.#rowKey(event));
    document.addEventListener("keydown", (event) => this.#pageKey(event));
  }

  // markets: {key, venue, symbol}, all there are. Rows of those that are known stay.
  fill(markets) {
    const keys = new Set(markets.map((market) => market.key));
    for (const [key, row] of this.rows) {
      if (!keys.has(key)) {
        this.observer.unobserve(row.item);
        row.item.remove();
        this.rows.delete(key);
        this.visible.delete(row);
      }
    }
    for (const market of markets.filter(({ key }) => !this.rows.has(key))) {
      const row = new Row(market, this.observer);
      this.rows.set(market.key, row);
      this.element.append(row.item);
    }
    this.#venues();
    this.filter();
  }

  get keysInSight() {
    return [...this.visible].slice(0, SEEN_MAX).map((row) => row.market.key);
  }

  touch(key) {
    const row = this.rows.get(key);
    if (row !== undefined && this.visible.has(row)) {
      this.changed.add(row);
      redraw(this);
    }
  }

  touchAll() {
    this.visible.forEach((row) => this.changed.add(row));
    redraw(this);
  }

  draw() {
    for (const row of this.changed)
      row.draw(this.channelOf(row.market), this.open());
    this.changed.clear();
  }

  select(key) {
    this.rows.get(this.selected)?.link.removeAttribute("aria-current");
    this.selected = key;
    const row = this.rows.get(key);
    row?.link.setAttribute("aria-current", "true");
    row?.item.scrollIntoView({ block: "nearest" });
    this.#tabStop(row);
  }

  filter() {
    const words = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of this.rows.values()) {
      const fits = (this.venue === "all" || row.market.venue === this.venue) &&
                   words.every((word) => row.words.includes(word));
      row.item.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    const none = byId("none");
    none.hidden = shown > 0;
    setText(none, this.rows.size === 0 ? "No markets yet." : "No market matches.");
    this.#tabStop(this.rows.get(this.selected));
  }

  #observed(entries, seen) {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        this.visible.add(entry.target.row);
        this.changed.add(entry.target.row);
      } else {
        this.visible.delete(entry.target.row);
      }
    }
    redraw(this);
    clearTimeout(this.timer);
    this.timer = setTimeout(seen, SETTLE_MS);
  }

  // One button a venue, where there are several. Buttons that are there stay: they may have the
  // focus.
  #venues() {
    const counts = new Map([["all", this.rows.size]]);
    for (const { market } of this.rows.values())
      counts.set(market.venue, (counts.get(market.venue) ?? 0) + 1);
    const box = byId("venues");
    box.hidden = counts.size < 3;
    this.element.classList.toggle("single", box.hidden);
    for (const [venue, count] of counts) {
      const button = this.buttons.get(venue) ?? this.#button(venue);
      setText(button, `${venue} ${count}`);
    }
    for (const [venue, button] of this.buttons) {
      button.hidden = !counts.has(venue);
      button.setAttribute("aria-pressed", String(venue === this.venue));
    }
  }

  #button(venue) {
    const button = make("button", { type: "button" });
    button.addEventListener("click", () => {
      this.venue = venue;
      this.#venues();
      this.filter();
    });
    this.buttons.set(venue, button);
    byId("venues").append(button);
    return button;
  }

  // ---- keys: one stop for Tab, arrows within, Enter follows the link ----

  #shown() {
    return [...this.rows.values()].filter((row) => !row.item.hidden);
  }

  #tabStop(wanted) {
    const stop = wanted !== undefined && !wanted.item.hidden ? wanted : this.#shown()[0];
    for (const row of this.rows.values())
      row.link.tabIndex = row === stop ? 0 : -1;
  }

  #focus(row) {
    this.#tabStop(row);
    row.link.focus();
  }

  #findKey(event) {
    const first = this.#shown()[0];
    if (event.key === "Escape") {
      this.find.value = "";
      this.filter();
      this.find.blur();
    } else if (event.key === "Enter" && first !== undefined) {
      location.hash = first.market.key;
      this.find.blur();
    } else if (event.key === "ArrowDown" && first !== undefined) {
      event.preventDefault();
      this.#focus(first);
    }
  }

  #rowKey(event) {
    const rows = this.#shown();
    const at = rows.findIndex((row) => row.link === document.activeElement);
    const end = rows.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: end,
                 PageDown: Math.min(end, at + PAGE_ROWS), PageUp: Math.max(0, at - PAGE_ROWS),
               }[event.key];
    if (at < 0 || to === undefined)
      return;
    event.preventDefault();
    if (to < 0)
      this.find.focus();
    else if (to < rows.length)
      this.#focus(rows[to]);
  }

  #pageKey(event) {
    const typing = event.target instanceof HTMLInputElement;
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey)
      return;
    event.preventDefault();
    location.hash = byId("rows").offsetParent === null ? "" : location.hash;
    this.find.focus();
    this.find.select();
  }
}
