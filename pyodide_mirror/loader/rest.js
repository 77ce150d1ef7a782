// What the loader needs later, in Node and in insecure pages. `pyodide-mirror loader` puts the
// settings here: our wheel, and what Python runs when it has started.
const FIXED = {};

/** Name, digest and bytes of our wheel; null where the page brings it. */
export const WHEEL = FIXED.wheel;

const PREFIX = "pyodide-mirror-loader-";

let patch;

/**
 * Answer Pyodide's requests, until the function that is returned is called.
 *
 * @param {Map<string, Promise<Uint8Array>>} core files of Pyodide by URL
 * @param {object} load as the loader has prepared it
 * @param {WeakSet<AbortSignal>} signals by which the loader's own requests are known
 * @returns {() => void} which puts back what was there
 */
export function intercept(core, load, signals) {
	const answer = (input, init) => {
		const url = input.href ?? input.url ?? `${input}`;
		if (signals.has(init?.signal)) return undefined;
		const integrity = init?.integrity;
		const name = integrity && url.startsWith(load.base) && url.slice(load.base.length);
		const bytes = core.get(url) ?? (name ? load.find(name, { integrity }) : undefined);
		const type = url.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
		return bytes?.then((body) => new Response(body, { headers: { "Content-Type": type } }));
	};
	if (globalThis.fetch !== patch?.fetch) {
		const [before, answers] = [globalThis.fetch, new Set()];
		const find = (...request) => [...answers].reduce((found, each) => found ?? each(...request), undefined);
		patch = { before, answers, fetch: (...request) => find(...request) ?? before.apply(globalThis, request) };
		globalThis.fetch = patch.fetch;
	}
	const mine = patch;
	mine.answers.add(answer);
	return () => {
		mine.answers.delete(answer);
		if (!mine.answers.size && globalThis.fetch === mine.fetch) globalThis.fetch = mine.before;
	};
}

/**
 * Have Pyodide's own packages come from CDNs, and Python use our package when it imports micropip.
 *
 * @param {object} pyodide Pyodide
 * @param {object} load what the loader has found
 * @param {() => string[]} order of the CDNs, by base URL, the best first: packages may change it
 * @returns {Promise<object>} Pyodide
 */
