/* The page. What comes from the network or from Python becomes text, never markup. */

import { loadPyodide } from "../pyodide/pyodide.mjs";

const FIRST_PACKAGE = "pygal";
const root = document.documentElement;
const $ = (selector, parent = document) => parent.querySelector(selector);
const json = JSON.stringify;

/** Bytes by package, of all that this page has installed. */
const sizes = {};
let settings, python, pyodide;
let busy = true;

/* Small parts */

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function cell(label, text = "", attributes = {}) {
  const named = label ? { "data-label": label } : {};
  return element("td", text, { role: "cell", ...named, ...attributes });
}

function setBusy(now) {
  busy = now;
  $("#install button").setAttribute("aria-disabled", now);
  if (now) root.dataset.state = "busy";
}

/** Say in the page what went wrong, just before the part of it that this is about. */
function showProblem(place, says, text) {
  place.before($("#problem"));
  $("#problem-says").textContent = says;
  $("#problem-text").textContent = text;
  $("#problem-text").classList.toggle("prose", !text.includes("\n"));
  $("#problem").hidden = false;
}

/** Run one step and show how it stands; what `work` throws is thrown on. */
async function step(name, work) {
  const item = $(`[data-step="${name}"]`);
  const show = (state, note) => {
    item.dataset.state = state;
    $("span", item).textContent = note;
  };
  const started = performance.now();
  show("running", "running…");
  try {
    const result = await work();
    show("done", `${((performance.now() - started) / 1000).toFixed(1)} s`);
    return result;
  } catch (error) {
    show("failed", "failed");
    throw error;
  }
}

/* Load */

async function load() {
  const [page, source] = await Promise.all([fetch("mirrors.json"), fetch("demo.py")]);
  settings = await page.json();
  for (const mirror of settings.mirrors) $("#mirrors tbody").append(mirrorRow(mirror));
  const wheel = new URL(settings.wheel, location).href;
  const indexURL = new URL("../pyodide/", location).href;
  pyodide = await loadPyodide({ indexURL, packages: ["micropip", "packaging", wheel] });
  python = pyodide.toPy({});
  pyodide.runPython(await source.text(), { globals: python, filename: "demo.py" });
  globalThis.demo = { pyodide }; // for the browser's console
}

/* Probe */

function mirrorRow({ name, url }) {
  const row = element("tr", "", { role: "row", "data-url": url });
  const mirror = element("th", "", { role: "rowheader", scope: "row" });
  mirror.append(element("span", name, { class: "name" }), element("span", url, { class: "url" }));
  const verdict = cell("");
  verdict.append(element("span", "waiting", { class: "badge", "data-support": "waiting" }));
  row.append(mirror, verdict, cell("Time", "", { class: "number" }), cell("Seen"), cell("To do"));
  return row;
}

const rowOf = (url) => $(`#mirrors tr[data-url=${json(url)}]`);

function showOutcome(outcome) {
  const row = rowOf(outcome.mirror.index_url);
  const [, verdict, time, seen, todo] = row.cells;
  const words = outcome.repairs.length ? outcome.repairs : [outcome.reason];
  verdict.replaceChildren(
    element("span", words.join(" + "), { class: "badge", "data-support": outcome.support }),
    element("span", outcome.explanation, { class: "explanation" }),
  );
  time.textContent = `${Math.round(outcome.elapsed_ms).toLocaleString("en")} ms`;
  seen.textContent = outcome.detail;
  todo.textContent = outcome.hint;
  row.dataset.reason = outcome.reason;
  $("#chosen").textContent = `${outcome.mirror.name}: ${outcome.reason}.`;
}

async function probe() {
  for (const badge of document.querySelectorAll("#mirrors .badge")) badge.textContent = "probing…";
  const tell = (outcome) => showOutcome(JSON.parse(outcome));
  const report = JSON.parse(await python.get("probe")(json(settings), tell));
  $("#report pre").textContent = report.text;
  $("#report").hidden = false;
  showChosen(report.chosen);
}

function showChosen(url) {
  for (const row of document.querySelectorAll("#mirrors [aria-current]"))
    row.removeAttribute("aria-current");
  const line = $("#chosen");
  if (!url) {
    line.textContent = "None of them can be used from here.";
    return;
  }
  rowOf(url).setAttribute("aria-current", "true");
  line.replaceChildren("Chosen: ", element("strong", nameOf(url)));
}

const nameOf = (url) => settings.mirrors.find((mirror) => mirror.url === url)?.name ?? url;

