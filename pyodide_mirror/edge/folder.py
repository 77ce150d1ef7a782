"""The folder that ``pyodide-mirror edge`` writes: the worker, its settings and how to deploy it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.resources import files as resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror import __version__
from pyodide_mirror.api import check_choice
from pyodide_mirror.model import check_cdn, check_index_url, check_origin, origin
from pyodide_mirror.own_wheels import NOT_INSTALLED, all_wheels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMPATIBILITY_DATE: Final = "2026-06-01"
"""The behaviour of Cloudflare's runtime that the worker was tested with (``tests/edge``)."""
_LEFT_OUT: Final = " **It leaves out Pyodide's releases** (`CDN`)."
SNIPPET_BYTES: Final = 32_000
"""The size limit of a Snippet: 32 KB, which some read as a multiple of 1,000."""
DEFAULT_NAME: Final = "pyodide-mirror"
_MARK: Final = "// Written by `pyodide-mirror edge`"
_FIXED: Final = "const FIXED = {};"
_RELEASES: Final = re.compile(
    r"^// --- releases of Pyodide$.*?(?=^// --- )|^[^\n]* // CDN\n", re.MULTILINE | re.DOTALL
)
"""What the worker can do without: the files of Pyodide's releases."""
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CONFIG: Final = "wrangler.jsonc"


class EdgeError(Exception):
    """The folder cannot be written; the text says why, and what to do."""


def worker_source() -> str:
    """The text of ``worker.js``."""
    return resources(__package__).joinpath("worker.js").read_text("utf-8")


