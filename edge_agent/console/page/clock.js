// Estimates the server's clock from the times in its messages.

const BUCKET_MS = 30_000;

/**
 * Bounds the offset between the server's clock and ours: a time in a message is earlier than its arrival, and the time
 * in a reply is later than the request. The tightest bounds of the last 30 to 60 s are used.
 */
export class Clock {
  #buckets = [];

  /** Our clock in ms since 1970; unlike Date.now() it never jumps. */
  static own() {
    return performance.timeOrigin + performance.now();
  }

  /** Use a server time that has just arrived. */
  observe(serverMs) {
    this.#narrow(serverMs - Clock.own(), Infinity);
  }

  /** Use the server time in a reply to a request that was sent at `requestedMs` of our clock. */
  observeReply(requestedMs, serverMs) {
    this.#narrow(serverMs - Clock.own(), serverMs - requestedMs);
  }

  /** Forget all bounds, e.g. for another server. */
  reset() {
    this.#buckets = [];
  }

  /** The server's clock now, in ms since 1970. */
  now() {
    const low = Math.max(...this.#buckets.map((bucket) => bucket.low));
    const high = Math.min(...this.#buckets.map((bucket) => bucket.high));
    if (!Number.isFinite(low)) return Clock.own();
    return Clock.own() + (Number.isFinite(high) ? (low + high) / 2 : low);
  }

  #narrow(low, high) {
    const now = performance.now();
    const stepped = this.#buckets.some((bucket) => low > bucket.high || high < bucket.low);
    if (stepped) this.reset(); // one of the clocks was set
    if (!this.#buckets.length || now - this.#buckets[0].sinceMs > BUCKET_MS) {
      this.#buckets = [{ low, high, sinceMs: now }, ...this.#buckets.slice(0, 1)];
      return;
    }
    const newest = this.#buckets[0];
    newest.low = Math.max(newest.low, low);
    newest.high = Math.min(newest.high, high);
  }
}
