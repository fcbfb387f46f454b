// The large picture, live or stored, with its boxes and figures.

import { describeDetection, drawBoxes } from "./boxes.js";
import { find, setAttribute, setText } from "./dom.js";
import { FrameCanvas } from "./framecanvas.js";
import { formatDuration, formatQuantity, formatTime, t } from "./i18n.js";
import { boxesFor, freshness, rate, shownAge } from "./model.js";
import { load, store } from "./storage.js";
import { setTrainText } from "./traintext.js";

/** The view. `onDrawn(header)` is called for each live picture drawn, `onSkipped()` for each one not drawn. */
export class PictureView {
  #root = find(".picture-view");
  #canvas = find(".picture-view .frame");
  #boxes = find(".picture-view .boxes");
  #overlay = load("overlay") !== "off";
  #drawn = null; // {width, height, detections} on the screen
  #frameCanvas;
  #stored = null;

  constructor({ onDrawn, onSkipped }) {
    this.#frameCanvas = new FrameCanvas(this.#canvas, { onDrawn, onSkipped });
    const toggle = find(".overlay", this.#root);
    setAttribute(toggle, "aria-checked", this.#overlay);
    toggle.addEventListener("click", () => this.#toggle(toggle));
    new ResizeObserver(() => this.#redraw()).observe(this.#boxes);
  }

  /** The detail of the stored picture that is shown, null if the live one is. */
  get stored() {
    return this.#stored;
  }

  /** Queue a live picture. */
  add(frame) {
    this.#frameCanvas.add(frame);
  }

  /** Draw the boxes of the live picture. */
  drawLive(known) {
    if (this.#stored || !known.shown) return;
    const { header } = known.shown;
    const prediction = boxesFor(known, header);
    this.#draw(prediction?.detections ?? [], header);
  }

  /** Show a stored picture: its detail from the server, and its bitmap (null if it is gone). */
  showStored(detail, bitmap) {
    this.#stored = detail;
    this.#frameCanvas.pause(true);
    if (bitmap) this.#frameCanvas.draw(bitmap);
    this.#draw(detail.detections, detail);
  }

  /** Return to the live picture. */
  showLive() {
    this.#stored = null;
    this.#frameCanvas.pause(false);
  }

  /** Clear the picture of another train. */
  clear() {
    this.showLive();
    const context = this.#canvas.getContext("2d");
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#draw([], { width: 600, height: 400 });
  }

  /** Update the figures, and mark the picture if it is stale. `skipped`: pictures that this page has not drawn. */
  update(known, now, skipped) {
    const fresh = freshness(known, now);
    const shown = known.shown !== undefined;
    const age = shownAge(known, now.nowMs);
    const live = fresh.kind === "fresh" && !this.#stored;
    setText(find(".age", this.#root), shown && !this.#stored ? formatDuration(age) : "–");
    setText(find(".rate", this.#root), live ? formatQuantity(rate(known, now.nowMs), t("unit.fps"), 1) : "–");
    setText(find(".skipped", this.#root), formatQuantity(known.skipped + skipped));
    setText(find(".dropped", this.#root), formatQuantity(known.train.dropped));
    setText(find(".inference", this.#root), formatQuantity(known.last?.inference_ms, "ms"));
    this.#mode(fresh, now);
    this.#showStale(fresh, known.train.state?.ended ?? "");
    setAttribute(this.#canvas, "aria-label", this.#describe(known));
  }

  #mode(fresh, now) {
    const stored = this.#stored;
    const state = stored ? "past" : fresh.kind === "fresh" ? "live" : "stale";
    setAttribute(this.#root, "data-mode", state);
    const ago = stored ? t("mode.past", { ago: formatDuration(now.serverMs - stored.at_ms), time: formatTime(stored.at_ms) }) : "";
    setText(find(".mode-text", this.#root), stored ? ago : t(`mode.${state}`));
    const best = this.#overlay && state !== "stale" ? this.#drawn?.detections[0] : null;
    setText(find(".detected", this.#root), best ? describeDetection(best) : "");
  }

  #showStale(fresh, ended) {
    const notice = find(".stale-notice", this.#root);
    const hidden = this.#stored !== null || fresh.kind === "fresh";
    notice.hidden = hidden;
    if (hidden) return;
    setText(find(".stale-title", notice), t(`stale.${fresh.kind}`));
    const since = fresh.ms > 0 ? t("stale.since", { duration: formatDuration(Math.floor(fresh.ms / 1000) * 1000) }) : "";
    if (fresh.kind === "ended") setTrainText(find(".stale-text", notice), ended);
    else {
      setAttribute(find(".stale-text", notice), "lang", null);
      setText(find(".stale-text", notice), since);
    }
  }

  #describe(known) {
    const seen = (this.#drawn?.detections ?? []).map(describeDetection).join(", ");
    return t("picture.alt", { train: known.train.name, seen: seen || t("picture.nothing") });
  }

  #toggle(toggle) {
    this.#overlay = !this.#overlay;
    store("overlay", this.#overlay ? null : "off");
    setAttribute(toggle, "aria-checked", this.#overlay);
    this.#redraw();
  }

  #draw(detections, { width, height }) {
    this.#drawn = { detections, width, height };
    setAttribute(this.#boxes, "data-count", detections.length);
    this.#redraw();
  }

  #redraw() {
    if (!this.#drawn) return;
    const { detections, width, height } = this.#drawn;
    drawBoxes(this.#boxes, this.#overlay ? detections : [], width || 600, height || 400);
  }
}
