// A package index for browsers, made of any other: the edge half of pyodide_mirror (MIT). Standard
// JavaScript for every platform with a `fetch` handler. Variables set it up: UPSTREAM (an index URL),
// FILE_HOSTS (origins that files may come from, too), FILES (proxy or direct); if wanted ALLOW_ORIGIN,
// TIMEOUT_MS, HOLD_BYTES, CACHE (small), OWN_WHEELS, CDN. The README beside it explains them.
const FIXED = {}; // The same for platforms without variables.

const JSON_V1 = "application/vnd.pypi.simple.v1+json";
const HTML_V1 = "application/vnd.pypi.simple.v1+html";
const HTML = "text/html";
const AGENT = "pyodide-mirror";
const BYTES = "application/octet-stream"; // A page among the files would be one of ours.
const PIECE = 1 << 16;
const MAX = 32 << 20; // Bytes of a page, or of a file that is kept.
const UNCUT = 1 << 20; // Characters of a streamed page that are held together: one entry, or what is around all.
const LONGEST = 1 << 14; // Characters of a URL: signed ones have thousands.
const SUFFIX = /\.(whl|tar\.gz|zip|tar\.bz2|tar\.xz|tgz|egg)$/;
const FILENAME = /^\w[\w.+!~-]{0,254}$/;
const PLAIN = new RegExp(`^([\\w~+!@,=-][\\w.~+!@,=-]*/)*\\w[\\w.~+!@-]*${SUFFIX.source}`);
const PROJECT = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i; // PEP 508

const normalized = (name) => name.replace(/[-_.]+/g, "-").toLowerCase(); // PEP 503
const isFilename = (name) => typeof name === "string" && FILENAME.test(name) && SUFFIX.test(name);
const isObject = (value) => ({}).toString.call(value) === "[object Object]";
const words = (text) => (text ?? "").split(/[\s,]+/).filter(Boolean);
const drop = (body) => void body?.cancel().catch(() => {}); // Nothing depends on how it ends.
// The result of what throws where it should say "no": new URL, JSON.parse.
const attempt = (work) => {
	try {
		return work();
	} catch {
		return undefined;
	}
};
const pick = (headers, ...names) =>
	Object.fromEntries(names.filter((name) => headers.has(name)).map((name) => [name, headers.get(name)]));
const parsed = (text) => attempt(() => JSON.parse(text));

// What went wrong: a status, and a sentence for a person.
class Problem extends Error {
	constructor(status, sentence, headers = {}) {
		super(sentence);
		headers = { ...headers, "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" };
		this.answer = () => new Response(`${sentence}\n`, { status, headers });
	}
}
// Without the path: some indexes have a token in it.
const faulty = (url, what, status = 502, headers) =>
	new Problem(status, `${new URL(url).origin} ${what}.`, headers);
const wrongVersion = (url, version) => faulty(url, `has the unknown API version ${version.slice(0, 20)}`);

export default {
	async fetch(request, env, context) {
		const settings = { ...FIXED, ...env };
		let answer;
		try {
			answer = await route(request, new URL(request.url), settings, context);
		} catch (error) {
			if (!error.answer) console.error(error);
			answer = (error.answer ? error : new Problem(500, "This mirror has a defect.")).answer();
		}
		return finish(request, answer, words(settings.ALLOW_ORIGIN || "*"));
	},
};

function route(request, url, settings, context) {
	if (request.method === "OPTIONS") return preflight(request.headers);
	if (!/^(GET|HEAD)$/.test(request.method)) {
		throw new Problem(405, "A package index is only read.", { Allow: "GET, HEAD, OPTIONS" });
	}
	const mirror = new Mirror(settings, url.origin, context);
	const path = url.pathname;
	if (path === "/") return home(request, mirror);
	if (path === "/healthz") return new Problem(200, "ok").answer();
	if (mirror.own.some(({ filename }) => path === `/${filename}`)) return settings.ASSETS.fetch(request);
	if (path.startsWith("/files/")) return file(request, url, mirror);
	if (path.startsWith("/pyodide/")) return release(request, path, mirror); // CDN
	const [, prefix, name, slash] = /^((?:\/pypi)?\/simple)(?:\/+([^/]*)(\/?))?$/.exec(path) ?? [];
	if (!prefix) throw new Problem(404, "Nothing is here. The index is at /simple/.");
	if (name === undefined) return moved(url, `${prefix}/`);
	return name || slash ? project(request, url, mirror, prefix, name, slash) : projects(request, url, mirror);
}

function moved({ origin, search }, path) {
	const headers = { Location: origin + path + search, "Cache-Control": "public, max-age=600" };
	return new Response(null, { status: 301, headers });
}

