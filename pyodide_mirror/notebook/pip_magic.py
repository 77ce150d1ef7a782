"""``%pip`` in kernels of ours: pip's commands, as far as a browser can do them."""

from __future__ import annotations

import shlex
import sys
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror._micropip import can_put_back, uninstall
from pyodide_mirror.index import applicable, metadata_fields
from pyodide_mirror.installing import INSTALLERS, installed, root_want
from pyodide_mirror.model import normalize, printable

from .ipython import shell
from .pip_options import PipError, Wanted, read_options, usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Mapping

    from pyodide_mirror.installing import InstalledDistribution
    from pyodide_mirror.reporting import InstallReport

    from .pip_options import Options

_FROM: Final = {"cache": "the cache", "lockfile": "Pyodide"}
_SHOWN: Final = {"name", "version", "summary"}

# ruff: noqa: T201  # a notebook's user is to see it


def pip(line: str) -> Awaitable[None]:
    """Do what a line of ``%pip`` says, with the cell's variables in it, as IPython puts them there.

    An error shows its text alone: the line itself may have a password in it.
    """
    return _pip(shell().var_expand(line, 1))


async def _pip(line: str) -> None:
    try:
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise PipError(f"%pip: {error}") from None
        # A shell takes the rest for a comment.
        given = takewhile(lambda word: not word.startswith("#"), words)
        await _run(read_options(given))
    except BaseException as error:
        text = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        error._render_traceback_ = text.splitlines  # type: ignore[attr-defined]
        raise


async def _run(options: Options) -> None:
    command = options.command
    if options["--help"] or command in {"", "help"}:
        print(usage(command))
    elif command == "install":
        await _install(options, await Wanted().read(options))
    elif command == "uninstall":
        _uninstall(_names((await Wanted().read(options)).requirements))
    elif command == "show":
        print("\n---\n".join(_shown([normalize(word) for word in options.words])))
    elif command == "freeze":
        print("\n".join(map(_frozen, sorted(installed().values()))))
    else:
        there = {"Package": "Version", **_versions()}
        width = max(map(len, there))
        print("\n".join(f"{name.ljust(width)} {version}" for name, version in there.items()))


async def _install(options: Options, wanted: Wanted) -> None:
    from pyodide_mirror import api, reporting

    show = None
    if not options["--quiet"]:
        show = reporting.show_progress(sys.stdout if options["--verbose"] else None)
    requirements, before = wanted.requirements, _versions()
    names, anew = _names(requirements), bool(options["--force-reinstall"])
    if wanted.locks:
        others = options.keys() - {"--requirement", "--quiet", "--verbose"}
        if others or options.words or options["--requirement"][1:]:
            raise PipError(f"{wanted.locks[0]} is installed alone")
        _tell(await api.install_pylock(wanted.locks[0], on_event=show), before, names)
        return
    if not requirements:
        raise PipError("%pip install: give requirements, or -r FILE")
    newest = names if options["--upgrade"] else [] if anew else None
    choices: dict[str, Any] = {"deps": not options["--no-deps"], "pre": wanted.pre}
    if wanted.constraints:  # which older micropips do not know
        choices["constraints"] = wanted.constraints
    if can_put_back():
        # As pip replaces what does not fit, but for what is in use.
        choices["reinstall"] = INSTALLERS.isdisjoint(names)
    elif newest is not None:
        raise PipError("this micropip cannot replace what is installed")
    report = await api.pip_install(
        requirements, choices, wanted.index, wanted.extra, show, newest=newest, anew=anew
    )
    _tell(report, before, names)


def _tell(report: InstallReport, before: Mapping[str, str], names: list[str]) -> None:
    """Say in the last line what was installed, from where."""
    places: dict[str, list[str]] = {}
    for each in report.installed:
        old = f" in the place of {before[each.name]}" if each.name in before else ""
        place = {**_FROM, "url": each.url}.get(each.source, each.mirror)
        places.setdefault(place, []).append(f"{each.name} {each.version}{old}")
    said = [f"{', '.join(each)} from {place}" for place, each in places.items()]
    there = [f"{name} {before[name]}" for name in names if name in before]
    nothing = f"Nothing to install: {', '.join(there) or 'all that applies'} is there already"
    print(printable(f"Installed {'; '.join(said)}" if said else nothing))


def _versions() -> dict[str, str]:
    return {name: each.version for name, each in sorted(installed().items())}


def _names(requirements: list[str]) -> list[str]:
    wants = filter(None, map(root_want, requirements))
    return sorted({normalize(want.requirement.name) for want in wants})


def _uninstall(names: list[str]) -> None:
    there = _versions()
    if not names or INSTALLERS.intersection(names):
        raise PipError(f"%pip uninstall: {' and '.join(names) or 'nothing'} cannot be uninstalled")
    uninstall([name for name in names if name in there])
    for name in names:
        print(f"Uninstalled {name} {there[name]}" if name in there else f"Not installed: {name}")


def _frozen(item: InstalledDistribution) -> str:
    source = item.note("PYODIDE_SOURCE")
    # It is a URL, or "pypi" or "pyodide".
    return f"{item.name} @ {source}" if ":" in source else f"{item.name}=={item.version}"


def _shown(names: list[str]) -> Iterator[str]:
    """What core metadata say of these."""
    there = installed()
    missing = [name for name in names if name not in there]
    if missing or not names:
        raise PipError(f"%pip show: {', '.join(missing) or 'nothing'} is not installed")
    found = {name: metadata_fields(each.note("METADATA").encode()) for name, each in there.items()}
    requires = {name: _requires(fields) for name, fields in found.items()}
    for name in names:
        fields = {
            **{field: value for field, value in found[name] if field in _SHOWN},
            "location": str(there[name].folder.parent),
            "requires": ", ".join(requires[name]),
            "required-by": ", ".join(other for other in sorted(there) if name in requires[other]),
        }
        yield "\n".join(f"{field.title()}: {printable(text)}" for field, text in fields.items())


def _requires(fields: Iterable[tuple[str, str]]) -> list[str]:
    lines = [value for name, value in fields if name == "requires-dist"]
    return sorted({normalize(each.name) for line in lines if (each := applicable(line, ("",)))})
