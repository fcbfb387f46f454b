// The strip of the last minutes: a slider over kept pictures, a tick for each event, a thumbnail for each stop.

import { draw, find, make, mark, say } from "./dom.js";
import { clockTime, span, t } from "./i18n.js";
import { wordsOf } from "./items.js";
import { stops } from "./model.js";

const LANES = { sign: 0, decision: 1, command: 2, fault: 3, answer: 3 };
const LANE_PX = 9;
const STOPS = 12;
const PAGE_MS = 10_000;

/**
 * Shows where one is in time. `on.seek(atMs, step)` asks for the picture at a moment (or so many places from it),
 * `on.live()` for the live one, `on.pick(item)` for a stop.
 */
export class Strip {
  #scrub = find(".scrub");
  #ticks = find(".ticks");
  #head = find(".scrub .head");
  #stops = find(".stops");
  #group = draw("g");
  #marks = new Map();
  #thumbs = new Map();
  #on;
  #width = 0;
  #baseMs = 0;
  #view = { nowMs: 0, windowMs: 300_000, atMs: null };
  #stopItems = [];

  constructor(on) {
    this.#on = on;
    this.#ticks.append(this.#group);
    this.#scrub.addEventListener("keydown", (event) => this.#key(event));
    this.#scrub.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#scrub.addEventListener("pointermove", (event) => this.#scrub.hasPointerCapture(event.pointerId) && this.#point(event));
    find(".strip .live").addEventListener("click", () => on.live());
    find(".strip .previous").addEventListener("click", () => this.#hop(-1));
    find(".strip .next").addEventListener("click", () => this.#hop(1));
  }

  /** Show the events up to `nowMs` (the train's clock); `atMs` is the moment of the kept picture shown, null is live. */
  show(items, { nowMs, windowMs, atMs, pictureUrl, language }) {
    const width = this.#scrub.clientWidth;
    if (width !== this.#width || windowMs !== this.#view.windowMs || !this.#baseMs) this.#measure(width, nowMs);
    this.#view = { nowMs, windowMs, atMs };
    this.#place(items.filter((item) => item.at_ms > nowMs - windowMs));
    this.#stopItems = stops(items).filter((item) => item.at_ms > nowMs - windowMs);
    this.#showStops(pictureUrl, language);
    this.#tell();
  }

  /** Forget everything of another train. */
  clear() {
    this.#marks.clear();
    this.#group.replaceChildren();
    this.#thumbs.clear();
    this.#stops.replaceChildren();
    this.#baseMs = 0;
  }

  #measure(width, nowMs) {
    this.#width = width;
    this.#baseMs = nowMs;
    this.#marks.clear();
    this.#group.replaceChildren();
  }

  #place(items) {
    const perMs = this.#width / this.#view.windowMs;
    const ids = new Set(items.map((item) => item.id));
    for (const [id, tick] of this.#marks) {
      if (ids.has(id)) continue;
      tick.remove();
      this.#marks.delete(id);
    }
    for (const item of items) {
      if (this.#marks.has(item.id)) continue;
      const x = (item.at_ms - this.#baseMs) * perMs;
      const y = 4 + (LANES[item.kind] ?? 3) * LANE_PX;
      const tick = draw("rect", { class: `tick tone-${wordsOf(item).tone}`, x: x - 1.5, y, width: 3, height: LANE_PX - 2, rx: 1 });
      this.#marks.set(item.id, tick);
      this.#group.append(tick);
    }
    const shift = this.#width - (this.#view.nowMs - this.#baseMs) * perMs;
    this.#group.setAttribute("transform", `translate(${shift.toFixed(1)} 0)`);
  }

  #showStops(pictureUrl, language) {
    const wanted = this.#stopItems.slice(-STOPS);
    const keys = new Set(wanted.map((item) => language + item.id));
    for (const [key, thumb] of this.#thumbs) {
      if (keys.has(key)) continue;
      thumb.remove();
      this.#thumbs.delete(key);
    }
    for (const item of wanted) {
      const key = language + item.id;
      if (this.#thumbs.has(key)) continue;
      const thumb = this.#thumb(item, pictureUrl);
      this.#thumbs.set(key, thumb);
      this.#stops.append(thumb);
      this.#stops.scrollLeft = this.#stops.scrollWidth;
    }
    mark(this.#stops, "data-none", wanted.length ? null : t("strip.none"));
  }

  #thumb(item, pictureUrl) {
    const time = clockTime(item.at_ms);
    const reason = item.data.reason ?? "";
    const button = make("button", { type: "button", class: "thumb", title: reason });
    const image = make("img", { alt: "", width: "96", height: "64" });
    image.addEventListener("error", () => image.remove());
    pictureUrl(item).then((url) => (url ? (image.src = url) : image.remove()));
    button.append(image, make("span", { class: "thumb-why", lang: "en" }, reason), make("span", { class: "thumb-time" }, time));
    mark(button, "aria-label", t("strip.stop", { time, reason }));
    button.addEventListener("click", () => this.#on.pick(item));
    return make("li", {}, button);
  }

  #tell() {
    const { nowMs, windowMs, atMs } = this.#view;
    const agoMs = atMs === null ? 0 : Math.max(0, nowMs - atMs);
    const text = atMs === null ? t("strip.now") : t("strip.ago", { ago: span(agoMs) });
    mark(this.#scrub, "aria-valuemin", Math.round(-windowMs / 1000));
    mark(this.#scrub, "aria-valuemax", 0);
    mark(this.#scrub, "aria-valuenow", Math.round(-agoMs / 1000));
    mark(this.#scrub, "aria-valuetext", text);
    say(find(".strip-where"), atMs === null ? t("strip.window", { span: span(windowMs) }) : text);
    this.#head.style.transform = `translateX(${(Math.max(0, 1 - agoMs / windowMs) * this.#width).toFixed(1)}px)`;
    find(".strip .live").disabled = atMs === null;
    find(".strip .previous").disabled = !this.#stopItems.some((item) => item.at_ms < (atMs ?? nowMs) - 1);
    find(".strip .next").disabled = !this.#stopItems.some((item) => item.at_ms > (atMs ?? nowMs) + 1);
  }

  #key(event) {
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

  #grab(event) {
    this.#scrub.setPointerCapture(event.pointerId);
    this.#point(event);
  }

  #point(event) {
    const share = (event.clientX - this.#scrub.getBoundingClientRect().left) / this.#width;
    const { nowMs, windowMs } = this.#view;
    if (share > 0.995) this.#on.live();
    else this.#on.seek(nowMs - (1 - Math.max(0, share)) * windowMs, 0);
  }

  #hop(step) {
    const at = this.#view.atMs ?? this.#view.nowMs;
    const side = this.#stopItems.filter((item) => (step < 0 ? item.at_ms < at - 1 : item.at_ms > at + 1));
    const item = step < 0 ? side.at(-1) : side[0];
    if (item) this.#on.pick(item);
  }
}
