/* The table of mirrors: rows that fill in as the verdicts arrive. */

import { $, cell, element, rowHeader } from "./parts.js";
import { say, show, translate } from "./texts.js";

const body = $("#mirrors tbody");
const json = JSON.stringify;
const rowOf = (url) => $(`tr[data-url=${json(url)}]`, body);

/** The mirrors in the order of the rows: {url, name, own, held}. `held`: it waits to be allowed. */
export const mirrors = [];

export const nameOf = (url) => mirrors.find((mirror) => mirror.url === url)?.name ?? url;

/** Add a row. `remove` is called with the mirror when the user takes it out again. */
export function addMirror(mirror, remove) {
  mirrors.push(mirror);
  const row = element("tr", "", { role: "row", "data-url": mirror.url });
  const header = rowHeader();
  header.append(element("span", mirror.name, { class: "name", translate: "no" }));
  header.append(say(element("span", "", { class: "mark" }), "mirrors.mark"));
  header.append(element("span", mirror.url, { class: "url", translate: "no" }));
  if (mirror.own) header.append(removeButton(mirror, row, remove));
  const verdict = cell("", "", { class: "verdict" });
  for (const part of ["badge", "explanation"]) verdict.append(element("span", "", { class: part }));
  row.append(
    header,
    verdict,
    cell("mirrors.time", "", { class: "number" }),
    cell("mirrors.seen", "", { lang: "en", translate: "no" }),
    cell("mirrors.todo"),
  );
  body.append(row);
  translate(row);
  showState(mirror.url, mirror.held ? "held" : "waiting");
  return mirror;
}

function removeButton(mirror, row, remove) {
  const button = say(element("button", "", { type: "button", class: "quiet" }), "mirrors.remove", {
    name: mirror.name,
  });
  button.addEventListener("click", () => {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    mirrors.splice(mirrors.indexOf(mirror), 1);
    row.remove();
    // The focus was on what is gone.
    ($("button", next ?? body) ?? $("#mirror")).focus();
    remove(mirror);
  });
  return button;
}

/** Show that there is no verdict: the mirror waits, is asked, or waits to be allowed. */
export function showState(url, state) {
  const row = rowOf(url);
  const [, verdict, time, seen, todo] = row.cells;
  const badge = $(".badge", verdict);
  badge.dataset.support = state;
  say(badge, `state.${state}`);
  for (const part of [$(".explanation", verdict), time, seen, todo]) show(part, "");
  if (state === "held") say($(".explanation", verdict), "mirrors.held");
  delete row.dataset.reason;
}

/** Show a verdict. */
export function showOutcome(outcome) {
  const row = rowOf(outcome.mirror.index_url);
  if (!row) return; // its user has taken it out
  const [, verdict, time, seen, todo] = row.cells;
  const words = outcome.repairs.length ? outcome.repairs : [outcome.reason];
  const badge = show($(".badge", verdict), words.join(" + "));
  badge.dataset.support = outcome.support;
  say($(".explanation", verdict), `reason.${outcome.reason}.explanation`);
  say(time, "mirrors.ms", { ms: Math.round(outcome.elapsed_ms) });
  show(seen, outcome.detail);
  say(todo, `reason.${outcome.reason}.advice`);
  row.dataset.reason = outcome.reason;
}

/** Mark the mirror that is used, and say so. */
export function showChosen(url) {
  for (const row of body.querySelectorAll("[aria-current]")) row.removeAttribute("aria-current");
  const line = $("#chosen");
  if (url) rowOf(url)?.setAttribute("aria-current", "true");
  if (url) say(line, "mirrors.chosen", { name: nameOf(url) });
  else say(line, mirrors.some((mirror) => !mirror.held) ? "mirrors.none" : "mirrors.unasked");
}

/** How many have a verdict, as one sentence that screen readers are told. */
export function showCount() {
  const done = body.querySelectorAll("tr[data-reason]").length;
  say($("#chosen"), "mirrors.count", { done, all: mirrors.length });
}

/** Whether there is a row for this URL. */
export const isListed = (url) => mirrors.some((mirror) => mirror.url === url);
