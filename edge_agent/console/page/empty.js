// What stands in the page's place when there is no train: how to connect one. Knows the two roles of a console.

import { find, make, say } from "./dom.js";
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

/** Write the empty state for a console's role. */
export function showEmpty(role) {
  const kind = role === "fleet" ? "fleet" : "train";
  say(find("#empty-title"), t(`empty.${kind}`));
  say(find(".empty-lead"), t(`empty.${kind}.lead`));
  const steps = STEPS[kind].map(([key, code]) => make("li", {}, t(key), make("pre", {}, make("code", {}, code))));
  find(".steps").replaceChildren(...steps);
}
