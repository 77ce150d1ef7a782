"""The choice of a page's media type (PEP 691) by the rules of RFC 9110."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final


class MediaType(Enum):
    """A media type that pages are served as."""

    JSON = "application/vnd.pypi.simple.v1+json"
    HTML = "application/vnd.pypi.simple.v1+html"
    PLAIN_HTML = "text/html"

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        return f"{self.value}; charset=utf-8" if self is MediaType.PLAIN_HTML else self.value


# Other names for them: PEP 691's "latest", and what hand-written clients ask for.
_NAMES: Final = {
    **{each.value: each for each in MediaType},
    "application/vnd.pypi.simple.latest+json": MediaType.JSON,
    "application/vnd.pypi.simple.latest+html": MediaType.HTML,
    "application/json": MediaType.JSON,
}
_QUALITY: Final = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")  # RFC 9110, section 12.4.2
_MAX_RANGES: Final = 50


def requested(accept: str | None, wanted: str | None) -> MediaType | None:
    """The media type to send, or None when the client accepts none (status 406).

    ``accept``: the Accept header. ``wanted``: the query's ``format``, which takes precedence
    (PEP 691, "URL Parameter"); its plus sign often arrives as a space.
    """
    if wanted:
        return _NAMES.get(wanted.strip().replace(" ", "+").lower())
    if not accept or not accept.strip():
        return MediaType.JSON
    given = qualities(accept)
    best: tuple[float, int, MediaType] | None = None
    for name, media_type in _NAMES.items():
        quality, precision = _quality_of(name, given)
        if name != media_type.value and name not in given:
            continue  # a wildcard stands for the types' own names, not for the other ones
        # An exact name goes before a wildcard; after that, JSON comes first.
        if quality > 0 and (best is None or (quality, precision) > best[:2]):
            best = quality, precision, media_type
    return best[2] if best else None


def qualities(accept: str) -> dict[str, float]:
    """The qualities in a header such as Accept, by what they are of, in lower case."""
    found: dict[str, float] = {}
    for part in accept.split(",")[:_MAX_RANGES]:
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q" and _QUALITY.fullmatch(value.strip()):
                quality = float(value)
        if name:
            found[name] = quality
    return found


def _quality_of(name: str, qualities: dict[str, float]) -> tuple[float, int]:
    """Quality, and how precisely the header names it (RFC 9110, section 12.5.1)."""
    kind = name.partition("/")[0]
    for precision, media_range in ((2, name), (1, f"{kind}/*"), (0, "*/*")):
        if media_range in qualities:
            return qualities[media_range], precision
    return 0.0, 0


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Whether a client's copy is current (RFC 9110, section 13.1.2: weak comparison)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    tags = re.findall(r'(?:W/)?("[^"]*")', if_none_match)
    return etag.removeprefix("W/") in tags
