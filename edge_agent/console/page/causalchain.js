// The causal chain picture -> sign -> decision -> command, with the ms between its steps.

import { createElement, find, icon, setAttribute, setText } from "./dom.js";
import { formatDuration, formatQuantity, t } from "./i18n.js";
import { describeItem } from "./items.js";

const MAX_LATENCY_MS = 1000; // what comes later was waited for: the end of a stop, somebody who re-arms

/** Shows one chain at a time. */
export class CausalChain {
  #list = find(".chain-steps");
  #shown = "";

  /** Show the steps of a chain whose picture was taken at `takenMs` (null: unknown). */
  show(steps, takenMs, { past, language }) {
    const key = [language, past, takenMs, ...steps.map((step) => step.id)].join();
    if (key === this.#shown) return;
    this.#shown = key;
    setAttribute(this.#list, "data-past", past ? "true" : null);
    this.#list.replaceChildren(...this.#rows(steps, takenMs));
  }

  #rows(steps, takenMs) {
    if (!steps.length) return [createElement("li", { class: "chain-none" }, t("chain.none"))];
    const exposedMs = takenMs ?? exposureOf(steps.at(-1));
    const picture = { atMs: exposedMs, description: { icon: "camera", tone: "answer", title: t("chain.taken") } };
    const all = [picture, ...steps.map((step) => ({ atMs: step.at_ms, description: describeItem(step) }))];
    all.sort((a, b) => a.atMs - b.atMs); // the sign may have come into view in an earlier picture
    const rows = all.map((step, index) => row(step, index ? step.atMs - all[index - 1].atMs : null));
    const last = steps.at(-1);
    if (last.kind !== "command" || !isLatency(last.at_ms - exposedMs)) return rows;
    return [...rows, createElement("li", { class: "chain-total" }, t("chain.total", { ms: formatQuantity(last.at_ms - exposedMs, "ms") }))];
  }

  /** Show nothing. */
  clear() {
    this.#shown = "";
    setText(this.#list, "");
  }
}

function row({ description }, gapMs) {
  const element = createElement("li", { class: `chain-step tone-${description.tone}` });
  if (gapMs !== null) element.append(createElement("span", { class: "chain-gap" }, gapText(gapMs)));
  element.append(icon(description.icon), createElement("b", {}, description.title));
  return element;
}

function gapText(gapMs) {
  return isLatency(gapMs) ? t("chain.gap", { ms: formatQuantity(gapMs, "ms") }) : t("chain.wait", { duration: formatDuration(gapMs) });
}

/** Whether a time from a picture on is how long the train took, and not how long it waited. */
export function isLatency(ms) {
  return ms !== null && ms !== undefined && ms >= 0 && ms <= MAX_LATENCY_MS;
}

/** When the picture of an item was taken: the time of the item minus its latency. */
function exposureOf(item) {
  return item.at_ms - (item.latency_ms ?? 0);
}
