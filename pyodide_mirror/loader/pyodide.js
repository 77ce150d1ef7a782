// Loads Pyodide from whichever CDN can be read; `pyodide-mirror loader` wrote it.
//
// The command puts the settings here, and Pyodide's own module beside this one. What need not be
// here at once is in FIXED.rest.
const FIXED = {};

const HERE = new URL(".", import.meta.url).href;
const NODE = typeof process === "object" && Boolean(process.versions?.node) && !process.browser;
const LIMIT = FIXED.timeout * 1000; // milliseconds without a byte of any CDN
const STAGGER = 150; // milliseconds until the next CDN is asked as well
const PATIENCE = Math.min(500, LIMIT / 5); // the same, since the last byte of one that has answered
const MAX_BYTES = 2 ** 29;

const rest = import(HERE + FIXED.rest);
/** The CDNs, those that have worked first. */
let cdns = FIXED.cdns;
/** The places that have delivered a package. */
const complete = new Set();
/** Downloads by digest: what several want at the same time comes once. */
const underWay = new Map();
/** By which the requests of the loader itself are known. */
const signals = new WeakSet();

/** The version of Pyodide. */
export const version = FIXED.version;

/**
 * Starts Python, as Pyodide's own function does.
 *
 * @param {object} [options] Pyodide's own, and
 * @param {(progress: {file: string, cdn: string, received: number, total: number | null}) => void}
 *   [options.onProgress] called as bytes of a file arrive; `total` is null where it is not known.
 * @returns {Promise<object>} Pyodide. Rejected with an Error that says what is wrong with each CDN.
 */
export async function loadPyodide({ onProgress, ...options } = {}) {
	const tell = (progress) => {
		try {
			onProgress?.(progress);
		} catch (error) {
			console.error(error);
		}
	};
	const load = { fixed: FIXED, here: HERE, tell };
	load.find = (name, file, base = load.base) => get({ name, ...file, places: places(name, base) }, load);
	load.wheel = rest.then(({ WHEEL }) => WHEEL && race({ ...WHEEL, places: [HERE] }, () => {}));
	load.wheel.catch(() => {}); // `prepare` tells
	const begun = NODE ? rest.then((it) => it.startInNode(options, load)) : startInPage(options, load);
	const pyodide = begun.then(async (it) => (await rest).prepare(it, load, () => cdns));
	load.started = pyodide.catch(() => {});
	return await pyodide;
}

/** Start in a window or a worker: the requests of Pyodide are answered here. */
async function startInPage(options, load) {
	const folder = (url) => new URL(`${url}`.replace(/\/?$/, "/"), location).href;
	const base = folder(options.indexURL ?? HERE);
	load.base = folder(options.packageBaseUrl ?? new URL(".", new URL(options.lockFileURL ?? base, location)));
	load.store = openStore();
	const wanted = Object.entries(FIXED.core).filter(([name]) => !(name.endsWith(".zip") && options.stdLibURL));
	const core = new Map(wanted.map(([name, file]) => [base + name, load.find(name, file, base)]));
	// Where one fails, Pyodide logs a line and waits for ever.
	const failure = Promise.all(core.values()).then(() => new Promise(() => {}));
	failure.catch(() => {}); // until it is raced
	if (base === HERE) import(HERE + FIXED.script).catch(() => {}); // for which Pyodide asks later
	const [{ intercept }, own] = await Promise.all([rest, import(HERE + FIXED.module)]);
	const release = intercept(core, load, signals);
	try {
		return await Promise.race([own.loadPyodide({ ...options, indexURL: base }), failure]);
	} finally {
		release();
	}
}

const places = (name, base) =>
	base !== HERE || FIXED.local.includes(name) ? [base, ...cdns] : [...cdns, base];

/** The bytes of a file: those that are kept, else those of a CDN. */
function get(file, load) {
	if (!underWay.has(file.integrity)) {
		const work = read(file, load).finally(() => underWay.delete(file.integrity));
		underWay.set(file.integrity, work);
	}
	return underWay.get(file.integrity);
}

