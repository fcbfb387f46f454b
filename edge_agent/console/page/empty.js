// The empty state: without a train, the page explains how to connect one.

import { createElement, find, setText } from "./dom.js";
import { t } from "./i18n.js";

const STEPS = {
  fleet: [
    ["empty.fleet.1", "kafka:\n  enabled: true\n  bootstrap_servers: [broker.example:9093]"],
    ["empty.fleet.2", "edge-agent doctor"],
    ["empty.fleet.3", "edge-agent run"],
  ],
  train: [
    ["empty.train.1", "edge-agent doctor"],
    ["empty.train.2", "edge-agent run --dry-run"],
  ],
};

/** Show the empty state for a console's role, `fleet` or `train`. */
export function showEmpty(role) {
  const kind = role === "fleet" ? "fleet" : "train";
  setText(find("#empty-title"), t(`empty.${kind}`));
  setText(find(".empty-lead"), t(`empty.${kind}.lead`));
  const steps = STEPS[kind].map(([key, code]) => createElement("li", {}, t(key), createElement("pre", {}, createElement("code", {}, code))));
  find(".steps").replaceChildren(...steps);
}
