// Timeline items as text.

import { signName } from "./boxes.js";
import { formatQuantity, t, textOr } from "./i18n.js";
import { inLanguage } from "./traintext.js";

/** The kinds of items, each before those that it causes. */
export const KINDS = ["sign", "decision", "command", "fault", "answer"];

/** The description of an item: `{icon, tone, title, detail, lang}`; `lang` is the language of `detail`. */
export function describeItem(item) {
  return DESCRIBE[item.kind]?.(item) ?? { icon: "dots", tone: "answer", title: item.kind, detail: "" };
}

const DESCRIBE = { sign, decision, command, fault, answer };

function sign({ data }) {
  return { icon: "sign", tone: "sign", title: t("item.sign", { sign: signName(data.label ?? "") }), detail: formatQuantity(data.score * 100, "%") };
}

function decision({ data }) {
  const driving = data.action === "slow" || data.action === "cruise";
  const action = textOr(`action.${data.action}`, data.action);
  const title = driving ? t("item.at", { what: action, power: formatQuantity(data.power_percent, "%") }) : action;
  return { icon: "decision", tone: "decision", title, ...detailOf(data.reason) };
}

/** Without its power: of a ramp only the first step is an item, and the decision has the target. */
function command({ data }) {
  const title = textOr(`command.${data.kind}`, data.kind);
  const brake = data.kind === "brake";
  return { icon: brake ? "square" : "command", tone: brake ? "brake" : "command", title, ...detailOf(data.reason) };
}

function fault({ data }) {
  const cleared = data.active === false;
  const title = cleared ? t("item.over", { what: data.code }) : data.code;
  const tone = cleared ? "answer" : data.severity === "stop" ? "brake" : "fault";
  return { icon: cleared ? "answer" : "warning", tone, title, ...detailOf(data.message) };
}

function answer({ data }) {
  const verb = data.verb ? textOr(`verb.${data.verb}`, data.verb) : t("item.answer");
  const title = data.accepted === false ? t("item.refused", { what: verb }) : t("item.accepted", { what: verb });
  const who = data.who ? ` · ${inLanguage(data.who).text}` : "";
  return { icon: "answer", tone: data.accepted === false ? "fault" : "answer", title, ...detailOf(data.reason, who) };
}

function detailOf(english, more = "") {
  const { text, lang } = inLanguage(english);
  return { detail: text + more, lang };
}