async function read(file, load) {
	const store = await load.store;
	const kept = await store?.get(file).catch(() => undefined); // it is not there
	if (kept && (await isRight(kept, file.integrity))) return new Uint8Array(kept);
	const bytes = await race(file, load.tell);
	if (NODE) await store.put(file, bytes);
	else load.started.then(() => store?.put(file, bytes)).catch(() => {}); // there may be no room
	return bytes;
}

/** The bytes of a file from the first of its places that has it. */
function race({ name, integrity, size, places: queue }, tell) {
	queue = [...queue];
	const pause = Math.min(STAGGER, LIMIT / 4 / queue.length); // all are asked in time
	const faults = [];
	const control = new AbortController();
	let [running, reading, timer, watchdog] = [0];
	return new Promise((resolve, reject) => {
		const end = (settle, value) => {
			clearTimeout(timer);
			clearTimeout(watchdog);
			queue = [];
			settle(value);
			control.abort();
		};
		const heard = () => {
			clearTimeout(watchdog);
			const fault = new Error(`no answer within ${FIXED.timeout} s`);
			watchdog = setTimeout(() => control.abort(fault), LIMIT);
		};
		const next = () => {
			clearTimeout(timer);
			const place = queue.shift();
			if (place) {
				running++;
				timer = setTimeout(next, pause);
				attempt(place).then(
					(bytes) => bytes && won(place, bytes),
					(error) => lost(place, error),
				);
			} else if (!running) {
				end(reject, new Error(`${name} could not be loaded from any CDN: ${faults.join("; ")}`));
			}
		};
		const won = (place, bytes) => {
			if (!FIXED.core[name]) complete.add(place);
			// One that has packages is not moved behind one that has only shown the core.
			const better = complete.has(place) || !complete.has(cdns[0]);
			if (better && cdns.includes(place)) cdns = [place, ...cdns.filter((cdn) => cdn !== place)];
			end(resolve, bytes);
		};
		const lost = (place, error) => {
			running--;
			const { message } = control.signal.reason ?? error;
			const fault = error instanceof TypeError ? `no readable answer (${message})` : message;
			faults.push(`${new URL(place).host || place}: ${fault}`);
			if (reading === place) reading = undefined;
			if (!reading) next();
		};
		const attempt = async (place) => {
			const response = await request(place + name, control.signal);
			if (!response.ok) throw new Error(`HTTP ${response.status}`);
			if (reading) {
				running--;
				queue.push(place); // for when the other one fails
				return response.body.cancel();
			}
			reading = place;
			const total = size ?? (Number(response.headers.get("Content-Length")) || null);
			const parts = [];
			let received = 0;
			for (const reader = response.body.getReader(); ; ) {
				heard();
				clearTimeout(timer);
				timer = setTimeout(() => {
					reading = undefined;
					next();
				}, PATIENCE);
				const { done, value } = await reader.read();
				if (done) break;
				received += value.length;
				if (received > (size ?? MAX_BYTES)) throw new Error("more bytes than it may have");
				parts.push(value);
				tell({ file: name, cdn: place, received, total });
			}
			const bytes = joined(parts, received);
			if (await isRight(bytes, integrity)) return bytes;
			throw new Error(received < size ? `cut off after ${received} bytes` : "other bytes than it must have");
		};
		heard();
		next();
	});
}

async function request(url, signal) {
	if (url.startsWith("file:")) return await (await rest).readFile(url);
	signals.add(signal);
	return await fetch(url, { signal });
}

function joined(parts, size) {
	const bytes = new Uint8Array(size);
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}

async function isRight(bytes, integrity) {
	if (!globalThis.crypto?.subtle) return await (await rest).isRight(bytes, integrity);
	const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
	return `sha256-${btoa(String.fromCharCode(...digest))}` === integrity;
}

/** What this browser keeps, by digest. */
async function openStore() {
	const name = `pyodide-mirror-loader-${version}`;
	try {
		const cache = await caches.open(name);
		const url = ({ integrity }) => `https://kept.invalid/${encodeURIComponent(integrity)}`;
		return {
			get: async (file) => (await cache.match(url(file)))?.arrayBuffer(),
			put: (file, bytes) => cache.put(url(file), new Response(bytes)),
		};
	} catch {
		return (await rest).openDatabase(name); // an insecure page
	}
}
