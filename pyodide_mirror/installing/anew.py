"""An install that is resolved anew, because what micropip has chosen does not fit together."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pyodide_mirror import _packaging, resolving
from pyodide_mirror._micropip import default_constraints, site_files
from pyodide_mirror.errors import IncompleteInstall, ResolutionError
from pyodide_mirror.index import applicable, wheels_by_version
from pyodide_mirror.model import normalize, printable
from pyodide_mirror.reporting import Event
from pyodide_mirror.resolving import Need, needs_of

from .choices import Plan, ServedFile
from .failover import usable_files
from .version_source import VersionSource, read_site_wheel, served_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pyodide_mirror.model import File
    from pyodide_mirror.resolving import Candidate

    from .choices import Conflicts
    from .closure import Want
    from .failover import Failover
    from .request import InstallRequest


class _NoLibraryError(Exception):
    """The resolver itself cannot be read."""


async def plan_anew(
    failover: Failover,
    request: InstallRequest,
    conflicts: Conflicts,
    hidden: Callable[[str], bool],
    error: Exception | None,
) -> Plan:
    """Versions that fit together, where those that micropip chose do not; ``error`` says why.

    Without an ``error``, micropip has not chosen yet, because it upgrades nothing.

    ``hidden``: packages of Pyodide's lock file that are not to be taken. Raises ResolutionError,
    or an error about what cannot be read.
    """
    failover.choices.end()
    failover.prefetcher = None
    while True:
        try:
            resolver = await _resolver(failover, request, conflicts, hidden)
            chosen = await resolver.resolve()
            break
        except _NoLibraryError as fault:
            missing = IncompleteInstall([resolving.LIBRARY])
            refusal = missing if error is None else conflicts.explained(error)
            refusal.add_note(str(fault))
            raise refusal from error
        except ResolutionError as fault:
            # What a cached page, or another mirror's, has not, the next one may have.
            pages = failover.pages
            if not (pages.ask_all_anew() or pages.retry_without(fault.projects)):
                raise _refusal(fault, error) from error
        except OSError as fault:
            raise failover.faults.fatal or error or fault from fault
    if request.newest is not None:
        new = {name for name, each in chosen.items() if each.origin != "installed"}
        return _plan(chosen)._replace(replaced=sorted(new & conflicts.known.keys()))
    before = {name: _version(file.filename) for name, file in failover.choices.files.items()}
    said = resolving.differences(resolver.known, resolver.problem.roots, chosen, before)
    for text in said or ["the same versions do fit together"]:
        request.events.add(Event("resolved", f"resolved anew: {text}"))
    return _plan(chosen)


def _refusal(fault: ResolutionError, error: Exception | None) -> Exception:
    """What to raise where nothing fits, or the search was given up; ``error`` began it."""
    if isinstance(error, IncompleteInstall):
        return error
    if fault.projects or error is None:
        return fault
    first = str(error).partition("\n")[0]
    return ResolutionError([*fault.chains, f"micropip's own choice: {first}"], (), fault.hints)


async def _resolver(
    failover: Failover,
    request: InstallRequest,
    conflicts: Conflicts,
    hidden: Callable[[str], bool],
) -> resolving.Resolver:
    options = request.options
    library = await _library(failover)
    wants = conflicts.roots()
    deps = bool(options.get("deps", True))
    source = VersionSource(
        failover,
        request,
        conflicts.known,
        hidden,
        {normalize(want.requirement.name) for want in wants if want.wheel},
    )
    problem = resolving.Problem(
        # What must be a certain wheel comes first: until that is known, others would do.
        sorted((n for want in wants for n in _needs(want, deps=deps)), key=lambda n: not n.url),
        _constraints(options.get("constraints")),
        pre=bool(options.get("pre")),
        deps=deps,
    )
    return resolving.Resolver(library, source, problem)


async def _library(failover: Failover) -> Any:
    name = resolving.LIBRARY
    found = resolving.loaded_library()
    if found is not None:
        return found
    takes = _packaging.specifiers.SpecifierSet(resolving.VERSIONS).contains

    def best(files: Iterable[File]) -> File | None:
        return next((file for v, file in wheels_by_version(files) if takes(v)), None)

    try:
        file = best(site_files(name, used=False))
        if file is not None:
            return resolving.library_in(await read_site_wheel(file, None))
        served = await failover.pages.first(name)
        ranked, page = served or _no("no mirror has it")
        file = best(usable_files(page, ranked)) or _no("no version of it will do")
        wheel = await failover.delivery(ServedFile(file, name, ranked))
        return resolving.library_in(wheel.data)
    except (OSError, ImportError, AttributeError, SyntaxError) as error:
        text = f"{name}, which looks for versions that fit, cannot be loaded: {error}"
        raise _NoLibraryError(printable(text)) from error


def _no(text: str) -> Any:
    raise ImportError(text)


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


def _plan(chosen: Mapping[str, Candidate]) -> Plan:
    requirements, files = [], {}
    for name, candidate in sorted(chosen.items()):
        if candidate.origin == "installed":
            continue
        requirements.append(
            str(candidate.place) if candidate.origin == "url" else f"{name}=={candidate.version}"
        )
        if candidate.place is not None and candidate.file is not None:
            files[name] = served_file(candidate)
    return Plan(requirements, files)


def _version(filename: str) -> str:
    with suppress(ValueError):
        return str(_packaging.utils.parse_wheel_filename(filename)[1])
    return ""
