// The train's state: guard, faults, power, battery, links. Knows a Train as the server tells it; sends nothing.

import { signName } from "./boxes.js";
import { find, icon, make, mark, say } from "./dom.js";
import { figure, known, t } from "./i18n.js";

const ICONS = {
  init: "dots", disarmed: "lock", armed_stopped: "pause", running: "play", stopping: "square", link_lost: "broken",
  fault_latched: "warning",
};

/** The symbol of a guard state. */
export function guardIcon(guard) {
  return ICONS[guard] ?? "dots";
}

/** The guard state in one or two words. */
export function guardWord(guard) {
  return guard ? known(`guard.${guard}`, guard) : t("guard.unknown");
}

/** Shows one train's state. */
export class Panel {
  #root = find(".state");
  #faults = "";
  #links = "";

  /** Show what the server says of a train; `old`: that was a while ago. */
  show(train, language, old) {
    mark(this.#root, "data-old", old ? "true" : null);
    this.#guard(train, old);
    this.#meters(train);
    this.#showFaults(train, language);
    this.#showLinks(train, language);
  }

  #guard(train, old) {
    const state = train.state;
    const guard = state?.guard ?? "";
    const box = find(".guard", this.#root);
    mark(box, "data-state", guard || "init");
    mark(find("use", box), "href", `#i-${guardIcon(guard)}`);
    say(find(".guard-word", box), guardWord(guard));
    const hint = guard ? known(`hint.${guard}`, "") : t("hint.unknown");
    say(find(".guard-hint", box), old ? t("hint.old") : hint);
    const reason = find(".guard-reason", box);
    mark(reason, "lang", "en");
    say(reason, state?.reason ?? "");
  }

  #meters(train) {
    const hub = train.state?.hub;
    const power = train.state?.power_percent;
    this.#meter(".m-power", figure(power, "%"), power);
    this.#meter(".m-speed", figure(train.speed_mm_s, "mm/s"));
    find(".m-speed", this.#root).hidden = train.speed_mm_s === null || train.speed_mm_s === undefined;
    const volts = hub?.voltage_mv ? ` · ${figure(hub.voltage_mv / 1000, "V", 1)}` : "";
    const battery = hub?.battery_percent;
    this.#meter(".m-battery", battery === null && volts ? volts.slice(3) : figure(battery, "%") + volts, battery);
    this.#meter(".m-sign", train.last_sign ? signName(train.last_sign) : t("none"));
  }

  #meter(selector, text, value) {
    const box = find(selector, this.#root);
    say(find("dd span", box), text);
    const meter = box.querySelector("meter");
    if (!meter) return;
    meter.hidden = value === null || value === undefined;
    if (!meter.hidden && meter.value !== Math.abs(value)) meter.value = Math.abs(value);
  }

  #showFaults(train, language) {
    const key = language + JSON.stringify(train.faults);
    if (key === this.#faults) return;
    this.#faults = key;
    find(".faults", this.#root).replaceChildren(...train.faults.map(faultCard));
  }

  #showLinks(train, language) {
    const key = language + JSON.stringify([train.links, train.state?.hub]);
    if (key === this.#links) return;
    this.#links = key;
    const { hub, mqtt, kafka, outbox } = train.links;
    const rows = [linkRow("hub", hub), linkRow("mqtt", mqtt), linkRow("kafka", kafka)];
    const rssi = train.state?.hub.rssi_dbm;
    if (rows[0] && rssi !== null && rssi !== undefined) find("b", rows[0]).after(make("span", { class: "link-more" }, figure(rssi, "dBm")));
    if (outbox) rows.push(outboxRow(outbox));
    find(".links", this.#root).replaceChildren(...rows.filter(Boolean));
  }
}

function faultCard(fault) {
  const head = make("p", { class: "fault-head" }, icon("warning"), make("b", { lang: "en" }, fault.message));
  const remedy = make("p", { class: "fault-remedy" }, make("b", {}, t("remedy")), " ", make("span", { lang: "en" }, fault.remedy));
  return make("li", { class: "fault", "data-severity": fault.severity }, head, remedy);
}

function linkRow(name, link) {
  if (!link) return null;
  const state = link.ok ? t("link.up") : t("link.down");
  const row = make("li", { class: "link-row", "data-ok": String(link.ok) });
  row.append(make("i", { class: "dot", "aria-hidden": "true" }), make("b", {}, t(`link.${name}`)));
  row.append(make("span", { class: "hidden" }, state), make("span", { class: "link-said", lang: "en", title: link.text }, link.text));
  return row;
}

function outboxRow({ waiting, bytes }) {
  const row = make("li", { class: "link-row", "data-ok": String(waiting < 1000) });
  const size = bytes < 1e6 ? figure(bytes / 1e3, "kB") : figure(bytes / 1e6, "MB", 1);
  row.append(make("i", { class: "dot", "aria-hidden": "true" }), make("b", {}, t("link.outbox")));
  row.append(make("span", { class: "link-said" }, t("outbox.said", { waiting: figure(waiting), size })));
  return row;
}
