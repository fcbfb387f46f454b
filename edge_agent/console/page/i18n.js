// Texts and figures in the reader's language. Knows the dictionaries en.js and fr.js, which have the same keys.

import en from "./en.js";
import fr from "./fr.js";
import { keep, kept } from "./keep.js";

const DICTIONARIES = { en, fr };
const listeners = new Set();
let language = first();

function first() {
  const wanted = [kept("language"), ...(navigator.languages ?? [navigator.language])];
  return wanted.map((name) => (name ?? "").slice(0, 2)).find((name) => name in DICTIONARIES) ?? "en";
}

/** The language in use: `en` or `fr`. */
export function spoken() {
  return language;
}

/** Change the language, and tell everybody who shows texts. */
export function speak(name) {
  if (!(name in DICTIONARIES)) return;
  language = name;
  keep("language", name);
  for (const listener of listeners) listener();
}

/** Call `listener` whenever the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** The text of a key, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  const text = DICTIONARIES[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The text of a key where there is one, else `other`: for names that come from the network. */
export function known(key, other) {
  return Object.hasOwn(DICTIONARIES[language], key) ? t(key) : other;
}

/** A figure with its unit, as the language writes it; a dash where there is none. */
export function figure(value, unit = "", digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits });
  return unit ? `${number.format(value)}\u202f${unit}` : number.format(value);
}

/** A length of time that a person can take in: `340 ms`, `4.2 s`, `3 min`, `2 h`. */
export function span(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return figure(ms, "ms");
  if (ms < 10_000) return figure(ms / 1000, "s", 1);
  if (ms < 120_000) return figure(ms / 1000, "s");
  return ms < 7_200_000 ? figure(ms / 60_000, "min") : figure(ms / 3_600_000, "h");
}

/** A moment of the day, with tenths of a second. */
export function clockTime(unixMs) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, hourCycle: "h23" };
  return new Intl.DateTimeFormat(language, options).format(unixMs);
}

/** Write the texts that stand in the page itself: `data-i18n` and `data-i18n-label` name their keys. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-i18n]")) element.textContent = t(element.dataset.i18n);
  for (const element of document.querySelectorAll("[data-i18n-label]")) {
    element.setAttribute("aria-label", t(element.dataset.i18nLabel));
  }
}
