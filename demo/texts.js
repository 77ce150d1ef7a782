/* The page's words, in three languages, and how they come into the page.

   An element says the text `data-text`, an attribute the text `data-ATTRIBUTE-text` (ATTRIBUTES).
   Changing the language says everything anew, so nothing else has to know about it. */

import { read } from "./parts.js";

const ATTRIBUTES = { "aria-label": "data-aria-text", "data-label": "data-label-text" };
const FALLBACK = "en";

/** What fills the blanks of a text, by the element that says it. */
const blanks = new WeakMap();
let all = {};
let language = FALLBACK;

/** Read the texts. */
export async function readTexts() {
  all = await read("texts.json", "json");
}

/** The first of the wanted languages that there is: zh-Hans-CN, zh and zh-CN are all Chinese. */
export function bestLanguage(wanted) {
  for (const tag of wanted) {
    const main = String(tag).toLowerCase().split("-")[0];
    const found = Object.keys(all).find((each) => each.toLowerCase().split("-")[0] === main);
    if (found) return found;
  }
  return FALLBACK;
}

/** Speak a language from now on. */
export function speak(tag) {
  language = tag;
  document.documentElement.lang = tag;
  document.title = text("title");
  translate(document);
}

/** Fill a text's blanks. A blank is a number, a text, or a function that makes one. */
export function text(key, values = {}) {
  const words = all[language]?.[key];
  if (words === undefined) throw new Error(`There is no text ${key}`);
  return words.replace(/\{(\w+)\}/g, (_, name) => {
    const value = typeof values[name] === "function" ? values[name]() : values[name];
    return typeof value === "number" ? value.toLocaleString(language) : String(value);
  });
}

/** Whether there is such a text. */
export const has = (key) => key in all[FALLBACK];

/** Let an element say a text, and say it in another language later. */
export function say(element, key, values) {
  element.dataset.text = key;
  blanks.set(element, values);
  element.textContent = text(key, values);
  return element;
}

/** Let an element show what is no text of ours, in no language or in English. */
export function show(element, words) {
  delete element.dataset.text;
  element.textContent = words;
  return element;
}

/** Say all texts below an element in the present language. */
export function translate(parent) {
  for (const element of parent.querySelectorAll("[data-text]"))
    element.textContent = text(element.dataset.text, blanks.get(element));
  for (const [attribute, source] of Object.entries(ATTRIBUTES))
    for (const element of parent.querySelectorAll(`[${source}]`))
      element.setAttribute(attribute, text(element.getAttribute(source)));
}

/** Bytes in the unit that suits them (SI). */
export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  const format = { style: "unit", unit: units[step], maximumSignificantDigits: 3 };
  return (count / 1000 ** step).toLocaleString(language, format);
}

/** Seconds, to a tenth. */
export function seconds(milliseconds) {
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return (milliseconds / 1000).toLocaleString(language, digits);
}
