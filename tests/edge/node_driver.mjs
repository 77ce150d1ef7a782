// Runs the worker in plain Node, over an upstream that is told what to answer: one JSON object per
// line comes in through a socket, one answer per line goes back. Bytes are in base64.
//
// {id, env, path, headers, upstream: {status, headers, chunks, breaks}}
//     -> {id, status, headers, body, broken, asked, left: the chunks that were not read}
// {id, env, path, splits: BYTES}: the page in two pieces, cut at each place
//     -> {id, differing: [the cuts whose answer is not that of the whole]}
// {id, env, path, measure: BYTES, chunk, times} -> {id, milliseconds: [...]}
//
// node node_driver.mjs FD WORKER

import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { createInterface } from "node:readline";

const [fd, path] = process.argv.slice(2);
const socket = new Socket({ fd: Number(fd) });
// Its name does not say that it is a module, as Node wants it; the platforms at the edge know.
const source = readFileSync(path).toString("base64");
const { default: worker } = await import(`data:text/javascript;base64,${source}`);
const JSON_V1 = "application/vnd.pypi.simple.v1+json";
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));
console.error = () => {}; // What the worker logs of broken pages is expected.

// The chunks that have been read are gone from the array.
function stream(waiting, breaks) {
  return new ReadableStream({
    pull(controller) {
      if (waiting.length) controller.enqueue(waiting.shift());
      else if (breaks) controller.error(new Error("cut off"));
      else controller.close();
    },
  });
}

async function answer({ env, path, headers = {}, method = "GET" }, upstream) {
  const asked = [];
  globalThis.fetch = async (url, { method, headers, redirect }) => {
    asked.push({ url, method, headers, redirect });
    return new Response(upstream.body(), { status: upstream.status, headers: upstream.headers });
  };
  const request = new Request(`https://mirror.example${path}`, { method, headers });
  const response = await worker.fetch(request, env);
  const parts = [];
  let broken = false;
  try {
    for await (const part of response.body ?? []) parts.push(part);
  } catch {
    broken = true;
  }
  return { response, body: Buffer.concat(parts), broken, asked };
}

const page = (chunks) => ({
  status: 200,
  headers: { "Content-Type": JSON_V1 },
  body: () => stream([...chunks]),
});

async function one(message) {
  const { status, headers, chunks, breaks } = message.upstream;
  let waiting = [];
  const body = () => {
    waiting = chunks.map(bytes);
    return status === 304 ? null : stream(waiting, breaks);
  };
  const found = await answer(message, { status, headers, body });
  return {
    status: found.response.status,
    headers: Object.fromEntries(found.response.headers),
    body: found.body.toString("base64"),
    broken: found.broken,
    asked: found.asked,
    left: waiting.length,
  };
}

async function splits(message) {
  const all = bytes(message.splits);
  // The very text may differ, for what is parsed and what is rewritten in passing may; compared is
  // what it means.
  const meaning = async (chunks) => {
    const { body, broken, response } = await answer(message, page(chunks));
    if (broken || response.status !== 200) return `${response.status} ${broken}`;
    const { files, name, versions, meta } = JSON.parse(body.toString());
    const said = ({ filename, url, hashes, yanked = false, ...others }) => [
      filename,
      url,
      hashes,
      yanked,
      others["requires-python"],
      others["core-metadata"],
    ];
    return JSON.stringify([name, versions, meta, files.map(said)]);
  };
  const whole = await meaning([all]);
  const differing = [];
  for (let cut = 1; cut < all.length; cut++) {
    if ((await meaning([all.subarray(0, cut), all.subarray(cut)])) !== whole) differing.push(cut);
  }
  return { differing, whole };
}

async function measure(message) {
  const all = bytes(message.measure);
  const chunks = [];
  for (let at = 0; at < all.length; at += message.chunk)
    chunks.push(all.subarray(at, at + message.chunk));
  const milliseconds = [];
  let size = 0;
  for (let time = 0; time < message.times; time++) {
    const before = process.cpuUsage();
    const { body } = await answer(message, page(chunks));
    const { user, system } = process.cpuUsage(before);
    milliseconds.push((user + system) / 1000);
    size = body.length;
  }
  return { milliseconds, size };
}

createInterface({ input: socket }).on("line", async (line) => {
  const message = JSON.parse(line);
  let result;
  try {
    result = await (message.splits ? splits : message.measure ? measure : one)(message);
  } catch (error) {
    result = { error: error.stack };
  }
  socket.write(`${JSON.stringify({ id: message.id, ...result })}\n`);
});
