// The control buttons. The emergency stop always works, without confirmation.

import { send, stopAll } from "./commands.js";
import { find, setAttribute, setText } from "./dom.js";
import { formatQuantity, t } from "./i18n.js";
import { inLanguage } from "./traintext.js";

const ARMED = ["armed_stopped", "running", "stopping"];

/** Guard states in which a command makes sense; commands not listed always do. */
const MAKES_SENSE = {
  drive: (guard) => ARMED.includes(guard),
  arm: (guard) => guard === "disarmed",
  disarm: (guard) => ARMED.includes(guard),
  rearm: (guard) => guard === "fault_latched",
};

/** Possible results, worst first. */
const WORST_FIRST = ["unreachable", "silent", "failed", "locked", "refused", "accepted"];

/**
 * Sends commands. `context` has `targets()`, the trains that an emergency stop is for, `name(id)`, `nowMs()`, the
 * server's clock, and `api()`.
 */
export class Controls {
  #context;
  #token;
  #announcer;
  #dialog = find(".rearm-dialog");
  #reason = find("#rearm-reason");
  #power = find("#power");
  #lastId = 0;
  #powerChanged = false;

  constructor({ context, token, announcer }) {
    this.#context = context;
    this.#token = token;
    this.#announcer = announcer;
    for (const button of document.querySelectorAll("[data-verb]")) {
      button.addEventListener("click", () => this.#onButton(button.dataset.verb));
    }
    for (const button of document.querySelectorAll(".estop")) button.addEventListener("click", () => this.emergency());
    addEventListener("keydown", (event) => this.#onKey(event), { capture: true });
    find("form", this.#dialog).addEventListener("submit", () => this.command("rearm", { reason: this.#reason.value.trim() }));
    find(".cancel", this.#dialog).addEventListener("click", () => this.#dialog.close());
    this.#power.addEventListener("input", () => this.#onPowerInput());
    this.#power.addEventListener("change", () => this.command("power", { power_percent: Number(this.#power.value) }));
  }

  /** Stop every train of the current view. */
  emergency(targets = this.#context.targets()) {
    this.#send("emergency_stop", {}, targets);
  }

  /** Send a command to the shown train. */
  command(verb, extra = {}) {
    this.#send(verb, extra, this.#context.targets().slice(0, 1));
  }

  /** Send a command to one train, or a stop to several, and show the result; of several results the worst. */
  async #send(verb, extra, targets) {
    if (!targets.length) return;
    if (this.#context.api()?.commands === "none") {
      this.#announcer.urgent(t("access.none"));
      return;
    }
    this.#lastId += 1;
    const id = this.#lastId;
    // Only for the newest command: the result of an earlier one must not hide it.
    const show = (status, text) => id === this.#lastId && this.#showOutcome(verb, status, text);
    const what = t(`verb.${verb}`);
    if (this.#locked()) {
      show("locked", t("outcome.locked", { what }));
      this.#announcer.urgent(t("outcome.locked", { what }));
      this.#token.openDialog();
      return;
    }
    show("sent", t("outcome.sent", { what }));
    const onLate = () => {
      const text = t("outcome.late", { what: what + this.#names(targets) });
      show("late", text);
      this.#announcer.urgent(text);
    };
    const options = { token: this.#token.value, nowMs: this.#context.nowMs(), onLate };
    const command = { verb, ...extra };
    const [train] = targets;
    const outcomes = targets.length === 1 ? [{ train, ...(await send(train, command, options)) }] : await stopAll(targets, command, options);
    this.#finish(what, outcomes, show);
  }

  #finish(what, outcomes, show) {
    const worst = WORST_FIRST.find((status) => outcomes.some((outcome) => outcome.status === status));
    const worstOnes = outcomes.filter((outcome) => outcome.status === worst);
    const { reason = "", remedy = "" } = worstOnes[0];
    const [why, whatToDo] = [inLanguage(reason).text, inLanguage(remedy).text];
    const ms = formatQuantity(Math.max(...worstOnes.map((outcome) => outcome.ms ?? NaN)), "ms");
    const text = t(`outcome.${worst}`, { what: what + this.#names(worstOnes.map((outcome) => outcome.train)), reason: why || "–", remedy: whatToDo, ms });
    show(worst, text);
    if (worst === "accepted") this.#announcer.polite(text);
    else this.#announcer.urgent(text);
    if (worst === "locked" && this.#context.api()?.commands === "token") this.#token.openDialog();
  }

  /** The names of trains, if they are not all trains of the view. */
  #names(trains) {
    return trains.length < this.#context.targets().length ? ` (${trains.map((id) => this.#context.name(id)).join(", ")})` : "";
  }

  /** Enable the commands that make sense for a train now, and show who may send them. */
  show(train) {
    const api = this.#context.api();
    const guard = train?.state?.guard;
    const readOnly = api?.commands === "none";
    setAttribute(document.body, "data-commands", readOnly ? "none" : this.#locked() ? "locked" : "open");
    for (const button of document.querySelectorAll("[data-verb]")) {
      const makesSense = MAKES_SENSE[button.dataset.verb];
      button.disabled = readOnly || (makesSense !== undefined && guard !== undefined && !makesSense(guard));
    }
    this.#power.disabled = readOnly;
    const cruise = train?.state?.cruise_power_percent ?? null;
    if (this.#powerChanged && cruise === Number(this.#power.value)) this.#powerChanged = false;
    if (!this.#powerChanged && cruise !== null) this.#power.value = cruise;
    setText(find("output[for=power]"), this.#powerChanged || cruise !== null ? formatQuantity(Number(this.#power.value), "%") : "");
    setText(find(".read-only"), this.#access(api));
  }

  /** Forget the results of another train. */
  clear() {
    this.#lastId += 1;
    this.#powerChanged = false;
    this.#showOutcome("", "", "");
  }

  #access(api) {
    if (api?.commands === "none") return t("access.none");
    if (api?.commands === "user") return api.user ? t("access.user", { user: api.user }) : t("access.nobody");
    return this.#token.value ? t("access.token") : t("access.locked");
  }

  #locked() {
    return this.#context.api()?.commands === "token" && !this.#token.value;
  }

  #onButton(verb) {
    if (verb !== "rearm") this.command(verb);
    else if (this.#locked()) this.command(verb); // shows that a token is needed
    else {
      this.#dialog.show();
      this.#reason.focus();
    }
  }

  #onKey(event) {
    if (event.key !== "Escape" || event.repeat || event.isComposing) return;
    event.preventDefault();
    if (this.#dialog.open) this.#dialog.close();
    if (this.#token.open) this.#token.close();
    this.emergency();
  }

  #onPowerInput() {
    this.#powerChanged = true;
    const text = formatQuantity(Number(this.#power.value), "%");
    setText(find("output[for=power]"), text);
    setAttribute(this.#power, "aria-valuetext", text);
  }

  #showOutcome(verb, status, text) {
    for (const box of document.querySelectorAll(".outcome")) {
      setAttribute(box, "data-status", status || null);
      setAttribute(box, "data-emergency", verb === "emergency_stop" ? "true" : null);
      setText(find(".outcome-text", box), text);
    }
  }
}
