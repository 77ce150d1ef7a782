"""Addresses that a server or the command is given, checked; no page needs that."""

from __future__ import annotations

from typing import Final

from .cdn import CDN
from .urls import hide_user_info, origin, split_http_url

_VERSION: Final = "{version}"


def check_origin(text: str) -> str:
    """An http(s) origin in its serialized form; ValueError says what is wrong with it."""
    try:
        parts = split_http_url(text)
        if parts.path not in {"", "/"} or "?" in text or "#" in text:
            raise ValueError("it has more than scheme, host and port")
    except ValueError as error:
        shown = hide_user_info(text)
        raise ValueError(f"{shown!r} is not an origin like https://app.example: {error}") from None
    return origin(parts)


def check_cdn(base_url: str) -> CDN:
    """A CDN of all versions, by its base URL; TypeError or ValueError says what is wrong."""
    cdn = CDN(base_url)
    if _VERSION not in cdn.base_url:
        raise ValueError(
            f"{cdn.base_url!r} is of one version of Pyodide; write {_VERSION} in place of the"
            f" version, as in https://cdn.example/pyodide/v{_VERSION}/full/"
        )
    return cdn
