/* An install as it happens: bytes, files, fail-overs, and what came of it. */

import { $, cell, element, rowHeader } from "./parts.js";
import { isListed, nameOf, placeOf } from "./places.js";
import { bytes, say, text, translate } from "./texts.js";

/** What is worth an interruption: something did not go as it should, and what was done about it. */
const NOTABLE = new Set([
  "problem",
  "failover",
  "retry",
  "again",
  "resolved",
  "closure",
  "undone",
  "kept",
]);

/** Bytes by package, of all that this page has installed. */
export const sizes = {};

/** Some files: how much of each is here. */
export class Files {
  #files = new Map();

  /** Take an event, and return whether it was about a file's bytes. */
  take({ kind, url, size, total }) {
    if (kind !== "progress" && kind !== "file") return false;
    const before = this.#files.get(nameIn(url)) ?? { here: 0, total: 0, done: false };
    const known = total ?? before.total;
    const file = { here: size, total: Math.max(known, size), done: kind === "file" };
    this.#files.set(nameIn(url), file);
    return true;
  }

  sum() {
    const files = [...this.#files.values()];
    const add = (part) => files.reduce((sum, file) => sum + Number(file[part]), 0);
    return { all: files.length, done: add("done"), here: add("here"), total: add("total") };
  }
}

/** The same file from another mirror is still that file. */
const nameIn = (url) => url.slice(url.lastIndexOf("/") + 1);

/** Show that an install begins; the result takes its events. */
export function beginInstall(requirement) {
  const files = new Files();
  for (const list of ["#events ol", "#log"]) $(list).replaceChildren();
  $("#events").hidden = false;
  $("#installed").hidden = true;
  const bar = $("#bar");
  bar.hidden = false;
  bar.removeAttribute("value");
  say($("#progress"), "install.looking", { name: requirement });
  say($("#bytes"), "install.nothing-yet");
  return (event) => {
    if (files.take(event)) showBytes(files.sum(), bar, "#bytes", "install.bytes");
    if (event.kind === "progress") return;
    $("#events ol").append(eventLine(event));
    if (NOTABLE.has(event.kind)) $("#log").append(eventLine(event));
    if (event.kind !== "chosen") return;
    const url = event.mirror;
    say($("#progress"), "install.through", { name: isListed(url) ? nameOf(url) : placeOf(url) });
  };
}

/** Show how much of files is here, in a bar and in words. */
export function showBytes({ all, done, here, total }, bar, line, key) {
  bar.max = total || 1;
  bar.value = here;
  say($(line), key, { done, all, here: () => bytes(here), total: () => bytes(total) });
}

function eventLine(event) {
  const line = element("li", "", { "data-kind": event.kind });
  const kind = say(element("b"), `event.${event.kind}`);
  line.append(kind, " ", element("span", event.text, { lang: "en", translate: "no" }));
  return line;
}

/** Show what an install has added. */
export function showInstalled(requirement, items) {
  const table = $("#installed");
  say($("caption", table), "install.caption", { name: requirement });
  $("tbody", table).replaceChildren(...items.map(installedRow));
  translate(table);
  table.hidden = items.length === 0;
  for (const item of items) if (item.size) sizes[item.name] = item.size;
  const total = items.reduce((sum, item) => sum + (item.size ?? 0), 0);
  endBar(1);
  const values = { name: requirement, count: items.length, bytes: () => bytes(total) };
  say($("#progress"), items.length ? "install.done" : "install.there", values);
}

/** Show that an install has failed. */
export function showFailed(requirement) {
  endBar(0);
  say($("#progress"), "install.failed", { name: requirement });
}

function endBar(value) {
  const bar = $("#bar");
  bar.max = 1;
  bar.value = value;
}

function installedRow(item) {
  const row = element("tr", "", { role: "row", "data-name": item.name });
  const header = rowHeader({ class: "name", translate: "no" });
  header.textContent = item.name;
  const from = cell("install.from", "", { "data-source": item.source });
  if (item.source === "mirror") from.textContent = nameOf(item.mirror);
  else if (item.source === "url") from.textContent = item.url;
  else if (item.source === "lockfile" && item.url)
    say(from, "source.cdn", { place: () => placeOf(item.url) });
  else say(from, `source.${item.source}`);
  const size = cell("install.size", "", { class: "number" });
  if (item.size) say(size, "number", { number: item.size });
  const digest = cell("install.digest");
  if (item.sha256)
    digest.append(element("code", `${item.sha256.slice(0, 16)}…`, { title: item.sha256 }));
  row.append(header, cell("install.version", item.version), from, size, digest);
  return row;
}

/** What the chart shows, in words. */
export const chartText = () =>
  text("chart.alt", {
    parts: () =>
      Object.entries(sizes)
        .map(([name, size]) => `${name} ${bytes(size)}`)
        .join(", "),
  });
