"""The versions among which an install is resolved anew, and what each of them requires."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from importlib.metadata import Distribution
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from pyodide_mirror import _packaging
from pyodide_mirror._micropip import (
    LockedPackage,
    has_default_index_urls,
    locked_packages,
    read_wheel,
    site_files,
    site_is_alone,
)
from pyodide_mirror.errors import ResolutionError
from pyodide_mirror.index import (
    SMALL_WHEEL,
    applicable,
    metadata_by_parts,
    metadata_of,
    metadata_url,
    suits_this_python,
    wheels_by_version,
)
from pyodide_mirror.model import normalize, printable
from pyodide_mirror.reporting import Event
from pyodide_mirror.resolving import Candidate, Facts, facts_of, given_up

from .choices import ServedFile
from .closure import Found
from .failover import usable_files
from .request import INSTALLERS

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Collection, Mapping

    from packaging.version import Version

    from pyodide_mirror.model import File, ProjectPage

    from .failover import Failover
    from .request import InstallRequest
    from .site_packages import InstalledDistribution


_MOST_BYTES: Final = 50_000_000
"""Of wheels, and of their parts, that are read to choose among versions."""


class VersionSource:
    """See :class:`~pyodide_mirror.resolving.Source`: the candidates of one install.

    ``known``: what is installed. ``hidden``: the packages of Pyodide's lock file that are not to be
    taken. ``direct``: projects that are wanted as a certain wheel, whatever is installed.
    """

    def __init__(
        self,
        failover: Failover,
        request: InstallRequest,
        known: Mapping[str, InstalledDistribution],
        hidden: Callable[[str], bool],
        direct: Collection[str],
    ) -> None:
        self._failover = failover
        self._known = known
        self._locked = {n: p for n, p in locked_packages().items() if not hidden(n)}
        self._direct = direct
        self._newest = {*(request.newest or ())} - INSTALLERS
        self._anew = request.anew
        self._replaceable = request.newest is not None or bool(request.options.get("reinstall"))
        self._credentials: str | None = request.options.get("credentials")
        self._tell = request.events.add
        self._lockfile_first = has_default_index_urls()
        self._at: dict[str, Facts] = {}
        self._read = 0

    def local(self, name: str) -> tuple[list[Candidate], bool]:
        """See Source: what is installed, and what Pyodide's lock file has, if that comes first."""
        if name in self._direct:
            return [], True
        if name in self._newest:
            return [], False  # nothing is preferred to that
        found = self._of_installed(name)
        if name in self._known and not (self._replaceable and name not in INSTALLERS):
            return found, True
        if self._anew:
            found = []
        if self._lockfile_first:
            found += self._of_lockfile(name)
        return found, False

    async def listed(self, name: str) -> tuple[list[Candidate], list[str]]:
        """See Source: what the first mirror that has the project lists."""
        if name not in self._newest:
            return await self._of_index(
                name, [] if self._lockfile_first else self._of_lockfile(name)
            )
        found, left_out = await self._of_index(name, self._of_lockfile(name))
        # Of the same version, what is there needs no file.
        there = [] if self._anew else self._of_installed(name)
        return sorted([*there, *found], key=lambda each: each.version, reverse=True), left_out

    async def _of_index(
        self, name: str, last: list[Candidate]
    ) -> tuple[list[Candidate], list[str]]:
        files = [file for file in site_files(name) if suits_this_python(file.requires_python)]
        if files:
            return [Candidate(name, v, "index", file=f) for v, f in wheels_by_version(files)], []
        served = None if site_is_alone() else await self._failover.pages.first(name)
        if served is None:
            return last, ["no mirror has it"]
        ranked, page = served
        found = wheels_by_version(usable_files(page, ranked))
        candidates = [Candidate(name, v, "index", file=f, place=ranked) for v, f in found]
        return [*candidates, *last], _left_out(page, {version for version, _ in found})

    async def at(self, name: str, url: str) -> Candidate | None:
        """See Source."""
        filename = unquote(urlsplit(url).path).rpartition("/")[2]
        try:
            project, version, *_ = _packaging.utils.parse_wheel_filename(filename)
        except (_packaging.utils.InvalidWheelFilename, _packaging.version.InvalidVersion):
            return None
        if normalize(project) != name:
            return None
        try:
            data = await read_wheel(url, self._credentials)
            self._at[url] = facts_of(metadata_of(data, filename))
        except (OSError, ValueError, TypeError) as error:
            self._at[url] = Facts(fault=f"cannot be read: {printable(str(error))}")
        return Candidate(name, version, "url", place=url)

    async def facts(self, candidate: Candidate) -> Facts:
        """See Source."""
        if candidate.origin == "installed":
            return self._facts_of_installed(candidate.name)
        if candidate.origin == "lockfile":
            return Facts(self._locked[candidate.name].depends, lenient=True)
        if candidate.origin == "url":
            return self._at[str(candidate.place)]
        self._tell(Event("progress", f"what {candidate.name} {candidate.version} requires"))
        try:
            if candidate.file is not None and candidate.place is None:
                data = await read_site_wheel(candidate.file, self._credentials)
                return facts_of(metadata_of(data, candidate.file.filename))
            return facts_of(await self._metadata(served_file(candidate)))
        except ResolutionError:
            raise
        except (OSError, ValueError) as error:
            if self._failover.faults.fatal is not None:
                raise
            return Facts(fault=f"cannot be read: {printable(str(error))}")

    async def _metadata(self, served: ServedFile) -> bytes:
        """The core metadata of a wheel that may never be installed."""
        file, failover = served.file, self._failover
        chosen = failover.choices.metadata_of(served.project, file)
        if chosen is not None:
            return chosen
        if file.metadata is not None:
            mirror, place = served.ranked.mirror, metadata_url(file)
            metadata, fault = await failover.client.metadata(mirror, file, place)
            if not fault:
                return metadata
        if file.size is not None and file.size > SMALL_WHEEL:
            try:
                found = await self._by_parts(served)
            except ResolutionError:
                raise
            except ValueError:  # the host sends no parts, or something else
                pass
            else:
                failover.choices.unverified[file.url] = found
                return found
        return metadata_of(await self._whole(served), file.filename)

    async def _by_parts(self, served: ServedFile) -> bytes:
        mirror, file = served.ranked.mirror, served.file

        async def read(wheel: io.BytesIO) -> bytes:
            return metadata_of(wheel, file.filename)

        async def part(wanted: str) -> tuple[int, int, bytes]:
            found = await self._failover.client.part_of(mirror, file, wanted)
            self._count(len(found[2]))
            return found

        return await metadata_by_parts(file.size, part, read)

    async def _whole(self, served: ServedFile) -> bytes:
        """A wheel; what is not chosen was read for nothing, and a page has little memory."""
        self._count(served.file.size or 0)
        data = (await self._failover.delivery(served)).data
        self._count(0 if served.file.size else len(data))
        return data

    def _count(self, size: int) -> None:
        self._read += size
        if self._read > _MOST_BYTES:
            raise given_up(f"{_MOST_BYTES:,} bytes of wheels, whose index has no metadata files")

    def _of_lockfile(self, name: str) -> list[Candidate]:
        package: LockedPackage | None = self._locked.get(name)
        if package is None:
            return []
        try:
            version = _packaging.version.Version(package.version)
        except _packaging.version.InvalidVersion:
            return []
        return [Candidate(name, version, "lockfile")]

    def _of_installed(self, name: str) -> list[Candidate]:
        item = self._known.get(name)
        if item is None:
            return []
        try:
            version = _packaging.version.Version(item.version)
        except _packaging.version.InvalidVersion:
            return []
        return [Candidate(name, version, "installed")]

    def _facts_of_installed(self, name: str) -> Facts:
        found = Found.of(Distribution.at(self._known[name].folder))
        extras = frozenset(map(normalize, found.values("provides-extra")))
        lines = [line for line in found.values("requires-dist") if not self._is_broken(line)]
        return Facts(lines, "", extras, found.lenient)

    def _is_broken(self, line: str) -> bool:
        """Whether what is installed has not met this requirement of another before."""
        requirement = applicable(line, ("",))
        item = requirement and self._known.get(normalize(requirement.name))
        if not (item and requirement and requirement.specifier):
            return False
        with suppress(ValueError):
            return not requirement.specifier.contains(item.version, prereleases=True)
        return True


