"""The front-end extension in a site: it shows the mirrors, and lets users choose."""

from __future__ import annotations

import json
import shutil
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Final

from jupyterlite_core.constants import (
    FEDERATED_EXTENSIONS,
    JSON_FMT,
    JUPYTER_CONFIG_DATA,
    JUPYTERLITE_JSON,
    LAB_EXTENSIONS,
)

from .site_translations import FOLDER, SiteTranslations

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jupyterlite_core.addons.base import BaseAddon

_NAME: Final = "pyodide-mirror"
_SCHEMA: Final = f"schemas/{_NAME}/plugin.json"


class SiteExtension:
    """Our extension in the output of the site that ``addon`` belongs to.

    JupyterLite's own add-on for extensions finds it there, and names it in the site's
    configuration. So it is there only if our add-on is switched on, wherever we are installed.
    """

    def __init__(self, addon: BaseAddon) -> None:
        self._addon = addon
        self._folder: Path = addon.manager.output_dir / LAB_EXTENSIONS / _NAME
        self._config: Path = addon.manager.output_dir / JUPYTERLITE_JSON

    def remove(self) -> None:
        """Remove it with its texts, and its name from the site's configuration."""
        SiteTranslations(self._addon).remove()
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self._config.exists():
            return
        whole = json.loads(self._config.read_bytes())
        config = whole.get(JUPYTER_CONFIG_DATA, {})
        named = config.get(FEDERATED_EXTENSIONS, [])
        kept = [each for each in named if each.get("name") != _NAME]
        if kept != named:
            config[FEDERATED_EXTENSIONS] = kept
            self._config.write_text(json.dumps(whole, **JSON_FMT), encoding="utf-8")
            self._addon.maybe_timestamp(self._config)

    def translate(self) -> None:
        """Have its texts in the site's languages, once JupyterLite has written these."""
        SiteTranslations(self._addon).put()

    def put(self, settings: Mapping[str, Any], *, locked: bool) -> None:
        """Have it there, with the owner's settings as the defaults of the user's.

        Those that are ``locked`` cannot be edited; it is the kernels that do not take other ones.

        In a checkout of the sources, in which it is not built, the site does without.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        built = files(__package__) / "labextension"
        if not built.is_dir():
            self._addon.log.warning(
                "[pyodide-mirror] the front-end extension is not built, so that users do not see"
                " which mirror is in use: run `nox -s labextension` in the checkout"
            )
            return
        with as_file(built) as folder:
            shutil.copytree(folder, self._folder, ignore=shutil.ignore_patterns(FOLDER))
        path = self._folder / _SCHEMA
        schema = json.loads(path.read_bytes())
        for name, described in schema["properties"].items():
            described["default"] = _plain(settings.get(name), described["default"])
            described["readOnly"] = locked
        path.write_text(json.dumps(schema, indent=2), encoding="utf-8")
        self._addon.maybe_timestamp(self._folder)


def _plain(value: Any, default: Any) -> Any:
    """The value of a setting as users write it: a mirror is its index URL."""
    if isinstance(value, list):
        return [each["index_url"] if isinstance(each, dict) else each for each in value]
    return default if value is None else value
