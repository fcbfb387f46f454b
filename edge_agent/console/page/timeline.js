// The timeline of the last minutes: a slider over stored pictures, a tick per event, a thumbnail per stop.

import { createElement, createSvg, find, setAttribute, setText } from "./dom.js";
import { formatDuration, formatTime, t } from "./i18n.js";
import { describeItem } from "./items.js";
import { stops } from "./model.js";
import { inLanguage } from "./traintext.js";

const ROWS = { sign: 0, decision: 1, command: 2, fault: 3, answer: 3 };
const ROW_PX = 9;
const MAX_STOPS = 12;
const PAGE_MS = 10_000;

/**
 * Shows the position in time. Calls `on.seek(atMs, step)` for the picture at a time (or so many pictures from it),
 * `on.live()` for the live one, and `on.select(item)` for a stop.
 */
export class Timeline {
  #scrub = find(".scrub");
  #ticks = find(".ticks");
  #playhead = find(".scrub .playhead");
  #stops = find(".stops");
  #group = createSvg("g");
  #tickElements = new Map();
  #thumbnails = new Map();
  #on;
  #width = 0;
  #baseMs = 0;
  #view = { nowMs: 0, windowMs: 300_000, atMs: null, fromMs: 0 };
  #stopItems = [];

  constructor(on) {
    this.#on = on;
    this.#ticks.append(this.#group);
    this.#scrub.addEventListener("keydown", (event) => this.#onKey(event));
    this.#scrub.addEventListener("pointerdown", (event) => this.#onPointerDown(event));
    this.#scrub.addEventListener("pointermove", (event) => this.#scrub.hasPointerCapture(event.pointerId) && this.#seekTo(event));
    find(".timeline .live").addEventListener("click", () => on.live());
    find(".timeline .previous").addEventListener("click", () => this.#selectStop(-1));
    find(".timeline .next").addEventListener("click", () => this.#selectStop(1));
  }

  /**
   * Show the events up to `nowMs` (the train's clock); `atMs` is the time of the stored picture shown, null is live.
   * `itemMs` is that of the item which was opened, later than its picture; null if a time was opened.
   */
  show(items, { nowMs, windowMs, atMs, itemMs, pictureUrl, language }) {
    const width = this.#scrub.clientWidth;
    if (width !== this.#width || windowMs !== this.#view.windowMs || !this.#baseMs) this.#resetTicks(width, nowMs);
    this.#view = { nowMs, windowMs, atMs, fromMs: itemMs ?? atMs ?? nowMs };
    this.#showTicks(items.filter((item) => item.at_ms > nowMs - windowMs));
    this.#stopItems = stops(items).filter((item) => item.at_ms > nowMs - windowMs);
    this.#showStops(pictureUrl, language);
    this.#showPosition();
  }

  /** Clear everything of another train. */
  clear() {
    this.#tickElements.clear();
    this.#group.replaceChildren();
    this.#thumbnails.clear();
    this.#stops.replaceChildren();
    this.#baseMs = 0;
  }

  #resetTicks(width, nowMs) {
    this.#width = width;
    this.#baseMs = nowMs;
    this.#tickElements.clear();
    this.#group.replaceChildren();
  }

  #showTicks(items) {
    const perMs = this.#width / this.#view.windowMs;
    const ids = new Set(items.map((item) => item.id));
    for (const [id, tick] of this.#tickElements) {
      if (ids.has(id)) continue;
      tick.remove();
      this.#tickElements.delete(id);
    }
    for (const item of items) {
      if (this.#tickElements.has(item.id)) continue;
      const x = (item.at_ms - this.#baseMs) * perMs;
      const y = 4 + (ROWS[item.kind] ?? 3) * ROW_PX;
      const tick = createSvg("rect", { class: `tick tone-${describeItem(item).tone}`, x: x - 1.5, y, width: 3, height: ROW_PX - 2, rx: 1 });
      this.#tickElements.set(item.id, tick);
      this.#group.append(tick);
    }
    const shift = this.#width - (this.#view.nowMs - this.#baseMs) * perMs;
    this.#group.setAttribute("transform", `translate(${shift.toFixed(1)} 0)`);
  }

  #showStops(pictureUrl, language) {
    const stopItems = this.#stopItems.slice(-MAX_STOPS);
    const keys = new Set(stopItems.map((item) => language + item.id));
    for (const [key, thumb] of this.#thumbnails) {
      if (keys.has(key)) continue;
      thumb.remove();
      this.#thumbnails.delete(key);
    }
    for (const item of stopItems) {
      const key = language + item.id;
      if (this.#thumbnails.has(key)) continue;
      const thumb = this.#createThumbnail(item, pictureUrl);
      this.#thumbnails.set(key, thumb);
      this.#stops.append(thumb);
      this.#stops.scrollLeft = this.#stops.scrollWidth;
    }
    setAttribute(this.#stops, "data-none", stopItems.length ? null : t("timeline.none"));
  }

  #createThumbnail(item, pictureUrl) {
    const time = formatTime(item.at_ms);
    const { text: reason, lang } = inLanguage(item.data.reason);
    const button = createElement("button", { type: "button", class: "thumb", title: reason });
    const image = createElement("img", { alt: "", width: "96", height: "64" });
    image.addEventListener("error", () => image.remove());
    pictureUrl(item).then((url) => (url ? (image.src = url) : image.remove()));
    button.append(image, createElement("span", { class: "thumb-reason", lang }, reason), createElement("span", { class: "thumb-time" }, time));
    setAttribute(button, "aria-label", t("timeline.stop", { time, reason }));
    button.addEventListener("click", () => this.#on.select(item));
    return createElement("li", {}, button);
  }

  #showPosition() {
    const { nowMs, windowMs, atMs, fromMs } = this.#view;
    const agoMs = atMs === null ? 0 : Math.max(0, nowMs - atMs);
    const text = atMs === null ? t("timeline.now") : t("timeline.ago", { ago: formatDuration(agoMs) });
    setAttribute(this.#scrub, "aria-valuemin", Math.round(-windowMs / 1000));
    setAttribute(this.#scrub, "aria-valuemax", 0);
    setAttribute(this.#scrub, "aria-valuenow", Math.round(-agoMs / 1000));
    setAttribute(this.#scrub, "aria-valuetext", text);
    setText(find(".timeline-position"), atMs === null ? t("timeline.window", { duration: formatDuration(windowMs) }) : text);
    this.#playhead.style.transform = `translateX(${(Math.max(0, 1 - agoMs / windowMs) * this.#width).toFixed(1)}px)`;
    find(".timeline .live").disabled = atMs === null;
    find(".timeline .previous").disabled = !this.#stopItems.some((item) => item.at_ms < fromMs - 1);
    find(".timeline .next").disabled = !this.#stopItems.some((item) => item.at_ms > fromMs + 1);
  }

  #onKey(event) {
    const at = this.#view.atMs ?? this.#view.nowMs;
    const moves = {
      ArrowLeft: () => this.#on.seek(at, -1), ArrowDown: () => this.#on.seek(at, -1),
      ArrowRight: () => this.#on.seek(at, 1), ArrowUp: () => this.#on.seek(at, 1),
      PageDown: () => this.#on.seek(at - PAGE_MS, 0), PageUp: () => this.#on.seek(at + PAGE_MS, 0),
      Home: () => this.#on.seek(0, 0), End: () => this.#on.live(),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  }

  #onPointerDown(event) {
    this.#scrub.setPointerCapture(event.pointerId);
    this.#seekTo(event);
  }

  #seekTo(event) {
    const fraction = (event.clientX - this.#scrub.getBoundingClientRect().left) / this.#width;
    const { nowMs, windowMs } = this.#view;
    if (fraction > 0.995) this.#on.live();
    else this.#on.seek(nowMs - (1 - Math.max(0, fraction)) * windowMs, 0);
  }

  #selectStop(step) {
    const { fromMs } = this.#view;
    const candidates = this.#stopItems.filter((item) => (step < 0 ? item.at_ms < fromMs - 1 : item.at_ms > fromMs + 1));
    const item = step < 0 ? candidates.at(-1) : candidates[0];
    if (item) this.#on.select(item);
  }
}