async def read_site_wheel(file: File, credentials: str | None) -> bytes:
    """A wheel that a JupyterLite site has itself; OSError if it is not what the site lists."""
    data = await read_wheel(file.url, credentials)
    if sha256(data).hexdigest() != file.sha256:
        raise OSError(f"{file.filename} does not have the SHA-256 that the site lists")
    return data


def served_file(candidate: Candidate) -> ServedFile:
    """What micropip gets of a candidate that an index lists."""
    file, ranked = candidate.file, candidate.place
    if file is None:
        raise TypeError(f"{candidate} is of no index")
    return ServedFile(file, candidate.name, ranked)  # type: ignore[arg-type]  # see `listed`


def _left_out(page: ProjectPage, usable: Collection[Version]) -> list[str]:
    """Why versions on a page cannot be installed here, the newest first; but for those usable."""
    found: dict[Version, str] = {}
    for file in page.files:
        wheel = file.filename.endswith(".whl")
        with suppress(ValueError):  # what is no file of a Python project, or has no version
            parse = "parse_wheel_filename" if wheel else "parse_sdist_filename"
            version = getattr(_packaging.utils, parse)(file.filename)[1]
            if version not in usable:
                suits = not wheel or suits_this_python(file.requires_python)
                why = (
                    "has no wheel for Pyodide"
                    if suits
                    else f"requires Python {file.requires_python}"
                )
                found.setdefault(version, f"{version} {why}")
    return [found[version] for version in sorted(found, reverse=True)]
