"""For how long a page of an upstream is taken for fresh, and when a client wants it anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import Headers

PAGE_TTL: Final = 600.0
"""Seconds, if nobody says anything else: PyPI's own pages ask caches for the same."""
ASK_EVERY: Final = 5.0
"""Seconds in which an upstream is asked once for a page, whatever it or a client says of caches."""
_SECONDS: Final = re.compile(r'"?([0-9]{1,9})"?')


def lifetime(headers: Mapping[str, str]) -> float | None:
    """Seconds for which an answer is fresh (RFC 9111, section 4.2.1); None if it does not say."""
    told = _directives(headers.get("cache-control", ""))
    if "no-store" in told or "no-cache" in told:
        return 0.0
    for name in ("s-maxage", "max-age"):
        if match := _SECONDS.fullmatch(told.get(name, "")):
            age = _SECONDS.fullmatch(headers.get("age", ""))
            return max(0.0, float(match[1]) - (float(age[1]) if age else 0.0))
    return None


def fresh_for(ttl: float, told: float | None) -> float:
    """Seconds for which a page is fresh; ``ttl``: the most. ``told``: by its :func:`lifetime`."""
    return max(min(ASK_EVERY, ttl), ttl if told is None else min(ttl, told))


def wants_anew(asked: Headers) -> bool:
    """Whether a client wants what its origin has now (RFC 9111, section 5.2.1.4).

    Not by ``max-age=0``, which pip sends each time.
    """
    told = ", ".join(asked.getlist("cache-control"))
    if not told:
        return "no-cache" in asked.get("pragma", "").lower()  # HTTP/1.0
    return "no-cache" in _directives(told)


def _directives(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in value.lower().split(","):
        name, _, argument = part.partition("=")
        found.setdefault(name.strip(), argument.strip())
    return found
