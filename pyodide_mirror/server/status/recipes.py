"""The lines to copy on the page for people: how clients use this index."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyodide_mirror.model import HostKind, host_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .words import Words


def recipes(base: str, version: str | None, words: Words) -> Iterator[tuple[str, str]]:
    """Titles, as HTML, and lines, as text, for a server that its visitor sees at ``base``.

    ``version``: a version of Pyodide that it has, if any.
    """
    yield from _for_micropip(f"{base}/simple", words)
    yield from _for_pip(f"{base}/simple")
    yield from _for_pyodide(base, version, words)


def _for_micropip(index: str, words: Words) -> Iterator[tuple[str, str]]:
    yield (
        words("use.micropip"),
        _lines(
            "import micropip",
            f"micropip.set_index_urls([{index!r}])",
            'await micropip.install("cowsay")',
        ),
    )
    yield (
        words("use.own"),
        _lines(
            "import micropip",
            f"await micropip.install('pyodide-mirror', index_urls=[{index!r}])",
            "import pyodide_mirror",
            f'await pyodide_mirror.install("cowsay", mirrors={index!r})',
        ),
    )
    yield (
        words("use.lite"),
        _lines(
            "import micropip",
            f"micropip.set_index_urls([{index!r}])",
            "%pip install cowsay",
        ),
    )


def _for_pyodide(base: str, version: str | None, words: Words) -> Iterator[tuple[str, str]]:
    if version is None:
        return
    yield (
        words("use.packages"),
        _lines(
            "import pyodide_mirror",
            f"cdn = pyodide_mirror.CDN({f'{base}/pyodide/v{{version}}/full/'!r})",
            f'await pyodide_mirror.install("numpy", mirrors={f"{base}/simple"!r}, cdns=cdn)',
        ),
    )
    yield (
        words("use.page"),
        _lines(
            f'const indexURL = "{base}/pyodide/v{version}/full/";',
            "const { loadPyodide } = await import(`${indexURL}pyodide.mjs`);",
            "const pyodide = await loadPyodide({ indexURL });",
        ),
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines)


def _for_pip(index: str) -> Iterator[tuple[str, str]]:
    parts = urlsplit(index)
    # pip and uv refuse plain http from other machines unless an option allows it.
    plain = parts.scheme == "http" and host_kind(index) is not HostKind.LOOPBACK
    host, place = parts.hostname or "", parts.netloc
    yield "pip", f"pip install{f' --trusted-host {host}' if plain else ''} -i {index}/ cowsay"
    trusted = f"\ntrusted-host = {host}" if plain else ""
    yield "pip.conf", f"[global]\nindex-url = {index}/{trusted}"
    option = f" --allow-insecure-host {place}" if plain else ""
    yield "uv", f"uv pip install{option} --index-url {index}/ cowsay"
    allowed = f'\nallow-insecure-host = ["{place}"]' if plain else ""
    yield "uv.toml", f'index-url = "{index}/"{allowed}'
