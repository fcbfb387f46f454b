// The bar on top: connection, trains, language, theme, token. Knows what to show; what follows is told to others.

import { find, make, mark, say } from "./dom.js";
import { speak, span, spoken, t } from "./i18n.js";
import { keep, kept } from "./keep.js";

const THEMES = ["auto", "light", "dark"];

/** The bar. `on.key()` is called for the token button. */
export class Header {
  #theme = THEMES.includes(kept("theme")) ? kept("theme") : "auto";
  #trains = "";
  #link = { state: "connecting", untilMs: 0 };

  constructor(on) {
    const language = find(".language");
    language.value = spoken();
    language.addEventListener("change", () => speak(language.value));
    find(".theme").addEventListener("click", () => this.#nextTheme());
    find(".key").addEventListener("click", () => on.key());
  }

  /** The connection changed: `connecting`, `open`, or `waiting` for so many ms. */
  connection(state, retryMs) {
    this.#link = { state, untilMs: performance.now() + retryMs };
    this.tell();
  }

  /** Write the connection's state and the tools' names. */
  tell() {
    const { state, untilMs } = this.#link;
    const waitMs = Math.max(1000, Math.ceil((untilMs - performance.now()) / 1000) * 1000);
    mark(find(".link"), "data-state", state);
    say(find(".link-text"), t(`connection.${state}`));
    say(find(".link-again"), state === "waiting" ? t("connection.again", { span: span(waitMs) }) : "");
    tool(".theme", t(`theme.${this.#theme}`));
  }

  /** Show the choice of trains where there is one, and whether a token is there. */
  show(model, picked, token) {
    tool(".key", token ? t("token.have") : t("token.none"));
    mark(find(".key"), "data-have", token ? "true" : null);
    find(".key").hidden = model.api?.commands !== "token";
    const trains = [...model.trains.values()].map(({ train }) => train);
    const key = JSON.stringify([spoken(), picked, trains.map(({ id, name, stale }) => [id, name, stale])]);
    if (key === this.#trains) return;
    this.#trains = key;
    const nav = find(".trains");
    nav.hidden = trains.length < 2;
    const links = trains.map((train) => link(`#/train/${encodeURIComponent(train.id)}`, train.name, train.id === picked, train.stale));
    nav.replaceChildren(link("#/", t("overview.title"), picked === null, false), ...links);
  }

  #nextTheme() {
    this.#theme = THEMES[(THEMES.indexOf(this.#theme) + 1) % THEMES.length];
    keep("theme", this.#theme === "auto" ? null : this.#theme);
    if (this.#theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.#theme;
    this.tell();
  }
}

function tool(selector, text) {
  say(find(".tool-text", find(selector)), text);
  mark(find(selector), "title", text);
}

function link(href, text, current, stale) {
  return make("a", { href, "aria-current": current ? "page" : null, "data-stale": stale ? "true" : null }, text);
}
