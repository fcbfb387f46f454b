// The buttons: what they send, and what they show of the answer. Emergency stop works always and asks nothing.

import { find, mark, say } from "./dom.js";
import { figure, t } from "./i18n.js";
import { send, stopAll } from "./commands.js";

const ARMED = ["armed_stopped", "running", "stopping"];

/** When an order makes sense; those left out here always do. */
const SENSE = {
  drive: (guard) => ARMED.includes(guard),
  arm: (guard) => guard === "disarmed",
  disarm: (guard) => ARMED.includes(guard),
  rearm: (guard) => guard === "fault_latched",
};

/** What can become of an order, the worst first. */
const BADNESS = ["unreachable", "silent", "failed", "locked", "refused", "accepted"];

/**
 * Sends orders to trains. `world` tells what is on the page: `targets()` the trains that an emergency stop is for,
 * `name(id)`, `nowMs()` the server's clock, `api()`; `announcer` speaks.
 */
export class Controls {
  #world;
  #token;
  #announcer;
  #dialog = find(".rearm-dialog");
  #reason = find("#rearm-reason");
  #power = find("#power");
  #turn = 0;
  #touched = false;

  constructor({ world, token, announcer }) {
    this.#world = world;
    this.#token = token;
    this.#announcer = announcer;
    for (const button of document.querySelectorAll("[data-verb]")) {
      button.addEventListener("click", () => this.#pressed(button.dataset.verb));
    }
    for (const button of document.querySelectorAll(".estop")) button.addEventListener("click", () => this.emergency());
    addEventListener("keydown", (event) => this.#key(event), { capture: true });
    find("form", this.#dialog).addEventListener("submit", () => this.order("rearm", { reason: this.#reason.value.trim() }));
    find(".cancel", this.#dialog).addEventListener("click", () => this.#dialog.close());
    this.#power.addEventListener("input", () => this.#sliding());
    this.#power.addEventListener("change", () => this.order("power", { power_percent: Number(this.#power.value) }));
  }

  /** Stop every train that this view is about, now. */
  emergency(targets = this.#world.targets()) {
    this.#give("emergency_stop", {}, targets);
  }

  /** Send one order to the train that is shown. */
  order(verb, extra = {}) {
    this.#give(verb, extra, this.#world.targets().slice(0, 1));
  }

  /** Send one order to a train, or a stop to all of them, and show what becomes of it: of several answers the worst. */
  async #give(verb, extra, targets) {
    if (!targets.length) return;
    if (this.#world.api()?.commands === "none") {
      this.#announcer.urgent(t("access.none"));
      return;
    }
    this.#turn += 1;
    const turn = this.#turn;
    const tell = (status, text) => turn === this.#turn && this.#say(verb, status, text);
    const what = t(`verb.${verb}`);
    if (this.#locked()) {
      tell("locked", t("said.locked", { what }));
      this.#announcer.urgent(t("said.locked", { what }));
      this.#token.ask();
      return;
    }
    tell("sent", t("said.sent", { what }));
    const onLate = () => {
      const text = t("said.late", { what: what + this.#names(targets) });
      tell("late", text);
      this.#announcer.urgent(text);
    };
    const how = { token: this.#token.value, nowMs: this.#world.nowMs(), onLate };
    const order = { verb, ...extra };
    const [train] = targets;
    const outcomes = targets.length === 1 ? [{ train, ...(await send(train, order, how)) }] : await stopAll(targets, order, how);
    this.#finish(what, outcomes, tell);
  }

  #finish(what, outcomes, tell) {
    const worst = BADNESS.find((status) => outcomes.some((one) => one.status === status));
    const such = outcomes.filter((one) => one.status === worst);
    const { reason = "", remedy = "" } = such[0];
    const ms = figure(Math.max(...such.map((one) => one.ms ?? NaN)), "ms");
    const text = t(`said.${worst}`, { what: what + this.#names(such.map((one) => one.train)), reason: reason || "–", remedy, ms });
    tell(worst, text);
    if (worst === "accepted") this.#announcer.calm(text);
    else this.#announcer.urgent(text);
    if (worst === "locked" && this.#world.api()?.commands === "token") this.#token.ask();
  }

  /** The trains that something is about, where that is not all that this view is about. */
  #names(trains) {
    return trains.length < this.#world.targets().length ? ` (${trains.map((id) => this.#world.name(id)).join(", ")})` : "";
  }

  /** Show which orders make sense for a train now, and who may give them. */
  show(train) {
    const api = this.#world.api();
    const guard = train?.state?.guard;
    const none = api?.commands === "none";
    mark(document.body, "data-commands", none ? "none" : this.#locked() ? "locked" : "open");
    for (const button of document.querySelectorAll("[data-verb]")) {
      const sense = SENSE[button.dataset.verb];
      button.disabled = none || (sense !== undefined && guard !== undefined && !sense(guard));
    }
    this.#power.disabled = none;
    if (!this.#touched && train?.state?.power_percent > 0) this.#power.value = train.state.power_percent;
    say(find("output[for=power]"), this.#touched ? figure(Number(this.#power.value), "%") : "");
    say(find(".read-only"), this.#access(api));
  }

  /** Forget what was said about another train. */
  clear() {
    this.#turn += 1;
    this.#touched = false;
    this.#say("", "", "");
  }

  #access(api) {
    if (api?.commands === "none") return t("access.none");
    if (api?.commands === "user") return api.user ? t("access.user", { user: api.user }) : t("access.nobody");
    return this.#token.value ? t("access.token") : t("access.locked");
  }

  #locked() {
    return this.#world.api()?.commands === "token" && !this.#token.value;
  }

  #pressed(verb) {
    if (verb !== "rearm") this.order(verb);
    else if (this.#locked()) this.order(verb); // says that a token is needed
    else {
      this.#dialog.show();
      this.#reason.focus();
    }
  }

  #key(event) {
    if (event.key !== "Escape" || event.repeat || event.isComposing) return;
    event.preventDefault();
    if (this.#dialog.open) this.#dialog.close();
    if (this.#token.open) this.#token.close();
    this.emergency();
  }

  #sliding() {
    this.#touched = true;
    const text = figure(Number(this.#power.value), "%");
    say(find("output[for=power]"), text);
    mark(this.#power, "aria-valuetext", text);
  }

  #say(verb, status, text) {
    for (const box of document.querySelectorAll(".said")) {
      mark(box, "data-status", status || null);
      mark(box, "data-emergency", verb === "emergency_stop" ? "true" : null);
      say(find(".said-text", box), text);
    }
  }
}
