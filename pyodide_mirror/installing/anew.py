"""An install that is resolved anew, because what micropip has chosen does not fit together."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pyodide_mirror import _packaging, resolving
from pyodide_mirror._micropip import default_constraints
from pyodide_mirror.errors import MirrorError
from pyodide_mirror.index import applicable, wheels_by_version
from pyodide_mirror.model import normalize, printable
from pyodide_mirror.resolving import Need, needs_of

from .choices import Plan, ServedFile
from .closure import root_want
from .failover import usable_files
from .version_source import VersionSource, served_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pyodide_mirror.resolving import Candidate

    from .closure import Want
    from .failover import Failover
    from .request import InstallRequest
    from .site_packages import InstalledDistribution

_LIBRARY = "resolvelib"


class NoLibraryError(MirrorError):
    """The resolver itself cannot be read."""


async def plan_anew(
    failover: Failover,
    request: InstallRequest,
    known: Mapping[str, InstalledDistribution],
    hidden: Callable[[str], bool],
) -> Plan:
    """Versions that fit together. Raises ResolutionError, NoLibraryError, or what reading raises.

    ``known``: what is installed. ``hidden``: packages of Pyodide's lock file not to be taken.
    """
    options = request.options
    library = await _library(failover)
    wants = [want for text in request.requirements if (want := root_want(text))]
    deps = bool(options.get("deps", True))
    source = VersionSource(
        failover,
        known,
        hidden,
        {normalize(want.requirement.name) for want in wants if want.wheel},
        replaceable=bool(options.get("reinstall")),
        credentials=options.get("credentials"),
    )
    problem = resolving.Problem(
        # What must be a certain wheel comes first: until that is known, others would do.
        sorted((n for want in wants for n in _needs(want, deps=deps)), key=lambda n: not n.url),
        _constraints(options.get("constraints")),
        pre=bool(options.get("pre")),
        deps=deps,
    )
    resolver = resolving.Resolver(library, source, problem)
    chosen = await resolver.resolve()
    before = {name: _version(file.filename) for name, file in failover.choices.files.items()}
    return _plan(chosen, resolving.differences(resolver.known, problem.roots, chosen, before))


async def _library(failover: Failover) -> Any:
    if resolving.is_importable():
        return resolving.the_library()
    try:
        served = await failover.pages.first(_LIBRARY)
        ranked, page = served or _no("no mirror has it")
        takes = _packaging.specifiers.SpecifierSet(resolving.VERSIONS).contains
        files = [
            file
            for version, file in wheels_by_version(usable_files(page, ranked))
            if takes(version)
        ]
        if not files:
            _no(f"no version of {resolving.VERSIONS} is on {ranked.mirror.name}")
        return resolving.library_in(await failover.verified(ServedFile(files[0], _LIBRARY, ranked)))
    except (OSError, ImportError, ValueError, SyntaxError) as error:
        failover.faults.lost.discard(_LIBRARY)
        text = f"{_LIBRARY}, which looks for other versions, cannot be loaded: {error}"
        raise NoLibraryError(printable(text)) from error


def _no(text: str) -> Any:
    raise ValueError(text)


def _needs(want: Want, *, deps: bool) -> list[Need]:
    if want.wheel:
        name = normalize(want.requirement.name)
        return [Need(name, want.requirement.specifier, url=want.wheel)]
    needs = needs_of(want.requirement)
    return needs if deps else needs[:1]


def _constraints(given: Iterable[str] | None) -> dict[str, Need]:
    """The constraints by project; micropip passes over those that say nothing, as we do here."""
    found: dict[str, Need] = {}
    for text in default_constraints() if given is None else given:
        requirement = applicable(text, ("",))
        if requirement is None or requirement.extras:
            continue
        [need] = needs_of(requirement)
        if need.name in found and not need.url:
            need.specifier &= found[need.name].specifier
        found[need.name] = need
    return found


def _plan(chosen: Mapping[str, Candidate], said: list[str]) -> Plan:
    requirements, files = [], {}
    for name, candidate in sorted(chosen.items()):
        if candidate.origin == "installed":
            continue
        requirements.append(
            str(candidate.place) if candidate.origin == "url" else f"{name}=={candidate.version}"
        )
        if candidate.origin == "index":
            files[name] = served_file(candidate)
    return Plan(requirements, files, said)


def _version(filename: str) -> str:
    with suppress(ValueError):
        return str(_packaging.utils.parse_wheel_filename(filename)[1])
    return ""
