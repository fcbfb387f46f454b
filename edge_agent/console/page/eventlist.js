// The list of events, newest first, with filters by kind.

import { isLatency } from "./causalchain.js";
import { createElement, find, icon, setAttribute } from "./dom.js";
import { formatQuantity, formatTime, t } from "./i18n.js";
import { describeItem, KINDS } from "./items.js";

const ROWS = 150;

/** Shows items; `onSelect(item)` is called when one is clicked. */
export class EventList {
  #list = find(".list");
  #filters = find(".filters");
  #rows = new Map();
  #hidden = new Set();
  #onSelect;
  #language = "";

  constructor(onSelect) {
    this.#onSelect = onSelect;
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Show the items of one train; `selected` is the id of the frame shown, null if that is live. */
  show(items, selected, language) {
    if (language !== this.#language) this.#setLanguage(language);
    const visible = items.filter((item) => !this.#hidden.has(item.kind)).slice(-ROWS).reverse();
    const ids = new Set(visible.map((item) => item.id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let next = this.#list.firstElementChild;
    for (const item of visible) {
      const row = this.#row(item);
      if (row === next) next = next.nextElementSibling;
      else this.#list.insertBefore(row, next);
      setAttribute(row, "data-selected", selected !== null && item.frame_id === selected ? "true" : null);
    }
  }

  /** Remove all rows. */
  clear() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }

  #setLanguage(language) {
    this.#language = language;
    this.clear();
    this.#filters.replaceChildren(...KINDS.map((kind) => this.#filter(kind)));
  }

  #filter(kind) {
    const button = createElement("button", { class: `filter tone-${kind}`, type: "button", "aria-pressed": !this.#hidden.has(kind) });
    button.append(icon(kind === "fault" ? "warning" : kind), t(`kind.${kind}`));
    button.addEventListener("click", () => {
      if (!this.#hidden.delete(kind)) this.#hidden.add(kind);
      setAttribute(button, "aria-pressed", !this.#hidden.has(kind));
    });
    return button;
  }

  #row(item) {
    const existing = this.#rows.get(item.id);
    if (existing) return existing;
    const row = createElement("li", { class: "row" }, this.#button(item));
    this.#rows.set(item.id, row);
    return row;
  }

  #button(item) {
    const description = describeItem(item);
    const button = createElement("button", { type: "button", class: `event tone-${description.tone}`, tabindex: "-1" });
    const text = createElement("span", { class: "event-text" }, createElement("b", {}, description.title));
    if (description.detail) text.append(createElement("span", { class: "event-detail", lang: description.lang }, description.detail));
    const latency = isLatency(item.latency_ms) ? formatQuantity(item.latency_ms, "ms") : "";
    const time = createElement("time", { datetime: new Date(item.at_ms).toISOString() }, formatTime(item.at_ms));
    button.append(time, icon(description.icon), text, createElement("span", { class: "event-latency" }, latency));
    button.addEventListener("click", () => this.#onSelect(item));
    return button;
  }

  /** Move the focus with the arrow keys, as in a list box. */
  #onKey(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (!step) return;
    const row = document.activeElement?.closest(".row");
    const next = row ? row[step] : this.#list.firstElementChild;
    next?.querySelector("button").focus();
    event.preventDefault();
  }
}
