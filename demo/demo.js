/* The page: Pyodide, the mirrors, an install and the prompt, one after the other. */

import { faultOf, linkTo, readAddress } from "./address.js";
import {
  beginInstall,
  chartText,
  Files,
  showBytes,
  showFailed,
  showInstalled,
  sizes,
} from "./installing.js";
import { $, element, read } from "./parts.js";
import * as table from "./places.js";
import { placeOf } from "./places.js";
import { startPrompt } from "./prompt.js";
import { bestLanguage, bytes, readTexts, say, seconds, show, speak, text } from "./texts.js";

const CHART = "pygal"; // what draws the chart, once it is installed
const NEEDED = ["micropip"];
const DEFAULT_TIMEOUT = 5;
const root = document.documentElement;
const json = JSON.stringify;

let settings, asked, python, pyodide;
let versions = "";
let busy = true;
/** What went wrong with the page itself, in words. */
const problems = [];

/* What goes wrong */

class InstallFailed extends Error {}

/** Say in the page what went wrong, at the beginning of the part of it that this is about. */
function showProblem(place, key, values, words) {
  $("h2", place).parentElement.after($("#problem"));
  $("#problem-text").textContent = words;
  $("#problem-text").classList.toggle("prose", !words.includes("\n"));
  $("#problem").hidden = false;
  say($("#problem-says"), key, values); // at last: it may be the texts that are not there
}

function fail(error, place = $("#probing"), key = "problem.page") {
  if (!(error instanceof InstallFailed)) {
    problems.push(error?.message ?? String(error));
    showProblem(place, key, {}, problems.at(-1));
    tellReport();
  }
  root.dataset.state = "failed";
}

/** Run one step and show how it stands; what `work` throws is thrown on. */
async function step(name, work) {
  const chip = $(`[data-step="${name}"]`);
  const started = performance.now();
  chip.dataset.state = "running";
  say(chip, "step.running");
  try {
    const result = await work();
    const took = performance.now() - started;
    chip.dataset.state = "done";
    say(chip, "step.done", { seconds: () => seconds(took) });
    return result;
  } catch (error) {
    chip.dataset.state = "failed";
    say(chip, "step.failed");
    throw error;
  }
}

function setBusy(now) {
  busy = now;
  for (const button of document.querySelectorAll("[data-waits]"))
    button.setAttribute("aria-disabled", now);
  if (now) root.dataset.state = "busy";
}

/* Pyodide */

/** What of Pyodide came over the network: each file, and the CDN that has it. */
const origins = new Map();
const core = new Files();

function showLoaded({ file, cdn, received, total }) {
  const kind = received === total ? "file" : "progress";
  core.take({ kind, url: cdn + file, size: received, total });
  showBytes(core.sum(), $("#loaded"), "#loading-says", "load.bytes");
  if (!origins.has(file)) $("#origins").append(element("li", "", { "data-file": file }));
  origins.set(file, cdn);
  const values = { file, size: () => bytes(received), place: () => placeOf(cdn) };
  say($(`#origins [data-file=${json(file)}]`), "load.file", values);
}

/** Start Python by the loader, with micropip in it. */
async function loadPyodide() {
  const loader = await import("./pyodide/pyodide.mjs");
  const loaded = await loader.loadPyodide({ packages: NEEDED, onProgress: showLoaded });
  const faults = []; // Pyodide only logs that a package did not load
  const errorCallback = (fault) => faults.push(fault);
  await loaded.loadPackage(NEEDED, { messageCallback() {}, errorCallback });
  if (faults.length) throw new Error(faults.join("\n"));
  return loaded;
}

async function load() {
  pyodide = await loadPyodide();
  python = await run("demo.py");
  globalThis.demo = { pyodide }; // for the browser's console
  $("#loaded").hidden = true;
  if (!origins.size) $("#origins").append(say(element("li"), "load.kept"));
  const { python: version, micropip, pyodide_mirror: ours } = JSON.parse(call("about"));
  const others = `micropip ${micropip}, Pyodide ${pyodide.version}, Python ${version}`;
  versions = `pyodide_mirror ${ours}, ${others}`;
  say($("#loading-says"), "load.done", { pyodide: pyodide.version, version, micropip, ours });
}

/** Run a file of Python; the result is its namespace. */
async function run(filename) {
  const globals = pyodide.toPy({});
  pyodide.runPython(await read(filename, "text"), { globals, filename });
  return globals;
}