export async function prepare(pyodide, load, order) {
	const manager = pyodide._api?.packageManager; // there is none before Pyodide 0.28
	const own = manager?.downloadPackage;
	if (own) {
		manager.downloadPackage = (pkg, check = true) => {
			const { file_name: name, sha256 } = pkg.packageData ?? {};
			const ours = check && pkg.channel === manager.defaultChannel && /^[0-9a-f]{64}$/i.test(sha256);
			if (!ours || name.includes("://") || name.startsWith("/")) return own.call(manager, pkg, check);
			const digest = sha256.match(/../g).map((byte) => Number.parseInt(byte, 16));
			return load.find(name, { integrity: `sha256-${btoa(String.fromCharCode(...digest))}` });
		};
	}
	// Python asks the CDN that has worked first, instead of this folder.
	const learned = order() !== load.fixed.cdns && !load.fixed.local.length;
	if (learned && manager?.installBaseUrl === load.here) manager.installBaseUrl = order()[0];
	if (load.packages) await pyodide.loadPackage(load.packages, { messageCallback() {} });
	prune(`${PREFIX}${load.fixed.version}`).catch(() => {}); // another time, then
	let bytes;
	try {
		bytes = await load.wheel;
	} catch (error) {
		console.warn(`Python has no pyodide_mirror: ${error.message}`);
		return pyodide;
	}
	const globals = pyodide.toPy({});
	pyodide.runPython(FIXED.start, { globals });
	const start = globals.get("prepare");
	const unpack = (extractDir) => pyodide.unpackArchive(bytes, "wheel", { extractDir });
	// A folder that asks no CDN is the place of its packages, for Python as well.
	const cdns = order().length || load.here.startsWith("file:") ? order() : [load.here];
	const mirrors = FIXED.mirrors.map((url) => url.replace(/^\.\.\//, new URL("..", load.here).href));
	start(bytes ? unpack : undefined, cdns.join(" "), mirrors.join(" "));
	start.destroy();
	globals.destroy();
	return pyodide;
}

/** Remove what is kept for other versions, but for the two that came last. */
async function prune(name) {
	const names = (await globalThis.caches?.keys()) ?? [];
	const others = names.filter((each) => each.startsWith(PREFIX) && each !== name);
	await Promise.all(others.slice(0, -2).map((each) => caches.delete(each)));
}

/**
 * Start in Node, where Pyodide reads a folder: what is missing there is put into it.
 *
 * @param {object} options Pyodide's own
 * @param {object} load as the loader has prepared it
 * @returns {Promise<object>} Pyodide
 */
export async function startInNode({ packages, ...options }, load) {
	const modules = ["url", "path", "fs/promises"].map((name) => import(`node:${name}`));
	const [{ fileURLToPath }, { resolve }, fs] = await Promise.all(modules);
	const here = fileURLToPath(load.here);
	const folder = `${options.packageCacheDir ?? here}`.replace(/[\\/]*$/, "/");
	const elsewhere = options.indexURL && resolve(options.indexURL) !== resolve(here);
	const given = { ...options, indexURL: elsewhere ? options.indexURL : folder };
	if (!options.lockFileContents) given.lockFileURL ??= `${here}pyodide-lock.json`;
	// Pyodide does not look at a package's digest in Node, but the loader does, once it has started.
	Object.assign(load, { base: load.here, packages, store: folderStore(folder, fs) });
	if (/^https?:/.test(options.packageBaseUrl)) load.base = options.packageBaseUrl.replace(/\/?$/, "/");
	if (!elsewhere) {
		const { core, script } = load.fixed;
		await fs.mkdir(folder, { recursive: true });
		if (folder !== here) await fs.copyFile(here + script, folder + script);
		await Promise.all(Object.entries(core).map(([name, file]) => load.find(name, file)));
	}
	const { loadPyodide } = await import(load.here + load.fixed.module);
	return await loadPyodide(given);
}

/** The folder that Pyodide reads. */
function folderStore(folder, { readFile, rename, writeFile }) {
	return {
		get: ({ name }) => readFile(folder + name),
		put: async ({ name }, bytes) => {
			const unfinished = `${folder}${name}.${crypto.randomUUID()}`;
			await writeFile(unfinished, bytes);
			await rename(unfinished, folder + name);
		},
	};
}

/**
 * A file of the loader's own folder, in Node.
 *
 * @param {string} url its address
 * @returns {Promise<Response>} its content
 */
export async function readFile(url) {
	const fs = await import("node:fs/promises");
	return new Response(await fs.readFile(new URL(url)));
}

/**
 * Whether bytes have a digest, in an insecure page, where the browser only checks what it fetches.
 *
 * @param {Uint8Array} bytes what was fetched
 * @param {string} integrity the digest, as Subresource Integrity writes it
 * @returns {Promise<boolean>}
 */
export async function isRight(bytes, integrity) {
	const url = URL.createObjectURL(new Blob([bytes]));
	try {
		await fetch(url, { integrity });
		return true;
	} catch {
		return false;
	} finally {
		URL.revokeObjectURL(url);
	}
}

/**
 * What an insecure page keeps, by digest: it has no Cache Storage.
 *
 * @param {string} name of the database
 * @returns {Promise<object | undefined>} undefined where nothing can be kept
 */
export async function openDatabase(name) {
	let database;
	try {
		const opening = indexedDB.open(name);
		opening.onupgradeneeded = () => opening.result.createObjectStore("files");
		database = await settled(opening);
	} catch (error) {
		console.debug(`the loader keeps nothing: ${error}`);
		return undefined;
	}
	const files = (mode) => database.transaction("files", mode).objectStore("files");
	return {
		get: async ({ integrity }) => settled(files("readonly").get(integrity)),
		put: async ({ integrity }, bytes) => settled(files("readwrite").put(bytes, integrity)),
	};
}

function settled(request) {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}