function preflight(asked) {
	const isPrivate = asked.has("Access-Control-Request-Private-Network");
	const headers = {
		"Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
		"Access-Control-Allow-Headers": asked.get("Access-Control-Request-Headers") || "*",
		"Access-Control-Max-Age": "86400",
		...(isPrivate && { "Access-Control-Allow-Private-Network": "true" }),
	};
	return new Response(null, { status: 204, headers });
}

const ALWAYS = {
	"Access-Control-Expose-Headers":
		"Accept-Ranges, Content-Length, Content-Range, Date, ETag, Last-Modified, Retry-After",
	"Timing-Allow-Origin": "*",
	"Cross-Origin-Resource-Policy": "cross-origin",
	"X-Content-Type-Options": "nosniff",
	"Content-Security-Policy": "default-src 'none'",
};

// Every answer passes here, whatever its status is.
function finish(request, { status, headers: given, body }, allowed) {
	const headers = new Headers(given);
	const origin = allowed.includes("*") ? "*" : request.headers.get("Origin");
	if (origin !== "*") headers.append("Vary", "Origin");
	if (origin === "*" || allowed.includes(origin)) headers.set("Access-Control-Allow-Origin", origin);
	else headers.delete("Access-Control-Allow-Private-Network");
	for (const [name, value] of Object.entries(ALWAYS)) headers.set(name, value);
	if (request.method !== "HEAD") return new Response(body, { status, headers });
	drop(body);
	return new Response(null, { status, headers });
}

