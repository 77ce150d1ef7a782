"""Ready settings for web servers: media types, and CORS."""

from __future__ import annotations

from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

HOSTING: Final = "hosting"
_PATH: Final = "{{PATH}}"


def hosting_files(public_url: str) -> dict[str, bytes]:
    """The settings, by their paths in the bundle, which is at that URL or at a host's top."""
    path = urlsplit(public_url).path.rstrip("/")
    folder = files(__package__) / HOSTING
    return {
        f"{HOSTING}/{each.name}": each.read_text("utf-8").replace(_PATH, path).encode()
        for each in sorted(folder.iterdir(), key=lambda one: one.name)
    }