/* Install */

function showEvent(event) {
  $("#progress").textContent = event.text;
  $("#events ol").append(element("li", event.text));
}

function installedRow(item) {
  const row = element("tr", "", { role: "row", "data-name": item.name });
  const from = item.source === "mirror" ? nameOf(item.mirror) : "Pyodide";
  const digest = cell("SHA-256");
  if (item.sha256)
    digest.append(element("code", `${item.sha256.slice(0, 16)}…`, { title: item.sha256 }));
  row.append(
    element("th", item.name, { role: "rowheader", scope: "row", class: "name" }),
    cell("Version", item.version),
    cell("From", item.source === "url" ? item.url : from),
    cell("Bytes", item.size?.toLocaleString("en") ?? "", { class: "number" }),
    digest,
  );
  return row;
}

function showInstalled(requirement, items) {
  const table = $("#installed");
  $("caption", table).textContent = `Installed for ${requirement}`;
  $("tbody", table).replaceChildren(...items.map(installedRow));
  table.hidden = items.length === 0;
  for (const item of items) if (item.size) sizes[item.name] = item.size;
  const total = items.reduce((sum, item) => sum + (item.size ?? 0), 0);
  $("#progress").textContent = items.length
    ? `${items.length} packages, ${total.toLocaleString("en")} bytes: ${requirement} is installed.`
    : `Nothing was missing: ${requirement} is there already.`;
}

class InstallFailed extends Error {}

async function install(requirement) {
  $("#problem").hidden = true;
  $("#events ol").replaceChildren();
  $("#events").hidden = false;
  $("#progress").textContent = `Looking for ${requirement}…`;
  const tell = (event) => showEvent(JSON.parse(event));
  const done = JSON.parse(await python.get("install")(json(settings), requirement, tell));
  if (done.error) {
    $("#progress").textContent = `${requirement} is not installed.`;
    const says = `Installing ${requirement} ended with ${done.error}, which says:`;
    showProblem($("#installing"), says, done.text);
    throw new InstallFailed(done.text);
  }
  showChosen(done.report.chosen);
  showInstalled(requirement, done.installed);
}

/** Install, and draw what is installed as soon as there is something to draw with. */
async function installAndDraw(requirement) {
  setBusy(true);
  try {
    await step("install", () => install(requirement));
    if (FIRST_PACKAGE in sizes) await step("draw", draw);
    root.dataset.state = "done";
  } finally {
    setBusy(false);
  }
}

/* Draw */

async function draw() {
  $("#chart").hidden = false;
  const width = Math.floor($("#chart figure").clientWidth);
  const style = getComputedStyle(root);
  const color = (name) => style.getPropertyValue(name).trim();
  const palette = { text: color("--text"), faint: color("--line"), bar: color("--accent") };
  const svg = python.get("draw")(json(sizes), width, json(palette));
  // As an image the drawing can neither run scripts nor load anything.
  const image = $("#drawing");
  const before = image.src;
  image.src = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  image.dataset.width = width;
  image.alt = `A bar chart: ${Object.entries(sizes)
    .map(([name, bytes]) => `${name} ${Math.round(bytes / 1000)} kB`)
    .join(", ")}.`;
  if (before) URL.revokeObjectURL(before);
  await image.decode();
  const by = python.get("drawn_by")();
  $("#drawn-by").textContent = `Drawn by ${by}, one of them.`;
}

function redrawWhenNeeded() {
  const redraw = () => {
    const image = $("#drawing");
    if (image.dataset.width) draw().catch(fail);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new ResizeObserver(() => {
    const image = $("#drawing");
    const width = String(Math.floor($("#chart figure").clientWidth));
    if (image.dataset.width && image.dataset.width !== width && width !== "0") redraw();
  }).observe($("#chart figure"));
}

/* All of it */

function fail(error) {
  if (!(error instanceof InstallFailed)) {
    const says = "The page itself failed, which it should not. The error says:";
    showProblem($("#probing"), says, error?.message ?? String(error));
  }
  root.dataset.state = "failed";
}

$("#install").addEventListener("submit", (event) => {
  event.preventDefault();
  const requirement = $("#package").value.trim();
  if (!busy && requirement) installAndDraw(requirement).catch(fail);
});

try {
  await step("load", load);
  await step("probe", probe);
  redrawWhenNeeded();
  await installAndDraw(FIRST_PACKAGE);
} catch (error) {
  fail(error);
}