const call = (name, ...given) => python.get(name)(...given);

/* Mirrors */

/** The mirrors of the link, else those of whoever serves the page, else the built-in ones. */
function listMirrors() {
  if (asked.mirrors.length)
    for (const url of asked.mirrors) {
      const mirror = JSON.parse(call("read_mirror", url));
      // A link must not make the browser ask hosts of its user's own network.
      if (mirror.problem) refuse({ key: "refused.python", values: { why: mirror.problem } });
      else if (!table.isListed(mirror.url)) list({ ...mirror, own: true, held: mirror.private });
    }
  else for (const mirror of settings.mirrors ?? JSON.parse(call("known"))) list(mirror);
}

const list = (mirror) =>
  table.addMirror(mirror, () => {
    table.showChosen(JSON.parse(call("forget", mirror.url)).chosen);
    tellReport();
  });

function given(mirrors = table.mirrors.filter((mirror) => !mirror.held), cdns = []) {
  const timeout = Number($("#timeout").value) || DEFAULT_TIMEOUT;
  return json({ mirrors, cdns, canary: $("#canary").value.trim(), timeout });
}

/** Probe mirrors and CDNs. Mirrors of a link that are in a private network are held back. */
async function probe(mirrors, cdns = []) {
  const now = mirrors.filter((mirror) => !mirror.held);
  if (now.length) for (const { url } of [...now, ...cdns]) table.showState(url, "asking");
  const tell = (outcome) => {
    table.showOutcome(JSON.parse(outcome));
    table.showCount();
  };
  const { chosen, cdns: outcomes = [] } = now.length
    ? JSON.parse(await call("probe", given(now, cdns), tell))
    : {};
  outcomes.forEach(table.showOutcome);
  table.showChosen(chosen);
  tellReport();
}

async function addTyped() {
  const url = $("#mirror").value.trim().replace(/\/+$/, "");
  const fault = faultOf(url);
  if (fault) return complain("refused.typed", { why: () => text(fault) });
  const mirror = JSON.parse(call("read_mirror", url));
  if (mirror.problem) return complain("refused.python", { why: mirror.problem });
  const name = table.nameOf(mirror.url);
  if (table.isListed(mirror.url)) return complain("mirrors.listed", { name });
  complain("", {});
  $("#mirror").value = "";
  await probe([list({ ...mirror, own: true })]);
}

/** Say beside the field what is wrong with what was typed; "" is nothing. */
function complain(key, values) {
  const line = $("#mirror-fault");
  if (key) say(line, key, values);
  else show(line, "");
  $("#mirror").setAttribute("aria-invalid", Boolean(key));
  if (key) $("#mirror").focus();
}

function refuse({ key, values }) {
  const { why, what } = values;
  const filled = { ...values, why: () => (key === "refused" ? text(why) : why) };
  $("#refused ul").append(say(element("li", "", { "data-what": what ?? "" }), key, filled));
  $("#refused").hidden = false;
}

/* The report */

/** All that a bug report should say, in English: also when Pyodide itself could not be loaded. */
function tellReport() {
  const secure = isSecureContext ? "secure context" : "no secure context";
  const lines = [
    versions || "Python does not run.",
    `Date:    ${new Date().toISOString()}`,
    // What follows the path may be a secret of whoever made the link.
    `Page:    ${location.origin}${location.pathname} (${secure})`,
    `Browser: ${navigator.userAgent}`,
    ...[...origins].map(([file, cdn]) => `Pyodide: ${cdn}${file}`),
    ...problems.map((words) => `Problem: ${words}`),
  ];
  if (python) lines.push("", call("report"));
  $("#report-text").value = lines.join("\n");
  $("#report").hidden = false;
  return $("#report-text").value;
}

/** Copy, and say so; where the browser does not let us, show it selected. */
async function copy(words, field, said) {
  try {
    await navigator.clipboard.writeText(words);
    say($("#copied"), said);
  } catch {
    // No clipboard on plain http, or no permission.
    field.closest("details").open = true;
    field.value = words;
    field.focus();
    field.select();
    say($("#copied"), "copy.yourself");
  }
}

const copyReport = () => copy(tellReport(), $("#report-text"), "copy.report");

function copyLink() {
  const others = { package: $("#package").value.trim(), canary: $("#canary").value.trim() };
  const link = linkTo(location, { mirrors: table.mirrors.map(({ url }) => url), ...others });
  return copy(link, $("#link-text"), "copy.link");
}

