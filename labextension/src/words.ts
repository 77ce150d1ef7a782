/** Words in the language of the page: what the kernel says in English, numbers, the settings. */

import type { ISettingRegistry } from "@jupyterlab/settingregistry";
import type { TranslationBundle } from "@jupyterlab/translation";

import type { ICDNOutcome, IOutcome } from "./protocol";

type Schema = ISettingRegistry.IPlugin["schema"];
type Described = { title?: string; description?: string };

/** Bytes for people, like "1.2 / 3.4 MB". */
export function bytes(size: number, total: number | null = null): string {
  const [unit, name, digits] = (total ?? size) < 1e6 ? [1e3, "kB", 0] : [1e6, "MB", 1];
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const language = document.documentElement.lang || "en";
  const part = (value: number) => (value / unit).toLocaleString(language, format);
  return total ? `${part(size)} / ${part(total)} ${name}` : `${part(size)} ${name}`;
}

/**
 * What a verdict means, in a sentence; "" in English, in which the kernel says what it has seen.
 *
 * What was seen is told in English only.
 */
export function meanings(outcome: IOutcome | ICDNOutcome, trans: TranslationBundle): string {
  const repairs = "repairs" in outcome ? outcome.repairs : [];
  const own = "cdn" in outcome ? ["verdict of a CDN", "verdict"] : ["verdict"];
  const meaning = (reason: string) =>
    own.map((each) => trans._p(each, reason)).find((text) => text !== reason);
  const reasons = repairs.length ? repairs : [outcome.reason];
  return reasons.flatMap((each) => meaning(each) ?? []).join(" ");
}

/** What to do about a verdict; a status in it stays as it is. */
export function advice(hint: string, trans: TranslationBundle): string {
  const status = /HTTP \d+/.exec(hint)?.[0] ?? "";
  return trans.__(status ? hint.replace(status, "%1") : hint, status);
}

/** The schema of the settings with its texts translated, by the rules of JupyterLab's server. */
export function translated(schema: Schema, trans: TranslationBundle): Schema {
  const properties = Object.entries(schema.properties ?? {}).map(([name, each]) => [
    name,
    described(each as Described, "settings", trans),
  ]);
  return {
    ...described(schema as Described, "schema", trans),
    properties: Object.fromEntries(properties),
  } as unknown as Schema;
}

function described(each: Described, context: string, trans: TranslationBundle): Described {
  const { title, description } = each;
  return {
    ...each,
    ...(title && { title: trans._p(context, title) }),
    ...(description && { description: trans._p(context, description) }),
  };
}
