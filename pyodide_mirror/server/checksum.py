"""What is kept on disk and has no digest of its own: written with one, for disks fail."""

from __future__ import annotations

import hashlib


def with_checksum(content: bytes) -> bytes:
    """The content behind a line with its SHA-256."""
    return _line(content) + content


def verified(stored: bytes) -> bytes | None:
    """The content, or None when it is not what was sealed."""
    line, end, content = stored.partition(b"\n")
    return content if line + end == _line(content) else None


def _line(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}\n".encode()