/* Install */

async function install(requirement) {
  $("#problem").hidden = true;
  const take = beginInstall(requirement);
  const done = JSON.parse(
    await call("install", given(), requirement, (event) => take(JSON.parse(event))),
  );
  tellReport();
  if (done.error) {
    showFailed(requirement);
    const values = { name: requirement, error: done.error };
    showProblem($("#installing"), "problem.install", values, done.text);
    throw new InstallFailed(done.text);
  }
  table.showChosen(done.report.chosen);
  showInstalled(requirement, done.installed);
}

/** Install, and draw what is installed as soon as there is something to draw with. */
async function installAndDraw(requirement) {
  setBusy(true);
  try {
    await step("install", () => install(requirement));
    if (CHART in sizes) await draw();
    root.dataset.state = "done";
  } finally {
    setBusy(false);
  }
}

/** A colour of the style sheet as the present scheme has it. */
function colorOf(name) {
  const sample = element("i", "", { hidden: "" });
  sample.style.color = `var(${name})`;
  document.body.append(sample);
  const { color } = getComputedStyle(sample);
  sample.remove();
  return color;
}

async function draw() {
  $("#chart").hidden = false;
  const width = Math.floor($("#chart figure").clientWidth);
  const palette = { text: colorOf("--text"), bar: colorOf("--accent") };
  const svg = call("draw", json(sizes), width, json(palette));
  // As an image the drawing can neither run scripts nor load anything.
  const image = $("#drawing");
  const before = image.src;
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  image.dataset.width = width;
  image.alt = chartText();
  if (before) URL.revokeObjectURL(before);
  await image.decode();
  say($("#drawn-by"), "chart.by", { name: call("drawn_by") });
}

function redrawWhenNeeded() {
  const redraw = () => {
    if ($("#drawing").dataset.width) draw().catch(fail);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  $("#scheme").addEventListener("change", redraw);
  new ResizeObserver(() => {
    const { width } = $("#drawing").dataset;
    const now = String(Math.floor($("#chart figure").clientWidth));
    if (width && width !== now && now !== "0") redraw();
  }).observe($("#chart figure"));
}

/* All of it */

/** Do it when the form is sent, unless something else runs. */
function onSubmit(form, work) {
  $(form).addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) work().catch(fail);
  });
}

function listen() {
  $("#language").addEventListener("change", ({ target }) => {
    speak(target.value);
    if ($("#drawing").src) $("#drawing").alt = chartText();
  });
  $("#scheme").addEventListener("change", ({ target }) => (root.dataset.scheme = target.value));
  onSubmit("#add", addTyped);
  onSubmit("#install", async () => {
    const requirement = $("#package").value.trim();
    if (requirement) await installAndDraw(requirement);
  });
  $("#again").addEventListener("click", () => {
    if (busy) return;
    for (const mirror of table.mirrors) mirror.held = false; // whoever presses it wants them asked
    probeAll().catch(fail);
  });
  $("#copy-report").addEventListener("click", copyReport);
  $("#copy-link").addEventListener("click", () => busy || copyLink());
  addEventListener("hashchange", () => location.reload()); // another link to the same page
}

async function probeAll() {
  setBusy(true);
  try {
    await step("probe", () => probe(table.mirrors, table.cdns));
    root.dataset.state = "done";
  } finally {
    setBusy(false);
  }
}

async function start() {
  root.dataset.state = "busy";
  await readTexts();
  settings = await read("settings.json", "json");
  asked = readAddress(location);
  $("#language").value = bestLanguage([asked.lang, ...navigator.languages]);
  speak($("#language").value);
  asked.refused.forEach(refuse);
  $("#package").value = asked.package || settings.package;
  $("#canary").value = asked.canary;
  $("#timeout").value = asked.timeout || settings.timeout || DEFAULT_TIMEOUT;
  settings.cdns.forEach(table.addCDN);
  listen();
  await step("load", load).catch((error) => {
    fail(error, $("#loading"), "problem.load");
    throw error;
  });
  listMirrors();
  startPrompt((await run("prompt.py")).get("Prompt"), fail);
  redrawWhenNeeded();
  await probeAll();
  if (settings.auto) await installAndDraw(settings.package);
}

start().catch((error) => {
  if (root.dataset.state !== "failed") fail(error);
});
