"""What was in the subfolders of a folder, for a server that starts when one cannot be read."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from pyodide_mirror.server.cache import put_with_checksum, read_with_checksum

from .tree import Tree, listing_of, tree_of

if TYPE_CHECKING:
    from pyodide_mirror.server.cache import Disk


class FolderMemory:
    """Keeps the names in a folder's subfolders on disk.

    Without it, a server that starts before a network drive is there would ask upstreams for the
    projects on it (dependency confusion).
    """

    def __init__(self, top: str, disk: Disk | None) -> None:
        self._top = top
        self._disk = disk
        self._key = f"names-{hashlib.sha256(os.path.abspath(top).encode()).hexdigest()}"
        self._stored = b""

    def recall(self) -> Tree:
        """What was there when it was last seen; nothing where that is not known."""
        stored = None if self._disk is None else read_with_checksum(self._disk, self._key)
        if stored is None:
            return Tree()
        self._stored = stored
        found = {self._path(place): (names, below) for place, (names, below) in json.loads(stored)}
        return tree_of(self._top, found)

    def keep(self, tree: Tree) -> None:
        """Note what is there now. Of a folder without subfolders there is nothing to note."""
        found = [
            (os.path.relpath(path, self._top), (names if path != self._top else {}, below))
            for path, (names, below) in listing_of(tree).items()
        ]
        content = json.dumps(found).encode() if len(found) > 1 or self._stored else b""
        if self._disk is not None and content != self._stored:
            put_with_checksum(self._disk, self._key, content)
            self._stored = content

    def _path(self, place: str) -> str:
        return self._top if place == "." else os.path.join(self._top, place)
