// The server's clock, told from its answers. Knows nothing of sockets.

const KEPT = 8;

/** Estimates the server's clock as the one answer of the last few that came back fastest says. */
export class Clock {
  #samples = [];

  /** Our own clock in unix ms; unlike Date.now() it never jumps. */
  static own() {
    return performance.timeOrigin + performance.now();
  }

  /** Take in an answer: when we asked and got it, by our own clock, and what the server's clock said in between. */
  learn(askedMs, answeredMs, serverMs) {
    this.#samples.push({ tripMs: answeredMs - askedMs, offsetMs: serverMs - (askedMs + answeredMs) / 2 });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** A first guess from a message without a question. */
  guess(serverMs) {
    if (!this.#samples.length) this.#samples.push({ tripMs: Infinity, offsetMs: serverMs - Clock.own() });
  }

  /** Forget everything: another server may have another clock. */
  reset() {
    this.#samples = [];
  }

  /** The server's clock now, in unix ms. */
  now() {
    const best = this.#samples.reduce((one, other) => (other.tripMs < one.tripMs ? other : one), {
      tripMs: Infinity,
      offsetMs: this.#samples.at(-1)?.offsetMs ?? 0,
    });
    return Clock.own() + best.offsetMs;
  }
}
