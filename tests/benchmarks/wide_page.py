"""A project page as wide as pydantic-core's: 15,057 files, nearly all of them for platforms."""

import hashlib
from collections.abc import Iterator
from itertools import count, islice, product
from typing import Any

FILES = 15_057
NEWEST = "2.999.0"
"""The version of the one file that is there, the last on the page."""
TAG = "cp314-cp314-pyemscripten_2026_0_wasm32"

_PYTHONS = tuple(f"cp3{minor}-cp3{minor}" for minor in (9, 10, 11, 12, 13, 14))
_PLATFORMS = (
    *("macosx_10_12_x86_64", "macosx_11_0_arm64", "win32", "win_amd64", "win_arm64"),
    *(
        f"manylinux_2_17_{machine}.manylinux2014_{machine}"
        for machine in ("aarch64", "armv7l", "ppc64le", "s390x", "x86_64")
    ),
    "manylinux_2_5_i686.manylinux1_i686",
    *(f"musllinux_1_1_{machine}" for machine in ("aarch64", "armv7l", "x86_64")),
)
_OLD_WASM = "cp312-cp312-pyodide_2024_0_wasm32"
_TAGS = (*(f"{python}-{platform}" for python, platform in product(_PYTHONS, _PLATFORMS)), _OLD_WASM)


def entries(name: str, origin: str) -> list[dict[str, Any]]:
    """Return all entries but the last one, in the order of their versions."""
    stem = name.replace("-", "_")
    return [_older(filename, origin) for filename in islice(_filenames(stem), FILES - 1)]


def _filenames(stem: str) -> Iterator[str]:
    for number in count():
        version = f"2.{number}.{number % 7}"
        yield from (f"{stem}-{version}-{tag}.whl" for tag in _TAGS)
        yield f"{stem}-{version}.tar.gz"


def _older(filename: str, origin: str) -> dict[str, Any]:
    digests = [hashlib.sha256(f"{what} {filename}".encode()).hexdigest() for what in "fm"]
    size = 1_800_000 + int(digests[0][:4], 16)
    provenance = f"{origin}/integrity/{filename}/provenance"
    return entry(filename, *digests, size, origin) | {"provenance": provenance}


def entry(filename: str, sha256: str, metadata: str, size: int, origin: str) -> dict[str, Any]:
    """Return what PyPI says of a file."""
    promised = {"sha256": metadata} if filename.endswith(".whl") else False
    return {
        "core-metadata": promised,
        "data-dist-info-metadata": promised,
        "filename": filename,
        "hashes": {"sha256": sha256},
        "provenance": None,
        "requires-python": ">=3.8",
        "size": size,
        "upload-time": "2026-01-01T00:00:00.000000Z",
        "url": f"{origin}/files/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{filename}",
        "yanked": False,
    }
