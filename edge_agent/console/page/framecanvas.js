// Draws the newest picture of a camera on a canvas.

const MEASURES_KEPT = 200;

/**
 * Decodes in the background and draws at most once per display frame; of pictures that arrive in between, only the
 * newest is drawn. `onDrawn(header)` is called after the picture was painted, `onSkipped()` for each one not drawn.
 */
export class FrameCanvas {
  #canvas;
  #context;
  #onDrawn;
  #onSkipped;
  #waiting = null;
  #decoding = false;
  #next = null;
  #requested = false;
  #paused = false;

  constructor(canvas, { onDrawn = () => {}, onSkipped = () => {} } = {}) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.#onDrawn = onDrawn;
    this.#onSkipped = onSkipped;
  }

  /** While paused, new pictures are dropped: the canvas shows a stored one. */
  pause(paused) {
    this.#paused = paused;
    if (paused) this.#drop();
  }

  /** Queue a picture from the network. */
  add(frame) {
    if (this.#paused) return;
    if (this.#waiting) this.#onSkipped();
    this.#waiting = frame;
    if (!this.#decoding) this.#decode();
  }

  /** Draw a decoded picture at once. */
  draw(bitmap) {
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
      const bitmap = await createImageBitmap(blob).catch(() => null); // a broken picture is skipped
      if (!bitmap) continue;
      if (this.#next) {
        this.#next.bitmap.close();
        this.#onSkipped();
      }
      this.#next = { header, bitmap };
      if (this.#paused) this.#drop();
      else this.#requestDraw();
    }
    this.#decoding = false;
  }

  #drop() {
    this.#next?.bitmap.close();
    this.#next = this.#waiting = null;
  }

  #requestDraw() {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      if (!this.#next) return;
      const { header, bitmap } = this.#next;
      this.#next = null;
      this.draw(bitmap);
      bitmap.close();
      afterPaint(() => this.#onDrawn(header));
    });
  }
}

/** Call back after this display frame was painted: a message event runs after the rendering of its frame. */
function afterPaint(call) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    call();
  };
  port2.postMessage(null);
}

/** Record the age of a drawn picture as a performance measure, for the browser's developer tools. */
export function measureAge(header, ageMs) {
  const now = performance.now();
  if (ageMs < 0 || ageMs > now) return;
  performance.measure("frame-age", { start: now - ageMs, end: now, detail: header.frame_id });
  if (performance.getEntriesByName("frame-age").length > MEASURES_KEPT) performance.clearMeasures("frame-age");
}
