"""The texts of our extension in a site's other languages.

JupyterLite puts the language packs of the environment that builds a site into it, each as one file
for all extensions, and with them the texts of packages that have an entry point for it
(``jupyterlab.locale``). We have none: a site that is built without our add-on has nothing of ours.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jupyterlite_core.constants import ALL_JSON, API_TRANSLATIONS, JSON_FMT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyterlite_core.addons.base import BaseAddon

DOMAIN: Final = "pyodide_mirror"
FOLDER: Final = "locale"
"""The folder of our texts in the extension as it is built."""


class SiteTranslations:
    """Our texts in the output of the site that ``addon`` belongs to."""

    def __init__(self, addon: BaseAddon) -> None:
        self._addon = addon
        self._folder: Path = addon.manager.output_dir / API_TRANSLATIONS

    def put(self) -> None:
        """Have our texts in each of the site's languages that we have."""
        ours = _ours()
        for path in self._languages():
            texts = ours.get(path.stem) or ours.get(path.stem.partition("_")[0])
            if texts:
                # Pages look texts up under their own language: those in "es" serve "es_MX", too.
                header = {**texts[""], "language": path.stem.replace("_", "-")}
                self._write(path, {**texts, "": header})

    def remove(self) -> None:
        """Remove our texts: what stays is as JupyterLite has written it."""
        for path in self._languages():
            self._write(path, None)

    def _languages(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob("*.json")):
            if path.name != ALL_JSON:
                yield path

    def _write(self, path: Path, texts: dict[str, Any] | None) -> None:
        whole = json.loads(path.read_bytes())
        before = whole["data"].pop(DOMAIN, None)
        if texts:
            whole["data"][DOMAIN] = texts
        if texts != before:
            path.write_text(json.dumps(whole, **JSON_FMT), encoding="utf-8")
            self._addon.maybe_timestamp(path)


def _ours() -> dict[str, dict[str, Any]]:
    """Our texts by their language; none in a checkout in which they are not built."""
    folder = files(__package__) / "labextension" / FOLDER
    if not folder.is_dir():
        return {}
    return {
        language.name: json.loads((language / "LC_MESSAGES" / f"{DOMAIN}.json").read_bytes())
        for language in folder.iterdir()
    }
