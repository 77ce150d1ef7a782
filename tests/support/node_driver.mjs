// Runs in Node what the tests send: one JSON object {id, code} per line comes in through a socket,
// one {id, ok, result} or {id, ok, message, stack} goes back. Not stdin and stdout, because Python
// inside writes to the latter.
//
// node node_driver.mjs FD DIST
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [fd, dist] = process.argv.slice(2);
const socket = new Socket({ fd: Number(fd) });
const { loadPyodide } = await import(pathToFileURL(`${dist}/pyodide.mjs`));

globalThis.self = globalThis;
self.logs = [];
for (const level of ["log", "warn", "info", "error"]) {
  console[level] = (message) => self.logs.push(message);
}
self.loadPyodide = (options) =>
  loadPyodide({ stdout: console.log, stderr: console.error, ...options });

const AsyncFunction = (async () => {}).constructor;

createInterface({ input: socket }).on("line", async (line) => {
  const { id, code } = JSON.parse(line);
  let answer;
  try {
    answer = { id, ok: true, result: await new AsyncFunction(code)() };
  } catch (error) {
    answer = { id, ok: false, message: String(error), stack: error?.stack ?? "" };
  }
  socket.write(`${JSON.stringify(answer)}\n`);
});
