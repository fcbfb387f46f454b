// The live connection: a WebSocket that comes back by itself. Knows the messages' frame, not what they mean.

import { Clock } from "./clock.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;
const SILENCE_MS = 6000; // the server pings every 2 s
const ASK_CLOCK_MS = 5000;

/**
 * Keeps one WebSocket open. `on.message(object)`, `on.frame({header, blob})` and `on.state(name, retryMs)` are called;
 * state is `connecting`, `open` or `waiting`.
 */
export class Live {
  #on;
  #clock;
  #socket = null;
  #watching = null;
  #opening = null;
  #failures = 0;
  #retry = 0;
  #heardMs = 0;
  #asked = new Map();
  #question = 0;

  constructor(clock, on) {
    this.#clock = clock;
    this.#on = on;
    setInterval(() => this.#check(), 1000);
    setInterval(() => this.#askClock(), ASK_CLOCK_MS);
    addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  /** How long the server has been silent, in ms. */
  get silentMs() {
    return performance.now() - this.#heardMs;
  }

  /** Watch one train, or (null) all of them. */
  watch(train) {
    this.#watching = train;
    this.send({ t: "watch", train });
  }

  /** Send a message where the connection is open; else it is lost, as nobody waits for it. */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Connect now. */
  open() {
    clearTimeout(this.#retry);
    this.#on.state("connecting", 0);
    this.#opening = this.#watching;
    const what = this.#watching === null ? "overview=1" : `train=${encodeURIComponent(this.#watching)}`;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/live?${what}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = () => socket === this.#socket && this.#lost();
    this.#socket = socket;
    this.#heardMs = performance.now();
  }

  #hear(data) {
    this.#heardMs = performance.now();
    if (data instanceof ArrayBuffer) {
      const frame = readFrame(data);
      if (!frame) return;
      this.#clock.hear(frame.header.sent_ms);
      this.#on.frame(frame);
      return;
    }
    const message = JSON.parse(data);
    if (message.t === "hello") this.#opened(message);
    else if (message.t === "ping") this.send({ t: "pong", n: message.n });
    else if (message.t === "clock") this.#learn(message);
    this.#on.message(message);
  }

  #opened(hello) {
    this.#failures = 0;
    this.#clock.reset();
    this.#clock.hear(hello.now_ms);
    this.#asked.clear();
    this.#askClock();
    if (this.#opening !== this.#watching) this.watch(this.#watching); // changed its mind while the door opened
    this.#on.state("open", 0);
  }

  #askClock() {
    this.#question += 1;
    this.#asked.set(this.#question, Clock.own());
    this.send({ t: "clock", n: this.#question });
  }

  #learn({ n, now_ms: serverMs }) {
    const askedMs = this.#asked.get(n);
    if (askedMs !== undefined) this.#clock.learn(askedMs, serverMs);
    this.#asked.delete(n);
  }

  /** Give up a connection that says nothing: a network that is gone closes no socket. */
  #check() {
    if (this.#socket && this.silentMs > SILENCE_MS) {
      const socket = this.#socket;
      this.#lost();
      socket.close();
    }
  }

  #lost() {
    this.#socket = null;
    const ceilingMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures);
    const waitMs = ceilingMs * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#on.state("waiting", waitMs);
    this.#retry = setTimeout(() => this.open(), waitMs);
  }

  #hurry() {
    if (!this.#socket) this.open();
  }
}

/** Take a binary message apart: 4 bytes of length, a JSON header, the picture; null where it is none. */
export function readFrame(buffer) {
  if (buffer.byteLength < 4) return null;
  const length = new DataView(buffer).getUint32(0);
  if (length > buffer.byteLength - 4) return null;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, blob: new Blob([new Uint8Array(buffer, 4 + length)]) };
}
