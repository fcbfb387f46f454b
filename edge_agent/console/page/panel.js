// The state of the train: guard, faults, power, battery and links.

import { signName } from "./boxes.js";
import { createElement, find, icon, setAttribute, setText } from "./dom.js";
import { formatQuantity, t, textOr } from "./i18n.js";
import { inLanguage, setTrainText } from "./traintext.js";

const ICONS = {
  init: "dots", disarmed: "lock", armed_stopped: "pause", running: "play", stopping: "square", link_lost: "broken",
  fault_latched: "warning",
};

/** The symbol of a guard state. */
export function guardIcon(guard) {
  return ICONS[guard] ?? "dots";
}

/** The name of a guard state. */
export function guardName(guard) {
  return guard ? textOr(`guard.${guard}`, guard) : t("guard.unknown");
}

/** Shows the state of one train. */
export class Panel {
  #root = find(".state");
  #faults = "";
  #links = "";

  /** Show the state of a train; `old` marks it as possibly outdated. */
  show(train, language, old) {
    setAttribute(this.#root, "data-old", old ? "true" : null);
    this.#guard(train, old);
    this.#meters(train);
    this.#showFaults(train, language);
    this.#showLinks(train, language);
  }

  #guard(train, old) {
    const state = train.state;
    const guard = state?.guard ?? "";
    const box = find(".guard", this.#root);
    setAttribute(box, "data-state", guard || "init");
    setAttribute(find("use", box), "href", `#i-${guardIcon(guard)}`);
    setText(find(".guard-name", box), guardName(guard));
    const hint = guard ? textOr(`hint.${guard}`, "") : t("hint.unknown");
    setText(find(".guard-hint", box), old ? t("hint.old") : hint);
    setTrainText(find(".guard-reason", box), state?.reason);
  }

  #meters(train) {
    const hub = train.state?.hub;
    const power = train.state?.power_percent;
    this.#meter(".meter-power", formatQuantity(power, "%"), power);
    this.#meter(".meter-speed", formatQuantity(train.speed_mm_s, "mm/s"));
    find(".meter-speed", this.#root).hidden = train.speed_mm_s === null || train.speed_mm_s === undefined;
    const volts = hub?.voltage_mv ? ` · ${formatQuantity(hub.voltage_mv / 1000, "V", 1)}` : "";
    const battery = hub?.battery_percent;
    this.#meter(".meter-battery", battery === null && volts ? volts.slice(3) : formatQuantity(battery, "%") + volts, battery);
    this.#meter(".meter-sign", train.last_sign ? signName(train.last_sign) : t("none"));
  }

  #meter(selector, text, value) {
    const box = find(selector, this.#root);
    setText(find("dd span", box), text);
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
    if (rows[0] && rssi !== null && rssi !== undefined) find("b", rows[0]).after(createElement("span", { class: "link-more" }, formatQuantity(rssi, "dBm")));
    if (outbox) rows.push(outboxRow(outbox));
    find(".links", this.#root).replaceChildren(...rows.filter(Boolean));
  }
}

function faultCard(fault) {
  const head = createElement("p", { class: "fault-head" }, icon("warning"), trainText("b", fault.message));
  const remedy = createElement("p", { class: "fault-remedy" }, createElement("b", {}, t("remedy")), " ", trainText("span", fault.remedy));
  return createElement("li", { class: "fault", "data-severity": fault.severity }, head, remedy);
}

function trainText(tag, english) {
  const { text, lang } = inLanguage(english);
  return createElement(tag, { lang }, text);
}

function linkRow(name, link) {
  if (!link) return null;
  const state = link.ok ? t("link.up") : t("link.down");
  const row = createElement("li", { class: "link-row", "data-ok": String(link.ok) });
  row.append(createElement("i", { class: "dot", "aria-hidden": "true" }), createElement("b", {}, t(`link.${name}`)));
  const { text, lang } = inLanguage(link.text);
  row.append(createElement("span", { class: "hidden" }, state), createElement("span", { class: "link-detail", lang: name === "hub" && lang === "en" ? null : lang, title: text }, text));
  return row;
}

function outboxRow({ waiting, bytes }) {
  const row = createElement("li", { class: "link-row", "data-ok": String(waiting < 1000) });
  const size = bytes < 1e6 ? formatQuantity(bytes / 1e3, "kB") : formatQuantity(bytes / 1e6, "MB", 1);
  row.append(createElement("i", { class: "dot", "aria-hidden": "true" }), createElement("b", {}, t("link.outbox")));
  row.append(createElement("span", { class: "link-detail" }, t("outbox.text", { waiting: formatQuantity(waiting), size })));
  return row;
}
