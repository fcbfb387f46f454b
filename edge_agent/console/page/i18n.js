// Texts, numbers and times in the current language. The dictionaries en.js and fr.js have the same keys.

import { load, store } from "./storage.js";

/** Per language its texts, and the train's English sentences with their translations; only those needed are loaded. */
const LOADERS = {
  en: async () => ({ texts: (await import("./en.js")).default, train: [] }),
  fr: async () => ({ texts: (await import("./fr.js")).default, train: (await import("./fr-train.js")).default }),
};
const listeners = new Set();
let wanted = preferredLanguage();
let language = wanted;
let dictionary = await LOADERS[language]();

function preferredLanguage() {
  const candidates = [load("language"), ...(navigator.languages ?? [navigator.language])];
  return candidates.map((name) => (name ?? "").slice(0, 2)).find((name) => name in LOADERS) ?? "en";
}

/** The current language: `en` or `fr`. */
export function currentLanguage() {
  return language;
}

/** The train's English sentences with their translations: `[[english, other]]` with `{names}` of values. */
export function trainTexts() {
  return dictionary.train;
}

/** Change the language and call all listeners, once its texts are loaded. */
export async function setLanguage(name) {
  if (!(name in LOADERS)) return;
  wanted = name;
  const loaded = await LOADERS[name]();
  if (wanted !== name) return; // another one was chosen meanwhile
  language = name;
  dictionary = loaded;
  store("language", name);
  for (const listener of listeners) listener();
}

/** Call `listener` whenever the language changes. */
export function onLanguage(listener) {
  listeners.add(listener);
}

/** The text of a key, with `{name}` replaced by `values.name`. */
export function t(key, values = {}) {
  const text = dictionary.texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The text of a key, else `fallback`: for names from the network. */
export function textOr(key, fallback) {
  return Object.hasOwn(dictionary.texts, key) ? t(key) : fallback;
}

/** A number with its unit; a dash if there is none. */
export function formatQuantity(value, unit = "", digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits });
  return unit ? `${number.format(value)}\u202f${unit}` : number.format(value);
}

/** A rounded duration: `340 ms`, `4.2 s`, `3 min`, `2 h`. */
export function formatDuration(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1000) return formatQuantity(ms, "ms");
  if (ms < 10_000) return formatQuantity(ms / 1000, "s", 1);
  if (ms < 120_000) return formatQuantity(ms / 1000, "s");
  return ms < 7_200_000 ? formatQuantity(ms / 60_000, "min") : formatQuantity(ms / 3_600_000, "h");
}

/** A time of day, with tenths of a second. */
export function formatTime(unixMs) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, hourCycle: "h23" };
  return new Intl.DateTimeFormat(language, options).format(unixMs);
}

/** Translate the texts of index.html: `data-i18n` and `data-i18n-label` hold their keys. */
export function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-i18n]")) element.textContent = t(element.dataset.i18n);
  for (const element of document.querySelectorAll("[data-i18n-label]")) {
    element.setAttribute("aria-label", t(element.dataset.i18nLabel));
  }
}
