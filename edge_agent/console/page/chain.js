// The chain picture -> sign -> decision -> command with the ms between. Knows items; nothing of where they come from.

import { find, icon, make, mark, say } from "./dom.js";
import { figure, t } from "./i18n.js";
import { wordsOf } from "./items.js";
import { chainOf } from "./model.js";

/** Shows one chain at a time. */
export class Chain {
  #list = find(".chain-steps");
  #shown = "";

  /** Show the items of one picture that was taken at `takenMs` (null: not known). */
  show(items, takenMs, { past, language }) {
    const steps = chainOf(items);
    const key = [language, past, takenMs, ...steps.map((step) => step.id)].join();
    if (key === this.#shown) return;
    this.#shown = key;
    mark(this.#list, "data-past", past ? "true" : null);
    this.#list.replaceChildren(...this.#rows(steps, takenMs));
  }

  #rows(steps, takenMs) {
    if (!steps.length) return [make("li", { class: "chain-none" }, t("chain.none"))];
    let before = takenMs ?? startOf(steps[0]);
    const rows = [make("li", { class: "chain-step tone-answer" }, icon("camera"), make("b", {}, t("chain.taken")))];
    for (const step of steps) {
      const words = wordsOf(step);
      const row = make("li", { class: `chain-step tone-${words.tone}` }, icon(words.icon), make("b", {}, words.title));
      const gap = step.at_ms - before;
      row.prepend(make("span", { class: "chain-gap" }, gap >= 0 ? t("chain.gap", { ms: figure(gap, "ms") }) : ""));
      before = step.at_ms;
      rows.push(row);
    }
    const total = steps.at(-1).at_ms - (takenMs ?? startOf(steps[0]));
    rows.push(make("li", { class: "chain-total" }, t("chain.total", { ms: figure(total, "ms") })));
    return rows;
  }

  /** Say that nothing is shown yet. */
  clear() {
    this.#shown = "";
    say(this.#list, "");
  }
}

/** When the picture behind an item was taken: its own moment less the time since the exposure. */
function startOf(item) {
  return item.at_ms - (item.latency_ms ?? 0);
}
