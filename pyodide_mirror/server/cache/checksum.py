"""Checksums of cached content that has no digest of its own, because disks fail."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .disk import Disk

_log = logging.getLogger("pyodide_mirror.server")


def with_checksum(content: bytes) -> bytes:
    """The content after a line with its SHA-256."""
    return _line(content) + content


def verified(stored: bytes) -> bytes | None:
    """The content without its checksum; None when the two do not fit."""
    line, end, content = stored.partition(b"\n")
    return content if line + end == _line(content) else None


def read_with_checksum(disk: Disk, key: str) -> bytes | None:
    """Content that was stored with its checksum; None when there is none that can be read."""
    try:
        path = disk.get(key)
        return None if path is None else verified(path.read_bytes())
    except OSError as error:
        _log.warning("cannot read what was stored: %s", error)
        return None


def put_with_checksum(disk: Disk, key: str, content: bytes) -> None:
    """Store content with its checksum; a disk that fails is logged, and nothing more.

    What was fetched can be fetched again.
    """
    try:
        disk.put(key, with_checksum(content))
    except OSError as error:
        _log.error("cannot store what was fetched: %s", error)


def _line(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}\n".encode()
