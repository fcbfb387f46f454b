// Items of the timeline in words. Knows what each kind carries; nothing of where it is shown.

import { signName } from "./boxes.js";
import { figure, known, t } from "./i18n.js";

/** The kinds of items, in the order in which one causes the next. */
export const KINDS = ["sign", "decision", "command", "fault", "answer"];

/** What one item says: `{icon, tone, title, detail}`; `detail` is the train's own English. */
export function wordsOf(item) {
  return WORDS[item.kind]?.(item) ?? { icon: "dots", tone: "answer", title: item.kind, detail: "" };
}

const WORDS = { sign, decision, command, fault, answer };

function sign({ data }) {
  return { icon: "sign", tone: "sign", title: t("item.sign", { sign: signName(data.label ?? "") }), detail: figure(data.score * 100, "%") };
}

function decision({ data }) {
  const driving = data.action === "slow" || data.action === "cruise";
  const action = known(`action.${data.action}`, data.action);
  const title = driving ? t("item.at", { what: action, power: figure(data.power_percent, "%") }) : action;
  return { icon: "decision", tone: "decision", title, detail: data.reason ?? "" };
}

/** The first write of a ramp stands for it: its power is not the one aimed at, which the decision tells. */
function command({ data }) {
  const title = known(`command.${data.kind}`, data.kind);
  const brake = data.kind === "brake";
  return { icon: brake ? "square" : "command", tone: brake ? "brake" : "command", title, detail: data.reason ?? "" };
}

function fault({ data }) {
  const over = data.active === false;
  const title = over ? t("item.over", { what: data.code }) : data.code;
  const tone = over ? "answer" : data.severity === "stop" ? "brake" : "fault";
  return { icon: over ? "answer" : "warning", tone, title, detail: data.message ?? "" };
}

function answer({ data }) {
  const verb = data.verb ? known(`verb.${data.verb}`, data.verb) : t("item.answer");
  const said = data.accepted === false ? t("item.refused", { what: verb }) : t("item.accepted", { what: verb });
  const who = data.who ? ` · ${data.who}` : "";
  return { icon: "answer", tone: data.accepted === false ? "fault" : "answer", title: said, detail: (data.reason ?? "") + who };
}
