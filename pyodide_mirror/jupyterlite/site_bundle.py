"""A bundle in a site: Pyodide, packages and their index, so that kernels ask no other host."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror.loader import LOCK, MODULE, LocalFolder, write_loader

if TYPE_CHECKING:
    from collections.abc import Iterator

PYODIDE: Final = "pyodide"
"""The folder of a bundle with Pyodide."""
_NEEDED: Final = ("ipython", "jedi")
"""What kernels load when they start, besides what the site has; and all that this needs."""
_INDEX: Final = "../simple/{package_name}/index.json"
_OWN_MODULE: Final = re.compile(r"pyodide-([0-9][0-9A-Za-z.]*)\.mjs")


def bundled_lock(addon: Any) -> Path | None:
    """The lock file of Pyodide in the site's bundle, if it has one; ValueError names the trait."""
    if not addon.bundle:
        return None
    try:
        return _lock_of(addon.manager.lite_dir / addon.bundle)
    except ValueError as error:
        raise ValueError(f"PyodideMirrorAddon.bundle: {error}.") from None


def _lock_of(bundle: Path) -> Path:
    if not (bundle / "SHA256SUMS").is_file() or not (bundle / PYODIDE / LOCK).is_file():
        raise ValueError(f"{bundle} is no folder that `pyodide-mirror bundle` has written")
    return bundle / PYODIDE / LOCK


def copy_bundle(bundle: Path, folder: Path) -> None:
    """Copy what kernels use of a bundle; our package is not in its loader: the site has it.

    Raises ValueError, LoaderError and OSError where the bundle is not as it was written.
    """
    lock, source = _lock_of(bundle), bundle / PYODIDE
    names = [path.name for path in source.iterdir()]
    found = [match for name in names if (match := _OWN_MODULE.fullmatch(name))]
    lacking = [name for name in _NEEDED if not (bundle / "simple" / name).is_dir()]
    if lacking:
        raise ValueError(
            f"{bundle} lacks {' and '.join(lacking)}, which kernels need: run `pyodide-mirror"
            f" bundle {' '.join(lacking)} {bundle}`"
        )
    if len(found) != 1:
        raise ValueError(f"{source} has no module of Pyodide's own: write the bundle again")
    with tempfile.TemporaryDirectory() as scratch:
        for path in source.iterdir():
            if path.name != MODULE:
                Path(scratch, path.name).symlink_to(path.resolve())
        Path(scratch, MODULE).symlink_to((source / found[0][0]).resolve())
        release = LocalFolder(Path(scratch))
        write_loader(
            folder / PYODIDE, found[0][1], [release], index=_INDEX, lock=lock, package=False
        )
    for name in ("files", "simple"):
        shutil.copytree(bundle / name, folder / name)
    for path in _listed(source):
        if not (folder / PYODIDE / path.name).exists():
            shutil.copyfile(path, folder / PYODIDE / path.name)


def _listed(source: Path) -> Iterator[Path]:
    """What the index names of Pyodide's folder."""
    yield from source.glob("*.whl")
    yield from source.glob("*.metadata")
