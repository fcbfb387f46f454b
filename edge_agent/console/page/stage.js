// The one large picture: live or a kept one, with its boxes and figures. Knows how to show; what to show is told to it.

import { drawBoxes, inWords } from "./boxes.js";
import { find, mark, say } from "./dom.js";
import { clockTime, figure, span, t } from "./i18n.js";
import { keep, kept } from "./keep.js";
import { boxesFor, freshness, rate, shownAge } from "./model.js";
import { Picture } from "./picture.js";

/** The stage. `onShown(header)` is called for each live picture drawn, `onOvertaken()` for each left out. */
export class Stage {
  #root = find(".stage");
  #frame = find(".stage .frame");
  #boxes = find(".stage .boxes");
  #overlay = kept("overlay") !== "off";
  #drawn = null; // {width, height, detections} as they are on the screen
  #picture;
  #past = null;

  constructor({ onShown, onOvertaken }) {
    this.#picture = new Picture(this.#frame, { onShown, onOvertaken });
    const toggle = find(".overlay", this.#root);
    mark(toggle, "aria-checked", this.#overlay);
    toggle.addEventListener("click", () => this.#toggle(toggle));
    new ResizeObserver(() => this.#redraw()).observe(this.#boxes);
  }

  /** Whether a kept picture is shown instead of the live one. */
  get past() {
    return this.#past;
  }

  /** Take a live picture. */
  offer(frame) {
    this.#picture.offer(frame);
  }

  /** Draw the boxes that belong to what is shown live. */
  drawLive(known) {
    if (this.#past || !known.shown) return;
    const { header } = known.shown;
    const prediction = boxesFor(known, header);
    this.#draw(prediction?.detections ?? [], header);
  }

  /** Show a kept picture: its detail as the server tells it, and its pixels (null where they are gone). */
  showPast(detail, bitmap) {
    this.#past = detail;
    this.#picture.hold(true);
    if (bitmap) this.#picture.show(bitmap);
    this.#draw(detail.detections, detail);
  }

  /** Go back to the live picture. */
  showLive() {
    this.#past = null;
    this.#picture.hold(false);
  }

  /** Forget the picture of another train. */
  clear() {
    this.showLive();
    const context = this.#frame.getContext("2d");
    context.clearRect(0, 0, this.#frame.width, this.#frame.height);
    this.#draw([], { width: 600, height: 400 });
  }

  /** Write the figures and say whether what is shown can be trusted. `overtaken`: pictures this page left out. */
  tell(known, now, overtaken) {
    const fresh = freshness(known, now);
    const shown = known.shown !== undefined;
    const age = shownAge(known, now.nowMs);
    const live = fresh.kind === "fresh" && !this.#past;
    say(find(".age", this.#root), shown && !this.#past ? span(age) : "–");
    say(find(".rate", this.#root), live ? figure(rate(known, now.nowMs), t("unit.fps"), 1) : "–");
    say(find(".skipped", this.#root), figure(known.skipped + overtaken));
    say(find(".dropped", this.#root), figure(known.train.dropped));
    say(find(".inference", this.#root), figure(known.last?.inference_ms, "ms"));
    this.#mode(fresh, now);
    this.#veil(fresh);
    mark(this.#frame, "aria-label", this.#describe(known));
  }

  #mode(fresh, now) {
    const past = this.#past;
    const state = past ? "past" : fresh.kind === "fresh" ? "live" : "stale";
    mark(this.#root, "data-mode", state);
    const ago = past ? t("mode.past", { ago: span(now.serverMs - past.at_ms), time: clockTime(past.at_ms) }) : "";
    say(find(".mode-text", this.#root), past ? ago : t(`mode.${state}`));
    const best = this.#overlay && state !== "stale" ? this.#drawn?.detections[0] : null;
    say(find(".sees", this.#root), best ? inWords(best) : "");
  }

  #veil(fresh) {
    const veil = find(".veil", this.#root);
    const hidden = this.#past !== null || fresh.kind === "fresh";
    veil.hidden = hidden;
    if (hidden) return;
    say(find(".veil-title", veil), t(`stale.${fresh.kind}`));
    say(find(".veil-text", veil), fresh.ms > 0 ? t("stale.since", { span: span(Math.floor(fresh.ms / 1000) * 1000) }) : "");
  }

  #describe(known) {
    const seen = (this.#drawn?.detections ?? []).map(inWords).join(", ");
    return t("stage.alt", { train: known.train.name, seen: seen || t("stage.nothing") });
  }

  #toggle(toggle) {
    this.#overlay = !this.#overlay;
    keep("overlay", this.#overlay ? null : "off");
    mark(toggle, "aria-checked", this.#overlay);
    this.#redraw();
  }

  #draw(detections, { width, height }) {
    this.#drawn = { detections, width, height };
    mark(this.#boxes, "data-count", detections.length);
    this.#redraw();
  }

  #redraw() {
    if (!this.#drawn) return;
    const { detections, width, height } = this.#drawn;
    drawBoxes(this.#boxes, this.#overlay ? detections : [], width || 600, height || 400);
  }
}
