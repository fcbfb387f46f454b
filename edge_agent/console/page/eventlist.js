// The list of events, newest first. Knows items; a click is handed on.

import { find, icon, make, mark } from "./dom.js";
import { clockTime, figure, t } from "./i18n.js";
import { KINDS, wordsOf } from "./items.js";

const ROWS = 150;

/** Shows items; `onPick(item)` is called for a click on one that belongs to a picture or a moment. */
export class EventList {
  #list = find(".list");
  #filters = find(".filters");
  #rows = new Map();
  #hidden = new Set();
  #onPick;
  #language = "";

  constructor(onPick) {
    this.#onPick = onPick;
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Show the items of one train; `picked` is the id of the frame that the stage shows. */
  show(items, picked, language) {
    if (language !== this.#language) this.#restart(language);
    const wanted = items.filter((item) => !this.#hidden.has(item.kind)).slice(-ROWS).reverse();
    const ids = new Set(wanted.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let place = this.#list.firstElementChild;
    for (const item of wanted) {
      const row = this.#row(item);
      if (row === place) place = place.nextElementSibling;
      else this.#list.insertBefore(row, place);
      mark(row, "data-picked", picked !== null && item.frame_id === picked ? "true" : null);
    }
  }

  /** Forget all rows: another train's follow. */
  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  #restart(language) {
    this.#language = language;
    this.clear();
    this.#filters.replaceChildren(...KINDS.map((kind) => this.#filter(kind)));
  }

  #filter(kind) {
    const button = make("button", { class: `filter tone-${kind}`, type: "button", "aria-pressed": !this.#hidden.has(kind) });
    button.append(icon(kind === "fault" ? "warning" : kind), t(`kind.${kind}`));
    button.addEventListener("click", () => {
      if (!this.#hidden.delete(kind)) this.#hidden.add(kind);
      mark(button, "aria-pressed", !this.#hidden.has(kind));
    });
    return button;
  }

  #row(item) {
    const have = this.#rows.get(item.id);
    if (have) return have;
    const fresh = make("li", { class: "row" }, this.#button(item));
    this.#rows.set(item.id, fresh);
    return fresh;
  }

  #button(item) {
    const words = wordsOf(item);
    const button = make("button", { type: "button", class: `event tone-${words.tone}`, tabindex: "-1" });
    const text = make("span", { class: "event-text" }, make("b", {}, words.title));
    if (words.detail) text.append(make("span", { class: "event-detail", lang: "en" }, words.detail));
    const late = item.latency_ms === null || item.latency_ms === undefined ? "" : figure(item.latency_ms, "ms");
    const time = make("time", { datetime: new Date(item.at_ms).toISOString() }, clockTime(item.at_ms));
    button.append(time, icon(words.icon), text, make("span", { class: "event-late" }, late));
    button.addEventListener("click", () => this.#onPick(item));
    return button;
  }

  /** Arrow keys walk over the rows, as in a list box. */
  #walk(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step) return;
    const row = document.activeElement?.closest(".row");
    const next = row ? row[step] : this.#list.firstElementChild;
    next?.querySelector("button").focus();
    event.preventDefault();
  }
}
