// The train's own sentences, which it sends in English, in the current language.

import { signName } from "./boxes.js";
import { setAttribute, setText } from "./dom.js";
import { currentLanguage, trainTexts } from "./i18n.js";

const MAX_LENGTH = 2000; // longer texts are no sentences of the train
const MAX_DEPTH = 4;

/** A sentence of the train as `{text, lang}`; one that is not known stays English. */
export function inLanguage(english) {
  const text = String(english ?? "");
  const found = text.length > MAX_LENGTH ? null : translate(text, 0);
  return found === null ? { text, lang: "en" } : { text: found, lang: currentLanguage() };
}

/** Show a sentence of the train in an element, with its language. */
export function setTrainText(element, english) {
  const { text, lang } = inLanguage(english);
  setAttribute(element, "lang", lang);
  setText(element, text);
}

function translate(text, depth) {
  if (depth > MAX_DEPTH) return null;
  for (const [english, other] of trainTexts()) {
    const values = match(english, text);
    if (values) return other.replace(/ (?=[:;!?])/g, "\u202f").replace(/\{(\w+)\}/g, (_, name) => translateValue(name, values[name], depth));
  }
  const end = text.indexOf("; "); // a fault with its remedy
  if (end < 0) return null;
  const [first, second] = [translate(text.slice(0, end), depth + 1), translate(text.slice(end + 2), depth + 1)];
  return first === null || second === null ? null : `${first}\u202f; ${second}`;
}

function translateValue(name, value, depth) {
  if (name === "sign") return signName(value.replaceAll(" ", "_"));
  if (/^\d+\.\d+$/.test(value)) return value.replace(".", ",");
  return translate(value, depth + 1) ?? value;
}

/** The values of a template's `{names}` in a text; null where it does not fit. Linear in the text's length. */
function match(template, text) {
  const parts = template.split(/\{(\w+)\}/); // text, name, text, name, ... text
  if (!text.startsWith(parts[0])) return null;
  const values = {};
  let at = parts[0].length;
  for (let index = 1; index < parts.length; index += 2) {
    const next = parts[index + 1];
    const last = index + 2 === parts.length;
    const end = last ? text.length - next.length : text.indexOf(next, at + 1);
    if (end <= at || !text.startsWith(next, end)) return null;
    values[parts[index]] = text.slice(at, end);
    at = end + next.length;
  }
  return at === text.length ? values : null;
}
