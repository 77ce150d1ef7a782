// What the browser does faster than Python in it: reading bodies, parsing big pages, digests.
//
// `fetch.py` evaluates this file; its value is an object with the function `request`.
(() => {
	// As in `index/files.py`; the cases of tests/support/page_cases.py hold the two together.
	const FILENAME = /^[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}$/;
	const PLAIN_URL =
		/^https?:\/\/[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:(6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3}))?\/[\w./+~!-]+$/;
	const RELATIVE_URL = /^(?!\/\/)[\w./+~!-]+$/; // after two slashes there is a host to be judged
	const ABSOLUTE_URL = /^https?:\/\/[^/]/i;
	const SHA256 = /^[0-9a-f]{64}$/;
	const LONGEST_URL = 16_384;
	const LONGEST_RELATIVE_URL = 8_192; // the page's own URL stands before it
	// Wheels for any platform or for WebAssembly.
	const USEFUL = /[-.](any|[a-z0-9_]*wasm32)\.whl$/;
	// The fields that `index/pep691.py` reads.
	const FIELDS = [
		"filename",
		"url",
		"hashes",
		"requires-python",
		"core-metadata",
		"dist-info-metadata",
		"yanked",
		"size",
	];

	// Answers with [status, url, headers, body, digest, checked], or [-1, name, message] for an
	// error, [-2] for too much and [-3] for too late: a rejected promise might never reach Python,
	// and its null has two meanings. A body that is text is a lean page, of which `checked` says
	// what `lean` says.
	async function request(url, options, want, onHead, onMore) {
		const limit = startLimit(want);
		try {
			const { signal } = want.controller;
			const response = await fetch(url, { ...options, signal });
			if (options.mode === "no-cors") return [0];
			if (!want.live) return [-1, "AbortError", "nobody waits any more"];
			onHead(response.status, response.headers.get("content-length") ?? "");
			const headers = JSON.stringify([...response.headers]);
			const bytes = await read(response, want, onMore, limit);
			if (bytes === null) return [-2];
			limit.end();
			const page = want.lean && bytes.length >= want.leanFrom ? lean(bytes) : null;
			const digest = want.digest && bytes.length >= want.digestFrom ? await sha256(bytes) : "";
			const [body, checked] = page ?? [bytes, false];
			return [response.status, response.url, headers, body, digest, checked];
		} catch (error) {
			if (limit.passed) return [-3];
			return [-1, String(error?.name), String(error?.message ?? error)];
		} finally {
			limit.end();
		}
	}

	// The time limit of a request, which ends it: for the whole, or with `want.stall` from each part
	// of the answer to the next. Timers of Python's event loop would cost more, and cannot be cleared.
	function startLimit(want) {
		const limit = { passed: false };
		const pass = () => {
			limit.passed = true;
			want.controller.abort();
		};
		const start = () => setTimeout(pass, Math.min(want.timeout, 2 ** 31 - 1)); // later ones are at once
		let timer = start();
		limit.end = () => clearTimeout(timer);
		limit.renew = () => {
			if (!want.stall) return;
			clearTimeout(timer);
			timer = start();
		};
		return limit;
	}

	// The whole body, or null for one that is larger than wanted.
	async function read(response, want, onMore, limit) {
		if (!response.body) return new Uint8Array(0);
		const parts = partsOf(response, want);
		let size = 0;
		let told = 0;
		let last = 0;
		const tell = () => {
			const news = size - told;
			told = size;
			if (news && want.live) onMore(news);
		};
		try {
			for (;;) {
				const length = await parts.next();
				if (length < 0) break;
				limit.renew();
				size += length;
				if (size > want.maxBytes) {
					parts.cancel();
					return null;
				}
				const now = performance.now();
				if (now - last >= want.every) {
					last = now;
					tell();
				}
			}
		} finally {
			tell();
		}
		return parts.whole();
	}

	// The parts of a body: `next` answers with the length of one that has come, or -1 at the end.
	function partsOf(response, want) {
		const length = Number(response.headers.get("content-length"));
		if (length >= want.bufferFrom && length <= want.bufferTo) {
			try {
				return bufferedParts(response.body.getReader({ mode: "byob" }), length);
			} catch {
				// TypeError: this browser's bodies are no byte streams
			}
		}
		return plainParts(response.body.getReader());
	}

	function plainParts(reader) {
		const parts = [];
		let size = 0;
		return {
			async next() {
				const { done, value } = await reader.read();
				if (done) return -1;
				parts.push(value);
				size += value.length;
				return value.length;
			},
			cancel: () => reader.cancel().catch(() => {}),
			whole: () => joined(parts, size),
		};
	}

	// Reads into one buffer, which the reader takes and gives back: nothing is to be joined. The
	// length is what the headers say; of a body that is encoded there is more.
	function bufferedParts(reader, length) {
		let buffer = new ArrayBuffer(length + 1); // with room for the read that finds the end
		let size = 0;
		return {
			async next() {
				if (size === buffer.byteLength) {
					const larger = new Uint8Array(2 * size);
					larger.set(new Uint8Array(buffer));
					buffer = larger.buffer;
				}
				const { done, value } = await reader.read(new Uint8Array(buffer, size));
				if (value) buffer = value.buffer;
				if (done) return -1;
				size += value.length;
				return value.length;
			},
			cancel: () => reader.cancel().catch(() => {}),
			whole: () => new Uint8Array(buffer, 0, size),
		};
	}

	function joined(parts, size) {
		if (parts.length === 1) return parts[0];
		const whole = new Uint8Array(size);
		let at = 0;
		for (const part of parts) {
			whole.set(part, at);
			at += part.length;
		}
		return whole;
	}

	const isFile = (file) => file && typeof file === "object" && typeof file.filename === "string";
	const isRelative = (file) => isFile(file) && typeof file.url === "string" && !ABSOLUTE_URL.test(file.url);
	const isSureUrl = (url) =>
		typeof url === "string" &&
		((PLAIN_URL.test(url) && url.length <= LONGEST_URL) ||
			(RELATIVE_URL.test(url) && url.length <= LONGEST_RELATIVE_URL));
	// Python takes such a file for sure; where it may take none that is kept, it reads the page.
	const isSure = (file) =>
		isFile(file) &&
		FILENAME.test(file.filename) &&
		isSureUrl(file.url) &&
		file.hashes &&
		typeof file.hashes === "object" &&
		!Array.isArray(file.hashes);

	// A page in JSON with only what micropip can use, as [text, checked]; null for any other page,
	// which Python has to read. `checked`: each entry is what Python would make of it.
	function lean(bytes) {
		try {
			return cutDown(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
		} catch {
			return null; // no JSON, or nested too deep to be written again
		}
	}

	function cutDown(page) {
		const version = page?.meta?.["api-version"];
		if (typeof version !== "string" || typeof page.name !== "string") return null;
		if (!Array.isArray(page.files) || !page.files.length) return null;
		const kept = page.files.filter((file) => !isFile(file) || USEFUL.test(file.filename));
		if (!kept.some(isSure)) return null;
		const relative = page.files.filter(isRelative);
		if (relative.length && !kept.some((file) => isRelative(file) && isSure(file))) {
			const witness = relative.find(isSure);
			if (!witness) return null;
			kept.push(witness);
		}
		// One entry that has to be read with care, and Python reads all of them so.
		const plain = kept.map((file) => (isFile(file) ? plainEntry(file) : null));
		const checked = plain.every(Boolean);
		const files = checked ? plain : kept.map(picked);
		// Nothing that may be deep is passed on unseen: Python's parser would overflow the stack.
		return [JSON.stringify({ meta: { "api-version": version }, name: page.name, files }), checked];
	}

	function picked(file) {
		if (!isFile(file)) return 0;
		const entry = {};
		for (const field of FIELDS) {
			if (file[field] !== null && file[field] !== undefined) entry[field] = file[field];
		}
		return entry;
	}

	const isNothing = (value) => value === null || value === undefined;
	const isText = (value) => isNothing(value) || typeof value === "string";
	const isDigests = (value) =>
		typeof value === "object" &&
		value !== null &&
		Object.keys(value).length === 1 &&
		typeof value.sha256 === "string" &&
		SHA256.test(value.sha256);

	// The entry as Python would have it in the end, or null where it has to be read with more care.
	function plainEntry(file) {
		const promised = file["core-metadata"] ?? file["dist-info-metadata"] ?? false;
		if (!FILENAME.test(file.filename)) return null;
		if (typeof file.url !== "string" || !PLAIN_URL.test(file.url)) return null;
		if (file.url.length > LONGEST_URL || file.url.includes("/.")) return null;
		if (!isDigests(file.hashes) || !isText(file["requires-python"])) return null;
		if (typeof promised !== "boolean" && !isDigests(promised)) return null;
		if (!isText(file.yanked) && typeof file.yanked !== "boolean") return null;
		if (!isNothing(file.size) && !(Number.isSafeInteger(file.size) && file.size >= 0)) return null;
		const entry = { filename: file.filename, url: file.url, hashes: file.hashes };
		if (file["requires-python"]) entry["requires-python"] = file["requires-python"];
		if (promised) entry["core-metadata"] = promised === true ? {} : promised;
		if (!isNothing(file.yanked)) entry.yanked = file.yanked;
		if (!isNothing(file.size)) entry.size = file.size;
		return entry;
	}

	// The SHA-256 in hexadecimal, or "" where the page may not have it computed (plain http).
	async function sha256(bytes) {
		if (!globalThis.crypto?.subtle) return "";
		const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
		return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
	}

	return { request, lean };
})();