def write_folder(  # noqa: PLR0913  # each is a setting of its own
    folder: str | Path,
    upstream: str,
    *,
    file_hosts: Iterable[str] = (),
    files: str = "proxy",
    allow_origins: Iterable[str] = ("*",),
    cdn: str = "",
    name: str = DEFAULT_NAME,
    force: bool = False,
) -> tuple[str, ...]:
    """Write a folder that is ready to be deployed; returns the relative paths of its files.

    ``upstream``: index URL. ``file_hosts``: further origins that its files come from. ``files``:
    ``"proxy"`` or ``"direct"``. ``allow_origins``: whose pages may read the answers. ``cdn``: base
    URL of a CDN with Pyodide's releases, in which ``{version}`` stands for Pyodide's version; they
    are passed on, too. ``name``: of the Worker. ``force``: also write into a folder that holds
    other things.

    Either everything is written or nothing: a folder that exists is only changed once everything
    is ready beside it. Raises ValueError for bad arguments, :class:`EdgeError` for a folder that is
    not ours or an installation without metadata, OSError where the system does.
    """
    settings = _settings(upstream, file_hosts, files, allow_origins)
    if cdn:
        settings["CDN"] = check_cdn(cdn).base_url
    if not _NAME.fullmatch(name):
        raise ValueError(f"name must be lower-case letters, digits and hyphens, not {name!r}")
    target = Path(folder)
    _check_target(target, force=force)
    contents = _contents(settings, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new = Path(scratch, "new")
        for path, content in contents.items():
            new.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
            new.joinpath(path).write_bytes(content)
        _move(new, target, tuple(contents))
    return tuple(contents)


def _settings(
    upstream: str, file_hosts: Iterable[str], files: str, allow_origins: Iterable[str]
) -> dict[str, Any]:
    """The variables of the worker."""
    check_choice("files", files, ("proxy", "direct"))
    index = check_index_url(upstream)
    own = origin(index)
    hosts = sorted({check_origin(host) for host in file_hosts} - {own})
    allowed = [each if each == "*" else check_origin(each) for each in allow_origins]
    settings: dict[str, Any] = {
        "UPSTREAM": index,
        "FILE_HOSTS": " ".join(hosts),
        "FILES": files,
    }
    if allowed and "*" not in allowed:
        settings["ALLOW_ORIGIN"] = " ".join(allowed)
    return settings


def _check_target(target: Path, *, force: bool) -> None:
    if target.exists() and not target.is_dir():
        raise EdgeError(f"{target} is a file; give the folder to write another name")
    if target.is_dir() and any(target.iterdir()) and not (force or _is_ours(target)):
        raise EdgeError(
            f"{target} is not empty, and was not written by this command; choose another folder,"
            " or add --force to write into it anyway"
        )


def _is_ours(target: Path) -> bool:
    config = target / _CONFIG
    return config.is_file() and config.read_bytes().startswith(_MARK.encode())


def _contents(settings: Mapping[str, Any], name: str) -> dict[str, bytes]:
    """Every file by its path in the folder."""
    wheels = _own_wheels()
    own: list[dict[str, Any]] = [
        {
            "filename": filename,
            "hashes": {"sha256": hashlib.sha256(wheel).hexdigest()},
            "size": len(wheel),
        }
        for filename, wheel in wheels.items()
    ]
    worker = worker_source()
    small = snippet(worker, {**settings, "CACHE": "small"})
    texts = {
        "worker.js": worker,
        _CONFIG: _config(name, {**settings, "OWN_WHEELS": own}),
        "snippet.js": small,
        "README.md": _readme(settings, name, own[-1]["filename"], has_releases(small)),
    }
    contents = {path: text.encode() for path, text in texts.items()}
    return {**contents, **{f"assets/{each}": wheel for each, wheel in wheels.items()}}


def _own_wheels() -> dict[str, bytes]:
    """The whole wheel for pip, and those for pages, by their file names.

    In this order: of two wheels that would do, micropip 0.9 takes the last.
    """
    try:
        return all_wheels()
    except PackageNotFoundError:
        raise EdgeError(NOT_INSTALLED) from None


def snippet(worker: str, settings: Mapping[str, Any]) -> str:
    """The worker with its settings in it, because Snippets have no variables, without comments.

    Pyodide's releases are left out where no CDN is set, or where they do not fit. Raises ValueError
    when it is larger than a Snippet may be.
    """
    texts = [_fixed(worker, settings)] if "CDN" in settings else []
    without = {name: value for name, value in settings.items() if name != "CDN"}
    texts.append(_fixed(_RELEASES.sub("", worker), without))
    for text in texts:
        if len(text.encode()) < SNIPPET_BYTES:
            return text
    raise ValueError(
        f"with these settings the snippet has {len(texts[-1].encode())} bytes; the limit is"
        f" {SNIPPET_BYTES}, so name fewer file hosts or origins"
    )


def has_releases(script: str) -> bool:
    """Whether a worker, or a snippet, passes on Pyodide's releases."""
    return "const RELEASE =" in script


def _fixed(worker: str, settings: Mapping[str, Any]) -> str:
    before, mark, after = worker.partition(_FIXED)
    if not mark:
        raise ValueError(f"worker.js lacks the line {_FIXED!r}")
    # JSON in ASCII is always JavaScript: nothing in it can end a comment or a string.
    fixed = f"const FIXED = {json.dumps(dict(settings))};"
    code = _without_comments(before) + fixed + _without_comments(after)
    return f"{_MARK}: see README.md.\n{code.strip()}\n"


def _without_comments(code: str) -> str:
    """JavaScript without comments; no string and no template of the worker has ``//`` in it so."""
    return re.sub(r"^\s*//.*\n|[ \t]+// .*$", "", code, flags=re.MULTILINE)


def _config(name: str, variables: Mapping[str, Any]) -> str:
    """The text of ``wrangler.jsonc``: JSON with comments on lines of their own."""
    config = {
        "name": name,
        "main": "worker.js",
        "compatibility_date": COMPATIBILITY_DATE,
        "vars": dict(variables),
        "assets": {"directory": "./assets", "binding": "ASSETS", "run_worker_first": True},
        "observability": {"enabled": True},
    }
    comments = [
        f"{_MARK} {__version__}; README.md says how to deploy it.",
        "// UPSTREAM: the index to mirror. FILE_HOSTS: its files' further origins.",
        "// FILES: proxy (through the Worker) or direct (from where they are, which needs CORS).",
        "// Further variables: ALLOW_ORIGIN, TIMEOUT_MS, HOLD_BYTES, CACHE, CDN; see README.md.",
    ]
    return "\n".join([*comments, json.dumps(config, indent=2), ""])


def _readme(
    settings: Mapping[str, Any],
    name: str,
    wheel_name: str,
    snippet_has_releases: bool,  # noqa: FBT001
) -> str:
    template = Template(resources(__package__).joinpath("readme.md").read_text("utf-8"))
    return template.substitute(
        upstream=settings["UPSTREAM"],
        file_hosts=settings["FILE_HOSTS"] or "none but the index's own",
        files=settings["FILES"],
        name=name,
        wheel=wheel_name,
        cdn=settings.get("CDN", "none"),
        left_out=_LEFT_OUT if "CDN" in settings and not snippet_has_releases else "",
        version=__version__,
        date=datetime.now(UTC).date().isoformat(),
    )


def _move(new: Path, target: Path, paths: tuple[str, ...]) -> None:
    """Put the new files in place; each is there whole at any time, the old one or the new one."""
    if target.is_dir() and not any(target.iterdir()):
        target.rmdir()
    if not target.exists():
        new.chmod(0o755)
        new.rename(target)
        return
    with suppress(FileNotFoundError):
        old = (target / _CONFIG).read_bytes()
        if old != (new / _CONFIG).read_bytes():  # it may have been edited
            shutil.copyfile(target / _CONFIG, target / f"{_CONFIG}.old")
    for path in paths:
        target.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        new.joinpath(path).replace(target / path)
    for wheel in target.joinpath("assets").glob("pyodide_mirror-*.whl"):
        if f"assets/{wheel.name}" not in paths:  # of an earlier version
            wheel.unlink()
