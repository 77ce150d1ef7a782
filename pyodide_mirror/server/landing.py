"""The page for people at the server's address: what this is, and lines to copy."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pyodide_mirror import __version__
from pyodide_mirror.model import HostKind, host_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .releases import Releases
    from .repository import Repository

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MOST_LEFT_OUT: Final = 50
_STYLE: Final = """\
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
pre{background:#8881;border:1px solid #8884;border-radius:6px;padding:.7rem;overflow:auto;
user-select:all}
h2{font-size:1rem;margin:1.5rem 0 .3rem}
table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0}
"""


def page(base: str, repository: Repository, releases: Releases, left_out: Mapping[str, str]) -> str:
    """The page for a server that its visitor sees at ``base``.

    ``left_out``: what is not served of what is on this machine, and why.
    """
    sections = "\n".join(
        f"<h2>{escape(title)}</h2>\n<pre>{escape(lines)}</pre>"
        for title, lines in (*_recipes(base), *_for_pyodide(base, releases.newest))
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A package index for Python in the browser</title>
<style>{_STYLE}</style></head>
<body><h1>A package index for Python in the browser</h1>
<p>This is pyodide_mirror {escape(__version__)}. It serves Python packages to Pyodide, pip and uv
as <a href="{escape(base)}/simple/">{escape(base)}/simple/</a>, with everything a browser asks of
an index: JSON (PEP 691), CORS, and core metadata (PEP 658).</p>
{_sources(repository, releases)}{_left_out(left_out)}
{sections}
</body></html>
"""


def _sources(repository: Repository, releases: Releases) -> str:
    rows = [(source.name, "served first") for source in repository.local]
    rows += [(each.name, each.problem or "asked in turn") for each in repository.upstreams]
    of_pyodide = [(folder.name, "served first") for folder in releases.folders.values()]
    of_pyodide += [
        (cdn.name, problem or "asked if need be") for cdn, problem in releases.cdns.problems.items()
    ]
    return _table("Packages come from", rows) + _table("Pyodide's own come from", of_pyodide)


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table><tr><th>{escape(title)}</th><th></th></tr>{cells}</table>"


def _left_out(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    shown = list(left_out.items())[:_MOST_LEFT_OUT]
    lines = [f"{path}: {why}" for path, why in shown]
    if more := len(left_out) - len(shown):
        lines.append(f"… and {more:,} more, which the log names")
    text = escape("\n".join(lines))
    return f"\n<details><summary>Left out: {len(left_out):,}</summary><pre>{text}</pre></details>"


def _recipes(base: str) -> Iterator[tuple[str, str]]:
    index = f"{base}/simple"
    yield (
        "Pyodide, with nothing but micropip",
        _lines(
            "import micropip",
            f"micropip.set_index_urls([{index!r}])",
            'await micropip.install("cowsay")',
        ),
    )
    yield (
        "Pyodide, where nothing else can be reached: load our own wheel first",
        _lines(
            "import micropip",
            f"await micropip.install('pyodide-mirror', index_urls=[{index!r}])",
            "import pyodide_mirror",
            f'await pyodide_mirror.install("cowsay", mirrors={index!r})',
        ),
    )
    yield (
        "JupyterLite, in a notebook",
        _lines(
            "import micropip",
            f"micropip.set_index_urls([{index!r}])",
            "%pip install cowsay",
        ),
    )
    yield from _for_pip(index)


def _for_pyodide(base: str, version: str | None) -> Iterator[tuple[str, str]]:
    if version is None:
        return
    yield (
        "Pyodide's own packages, such as numpy",
        _lines(
            "import pyodide_mirror",
            f"cdn = pyodide_mirror.CDN({f'{base}/pyodide/v{{version}}/full/'!r})",
            f'await pyodide_mirror.install("numpy", mirrors={f"{base}/simple"!r}, cdns=cdn)',
        ),
    )
    yield (
        "Pyodide itself, in a page",
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
