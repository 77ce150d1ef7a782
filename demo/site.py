"""The page as a folder of plain files, for any web server and below any path."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_mirror import CDN
from pyodide_mirror.loader import LocalFolder, Source, write_loader
from tests.support.provision import PYODIDE_VERSION, pyodide_dist, pyodide_package

_PAGE = Path(__file__).parent
_FILES = (
    *("address.js", "demo.css", "demo.js", "demo.py", "index.html", "installing.js", "parts.js"),
    *("places.js", "prompt.js", "prompt.py", "texts.js", "texts.json"),
)
LOADER = "pyodide"
"""The folder beside the page that it loads Python from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The page's files and settings.

    ``sources``: where the files of Pyodide are; those that are CDNs are asked by the page, and
    tested in it. ``lock``: a lock file in place of the release's. ``settings``: what else the page
    reads at its start: ``mirrors`` (``name`` and ``url`` of each, else the built-in table),
    ``timeout`` in seconds, ``package`` (the content of the field) and ``auto`` (whether it is
    installed unasked).
    """

    sources: Sequence[Source]
    lock: Path | None = None
    settings: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write the files into a folder, which is made if need be.

        Raises OSError and `pyodide_mirror.loader.LoaderError`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(_PAGE / name, folder / name)
        cdns = [
            {"name": each.name, "url": each.base_url}
            for each in self.sources
            if isinstance(each, CDN)
        ]
        read = {**self.settings, "cdns": cdns}
        (folder / "settings.json").write_text(json.dumps(read, indent=2) + "\n", "utf-8")
        write_loader(folder / LOADER, PYODIDE_VERSION, self.sources, lock=self.lock)


def build(folder: Path, sources: Sequence[Source], *, with_pyodide: bool) -> None:
    """Write the page that is about the mirrors and CDNs which its visitors can reach.

    ``with_pyodide``: the folder has all that the page needs, and CDNs have what is needed beside.
    Raises OSError, `pyodide_mirror.loader.LoaderError` and
    `tests.support.provision.ProvisionError`.
    """
    package = LocalFolder(pyodide_package())
    with tempfile.TemporaryDirectory() as scratch:
        lock = None
        if with_pyodide:
            lock = _add_micropip(Path(scratch))
            local = (package, LocalFolder(Path(scratch)))
            # What is in the folder then, pages take from there first.
            write_loader(folder / LOADER, PYODIDE_VERSION, local, lock=lock)
        Site(sources=(package, *sources), lock=lock, settings={"package": ""}).write(folder)


def _add_micropip(folder: Path) -> Path:
    """Put PyPI's micropip, and the release's lock file with it, into a folder.

    npm's package has no packages, and PyPI's has not the digest of the release.
    """
    dist = pyodide_dist()
    lock = json.loads((pyodide_package() / "pyodide-lock.json").read_text("utf-8"))
    entry = json.loads((dist / "pyodide-lock.json").read_text("utf-8"))["packages"]["micropip"]
    lock["packages"]["micropip"] = entry
    shutil.copyfile(dist / entry["file_name"], folder / entry["file_name"])
    path = folder / "lock.json"
    path.write_text(json.dumps(lock), "utf-8")
    return path
