/* The Python prompt: what is typed runs in the page, and what it says is shown as text. */

import { $, element } from "./parts.js";
import { say, text as words } from "./texts.js";

const MOST_LINES = 1000; // of the output: what is older leaves

const output = $("#output");
const input = $("#source");

/** Make the prompt work. `Prompt` is the class in prompt.py; `problem` shows an error of ours. */
export function startPrompt(Prompt, problem) {
  const python = Prompt(write);
  const past = new Past();
  let running = false;

  async function run() {
    const source = input.value;
    if (running || !source.trim()) return;
    running = true;
    $("#run").setAttribute("aria-disabled", "true");
    past.add(source);
    type("");
    write("in", source.trimEnd());
    try {
      showValue(JSON.parse(await python.run(source)));
    } catch (error) {
      problem(error);
    } finally {
      running = false;
      $("#run").setAttribute("aria-disabled", "false");
      document.documentElement.dataset.ran = past.count;
    }
  }

  input.addEventListener("input", fit);
  input.addEventListener("keydown", (event) => onKey(event, python, past, run));
  $("#prompt").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  $("#run").setAttribute("aria-disabled", "false");
  say($("#prompt-says"), "prompt.how");
}

/** What was typed before, and where in it one is. */
class Past {
  #sources = [];
  #place = 0;

  get count() {
    return this.#sources.length;
  }

  add(source) {
    this.#place = this.#sources.push(source);
  }

  /** Go so many steps, and type what is there; nothing beyond the last one. */
  recall(steps) {
    const next = this.#place + steps;
    if (next < 0 || next > this.count) return;
    this.#place = next;
    type(this.#sources[next] ?? "");
  }
}

/** Enter runs what is complete; the arrows move in the past where they cannot move in the text. */
function onKey(event, python, past, run) {
  if (event.isComposing || event.altKey || event.metaKey) return;
  const before = input.value.slice(0, input.selectionStart);
  const after = input.value.slice(input.selectionEnd);
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    if (after.trim() || python.is_complete(input.value)) run();
    else startLine(before);
  } else if (event.key === "ArrowUp" && !before.includes("\n")) {
    event.preventDefault();
    past.recall(-1);
  } else if (event.key === "ArrowDown" && !after.includes("\n")) {
    event.preventDefault();
    past.recall(1);
  }
}

function write(kind, text) {
  const last = output.lastElementChild;
  if (last?.dataset.kind === kind && kind !== "in") last.append(text);
  else output.append(element("div", text, { "data-kind": kind, translate: "no" }));
  while (output.childElementCount > MOST_LINES) output.firstElementChild.remove();
  output.hidden = false;
  output.scrollTop = output.scrollHeight;
}

function type(source) {
  input.value = source;
  fit();
}

/** Go on in a new line, as far in as the one before, and further in after a colon. */
function startLine(before) {
  const line = before.slice(before.lastIndexOf("\n") + 1);
  const indent = line.match(/^\s*/)[0] + (line.trimEnd().endsWith(":") ? "    " : "");
  // An empty line ends the block.
  const { selectionStart, selectionEnd } = input;
  input.setRangeText(line.trim() ? `\n${indent}` : "\n", selectionStart, selectionEnd, "end");
  fit();
}

function fit() {
  input.rows = Math.min(Math.max(input.value.split("\n").length, 1), 12);
}

function showValue({ text, svg }) {
  if (text !== undefined) write("value", `${text}\n`);
  if (svg === undefined) return;
  // As an image a drawing can neither run scripts nor load anything.
  const source = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  const image = element("img", "", { src: source, alt: words("prompt.drawing") });
  image.addEventListener("load", () => {
    URL.revokeObjectURL(source);
    output.scrollTop = output.scrollHeight;
  });
  const line = element("div", "", { "data-kind": "drawing" });
  line.append(image);
  output.append(line);
}
