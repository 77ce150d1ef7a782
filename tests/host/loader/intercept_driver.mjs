// Has `fetch` replaced by the loader's functions, and by others meanwhile; prints what was seen.
//
// node intercept_driver.mjs REST
import { pathToFileURL } from "node:url";

const { intercept } = await import(pathToFileURL(process.argv[2]));
const seen = [];
const signals = new WeakSet();
const plain = async (url) => {
  seen.push(`${url}`);
  return new Response("plain");
};
globalThis.fetch = plain;

/** A start of Pyodide whose files lie below this address. */
function start(base) {
  const core = new Map([[`${base}a.wasm`, Promise.resolve(new TextEncoder().encode(base))]]);
  const find = async (name, { integrity }) => new TextEncoder().encode(`${name} ${integrity}`);
  return intercept(core, { base, find }, signals);
}

const text = async (...request) => (await fetch(...request)).text();
const one = "https://one.example/";
const two = "https://two.example/";
const found = {};

const endOne = start(one);
const ours = globalThis.fetch;
const endTwo = start(two);
found.shared = globalThis.fetch === ours;
const answer = await fetch(new URL(`${one}a.wasm`));
found.wasm = [await answer.text(), answer.headers.get("Content-Type")];
found.package = await text(`${two}x.whl`, { integrity: "sha256-x" });
found.others = [
  await text(`${one}x.whl`),
  await text("https://else.example/a.wasm", { integrity: "sha256-x" }),
  await text(new Request(`${one}b`)),
];
const own = new AbortController().signal;
signals.add(own);
found.own = await text(`${one}a.wasm`, { signal: own });
endOne();
found.ended = [await text(`${one}a.wasm`), await text(`${two}a.wasm`)];
endTwo();
found.restored = globalThis.fetch === plain;

// Somebody else replaces it, too, and stays.
const endThree = start(one);
const inner = globalThis.fetch;
const theirs = (...request) => inner(...request);
globalThis.fetch = theirs;
const endFour = start(two);
found.both = [await text(`${one}a.wasm`), await text(`${two}a.wasm`)];
endThree();
endFour();
found.theirs = globalThis.fetch === theirs;
found.after = [await text(`${one}a.wasm`), await text(`${two}a.wasm`)];
found.seen = seen.length;
console.log(JSON.stringify(found));
