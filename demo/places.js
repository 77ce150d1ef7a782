/* The tables of mirrors and CDNs: rows that fill in as the verdicts arrive. */

import { $, cell, element, rowHeader } from "./parts.js";
import { has, say, show, translate } from "./texts.js";

const body = $("#mirrors tbody");
const json = JSON.stringify;
const rowOf = (url) => $(`.places tr[data-url=${json(url)}]`);

/** The mirrors in the order of the rows: {url, name, own, held}. `held`: it waits to be allowed. */
export const mirrors = [];

/** The CDNs in the order of the rows: {url, name}. */
export const cdns = [];

export const nameOf = (url) => mirrors.find((mirror) => mirror.url === url)?.name ?? url;

/** The host of a URL, and the name of the CDN that it is of. */
export function placeOf(url) {
  const { host } = new URL(url);
  const cdn = cdns.find((each) => new URL(each.url).host === host);
  return cdn && cdn.name !== host ? `${cdn.name} (${host})` : host;
}

/** Add a row for a mirror. `remove` is called with it when the user takes it out again. */
export function addMirror(mirror, remove) {
  mirrors.push(mirror);
  const row = addRow(mirror, body);
  if (mirror.own) $("th", row).append(removeButton(mirror, row, remove));
  translate(row);
  return mirror;
}

/** Add a row for a CDN. */
export function addCDN(cdn) {
  cdns.push(cdn);
  addRow(cdn, $("#cdns tbody"));
  $("#cdns").hidden = false;
}

function addRow(mirror, rows) {
  const row = element("tr", "", { role: "row", "data-url": mirror.url });
  const header = rowHeader();
  header.append(element("span", mirror.name, { class: "name", translate: "no" }));
  header.append(say(element("span", "", { class: "mark" }), "mirrors.mark"));
  header.append(element("span", mirror.url, { class: "url", translate: "no" }));
  const verdict = cell("", "", { class: "verdict" });
  for (const part of ["badge", "explanation"]) verdict.append(element("span", "", { class: part }));
  row.append(
    header,
    verdict,
    cell("mirrors.time", "", { class: "number" }),
    cell("mirrors.seen", "", { lang: "en", translate: "no" }),
    cell("mirrors.todo"),
  );
  rows.append(row);
  translate(row);
  showState(mirror.url, mirror.held ? "held" : "waiting");
  return row;
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
  const { mirror, cdn, reason, repairs = [] } = outcome;
  const row = rowOf(cdn?.base_url ?? mirror.index_url);
  if (!row) return; // its user has taken it out
  const [, verdict, time, seen, todo] = row.cells;
  const badge = show($(".badge", verdict), (repairs.length ? repairs : [reason]).join(" + "));
  badge.dataset.support = outcome.support;
  const wordsFor = (part) =>
    cdn && has(`cdn.${reason}.${part}`) ? `cdn.${reason}.${part}` : `reason.${reason}.${part}`;
  say($(".explanation", verdict), wordsFor("explanation"));
  say(time, "mirrors.ms", { ms: Math.round(outcome.elapsed_ms) });
  show(seen, outcome.detail);
  say(todo, wordsFor("advice"));
  row.dataset.reason = reason;
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