class Mirror {
	constructor(settings, base, context) {
		const { UPSTREAM, FILE_HOSTS, FILES, OWN_WHEELS, ASSETS } = settings;
		const check = (right, what) => {
			if (!right) throw new Problem(500, `This mirror is not set up: ${what}.`);
		};
		const checked = (name, text) => {
			const url = attempt(() => new URL(text));
			const isPlain = /^https?:$/.test(url?.protocol) && !/[?#@]/.test(text);
			check(isPlain, `${name} must start with http(s):// and have no user, query or fragment`);
			return url;
		};
		check(UPSTREAM, "the variable UPSTREAM, an index URL, is missing");
		const upstream = checked("UPSTREAM", UPSTREAM);
		check(upstream.origin !== base, "UPSTREAM is this mirror itself");
		check(/^(proxy|direct)?$/.test(FILES ?? ""), "FILES must be proxy or direct");
		const others = words(FILE_HOSTS).map((text) => checked("each of FILE_HOSTS", text));
		Object.assign(this, {
			base,
			context,
			upstream: upstream.href.replace(/\/*$/, "/"),
			hosts: new Map([...others, upstream].map(({ host, origin }) => [host, origin])),
			listed: "FILE_HOSTS",
			direct: FILES === "direct",
			keepsAll: settings.CACHE !== "small",
			timeout: Number(settings.TIMEOUT_MS) || 10_000,
			hold: Number(settings.HOLD_BYTES) || 32_768,
		});
		const cdn = settings.CDN && checked("CDN", settings.CDN).href.split(/%7Bversion%7D/i); // CDN
		check(!cdn || cdn[1]?.endsWith("/"), "CDN must have {version} in its path, and / at its end"); // CDN
		check(!cdn?.[0].startsWith(`${base}/`), "CDN is this mirror itself"); // CDN
		this.cdn = cdn; // CDN
		this.mark = [1, base, this.upstream, this.direct, ...this.hosts.values()].join(" ");
		const own = (ASSETS && OWN_WHEELS) || [];
		this.own = own.map((file) => ({ ...file, url: `${base}/${file.filename}`, yanked: false }));
	}

	allows(url) {
		return this.hosts.get(url.host) === url.origin;
	}
}

// --- upstream

// Ask upstream; follow one redirect, to where files may come from.
async function ask(url, method, headers, mirror) {
	const limit = new AbortController();
	let timer;
	const stop = () => clearTimeout(timer);
	const rest = () => {
		stop();
		timer = setTimeout(() => limit.abort(), mirror.timeout);
	};
	const problem = (error) => {
		stop();
		if (error instanceof Problem) return error;
		if (limit.signal.aborted) return faulty(url, `was silent for ${mirror.timeout} ms`, 504);
		return faulty(url, "cannot be reached, or broke off");
	};
	rest();
	try {
		for (let hops = 0; ; hops++) {
			const answer = await fetch(url, { method, headers, redirect: "manual", signal: limit.signal });
			if (!/^30[12378]$/.test(answer.status)) return { answer, url, rest, stop, problem };
			drop(answer.body);
			const next = attempt(() => new URL(answer.headers.get("Location") ?? "//", url));
			if (hops || !next) throw faulty(url, "redirects more than once, or to nowhere");
			const elsewhere = `redirects to ${next.origin}, not one of the ${mirror.listed}`;
			if (!mirror.allows(next)) throw faulty(url, elsewhere);
			url = next.href.split("#")[0];
		}
	} catch (error) {
		throw problem(error);
	}
}

function refused({ answer: { status, headers, body }, url, stop }) {
	stop();
	drop(body);
	const ours = pick(headers, "Retry-After", "Content-Range");
	return faulty(url, `answered with status ${status}`, status < 400 ? 502 : status, ours);
}

// --- negotiation, conditions (RFC 9110), cache

function negotiate(request, url) {
	const offers = [JSON_V1, HTML_V1, HTML];
	const named = url.searchParams.get("format")?.trim().replace(/ /g, "+");
	const wanted = named ?? (request.headers.get("Accept")?.trim() || "*/*");
	const ranges = wanted
		.toLowerCase()
		.split(",")
		.map((range) => {
			const [type, ...parameters] = range.split(";").map((piece) => piece.trim());
			const weight = Number(parameters.find((one) => /^q\s*=/.test(one))?.split("=")[1] ?? 1);
			return [type.replace(".latest+", ".v1+"), weight >= 0 && weight <= 1 ? weight : 0];
		});
	const weigh = (offer) => {
		const alias = offer === JSON_V1 ? "application/json" : offer;
		for (const name of [offer, alias, offer.replace(/\/.*/, "/*"), "*/*"]) {
			const weights = ranges.filter(([type]) => type === name).map(([, weight]) => weight);
			if (weights.length) return Math.max(...weights);
		}
		return 0;
	};
	const best = offers.reduce((one, other) => (weigh(other) > weigh(one) ? other : one));
	if (weigh(best)) return best;
	throw new Problem(406, `This can be had as ${offers.join(", ")}.`, { Vary: "Accept" });
}

// 304 in place of what the client has already.
function unlessKnown(request, answer) {
	const known = request.headers.get("If-None-Match")?.trim();
	const etag = answer.headers.get("ETag")?.replace(/^W\//, "");
	const isKnown = etag && (known === "*" || known?.match(/"[^"]*"/g)?.includes(etag));
	if (answer.status !== 200 || !isKnown) return answer;
	drop(answer.body);
	const headers = new Headers(answer.headers);
	headers.delete("Content-Length");
	return new Response(null, { status: 304, headers });
}

async function digest(text) {
	const found = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
	return new Uint8Array(found, 0, 16).join("-");
}

const cache = () => globalThis.caches?.default; // Cloudflare has one, others do not.

// Keep what is certain to be whole: for the cache, a body that breaks off may be one that ends.
function keep(request, { context }, key, answer) {
	if (request.method !== "GET" || answer.status !== 200 || !cache()) return;
	context.waitUntil(cache().put(key, answer).catch(console.warn));
}

// --- pages

function paged(body, format, headers) {
	const type = format === HTML ? "text/html; charset=utf-8" : format;
	headers = { "Cache-Control": "public, max-age=600", Vary: "Accept", "Content-Type": type, ...headers };
	return new Response(body, { headers });
}

async function wholePage(text, format) {
	const bytes = new TextEncoder().encode(text);
	return paged(bytes, format, { ETag: `"${await digest(text)}"`, "Content-Length": `${bytes.length}` });
}

// Our page from the cache, or made of upstream's.
async function madePage(request, mirror, format, name, accept, make) {
	const key = `${mirror.base}/simple/${name}?${encodeURIComponent(`${mirror.mark} ${format}`)}`;
	const kept = await cache()?.match(key);
	if (kept) return unlessKnown(request, kept);
	const headers = { Accept: `${accept}, */*;q=0.01`, "User-Agent": AGENT };
	const source = new Source(await ask(mirror.upstream + name, "GET", headers, mirror));
	try {
		const [validator] = Object.values(pick(source.answer.headers, "ETag", "Last-Modified"));
		const etag = `W/"${await digest(`${mirror.mark} ${format} ${validator}`)}"`;
		const store = (whole) => keep(request, mirror, key, whole);
		const answer = await make(source, validator && { ETag: etag }, store);
		if (answer.headers.has("Content-Length")) store(answer.clone());
		return unlessKnown(request, answer);
	} catch (error) {
		source.close();
		throw source.problem(error);
	}
}

class Source {
	constructor(asked) {
		Object.assign(this, asked, { bytes: 0, ended: false, decoder: new TextDecoder() });
		const { status, headers } = asked.answer;
		if (status !== 200) throw refused(asked);
		const type = /^\s*application\/vnd\.pypi\.simple\.v(\d+)\+(json)?/i.exec(headers.get("Content-Type"));
		if (type && type[1] !== "1") throw wrongVersion(asked.url, type[1]);
		this.saysJson = Boolean(type?.[2]);
	}

	// The next piece of text; it is empty at the end.
	async read() {
		const { body } = this.answer;
		this.reader ??= attempt(() => body.getReader({ mode: "byob" })) ?? body?.getReader();
		// Cloudflare's own pieces are small, and each costs time.
		const { done, value } = (await this.reader?.read(new Uint8Array(PIECE), { min: PIECE })) ?? { done: true };
		this.ended = done;
		this.bytes += value?.length ?? 0;
		if (this.bytes > MAX) throw faulty(this.url, "is larger than this mirror can rewrite");
		return this.decoder.decode(value, { stream: !done });
	}

	async text(limit = Infinity) {
		let text = "";
		while (!this.ended && this.bytes < limit) text += await this.read();
		if (this.ended) this.stop();
		return text;
	}

	// Whatever it is called.
	holdsJson(text) {
		return this.saysJson || /^\s*[[{]/.test(text);
	}

	close() {
		this.stop();
		drop(this.reader ?? this.answer.body);
	}
}

async function project(request, url, mirror, prefix, encoded, slash) {
	const asked = attempt(() => decodeURIComponent(encoded)) ?? "";
	if (!PROJECT.test(asked)) throw new Problem(404, "That is no name of a project.");
	const name = normalized(asked);
	if (name !== encoded || !slash) return moved(url, `${prefix}/${name}/`);
	const format = negotiate(request, url);
	const rendered = (page) => wholePage(format === JSON_V1 ? JSON.stringify(page) : projectHtml(page), format);
	if (mirror.own.length && name === "pyodide-mirror") {
		return unlessKnown(request, await rendered(document({ name, list: mirror.own }, {})));
	}
	const accept = `${JSON_V1}, ${HTML_V1};q=0.2, text/html;q=0.1`;
	return madePage(request, mirror, format, `${name}/`, accept, async (source, etag, store) => {
		const start = await source.text(mirror.hold);
		const files = new Files(name, source.url, mirror);
		const isJson = source.holdsJson(start);
		if (isJson && !source.ended && format === JSON_V1) {
			const whenWhole = (parts) => mirror.keepsAll && store(paged(new Blob(parts), format, etag));
			return paged(streamed(source, start, new Rewriter(files), whenWhole), format, etag);
		}
		const text = start + (await source.text());
		return rendered(isJson ? readJson(text, files) : readHtml(text, files));
	});
}

// --- JSON (PEP 691)

const NOT_UTF8 = "\uFFFD"; // What the decoder makes of it.

function readJson(text, files) {
	const page = text.includes(NOT_UTF8) ? undefined : parsed(text);
	checkDocument(page, files);
	for (const entry of page.files) files.add(entry);
	if (!statusOf(page)) files.check(page.files.length, files.list.length);
	return document(files, page);
}

function checkDocument(page, { name, url }) {
	const version = page?.meta?.["api-version"];
	if (typeof version !== "string" || typeof page.name !== "string" || !Array.isArray(page.files)) {
		throw faulty(url, "is broken JSON or lacks meta.api-version, name or files");
	}
	if (!/^1\.\d+$/.test(version)) throw wrongVersion(url, version);
	if (normalized(page.name) !== name) throw faulty(url, `is not the page of ${name}`);
}

function document({ name, list }, page) {
	const made = list && [...new Set(list.map(({ filename }) => versionOf(filename, name)))];
	const versions = Array.isArray(page.versions) ? page.versions : made;
	const status = statusOf(page);
	const meta = { "api-version": status ? "1.4" : versions ? "1.1" : "1.0" };
	return { name, files: list, meta, versions, "project-status": status };
}

// PEP 792. Of a project in quarantine there may be no files.
function statusOf(page) {
	const { status, reason } = page["project-status"] ?? {};
	if (!status || typeof status !== "string") return undefined;
	return { status, reason: typeof reason === "string" ? reason : undefined };
}

// NAME-VERSION, and for wheels and eggs more behind it.
function versionOf(filename, name) {
	const rest = filename.replace(SUFFIX, "").slice(name.length + 1);
	return /\.(whl|egg)$/.test(filename) ? rest.split("-")[0] : rest;
}

// The files of a page: what cannot be used is left out.
class Files {
	constructor(name, url, mirror) {
		Object.assign(this, { name, url, mirror, base: url, list: [], plain: true });
	}

	// Add an entry of a JSON page, if it has what PEP 691 demands of one.
	add(entry) {
		const { filename, url, hashes, size, yanked } = isObject(entry) ? entry : {};
		const there = isFilename(filename) && typeof url === "string" && isObject(hashes) && this.locate(url);
		const older = entry?.["data-dist-info-metadata"] ?? entry?.["dist-info-metadata"];
		this.plain &&= there && (entry["core-metadata"] != null || !older);
		if (!there) return;
		const added = { filename, url: there, hashes: this.digests(hashes) };
		const promised = entry["core-metadata"] ?? older; // PEP 714: the new spelling first.
		const metadata = promised && this.digests(promised); // micropip takes `false` for a promise.
		if (promised) added["core-metadata"] = Object.keys(metadata).length ? metadata : true;
		for (const key of ["requires-python", "upload-time"]) {
			if (entry[key] && typeof entry[key] === "string") added[key] = entry[key];
		}
		if (Number.isSafeInteger(size) && size >= 0) added.size = size;
		added.yanked = typeof yanked === "string" || yanked === true ? yanked : false;
		this.list.push(added);
	}

	digests(given) {
		const found = {};
		for (const [key, value] of Object.entries(isObject(given) ? given : {})) {
			const name = key.toLowerCase();
			const lower = String(value).toLowerCase();
			this.plain &&= lower === value && name === key;
			const isRight = /^[0-9a-f]{32,128}$/.test(lower) && (name !== "sha256" || lower.length === 64);
			if (isRight && /^\w{1,32}$/.test(name)) found[name] = lower;
		}
		return found;
	}

	// Where clients get the file of that URL; undefined if nobody should ask for it.
	locate(url) {
		const { last, mirror } = this;
		if (last && url.startsWith(last.from)) {
			const rest = url.slice(last.from.length); // What no parser would change needs none.
			if (PLAIN.test(rest)) return last.to + rest;
		}
		const full = url.length <= LONGEST && attempt(() => new URL(url, this.base));
		if (!/^https?:$/.test(full?.protocol)) return undefined;
		if (!mirror.direct && !isCleanPath(full.pathname)) return undefined;
		const to = mirror.direct ? full.origin : `${mirror.base}/files/${full.host}`;
		if (mirror.direct || mirror.allows(full)) this.last = { from: `${full.origin}/`, to: `${to}/` };
		else this.foreign = full.origin;
		return to + full.pathname + full.search.replaceAll("\\", "%5C");
	}

	check(listed, usable) {
		const { name, url, foreign, last } = this;
		if (!listed) throw faulty(url, `lists no files of ${name}`, 404);
		if (!usable) throw faulty(url, `lists no usable files of ${name}`);
		if (foreign && !last) throw faulty(url, `has its files at ${foreign}, not one of the FILE_HOSTS`);
	}
}

// --- JSON in passing: pages too large to be held

function streamed(source, start, rewriter, whenWhole) {
	const encoder = new TextEncoder();
	const parts = [encoder.encode(rewriter.push(start))];
	if (rewriter.some) rewriter.files.check(1, 1);
	return new ReadableStream({
		start: (controller) => controller.enqueue(parts[0]),
		async pull(controller) {
			try {
				for (let out = ""; !out && !source.ended; ) {
					source.rest();
					out = rewriter.push(await source.read());
					if (source.ended) out += rewriter.end();
					if (!out) continue;
					parts.push(encoder.encode(out));
					controller.enqueue(parts.at(-1));
				}
				source.stop();
				if (!source.ended) return;
				controller.close();
				whenWhole(parts);
			} catch (error) {
				source.close();
				console.error(source.problem(error).message);
				throw error;
			}
		},
		cancel: () => source.close(),
	});
}

const FILES_KEY = /(?<!\\)"files"\s*:\s*\[/;
const IN_PASSING =
	/(?<!\\)"(?:url"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"|(?:core|data-dist-info)-metadata"\s*:\s*(?:false|null))/g;

// Text of upstream's page in, text of ours out. The files of the first piece are checked one by one.
// If none needs more than a new URL, the others get theirs in passing: less than half the work. What
// stands around the files is checked at the end.
class Rewriter {
	constructor(files) {
		Object.assign(this, { files, text: "", careful: true, some: false });
	}

	push(text) {
		if (text.includes(NOT_UTF8)) throw this.broken();
		let out = "";
		if (this.tail !== undefined) this.tail += text;
		else this.text += text;
		const found = this.head === undefined && FILES_KEY.exec(this.text);
		if (found) {
			this.head = this.text.slice(0, found.index + found[0].length);
			this.text = this.text.slice(this.head.length);
			const early = parsed(`${this.head}]}`);
			if (early?.meta && early.name) checkDocument(early, this.files);
			out = `{"name":${JSON.stringify(this.files.name)},"files":[`;
		}
		if (this.head !== undefined && this.tail === undefined) out += this.entries();
		// It would be looked at anew with each piece.
		const uncut = (this.tail ?? this.text).length;
		if (uncut > UNCUT) throw faulty(this.files.url, "has over 1 MB in one entry, or around all");
		return out;
	}

	// The entries that are complete; after the last one the tail begins.
	entries(exactly = this.careful) {
		// `},{"x` is in no string: the quote would end it. If it is in an entry, a bracket comes first.
		const brace = Math.max(this.text.lastIndexOf('},{"'), this.text.lastIndexOf('}, {"'));
		const isPlain = /^\}, ?\{"[a-z]/.test(this.text.slice(brace, brace + 6));
		let [end, cut] = [-1, brace + 1];
		const inside = this.text.slice(0, cut);
		if (exactly || !isPlain || inside.includes("[") || inside.includes("]")) [end, cut] = structure(this.text);
		if (cut < 0) return "";
		const text = this.text.slice(0, cut);
		if (end < 0) this.text = this.text.slice(cut + 1);
		else [this.tail, this.text] = [this.text.slice(cut), ""];
		let out;
		if (this.careful || end >= 0) {
			const list = parsed(`[${text}]`);
			if (!list) throw this.broken();
			this.files.list = [];
			for (const entry of list) this.files.add(entry);
			out = JSON.stringify(this.files.list).slice(1, -1);
		} else {
			out = text.replace(IN_PASSING, (_, url) => {
				if (url === undefined) return '"_":0'; // No promise; keys with an underscore mean nothing.
				const there = this.files.locate(url.includes("\\") ? (parsed(`"${url}"`) ?? "") : url);
				return `"url":"${there ?? `${this.files.mirror.base}/files/refused`}"`;
			});
		}
		if (!out) return "";
		const comma = this.some ? "," : "";
		this.some = true;
		this.careful = !this.files.plain;
		return comma + out;
	}

	// What follows the last piece, once the whole is known to be in order.
	end() {
		const out = this.head !== undefined && this.tail === undefined ? this.entries(true) : "";
		const page = parsed(this.head + this.tail);
		if (page?.files?.length !== 0) throw this.broken();
		checkDocument(page, this.files);
		if (!statusOf(page)) this.files.check(this.some, this.some);
		const { name, files, ...rest } = document({}, page);
		return `${out}],${JSON.stringify(rest).slice(1)}`;
	}

	broken() {
		return faulty(this.files.url, "is broken JSON, or breaks off");
	}
}

// Where the array ends that the text begins in, and there or at its last comma; -1: nowhere.
function structure(text) {
	let [depth, comma] = [0, -1];
	for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|[[\]{},]/g)) {
		if (token === "[" || token === "{") depth++;
		else if (token === "," && !depth) comma = index;
		else if ((token === "]" || token === "}") && --depth < 0) return [index, index];
	}
	return [-1, comma];
}

// --- HTML (PEP 503, 592, 629, 658, 714)

// Each character is looked at once or twice.
const TAG = /<(!--|\/?[a-z][a-z0-9]*)/gi;
const REST_OF_TAG = /^((?:[^"'>]|"[^"]*"|'[^']*')*)>/;
const ATTRIBUTE = /([^\s"'>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;
const ENDS = { __proto__: null, "!--": /-->/g, script: /<\/script/gi, style: /<\/style/gi };
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

const unescaped = (text) =>
	text.replace(/&(#x?)?(\w{1,6});/gi, (whole, sign, name) => {
		if (!sign) return ENTITIES[name] ?? whole;
		return attempt(() => String.fromCodePoint(parseInt(name, sign === "#" ? 10 : 16))) ?? whole;
	});

function attributesOf(text) {
	const found = Object.create(null);
	for (const [, name, double, single, bare] of text.matchAll(ATTRIBUTE)) {
		found[name.toLowerCase()] ??= unescaped(double ?? single ?? bare ?? "");
	}
	return found;
}

// The anchors of a page with their text, its base URL, and what its meta tags say.
function readAnchors(text, url) {
	const page = { meta: Object.create(null), anchors: [] };
	let open;
	let [position, broken] = [0, 0];
	const next = () => {
		TAG.lastIndex = position;
		return TAG.exec(text);
	};
	for (let found = next(); found; found = next()) {
		if (open) open.text += text.slice(position, found.index);
		position = TAG.lastIndex;
		const name = found[1].toLowerCase();
		const rest = name === "!--" ? [""] : REST_OF_TAG.exec(text.slice(position, position + LONGEST + 4096));
		if (!rest) {
			if (++broken > 200) throw faulty(url, "is markup that never ends");
			continue;
		}
		position += rest[0].length;
		const attributes = /^(a|base|meta)$/.test(name) ? attributesOf(rest[1]) : {};
		const href = attributes.href?.trim();
		if (name === "a" || name === "/a") {
			open = href && { href, attributes, text: "" };
			if (open) page.anchors.push(open);
		} else if (name === "base" && href) {
			page.base ??= attempt(() => new URL(href, url).href) ?? url; // The first one counts.
		} else if (attributes.name?.startsWith("pypi:")) {
			page.meta[attributes.name.slice(5)] = attributes.content ?? "";
		}
		if (!ENDS[name]) continue;
		ENDS[name].lastIndex = position; // What it holds is no markup.
		position = ENDS[name].test(text) ? ENDS[name].lastIndex : text.length;
	}
	if (open) open.text += text.slice(position);
	return page;
}

function readHtml(text, files) {
	const { base, meta, anchors } = readAnchors(text, files.url);
	const version = meta["repository-version"] ?? "";
	const page = { "project-status": { status: meta["project-status"], reason: meta["project-status-reason"] } };
	if (/^\d+\.\d+$/.test(version) && !version.startsWith("1.")) throw wrongVersion(files.url, version);
	files.base = base ?? files.url;
	for (const anchor of anchors) addAnchor(anchor, files);
	if (!statusOf(page)) files.check(1, files.list.length);
	return document(files, page);
}

function addAnchor({ href, attributes, text }, files) {
	const [url, fragment = ""] = href.split("#", 2);
	// "The text of the anchor tag MUST be the name of the file", but pip and uv look at the link only.
	let filename = attempt(() => decodeURIComponent(url.split("?")[0].split("/").pop()));
	if (!SUFFIX.test(filename)) filename = unescaped(text).trim();
	if (!normalized(filename).startsWith(`${files.name}-`)) return;
	const promised = attributes["data-core-metadata"] ?? attributes["data-dist-info-metadata"] ?? "false";
	const pair = (value) => Object.fromEntries([value.split("=", 2)]); // sha256=HEX
	files.add({
		filename,
		url,
		hashes: pair(fragment),
		"requires-python": attributes["data-requires-python"],
		"core-metadata": promised !== "false" && pair(promised),
		yanked: attributes["data-yanked"] === "" || attributes["data-yanked"],
	});
}

const escaped = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const metaTag = (name, content) => (content ? `<meta name="pypi:${name}" content="${escaped(content)}">` : "");

const htmlPage = (title, lines, status = {}) => `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
${metaTag("repository-version", status.status ? "1.4" : "1.1")}${metaTag("project-status", status.status)}\
${metaTag("project-status-reason", status.reason)}</head>
<body><h1>${title}</h1>\n${lines.join("\n")}\n</body></html>\n`;

function projectHtml({ name, files, "project-status": status }) {
	const attribute = (key, value) => (value === undefined ? "" : ` ${key}="${escaped(value)}"`);
	const link = ({ filename, url, hashes, yanked, "requires-python": python, "core-metadata": metadata }) => {
		const inside =
			attribute("href", hashes.sha256 ? `${url}#sha256=${hashes.sha256}` : url) +
			attribute("data-requires-python", python) +
			attribute("data-yanked", yanked === true ? "" : yanked || undefined) +
			attribute("data-core-metadata", metadata?.sha256 ? `sha256=${metadata.sha256}` : metadata);
		return `<a${inside}>${filename}</a><br>`;
	};
	return htmlPage(`Links for ${name}`, files.map(link), status);
}

// --- the list of projects

function projects(request, url, mirror) {
	const format = negotiate(request, url);
	const accept = format === JSON_V1 ? `${JSON_V1}, text/html;q=0.5` : `text/html, ${JSON_V1};q=0.5`;
	return madePage(request, mirror, format, "", accept, async (source, etag) => {
		if (source.saysJson && format === JSON_V1) {
			source.stop(); // It may be tens of megabytes, and need not change.
			return paged(source.answer.body, format, etag);
		}
		const text = await source.text();
		const listed = source.holdsJson(text)
			? (parsed(text)?.projects?.map?.((one) => one?.name) ?? [])
			: readAnchors(text, source.url).anchors.map((anchor) => anchor.text.trim().replace(/\/$/, ""));
		const names = [...new Set(listed)].filter((name) => PROJECT.test(name));
		if (!names.length) throw faulty(source.url, "is no list of projects");
		const link = (name) => `<a href="${mirror.base}/simple/${normalized(name)}/">${name}</a><br>`;
		if (format !== JSON_V1) return wholePage(htmlPage("Projects", names.map(link)), format);
		const list = { meta: { "api-version": "1.0" }, projects: names.map((name) => ({ name })) };
		return wholePage(JSON.stringify(list), format);
	});
}

// --- files

// Whether a parsed URL's path is that of a distribution or its metadata, and means one thing to
// everyone: encoded control characters, %, dots, slashes and backslashes would be read twice.
function isCleanPath(path) {
	const clean = /^(\/([\w.~!$&'()*+,;=:@-]|%(?![01]|25|2e|2f|5c|7f)[0-9a-f]{2})+)+$/i;
	if (path?.length > 1500 || !clean.test(path)) return false;
	const name = attempt(() => decodeURIComponent(path.split("/").pop()));
	return isFilename(name?.replace(/\.metadata$/, ""));
}

async function file(request, url, mirror) {
	let [, host, path] = /^\/files\/([^/]+)(\/.*)$/.exec(url.pathname) ?? [];
	let { search } = url;
	if (search.endsWith(".metadata")) {
		path += ".metadata"; // PEP 658 adds it to the path, micropip and pip to the whole URL.
		search = search.slice(0, -9);
	}
	host = attempt(() => decodeURIComponent(host)); // pip encodes the colon before a port.
	const origin = !mirror.direct && mirror.hosts.get(host);
	if (!origin || !isCleanPath(path)) {
		throw new Problem(404, "Not served: no path of a file, none of the FILE_HOSTS, or FILES is direct.");
	}
	const key = `${mirror.base}/files/${host}${path}${search}`;
	return passed(request, mirror, origin + path + search, key, BYTES);
}

// A file as it is, which never changes. `place` is asked for it.
async function passed(request, mirror, url, key, type, place = mirror) {
	const range = request.method === "GET" && request.headers.get("Range");
	const kept = range ? undefined : await cache()?.match(key);
	if (kept) return unlessKnown(request, kept);
	const headers = {
		"Accept-Encoding": "identity",
		"User-Agent": AGENT,
		...pick(request.headers, "If-None-Match", "If-Modified-Since"),
		...(range && pick(request.headers, "Range", "If-Range")),
	};
	const asked = await ask(url, request.method, headers, place);
	const { status, body, headers: given } = asked.answer;
	if (![200, 206, 304].includes(status)) throw refused(asked);
	asked.stop(); // A large file may take its time.
	place.check?.(asked); // CDN
	// If the platform has undone a Content-Encoding, the length is another.
	const length = given.has("Content-Encoding") ? {} : pick(given, "Content-Length");
	const ours = {
		"Content-Type": type,
		"Cache-Control": "public, max-age=31536000, immutable",
		"Accept-Ranges": "bytes",
		...pick(given, "Content-Range", "ETag", "Last-Modified"),
		...length,
	};
	const answer = new Response(body, { status, headers: ours });
	if (!range && mirror.keepsAll && length["Content-Length"] <= MAX) keep(request, mirror, key, answer.clone());
	return unlessKnown(request, answer);
}

// --- releases of Pyodide

const RELEASE = /^\/pyodide\/v(\d+\.\d+\.\d+[\w.-]{0,40})\/full\/(\w[\w.+!~-]*\.(m?js|wasm|json|zip|whl))$/;
const JAVASCRIPT = "text/javascript; charset=utf-8";
const TYPES = { js: JAVASCRIPT, mjs: JAVASCRIPT, wasm: "application/wasm", json: "application/json" };

function release(request, path, mirror) {
	const [, version, name, suffix] = RELEASE.exec(path) ?? [];
	if (!mirror.cdn || !version) {
		throw new Problem(404, "Not served: no name of a file of a release of Pyodide, or CDN is not set.");
	}
	const url = mirror.cdn.join(version) + name;
	const { origin } = new URL(url);
	const place = { ...mirror, listed: "CDN's own hosts", allows: (next) => next.origin === origin };
	place.check = ({ answer, url }) => {
		if (!/html/i.test(answer.headers.get("Content-Type"))) return;
		drop(answer.body); // A login page would be kept for a year.
		throw faulty(url, "answered with a page in place of the file");
	};
	return passed(request, mirror, url, mirror.base + path, TYPES[suffix] ?? BYTES, place);
}

// --- the page for people

async function home(request, { base, own, upstream, cdn }) {
	const wheel = own.length ? `await micropip.install("${own.at(-1).url}")\n` : "";
	let lines = `An index that browsers can use, in front of ${new URL(upstream).origin}

await micropip.install("PACKAGE", index_urls="${base}/simple")

${wheel}await pyodide_mirror.install("PACKAGE", mirrors="${base}/simple")

pip install --index-url ${base}/simple/ PACKAGE
uv pip install --index-url ${base}/simple/ PACKAGE`;
	if (cdn) lines += `\n\nPyodide's own packages: cdns="${base}/pyodide/v{version}/full/"`; // CDN
	const page = htmlPage("Python packages for the browser", [`<pre>${escaped(lines)}</pre>`]);
	return unlessKnown(request, await wholePage(page, HTML));
}
