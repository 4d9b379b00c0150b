// Measured times: the offset of the server's clock, and quantiles over a sliding window.

const PROBES_KEPT = 64;
const PROBE_AGE_MS_MAX = 120000; // older ones say nothing about clocks that drift

// The NTP way: a request left at t0 and its reply came at t1 by our clock; the server says when it
// received the one and wrote the other. The probe with the shortest way is off by at most
// half of it.
export class ClockOffset {
  #probes = [];

  reset() {
    this.#probes = [];
  }

  // All in microseconds, our clock's and the server's.
  add(t0, t1, us_in, us_out) {
    const way = t1 - t0 - (us_out - us_in);
    if (way < 0)
      return;
    this.#probes.push({ at: t1, way, offset: (us_in - t0 + us_out - t1) / 2 });
    const oldest = t1 - PROBE_AGE_MS_MAX * 1000;
    this.#probes = this.#probes.filter((probe) => probe.at >= oldest).slice(-PROBES_KEPT);
  }

  // {offset, error} in microseconds: server = ours + offset, give or take error. Null: not known
  // yet.
  get best() {
    if (this.#probes.length === 0)
      return null;
    const probe = this.#probes.reduce((a, b) => (b.way < a.way ? b : a));
    return { offset: probe.offset, error: probe.way / 2 };
  }
}

// The newest samples of the last `span_ms`.
export class Samples {
  #values;
  #times;
  #next = 0;
  #span_ms;

  constructor(count = 4096, span_ms = 30000) {
    this.#values = new Float64Array(count);
    this.#times = new Float64Array(count).fill(-Infinity);
    this.#span_ms = span_ms;
  }

  clear() {
    this.#times.fill(-Infinity);
  }

  add(value, now_ms) {
    this.#values[this.#next] = value;
    this.#times[this.#next] = now_ms;
    this.#next = (this.#next + 1) % this.#values.length;
  }

  // {p50, p99, count}, or null when there is no sample.
  summary(now_ms) {
    const from = now_ms - this.#span_ms;
    const sorted = this.#values.filter((_, i) => this.#times[i] >= from).sort();
    if (sorted.length === 0)
      return null;
    const at = (q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
    return { p50: at(0.5), p99: at(0.99), count: sorted.length };
  }
}

// Of a time in microseconds, three figures: "0.84 ms", "12.3 ms", "140 ms", "2.4 s".
export function duration(us) {
  const ms = us / 1000;
  const size = Math.abs(ms);
  if (size >= 1000)
    return `${(ms / 1000).toFixed(size < 10000 ? 1 : 0)} s`;
  return `${ms.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0)} ms`;
}
