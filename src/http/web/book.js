// One book at one depth, rebuilt from snapshots and updates. Levels are {px, sz, key, size}: the
// two texts as they were sent, and the same as BigInts scaled by px_dp and sz_dp.

import { crc32 } from "./crc32.js";
import { isZero, scaled } from "./decimal.js";

const CHECKSUM_LEVELS = 10;

// Levels best first: bids downwards, asks upwards.
class Side {
  constructor(descending) {
    this.descending = descending;
    this.levels = [];
  }

  // Where the key is, or where it would have to be.
  find(key) {
    let low = 0;
    let high = this.levels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.levels[middle].key;
      if (this.descending ? other > key : other < key)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

  set(px, sz, dp) {
    const key = scaled(px, dp.px);
    const index = this.find(key);
    const there = this.levels[index]?.key === key ? 1 : 0;
    if (isZero(sz))
      this.levels.splice(index, there);
    else
      this.levels.splice(index, there, { px, sz, key, size: scaled(sz, dp.sz) });
  }
}

export class Book {
  constructor() {
    this.clear();
  }

  clear() {
    this.bids = new Side(true);
    this.asks = new Side(false);
  }

  // dp is {px, sz}: how many places the texts have. depth: how many levels a side are kept.
  merge(data, depth, dp) {
    for (const [side, levels] of [[this.bids, data.b], [this.asks, data.a]]) {
      for (const [px, sz] of levels)
        side.set(px, sz, dp);
      side.levels.length = Math.min(side.levels.length, depth);
    }
  }

  replace(data, depth, dp) {
    this.clear();
    this.merge(data, depth, dp);
  }

  get empty() {
    return this.bids.levels.length === 0 && this.asks.levels.length === 0;
  }

  get crossed() {
    const bid = this.bids.levels[0];
    const ask = this.asks.levels[0];
    return bid !== undefined && ask !== undefined && bid.key >= ask.key;
  }

  // What `cs` of a message must be.
  checksum() {
    const words = [];
    for (let rank = 0; rank < CHECKSUM_LEVELS; rank++) {
      for (const side of [this.bids, this.asks]) {
        const level = side.levels[rank];
        if (level !== undefined)
          words.push(level.px, level.sz);
      }
    }
    return words.length > 0 ? crc32(words.join(":")) : 0;
  }
}
