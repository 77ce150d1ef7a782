// Runs workers in workerd for the tests: one JSON object per line comes in through a socket, one
// answer per line goes back. Each group of workers is a workerd of its own, and each worker of it
// listens on a port of its own.
//
// {id, start: {worker, compatibilityDate, workers: [{bindings, assets}]}} -> {id, group, urls}
// {id, stop: group} -> {id}; what fails -> {id, error}
//
// node miniflare_driver.mjs FD NODE_MODULES
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [fd, modules] = process.argv.slice(2);
const socket = new Socket({ fd: Number(fd) });
const require = createRequire(pathToFileURL(`${modules}/`));
const { Log, LogLevel, Miniflare } = require("miniflare");

class StandardError extends Log {
  log(message) {
    process.stderr.write(`${message}\n`);
  }
}

const groups = new Map();

async function start({ worker, compatibilityDate, workers }) {
  const contents = readFileSync(worker, "utf-8");
  const one = ({ bindings, assets }, index) => ({
    name: `worker-${index}`,
    modules: [{ type: "ESModule", path: "worker.js", contents }],
    compatibilityDate,
    bindings,
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    ...(assets && {
      assets: {
        directory: assets,
        binding: "ASSETS",
        routerConfig: { has_user_worker: true, invoke_user_worker_ahead_of_assets: true },
      },
    }),
  });
  const miniflare = new Miniflare({
    host: "127.0.0.1",
    port: 0,
    log: new StandardError(LogLevel.WARN),
    cf: false,
    telemetry: { enabled: false },
    workers: workers.map(one),
  });
  await miniflare.ready;
  const urls = await Promise.all(
    workers.map((_, index) => miniflare.unsafeGetDirectURL(`worker-${index}`)),
  );
  const group = groups.size;
  groups.set(group, miniflare);
  return { group, urls: urls.map((url) => url.origin) };
}

async function stop(group) {
  await groups.get(group)?.dispose();
  groups.set(group, undefined);
  return {};
}

createInterface({ input: socket })
  .on("line", async (line) => {
    const { id, ...message } = JSON.parse(line);
    let answer;
    try {
      const result = message.start ? await start(message.start) : await stop(message.stop);
      answer = { id, ...result };
    } catch (error) {
      answer = { id, error: error?.stack ?? String(error) };
    }
    socket.write(`${JSON.stringify(answer)}\n`);
  })
  .on("close", async () => {
    await Promise.all([...groups.values()].map((miniflare) => miniflare?.dispose()));
    process.exit();
  });
