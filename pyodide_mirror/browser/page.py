"""The page or worker that this Python runs in."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Final

import js

from pyodide_mirror.model import HostKind, host_kind
from pyodide_mirror.transport import PageFacts

from .ffi import Rejected, settle, to_js_object

# In a window, `js` is `window`, in a worker its global scope; Node has neither.
IN_BROWSER: Final = hasattr(js, "location") and hasattr(js, "addEventListener")
IN_WORKER: Final = IN_BROWSER and not hasattr(js, "document")


async def page_facts() -> PageFacts:
    """What the rules of the web need to know of this page."""
    if not IN_BROWSER:
        return PageFacts()
    # `origin` and not `location`: a worker made from a blob: URL has the origin of its maker.
    page_origin = str(js.origin) if hasattr(js, "origin") else ""
    if not page_origin.startswith(("http:", "https:")):
        page_origin = ""  # file:, or the opaque origin of a sandboxed frame
    local, loopback = await asyncio.gather(
        _permission("local-network"), _permission("loopback-network")
    )
    return PageFacts(
        origin=page_origin,
        host_kind=host_kind(page_origin) if page_origin else HostKind.PUBLIC,
        isolated=bool(getattr(js, "crossOriginIsolated", False)),
        tells_policies=not (_is_webkit() and IN_WORKER),
        local_network=local,
        loopback_network=loopback,
    )


def _is_webkit() -> bool:
    """Whether this is WebKit itself, which Chromium names, too."""
    agent = str(js.navigator.userAgent)
    return "AppleWebKit/" in agent and "Chrom" not in agent


async def _permission(name: str) -> str:
    """State of a permission, or ``""`` where this browser does not know it."""
    permissions = getattr(js.navigator, "permissions", None)
    if permissions is None:
        return ""
    try:
        return str((await settle(permissions.query, permissions, to_js_object(name=name))).state)
    except Rejected:
        return ""  # TypeError: no such permission in this browser


def says_offline(url: str) -> bool:
    """Whether the browser certainly cannot reach a URL (HTML standard: ``onLine``)."""
    on_line = getattr(getattr(js, "navigator", None), "onLine", True)
    return on_line is False and host_kind(url) is not HostKind.LOOPBACK


def is_locked(project: str) -> bool:
    """Whether a project, by its normalized name, is in Pyodide's lock file."""
    js_api = import_module("pyodide_js")._api  # noqa: SLF001  # where micropip takes it from
    js_packages = getattr(js_api, "lockfile_packages", None) or js_api.repodata_packages
    return hasattr(js_packages, project)
