// Shows the newest picture of one camera on a canvas. Knows nothing of boxes, trains or the network.

const MEASURES_KEPT = 200;

/**
 * Decodes beside the page's own work and draws once a display frame: whatever comes in between is overtaken by the
 * newest. `onShown(header)` is called after the pixels were handed over, `onOvertaken()` for each picture left out.
 */
export class Picture {
  #canvas;
  #context;
  #onShown;
  #onOvertaken;
  #waiting = null;
  #decoding = false;
  #next = null;
  #asked = false;
  #held = false;

  constructor(canvas, { onShown = () => {}, onOvertaken = () => {} } = {}) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.#onShown = onShown;
    this.#onOvertaken = onOvertaken;
  }

  /** While held, what is offered is dropped: something else is being shown. */
  hold(held) {
    this.#held = held;
    if (held) this.#drop();
  }

  /** Take a picture from the network. */
  offer(frame) {
    if (this.#held) return;
    if (this.#waiting) this.#onOvertaken();
    this.#waiting = frame;
    if (!this.#decoding) this.#decode();
  }

  /** Draw a decoded picture at once. */
  show(bitmap) {
    const canvas = this.#canvas;
    if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
    if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
    this.#context.drawImage(bitmap, 0, 0);
  }

  async #decode() {
    this.#decoding = true;
    while (this.#waiting) {
      const { header, blob } = this.#waiting;
      this.#waiting = null;
      const bitmap = await createImageBitmap(blob).catch(() => null); // a broken picture is followed by another
      if (!bitmap) continue;
      if (this.#next) {
        this.#next.bitmap.close();
        this.#onOvertaken();
      }
      this.#next = { header, bitmap };
      if (this.#held) this.#drop();
      else this.#ask();
    }
    this.#decoding = false;
  }

  #drop() {
    this.#next?.bitmap.close();
    this.#next = this.#waiting = null;
  }

  #ask() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      if (!this.#next) return;
      const { header, bitmap } = this.#next;
      this.#next = null;
      this.show(bitmap);
      bitmap.close();
      afterPaint(() => this.#onShown(header));
    });
  }
}

/** Call back once the browser has handed this display frame's pixels over. */
function afterPaint(call) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    call();
  };
  port2.postMessage(null);
}

/** Leave a mark of how old a picture was when it was drawn, where the browser's own tools look for it. */
export function measureAge(header, ageMs) {
  const now = performance.now();
  if (ageMs < 0 || ageMs > now) return;
  performance.measure("frame-age", { start: now - ageMs, end: now, detail: header.frame_id });
  if (performance.getEntriesByName("frame-age").length > MEASURES_KEPT) performance.clearMeasures("frame-age");
}
