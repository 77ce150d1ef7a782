"""``%pip`` in kernels of ours: pip's commands, as far as a browser can do them."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

from pyodide_mirror._micropip import can_put_back, uninstall
from pyodide_mirror.index import applicable, metadata_fields
from pyodide_mirror.installing import Upgrade, installed, root_want
from pyodide_mirror.model import normalize, printable

from .ipython import shell
from .pip_options import PipError, read_options, usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pyodide_mirror.installing import InstalledDistribution
    from pyodide_mirror.model import Mirror
    from pyodide_mirror.reporting import Event, InstallReport

    from .pip_options import Options
    from .pip_requirements import Wanted

_IN_USE: Final = ("micropip", "pyodide-mirror")
"""What installs is not replaced meanwhile."""
_FROM: Final = {"cache": "the browser's cache", "lockfile": "Pyodide"}
_SHOWN: Final = ("Name", "Version", "Summary", "Home-page", "Author", "License")

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
        end = next((n for n, word in enumerate(words) if word.startswith("#")), len(words))
        await _run(read_options(words[:end]))
    except BaseException as error:
        text = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        error._render_traceback_ = text.splitlines  # type: ignore[attr-defined]
        raise


async def _run(options: Options) -> None:
    if options["--help"] or not options.command:
        print(usage(options.command))
    elif options.command == "install":
        await _install(options)
    else:
        _DO[options.command](options)


# --- install --------------------------------------------------------------------------------------


async def _install(options: Options) -> None:
    from pyodide_mirror.api import pip_install, pip_install_lock

    from .pip_requirements import Wanted

    wanted = Wanted(options)
    common: dict[str, Any] = {
        "index": wanted.index,
        "extra": wanted.extra,
        "cache": not options["--no-cache-dir"],
        "on_event": _on_event(options),
    }
    before = _versions()
    if wanted.locks:
        [lock, *others] = [*wanted.locks, *wanted.requirements, *wanted.constraints]
        if others:
            raise PipError(f"{lock}: a lock file is installed alone, without {', '.join(others)}")
        report = await pip_install_lock(lock, **common)
        _tell(report, before, [f"all of {lock} that is for this Python"], options)
        return
    if not wanted.requirements:
        raise PipError("%pip install: nothing is named; give requirements, or -r FILE")
    upgrade = _upgrade(options, wanted.requirements)
    new, there = _sorted_out(wanted.requirements, before, anew=bool(options["--force-reinstall"]))
    micropip_options = _micropip_options(options, wanted)
    report = await pip_install(new, micropip_options, upgrade=upgrade, **common)
    _tell(report, before, there, options)


def _micropip_options(options: Options, wanted: Wanted) -> dict[str, Any]:
    found: dict[str, Any] = {"deps": not options["--no-deps"], "pre": wanted.pre}
    if can_put_back():
        found["reinstall"] = True  # as pip replaces what does not fit
    if wanted.constraints:
        found["constraints"] = wanted.constraints
    if options["--verbose"]:
        found["verbose"] = True
    return found


def _upgrade(options: Options, requirements: list[str]) -> Upgrade | None:
    everything = bool(options["--force-reinstall"])
    if not (options["--upgrade"] or everything):
        return None
    if not can_put_back():
        raise PipError("this micropip replaces nothing: use %pip uninstall before, or Pyodide 0.28")
    newest = _names(requirements) if options["--upgrade"] else set()
    return Upgrade(newest - {*_IN_USE}, everything, _IN_USE)


def _names(requirements: list[str]) -> set[str]:
    return {normalize(want.requirement.name) for text in requirements if (want := root_want(text))}


def _sorted_out(
    requirements: list[str], before: Mapping[str, str], *, anew: bool
) -> tuple[list[str], list[str]]:
    """What micropip is to look at; and what is there already, or does not apply, for people."""
    new, there = [], []
    for text in requirements:
        want = root_want(text)
        name = normalize(want.requirement.name) if want else ""
        version = before.get(name, "")
        if want is None:
            there.append(f"{text} does not apply here")
            continue
        if name in _IN_USE and version and not want.takes(version):
            raise PipError(f"{name} {version} is in use: restart the kernel, and install it first")
        wheel = want.wheel.rpartition("/")[2].split("-")
        same = want.wheel and version == wheel[1]
        if version and not want.wheel and want.takes(version):
            there.append(f"{name} {version}")
        elif same:
            there.append(f"{name} {version} (--force-reinstall installs it again)")
        if anew or not same:
            new.append(text)
    return new, there


def _tell(
    report: InstallReport, before: Mapping[str, str], there: list[str], options: Options
) -> None:
    """Say what was installed, from where, in the last line."""
    names = {mirror.index_url: mirror.name for mirror in _mirrors_in(report)}
    places: dict[str, list[str]] = {}
    replaced = False
    for each in report.installed:
        old = before.get(each.name, "")
        text = f"{each.name} {each.version}" + (f" (it was {old})" if old else "")
        replaced = replaced or (bool(old) and each.name.replace("-", "_") in sys.modules)
        place = _FROM.get(each.source) or names.get(each.mirror) or each.mirror or each.url
        places.setdefault(place, []).append(text)
        there = [other for other in there if other != f"{each.name} {old}"]
    if there and places and not options["--quiet"]:
        print(printable(f"Already there: {', '.join(there)}"))
    if replaced:
        print("What was imported before stays the old one, until the kernel is restarted.")
    said = "; ".join(f"{', '.join(each)} from {place}" for place, each in places.items())
    nothing = f"Nothing to install: {', '.join(there) or 'all is there already'}"
    print(printable(f"Installed {said}" if said else nothing))


def _mirrors_in(report: InstallReport) -> list[Mirror]:
    known = report.report
    return [*(each.mirror for each in known.outcomes), *known.pending]


def _on_event(options: Options) -> Callable[[Event], None] | None:
    if options["--quiet"]:
        return None
    if options["--verbose"]:
        return _print_event
    from pyodide_mirror.reporting import show_progress

    return show_progress()


def _print_event(event: Event) -> None:
    if event.kind != "progress":
        print(f"{event.kind}: {printable(event.text)}")


# --- what is installed ----------------------------------------------------------------------------


def _versions() -> dict[str, str]:
    return {name: each.version for name, each in sorted(installed().items())}


def _uninstall(options: Options) -> None:
    from .pip_requirements import Wanted

    names, there = sorted(_names(Wanted(options).requirements)), _versions()
    if not names:
        raise PipError("%pip uninstall: nothing is named")
    for name in _IN_USE:
        if name in names:
            raise PipError(f"%pip uninstall: {name} is in use, and stays")
    gone = [name for name in names if name in there]
    uninstall(gone)
    missing = ", ".join(name for name in names if name not in there)
    if missing:
        print(f"Not installed: {missing}")
    print("Uninstalled " + (", ".join(f"{name} {there[name]}" for name in gone) or "nothing"))


def _list(options: Options) -> None:
    rows = [("Package", "Version"), *_versions().items()]
    width = max(len(name) for name, _ in rows)
    rows.insert(1, ("-" * width, "-" * max(len(version) for _, version in rows)))
    print("\n".join(f"{name.ljust(width)} {version}" for name, version in rows))


def _freeze(options: Options) -> None:
    for name, each in sorted(installed().items()):
        source = each.note("PYODIDE_SOURCE")
        url = source if ":" in source else ""  # else it is "pypi" or "pyodide"
        print(f"{name} @ {url}" if url else f"{name}=={each.version}")


def _show(options: Options) -> None:
    there = installed()
    wanted = [normalize(word) for word in options.words]
    missing = ", ".join(printable(name) for name in wanted if name not in there)
    if missing or not wanted:
        said = f"not installed: {missing}" if wanted else "nothing is named"
        raise PipError(f"%pip show: {said}")
    requires = {name: _requires(each) for name, each in there.items()}
    for number, name in enumerate(wanted):
        fields = dict(reversed(_fields(there[name])))
        by = [other for other, names in requires.items() if name in names]
        rows = [(title, fields.get(title.lower(), "")) for title in _SHOWN]
        rows += [("Location", str(there[name].folder.parent))]
        rows += [("Requires", ", ".join(requires[name])), ("Required-by", ", ".join(sorted(by)))]
        print("---\n" * bool(number) + "\n".join(f"{title}: {text}" for title, text in rows))


def _fields(item: InstalledDistribution) -> list[tuple[str, str]]:
    return [
        (name, printable(value)) for name, value in metadata_fields(item.note("METADATA").encode())
    ]


def _requires(item: InstalledDistribution) -> list[str]:
    lines = [value for name, value in _fields(item) if name == "requires-dist"]
    found = [applicable(line, ("",)) for line in lines]
    return sorted({normalize(each.name) for each in found if each is not None})


_DO: Final = {"uninstall": _uninstall, "list": _list, "freeze": _freeze, "show": _show}
