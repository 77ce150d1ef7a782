"""The folder of a site's own index of wheels, as far as they are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .site_config import PYPI, SiteConfig
from .site_wheels import MADE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jupyterlite_core.addons.base import BaseAddon


class SiteIndex:
    """Our wheels in the output of the site that ``addon`` belongs to."""

    def __init__(self, addon: BaseAddon) -> None:
        self._addon = addon
        self.folder: Path = addon.manager.output_dir / PYPI

    def put(self, wheels: Mapping[str, bytes]) -> None:
        """Have these wheels of ours in the folder, and no others."""
        present = [path for path in self.folder.glob("*.whl") if MADE.fullmatch(path.name)]
        for path in present:
            if path.name not in wheels:
                path.unlink()
        for name, content in wheels.items():
            path = self.folder / name
            if not path.exists() or path.read_bytes() != content:
                self.folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._addon.maybe_timestamp(path)
        if present and not any(self.folder.glob("*.whl")):
            SiteConfig(self._addon).drop_index()
