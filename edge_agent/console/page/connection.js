// The WebSocket connection, which reconnects by itself.

import { Clock } from "./clock.js";

const FIRST_RETRY_MS = 400;
const MAX_RETRY_MS = 8000;
const SILENCE_MS = 6000; // the server pings every 2 s
const CLOCK_REQUEST_MS = 5000;

/**
 * Keeps one WebSocket open. `on.message(object)`, `on.frame({header, blob})` and `on.state(name, retryMs)` are called;
 * state is `connecting`, `open` or `waiting`.
 */
export class LiveConnection {
  #on;
  #clock;
  #socket = null;
  #watching = null;
  #openedWith = null;
  #failures = 0;
  #retryTimer = 0;
  #lastMessageMs = 0;
  #clockRequests = new Map();
  #clockRequestNumber = 0;

  constructor(clock, on) {
    this.#clock = clock;
    this.#on = on;
    setInterval(() => this.#closeIfSilent(), 1000);
    setInterval(() => this.#requestClock(), CLOCK_REQUEST_MS);
    addEventListener("online", () => this.#reconnectNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.#reconnectNow());
  }

  /** How long the server has been silent, in ms. */
  get silentMs() {
    return performance.now() - this.#lastMessageMs;
  }

  /** Watch one train, or (null) all of them. */
  watch(train) {
    this.#watching = train;
    this.send({ t: "watch", train });
  }

  /** Send a message if the connection is open; otherwise it is dropped. */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Connect now. */
  open() {
    clearTimeout(this.#retryTimer);
    this.#on.state("connecting", 0);
    this.#openedWith = this.#watching;
    const query = this.#watching === null ? "overview=1" : `train=${encodeURIComponent(this.#watching)}`;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/live?${query}`);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = () => socket === this.#socket && this.#onClose();
    this.#socket = socket;
    this.#lastMessageMs = performance.now();
  }

  #receive(data) {
    this.#lastMessageMs = performance.now();
    if (data instanceof ArrayBuffer) {
      const frame = readFrame(data);
      if (!frame) return;
      this.#clock.observe(frame.header.sent_ms);
      this.#on.frame(frame);
      return;
    }
    const message = JSON.parse(data);
    if (message.t === "hello") this.#onHello(message);
    else if (message.t === "ping") this.send({ t: "pong", n: message.n });
    else if (message.t === "clock") this.#onClockReply(message);
    this.#on.message(message);
  }

  #onHello(hello) {
    this.#failures = 0;
    this.#clock.reset();
    this.#clock.observe(hello.now_ms);
    this.#clockRequests.clear();
    this.#requestClock();
    if (this.#openedWith !== this.#watching) this.watch(this.#watching); // changed while the connection was opened
    this.#on.state("open", 0);
  }

  #requestClock() {
    this.#clockRequestNumber += 1;
    this.#clockRequests.set(this.#clockRequestNumber, Clock.own());
    this.send({ t: "clock", n: this.#clockRequestNumber });
  }

  #onClockReply({ n, now_ms: serverMs }) {
    const requestedMs = this.#clockRequests.get(n);
    if (requestedMs !== undefined) this.#clock.observeReply(requestedMs, serverMs);
    this.#clockRequests.delete(n);
  }

  /** Close a connection without messages: if the network fails, the socket stays open. */
  #closeIfSilent() {
    if (this.#socket && this.silentMs > SILENCE_MS) {
      const socket = this.#socket;
      this.#onClose();
      socket.close();
    }
  }

  #onClose() {
    this.#socket = null;
    const ceilingMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures);
    const waitMs = ceilingMs * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#on.state("waiting", waitMs);
    this.#retryTimer = setTimeout(() => this.open(), waitMs);
  }

  #reconnectNow() {
    if (!this.#socket) this.open();
  }
}

/** Parse a binary message: 4 bytes of length, a JSON header, the picture; null if it is malformed. */
export function readFrame(buffer) {
  if (buffer.byteLength < 4) return null;
  const length = new DataView(buffer).getUint32(0);
  if (length > buffer.byteLength - 4) return null;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { header, blob: new Blob([new Uint8Array(buffer, 4 + length)]) };
}
