"""What the browser does faster than Python in it: reading bodies, parsing big pages, digests.

Where the page's Content-Security-Policy forbids ``eval``, there is none of it, and Python does it.
"""

from __future__ import annotations

import functools
import logging
from typing import Any, Final

import js

_log = logging.getLogger(__name__)

LEAN_FROM: Final = 16_384
"""Bytes from which a page is worth a detour through JavaScript."""
DIGEST_FROM: Final = 65_536

# `lean` keeps wheels for any platform or for WebAssembly, and the fields that `parse_page` reads.
_SOURCE: Final = r"""
({
  // Answers with [status, url, headers, body, digest, checked], or [-1, name, message] for an
  // error and [-2] for too much: a rejected promise might never reach Python, and its null has two
  // meanings. A body that is text is a lean page, of which `checked` says what `lean` says.
  async request(url, options, want, onHead, onMore) {
    try {
      const response = await fetch(url, options);
      if (options.mode === "no-cors") return [0];
      if (!want.live) return [-1, "AbortError", "nobody waits any more"];
      onHead(response.status, response.headers.get("content-length") ?? "");
      const headers = JSON.stringify([...response.headers]);
      const bytes = await this.read(response.body, want, onMore);
      if (bytes === null) return [-2];
      const lean = want.lean && bytes.length >= want.leanFrom ? this.lean(bytes) : null;
      const digest = want.digest && bytes.length >= want.digestFrom && globalThis.crypto?.subtle
        ? await this.sha256(bytes) : "";
      const [body, checked] = lean ?? [bytes, false];
      return [response.status, response.url, headers, body, digest, checked];
    } catch (error) {
      return [-1, String(error?.name), String(error?.message ?? error)];
    }
  },

  async read(body, want, more) {
    if (!body) return new Uint8Array(0);
    const reader = body.getReader(), parts = [];
    let size = 0, told = 0, last = 0;
    const tell = () => {
      const news = size - told;
      told = size;
      if (news && want.live) more(news);
    };
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        size += value.length;
        if (size > want.maxBytes) {
          reader.cancel().catch(() => {});
          return null;
        }
        parts.push(value);
        const now = performance.now();
        if (now - last >= want.every) {
          last = now;
          tell();
        }
      }
    } finally {
      tell();
    }
    if (parts.length === 1) return parts[0];
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  },

  lean(bytes) {
    let page;
    try {
      page = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch {
      return null;
    }
    if (!page || !Array.isArray(page.files) || !page.files.length) return null;
    const useful = /[-.](any|[a-z0-9_]*wasm32)\.whl$/;
    const fields = ["filename", "url", "hashes", "requires-python", "core-metadata",
                    "dist-info-metadata", "yanked", "size"];
    const isFile = (file) => file && typeof file === "object" && typeof file.filename === "string";
    const isRelative = (file) =>
      isFile(file) && typeof file.url === "string" && !/^https?:\/\/[^/]/i.test(file.url);
    const pick = (file) => {
      if (!isFile(file)) return 0;
      const picked = {};
      for (const field of fields) if (file[field] != null) picked[field] = file[field];
      return picked;
    };
    const kept = page.files.filter((file) => !isFile(file) || useful.test(file.filename));
    // Python takes such a file for sure; where it may take none that is kept, it reads the page.
    const isSure = (file) =>
      isFile(file) && this.filename.test(file.filename) && typeof file.url === "string" &&
      (this.url.test(file.url) || /^[\w./+~!-]+$/.test(file.url)) && file.url.length <= 2000 &&
      file.hashes && typeof file.hashes === "object" && !Array.isArray(file.hashes);
    if (!kept.some(isSure)) return null;
    const relative = page.files.filter(isRelative);
    if (relative.length && !kept.some((file) => isRelative(file) && isSure(file))) {
      const witness = relative.find(isSure);
      if (!witness) return null;
      kept.push(witness);
    }
    // One entry that has to be read with care, and Python reads all of them so.
    const plain = kept.map((file) => (isFile(file) ? this.plain(file) : null));
    const checked = plain.every(Boolean);
    const files = checked ? plain : kept.map(pick);
    return [JSON.stringify({ meta: page.meta, name: page.name, files }), checked];
  },

  // As in simple_api.py.
  filename: /^[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}$/,
  url: new RegExp("^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?" +
                  "(:[1-9][0-9]{0,3}|:[1-5][0-9]{4})?/[\\w./+~!-]+$"),

  // The entry as Python would have it in the end, or null where it has to be read with more care.
  plain(file) {
    const isDigest = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
    const isDigests = (value) =>
      typeof value === "object" && value !== null && Object.keys(value).length === 1 &&
      isDigest(value.sha256);
    const isText = (value) => value == null || typeof value === "string";
    const promised = file["core-metadata"] ?? file["dist-info-metadata"] ?? false;
    if (!this.filename.test(file.filename)) return null;
    if (typeof file.url !== "string" || !this.url.test(file.url)) return null;
    if (file.url.length > 2000 || file.url.includes("/.")) return null;
    if (!isDigests(file.hashes) || !isText(file["requires-python"])) return null;
    if (typeof promised !== "boolean" && !isDigests(promised)) return null;
    if (!isText(file.yanked) && typeof file.yanked !== "boolean") return null;
    if (file.size != null && !(Number.isSafeInteger(file.size) && file.size >= 0)) return null;
    const plain = { filename: file.filename, url: file.url, hashes: file.hashes };
    if (file["requires-python"]) plain["requires-python"] = file["requires-python"];
    if (promised) plain["core-metadata"] = promised === true ? {} : promised;
    if (file.yanked != null) plain.yanked = file.yanked;
    if (file.size != null) plain.size = file.size;
    return plain;
  },

  async sha256(bytes) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  },
})
"""


@functools.cache
def fast() -> Any:
    """The functions in JavaScript, or None where pages may not make any (CSP: ``unsafe-eval``)."""
    try:
        return js.eval(_SOURCE)
    except Exception as error:  # noqa: BLE001  # EvalError, as a JsException of any version
        _log.debug("no eval here: %s", error)
        return None
