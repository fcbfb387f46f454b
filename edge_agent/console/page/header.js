// The header bar: connection, trains, language, theme and token.

import { createElement, find, setAttribute, setText } from "./dom.js";
import { currentLanguage, formatDuration, setLanguage, t } from "./i18n.js";
import { load, store } from "./storage.js";

const THEMES = ["auto", "light", "dark"];

/** The header bar. `on.token()` is called for the token button. */
export class Header {
  #theme = THEMES.includes(load("theme")) ? load("theme") : "auto";
  #shownTrains = "";
  #link = { state: "connecting", untilMs: 0 };

  constructor(on) {
    const language = find(".language");
    language.value = currentLanguage();
    language.addEventListener("change", () => setLanguage(language.value));
    find(".theme").addEventListener("click", () => this.#nextTheme());
    find(".token-button").addEventListener("click", () => on.token());
  }

  /** Show the state of the connection: `connecting`, `open`, or `waiting` to retry in so many ms. */
  setConnection(state, retryMs) {
    this.#link = { state, untilMs: performance.now() + retryMs };
    this.update();
  }

  /** Update the texts of the connection and of the theme button. */
  update() {
    const { state, untilMs } = this.#link;
    const waitMs = Math.max(1000, Math.ceil((untilMs - performance.now()) / 1000) * 1000);
    setAttribute(find(".link"), "data-state", state);
    setText(find(".link-text"), t(`connection.${state}`));
    setText(find(".link-retry"), state === "waiting" ? t("connection.again", { duration: formatDuration(waitMs) }) : "");
    tool(".theme", t(`theme.${this.#theme}`));
  }

  /** Show the token button, and links to the trains if there are several. */
  show(model, selected, token) {
    tool(".token-button", token ? t("token.set") : t("token.none"));
    setAttribute(find(".token-button"), "data-set", token ? "true" : null);
    find(".token-button").hidden = model.api?.commands !== "token";
    const trains = [...model.trains.values()].map(({ train }) => train);
    const key = JSON.stringify([currentLanguage(), selected, trains.map(({ id, name, stale }) => [id, name, stale])]);
    if (key === this.#shownTrains) return;
    this.#shownTrains = key;
    const nav = find(".trains");
    nav.hidden = trains.length < 2;
    const links = trains.map((train) => link(`#/train/${encodeURIComponent(train.id)}`, train.name, train.id === selected, train.stale));
    nav.replaceChildren(link("#/", t("overview.title"), selected === null, false), ...links);
  }

  #nextTheme() {
    this.#theme = THEMES[(THEMES.indexOf(this.#theme) + 1) % THEMES.length];
    store("theme", this.#theme === "auto" ? null : this.#theme);
    if (this.#theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.#theme;
    this.update();
  }
}

function tool(selector, text) {
  setText(find(".tool-text", find(selector)), text);
  setAttribute(find(selector), "title", text);
}

function link(href, text, current, stale) {
  return createElement("a", { href, "aria-current": current ? "page" : null, "data-stale": stale ? "true" : null }, text);
}
