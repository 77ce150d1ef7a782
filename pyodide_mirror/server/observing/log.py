"""The access log: one line for each request, as text or JSON.

Whatever a client sends is one line of printable ASCII: nobody can write a line of his own, nor
change the terminal of who reads it. What may be a secret is left out.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .handled import Handled

_log = logging.getLogger("pyodide_mirror.access")
_UNPRINTABLE: Final = re.compile(r"[^ !#-\[\]-~]")
"""And what ends a quoted string."""
_PLAIN_WORD: Final = re.compile(r"[\w.@+-]+", re.ASCII)
_LONGEST: Final = 1_000
_KNOWN: Final = frozenset({"format", "lang", "project"})
"""The parameters of a query that mean something here; the others may be anything."""


def access_log(form: str) -> Callable[[Handled], None] | None:
    """What writes a line to the logger ``pyodide_mirror.access``; None for ``off``.

    ``form``: ``text``, ``json`` or ``off``.
    """
    write = {"text": _text, "json": _json}.get(form)
    if write is None:
        return None

    def tell(handled: Handled) -> None:
        if _log.isEnabledFor(logging.INFO):
            _log.info("%s", write(_told(handled)))

    return tell


def _told(handled: Handled) -> dict[str, Any]:
    """What is logged of a request, by the names that it has in JSON."""
    scope = handled.scope
    client = scope.get("client")
    return {
        "time": datetime.now(UTC).astimezone().isoformat(timespec="milliseconds"),
        "client": client[0] if client else "",
        "user": handled.user,
        "method": scope["method"],
        "path": _target(scope),
        "protocol": f"HTTP/{scope['http_version']}",
        "status": handled.status,
        "bytes": handled.sent,
        "seconds": round(handled.seconds, 6),
        "end": handled.end,
        "agent": _cut(Headers(scope=scope).get("user-agent", "")),
    }


def _text(told: dict[str, Any]) -> str:
    shown = {
        name: _escaped(value) if isinstance(value, str) else value for name, value in told.items()
    }
    user = told["user"]
    if not _PLAIN_WORD.fullmatch(user):
        shown["user"] = f'"{shown["user"]}"' if user else "-"
    return (
        f"{shown['time']} {shown['client'] or '-'} {shown['user']}"
        f' "{shown["method"]} {shown["path"]} {shown["protocol"]}"'
        f" {shown['status'] or '-'} {shown['bytes']} {told['seconds']:.3f} {shown['end']}"
        f' "{shown["agent"] or "-"}"'
    )


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"))


def _target(scope: Any) -> str:
    """The path as it came, and of its query what cannot be a secret."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    path = "/".join(map(_without_login, raw.decode("latin-1").split("/")))
    query = scope.get("query_string", b"").decode("latin-1")
    if not query:
        return _cut(path)
    pairs = (pair for pair in query.split("&")[:20])
    shown = dict.fromkeys(pair if pair.partition("=")[0] in _KNOWN else "…" for pair in pairs)
    return _cut(f"{path}?{'&'.join(shown)}")


def _without_login(segment: str) -> str:
    """Without what stands before the host in a URL with a password, which people paste here."""
    if "@" not in segment and "%40" not in segment:
        return segment
    lower = segment.lower()
    end = max(lower.rfind("@") + 1, lower.rfind("%40") + 3)
    has_password = ":" in lower[:end] or "%3a" in lower[:end]
    return f"***@{segment[end:]}" if has_password else segment


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _escaped(text: str) -> str:
    r"""Printable ASCII without quotes and backslashes; any other byte of it as ``\xNN``."""
    if not _UNPRINTABLE.search(text):
        return text
    text = text.replace("…", "...")
    return _UNPRINTABLE.sub(lambda match: _as_bytes(match.group()), text)


def _as_bytes(character: str) -> str:
    # Headers come as latin-1: one character is one byte there.
    raw = character.encode("latin-1" if ord(character) < 256 else "utf-8")
    return "".join(f"\\x{byte:02x}" for byte in raw)
