"""Pyodide's own place where it is not on the web: a folder in Node, an application's files."""

from __future__ import annotations

import logging
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyodide_mirror.storage import Content

    from .check import LockedFile
    from .lockfile import OwnPlace

_log = logging.getLogger(__name__)


async def read_own(own: OwnPlace, file: LockedFile) -> bytes | None:
    """The file from Pyodide's own place, by Pyodide's own means; None where it is not there.

    Pyodide in Node believes whatever is in the folder.
    """
    if own.cdn is not None or not own.base:
        return None
    from pyodide_mirror.browser import Rejected, settle

    js_api = import_module("pyodide_js")._api  # noqa: SLF001  # as micropip does
    url = own.url(file.file_name)
    try:
        data: bytes = (await settle(js_api.loadBinaryFile, js_api, url)).to_bytes()
    except Rejected as error:
        _log.debug("not in Pyodide's own place: %s: %s", url, error)
        return None
    if sha256(data).hexdigest() != file.sha256:
        _log.warning("%s is not the file of Pyodide's lock file: its SHA-256 differs", url)
        return None
    return data


def save_own(own: OwnPlace, file: LockedFile, content: Content) -> None:
    """Put the file into Pyodide's folder, as Pyodide in Node does, for the next time."""
    js_fs = _node_files()
    if js_fs is None or own.cdn is not None or not own.base or "://" in own.base:
        return
    from pyodide.ffi import JsException, to_js

    path = own.url(file.base_name)
    try:
        js_fs.writeFileSync(path, to_js(bytes(content)))
    except JsException as error:
        _log.debug("not saved: %s: %s", path, error)


def _node_files() -> Any:
    """Node's own module for files, or None elsewhere."""
    import js

    get = getattr(getattr(js, "process", None), "getBuiltinModule", None)
    return get("node:fs") if get is not None else None
