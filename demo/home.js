/* Where Pyodide itself comes from: the first home that answers properly, and then the next.

   The idea is that of the mirrors' race: homes are asked in order, each shortly after the one
   before or as soon as that has failed; what is said of each is kept. */

const STAGGER = 400; // milliseconds between the starts of two homes
const TIMEOUT = 10_000; // for the lock file, body included
const STALL = 20_000; // from each byte of the big files to the next
const NEEDED = ["micropip"];
const BIG_FILES = ["pyodide.asm.wasm", "python_stdlib.zip"];

/** What is wrong with a home: the key of a sentence, and what fills its blanks. */
class Fault extends Error {
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

const faultFrom = (error) =>
  error instanceof Fault
    ? error
    : new Fault(error.name === "TimeoutError" ? "home.timeout" : "home.unreadable");

/** The homes of Pyodide. `tell(url, {state, key, values, ms})` hears how each of them stands. */
export class Homes {
  #waiting;
  #tell;
  #asking = new Map();
  #good = [];

  constructor(urls, tell) {
    this.#waiting = [...urls];
    this.#tell = tell;
    for (const url of urls) tell(url, { state: "waiting", key: "home.waiting" });
  }

  /** The next home that answers properly: {url, version}; null when there is none left. */
  async next() {
    while (!this.#good.length) {
      if (this.#waiting.length) this.#start(this.#waiting.shift());
      if (!this.#asking.size) return null;
      const ends = [...this.#asking.values()];
      if (this.#waiting.length) ends.push(new Promise((wake) => setTimeout(wake, STAGGER)));
      await Promise.race(ends);
    }
    return this.#good.shift();
  }

  /** Nothing more is needed: those that were never asked are told so. */
  end() {
    for (const url of this.#waiting) this.#tell(url, { state: "spare", key: "home.spare" });
  }

  #start(url) {
    const started = performance.now();
    const ms = () => performance.now() - started;
    this.#tell(url, { state: "asking", key: "home.asking" });
    const asking = askForLock(url)
      .then((version) => {
        this.#good.push({ url, version });
        const values = { version };
        this.#tell(url, { state: "good", key: "home.good", values, ms: ms() });
      })
      .catch((error) => {
        const { key, values } = faultFrom(error);
        this.#tell(url, { state: "bad", key, values, ms: ms() });
      })
      .finally(() => this.#asking.delete(url));
    this.#asking.set(url, asking);
  }
}

/** Read a home's lock file and return the version of its Python; throws when it is none. */
async function askForLock(url) {
  const answer = await fetch(`${url}pyodide-lock.json`, { signal: AbortSignal.timeout(TIMEOUT) });
  if (!answer.ok) throw new Fault("home.status", { status: String(answer.status) });
  const body = await answer.text();
  let lock;
  try {
    lock = JSON.parse(body);
  } catch {
    throw new Fault("home.other");
  }
  const python = lock?.info?.python;
  if (typeof python !== "string" || !lock.packages) throw new Fault("home.other");
  const lacking = NEEDED.filter((name) => !(name in lock.packages));
  if (lacking.length) throw new Fault("home.lacking", { names: lacking.join(", ") });
  return python.slice(0, 40);
}

/** Load Pyodide from a home, with these packages. `progress` is called with the bytes so far. */
export async function loadFrom(home, packages, progress) {
  await readAhead(home.url, progress);
  const { loadPyodide } = await import(`${home.url}pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL: home.url, packages });
  // It only logs that a package did not load.
  const lacking = NEEDED.filter((name) => !(name in pyodide.loadedPackages));
  if (lacking.length) throw new Fault("home.lacking", { names: lacking.join(", ") });
  return pyodide;
}

/** Bring the big files into the browser's cache: Pyodide tells of no bytes, and waits for ever. */
async function readAhead(url, progress) {
  let received = 0;
  const one = async (name) => {
    const given = new AbortController();
    const giveUp = () => given.abort(new DOMException(name, "TimeoutError"));
    let timer = setTimeout(giveUp, STALL);
    try {
      const answer = await fetch(url + name, { signal: given.signal });
      if (!answer.ok) throw new Fault("home.lacks", { name, status: String(answer.status) });
      // What may not be kept would only be read twice.
      if (answer.headers.get("Cache-Control")?.includes("no-store")) return answer.body.cancel();
      const reader = answer.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        clearTimeout(timer);
        timer = setTimeout(giveUp, STALL);
        received += part.value.length;
        progress(received);
      }
    } finally {
      clearTimeout(timer);
    }
  };
  await Promise.all(BIG_FILES.map(one)).catch((error) => {
    throw faultFrom(error);
  });
}

/** What to say of an error in loading from a home: {key, values}. */
export function sayOf(error) {
  if (error instanceof Fault) return { key: error.key, values: error.values };
  return { key: "home.broken", values: { error: String(error?.message ?? error).slice(0, 300) } };
}
