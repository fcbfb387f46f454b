// The server's clock, told from what it says. Knows nothing of sockets.

const BUCKET_MS = 30_000;

/**
 * Keeps the offset between the server's clock and ours within bounds: a moment that the server tells was before we
 * heard it, and its answer was given after we asked. The tightest bounds of the last half to whole minute count.
 */
export class Clock {
  #buckets = [];

  /** Our own clock in unix ms; unlike Date.now() it never jumps. */
  static own() {
    return performance.timeOrigin + performance.now();
  }

  /** Take in a moment by the server's clock that has just come. */
  hear(serverMs) {
    this.#narrow(serverMs - Clock.own(), Infinity);
  }

  /** Take in the answer to a question: when we asked, by our own clock, and what the server's clock said then. */
  learn(askedMs, serverMs) {
    this.#narrow(serverMs - Clock.own(), serverMs - askedMs);
  }

  /** Forget everything: another server may have another clock. */
  reset() {
    this.#buckets = [];
  }

  /** The server's clock now, in unix ms. */
  now() {
    const low = Math.max(...this.#buckets.map((one) => one.low));
    const high = Math.min(...this.#buckets.map((one) => one.high));
    if (!Number.isFinite(low)) return Clock.own();
    return Clock.own() + (Number.isFinite(high) ? (low + high) / 2 : low);
  }

  #narrow(low, high) {
    const now = performance.now();
    const stepped = this.#buckets.some((one) => low > one.high || high < one.low);
    if (stepped) this.reset(); // somebody has set a clock
    if (!this.#buckets.length || now - this.#buckets[0].sinceMs > BUCKET_MS) {
      this.#buckets = [{ low, high, sinceMs: now }, ...this.#buckets.slice(0, 1)];
      return;
    }
    const newest = this.#buckets[0];
    newest.low = Math.max(newest.low, low);
    newest.high = Math.min(newest.high, high);
  }
}
