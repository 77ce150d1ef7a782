"""What the cache stores of an entry, and how it is read again.

A small one is an ArrayBuffer. A large one is a Blob, which is faster, where the browser can store
one.
"""

from __future__ import annotations

from hashlib import sha256 as _sha256
from typing import TYPE_CHECKING, Any, Final

import js

from .ffi import BrowserBytes, Rejected, settle, to_js_bytes

if TYPE_CHECKING:
    from pyodide_mirror.storage import Change, Content

_LARGE: Final = 1_048_576
"""Bytes from which a Blob is faster than an ArrayBuffer, and the browser's digest than Python's."""


async def verified(content: Any, sha256: str, max_bytes: int) -> Content | None:
    """The content, if it is that of an entry, and has this digest where one is given."""
    if isinstance(content, bytes):
        return content if not sha256 or _sha256(content).hexdigest() == sha256 else None
    js_data = await _to_js_array(content, max_bytes)
    if js_data is None:
        return None
    # SubtleCrypto, which only secure contexts have.
    js_subtle = getattr(getattr(js, "crypto", None), "subtle", None)
    if not (sha256 and js_data.length >= _LARGE and js_subtle):
        return await verified(js_data.to_bytes(), sha256, max_bytes)
    js_digest = await settle(js_subtle.digest, js_subtle, "SHA-256", js_data)
    return BrowserBytes(js_data) if js_digest.to_bytes().hex() == sha256 else None


async def _to_js_array(content: Any, max_bytes: int) -> Any:
    """A Uint8Array of a Blob or buffer of at most so many bytes; None for anything else."""
    if isinstance(content, BrowserBytes):
        return content.js_data
    # What comes from a database is a copy, which cannot have such a name if it is not its own.
    kind = js.Object.prototype.toString.call(content)
    if kind == "[object Blob]" and content.size <= max_bytes:
        try:
            return js.Uint8Array.new(await settle(content.arrayBuffer, content))
        except Rejected:
            return None  # NotFoundError: its file is gone
    if kind == "[object ArrayBuffer]" and content.byteLength <= max_bytes:
        return js.Uint8Array.new(content)
    return None


def is_large(change: Change) -> bool:
    """Whether it would be stored as a Blob."""
    return len(change) >= _LARGE


def to_js_entry(content: Content, *, blobs: bool) -> Any:
    """What to store; ``blobs``: a Blob, if it is large."""
    js_data = to_js_bytes(content)
    if blobs and is_large(content):
        return js.Blob.new(js.Array.of(js_data))
    return js_data.slice().buffer if js_data.length < js_data.buffer.byteLength else js_data.buffer
