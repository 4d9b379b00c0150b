import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { VECTORS, WEB } from "./kit.mjs";

const { Book } = await import(`${WEB}book.js`);
const { crc32 } = await import(`${WEB}crc32.js`);

const DP = { px: 2, sz: 8 };

function bookOf(data, depth = 10) {
  const book = new Book();
  book.replace(data, depth, DP);
  return book;
}

test("crc32 is zlib's, on texts of every length", () => {
  assert.equal(crc32("123456789"), 0xcbf43926);
  for (let length = 1; length < 300; length++) {
    const codes = Array.from({ length }, (_, i) => 33 + ((i * 7 + length) % 90));
    const text = String.fromCharCode(...codes);
    const zipped = gzipSync(text); // ends in the checksum and the length
    assert.equal(crc32(text), zipped.readUInt32LE(zipped.length - 8));
  }
});

test("the vectors of the protocol come out", () => {
  const book = bookOf(VECTORS.first);
  assert.equal(book.checksum(), VECTORS.cs.first);
  book.merge(VECTORS.change, 10, DP);
  assert.equal(book.checksum(), VECTORS.cs.changed);
  assert.equal(bookOf(VECTORS.first, 1).checksum(), VECTORS.cs.at_depth_1);
  assert.equal(bookOf({ b: [], a: [] }).checksum(), 0);
});

test("levels are best first whatever order they come in, and only the depth is kept", () => {
  const book = bookOf({ b: [], a: [] });
  const level = (px) => [px, "1.00000000"];
  book.merge({ b: ["9.00", "10.00", "9.50"].map(level),
               a: ["100.00", "11.00", "20.00"].map(level) }, 2, DP);
  assert.deepEqual(book.bids.levels.map(({ px }) => px), ["10.00", "9.50"]);
  assert.deepEqual(book.asks.levels.map(({ px }) => px), ["11.00", "20.00"]);
});

test("a new size replaces, size zero removes, and what is not there may be removed", () => {
  const book = bookOf(VECTORS.first);
  book.merge({ b: [["64012.33", "0.70000000"], ["1.00", "0.00000000"]],
               a: [["64012.34", "0.00000000"]] }, 10, DP);
  assert.deepEqual(book.bids.levels[0], { px: "64012.33", sz: "0.70000000", key: 6401233n,
                                          size: 70000000n });
  assert.equal(book.bids.levels.length, 3);
  assert.equal(book.asks.levels[0].px, "64013.01");
});

test("prices that a float can't tell apart are two levels", () => {
  const book = new Book();
  const prices = ["90071992547409.91", "90071992547409.92", "90071992547409.93"];
  book.replace({ b: prices.map((px) => [px, "1"]), a: [] }, 10, { px: 2, sz: 0 });
  assert.equal(book.bids.levels.length, 3);
  assert.equal(book.bids.levels[0].px, "90071992547409.93");
});

test("a book is crossed when the bid reaches the ask, and not before", () => {
  const at = (bid, ask) => bookOf({ b: [[bid, "1.00000000"]], a: [[ask, "1.00000000"]] }).crossed;
  assert.equal(at("9.99", "10.00"), false);
  assert.equal(at("10.00", "10.00"), true);
  assert.equal(at("10.01", "9.00"), true);
  assert.equal(bookOf({ b: [["1.00", "1.00000000"]], a: [] }).crossed, false);
});

test("a random walk equals a naive book", () => {
  let state = 12345; // a small generator: the walk is the same in every run
  const random = (n) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % n;
  };
  const book = new Book();
  const naive = { b: new Map(), a: new Map() };
  for (let step = 0; step < 3000; step++) {
    const side = random(2) ? "b" : "a";
    const px = ((side === "b" ? 100 : 200) + random(99)).toString().padStart(3, "0");
    const [price, size] = [`${px.slice(0, -2)}.${px.slice(-2)}`, `0.0000000${random(4)}`];
    book.merge({ b: [], a: [], [side]: [[price, size]] }, 1000, DP);
    naive[side].delete(price);
    if (size !== "0.00000000")
      naive[side].set(price, size);
    const sign = side === "b" ? -1 : 1;
    const sorted = [...naive[side]].sort(([x], [y]) => (x < y ? -sign : sign));
    const got = (side === "b" ? book.bids : book.asks).levels.map(({ px: p, sz }) => [p, sz]);
    assert.deepEqual(got, sorted);
  }
});
