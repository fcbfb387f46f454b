// The chain picture -> sign -> decision -> command with the ms between. Knows items; nothing of where they come from.

import { find, icon, make, mark, say } from "./dom.js";
import { figure, t } from "./i18n.js";
import { wordsOf } from "./items.js";

/** Shows one chain at a time. */
export class Chain {
  #list = find(".chain-steps");
  #shown = "";

  /** Show the steps of a chain, whose picture was taken at `takenMs` (null: not known). */
  show(steps, takenMs, { past, language }) {
    const key = [language, past, takenMs, ...steps.map((step) => step.id)].join();
    if (key === this.#shown) return;
    this.#shown = key;
    mark(this.#list, "data-past", past ? "true" : null);
    this.#list.replaceChildren(...this.#rows(steps, takenMs));
  }

  #rows(steps, takenMs) {
    if (!steps.length) return [make("li", { class: "chain-none" }, t("chain.none"))];
    const exposedMs = takenMs ?? startOf(steps.at(-1));
    const picture = { atMs: exposedMs, words: { icon: "camera", tone: "answer", title: t("chain.taken") } };
    const all = [picture, ...steps.map((step) => ({ atMs: step.at_ms, words: wordsOf(step) }))];
    all.sort((one, other) => one.atMs - other.atMs); // a sign may have been seen in pictures before the one that counts
    const rows = all.map((one, place) => row(one, place ? one.atMs - all[place - 1].atMs : null));
    const last = steps.at(-1);
    if (last.kind !== "command" || last.at_ms < exposedMs) return rows;
    return [...rows, make("li", { class: "chain-total" }, t("chain.total", { ms: figure(last.at_ms - exposedMs, "ms") }))];
  }

  /** Say that nothing is shown yet. */
  clear() {
    this.#shown = "";
    say(this.#list, "");
  }
}

function row({ words }, gapMs) {
  const element = make("li", { class: `chain-step tone-${words.tone}` });
  if (gapMs !== null) element.append(make("span", { class: "chain-gap" }, t("chain.gap", { ms: figure(gapMs, "ms") })));
  element.append(icon(words.icon), make("b", {}, words.title));
  return element;
}

/** When the picture behind an item was taken: its own moment less the time since the exposure. */
function startOf(item) {
  return item.at_ms - (item.latency_ms ?? 0);
}
