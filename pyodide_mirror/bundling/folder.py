"""The folder that ``pyodide-mirror bundle`` writes."""

from __future__ import annotations

import asyncio
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror.loader import (
    LOCK,
    MODULE,
    LoaderError,
    LocalFolder,
    core_files,
    write_loader,
)
from pyodide_mirror.own_wheels import NOT_INSTALLED, page_wheels
from pyodide_mirror.rebuilt import rebuilt_wheel

from .errors import BundlingError
from .fetching import Fetcher
from .hosting import hosting_files
from .locked import PYLOCK, LockFile, written_lock
from .locker import lock_requirements
from .node import npm_pyodide
from .pins import FILES, PYODIDE, Pin
from .release import ALWAYS, read_release
from .simple import SIMPLE, Listed, index_files, listed
from .start_page import ENTRY, start_files
from .sums import SUMS, digest_of, read_sums, written_sums

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pyodide_mirror.loader import Source
    from pyodide_mirror.model import Mirror
    from pyodide_mirror.server import Disk

    from .release import Release
    from .requirement_files import Requested

_ENTRIES: Final = (f"{PYODIDE}/{LOCK}", PYLOCK, f"{PYODIDE}/{MODULE}", ENTRY, SUMS)
"""What is put in place last, in this order: it names all the rest."""


class WrittenBundle(NamedTuple):
    """What was written: the version of Pyodide, the packages by name, and which of them are new."""

    pyodide: str
    packages: dict[str, str]
    added: tuple[str, ...]
    size: int


class BundleSettings(NamedTuple):
    """How to write a bundle.

    ``pyodide``: the version; "" for the bundle's own, the lock file's, or the newest. ``sources``:
    CDNs, and folders with a release, in order. ``cache``: of files, by digest. ``mirrors``: asked
    for files that are not where the lock file says; ``named``: those of them that may be asked for
    private packages, and that requirements are resolved with. ``pyodide_lock``: a lock file of
    Pyodide's kind in place of the release's. ``public_url``: where the bundle will be. ``timeout``:
    seconds until the first byte of an answer, and from each byte to the next. ``force``: also write
    into a folder that holds other things. ``tell`` is called with lines for people.
    """

    pyodide: str
    sources: Sequence[Source]
    cache: Disk
    mirrors: Sequence[Mirror] = ()
    named: Sequence[Mirror] = ()
    pyodide_lock: Path | None = None
    public_url: str = ""
    timeout: float = 15.0
    force: bool = False
    tell: Callable[[str], None] = lambda _: None


def write_bundle(
    folder: str | Path,
    locks: Sequence[LockFile],
    settings: BundleSettings,
    wanted: Requested | None = None,
) -> WrittenBundle:
    """Write a bundle of what lock files have, or add it to a bundle that is there.

    ``wanted``: requirements, which are resolved by Pyodide, so that they fit to the rest.

    Each file is whole at any time, the old one or the new one, and those that name others are the
    last. Raises :class:`BundlingError`, ValueError for an unknown version of Pyodide, and OSError
    where the system does.
    """
    writing = _Writing(Path(folder), locks, settings)
    if wanted is not None:
        writing.resolve(wanted)
    return writing.run()


class _Writing:
    """One run of the command."""

    def __init__(self, target: Path, locks: Sequence[LockFile], settings: BundleSettings) -> None:
        self._target = target
        self._settings = settings
        self._before = _bundle_at(target, force=settings.force)
        self._locks = [*([self._before] if self._before else []), *locks]
        self._version = self._chosen_version()
        core_files(self._version)
        told = self._before.told if self._before else {}
        self._public_url = settings.public_url or str(told.get("public-url", ""))
        self._fetcher = Fetcher(
            settings.cache, settings.mirrors, settings.named, settings.timeout, settings.tell
        )

    def resolve(self, wanted: Requested) -> None:
        """Add a lock file of what these requirements install beside what there is."""
        settings = self._settings
        there = {pin for lock in self._locks for pin in lock.constraints}
        work = lock_requirements(
            wanted.requirements,
            constraints=[*wanted.constraints, *sorted(there)],
            pyodide=self._version,
            mirrors=settings.named or wanted.mirrors,
            cdns=settings.sources,
            cache=self._pyodide_cache,
            tell=settings.tell,
            hashes=wanted.hashes,
            pre=wanted.pre,
            timeout=settings.timeout,
            pyodide_lock=settings.pyodide_lock,
        )
        self._locks.append(LockFile(asyncio.run(work), Path("what was resolved")))

    def run(self) -> WrittenBundle:
        parent = self._target.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{self._target.name}.", dir=parent) as scratch:
            new, stage = Path(scratch, "new"), Path(scratch, "stage")
            for each in (new / FILES, stage):
                each.mkdir(parents=True)
            release, found, pins = asyncio.run(self._fetch(new, stage))
            self._write_pyodide(new, stage, release, pins)
            sizes = self._write_rest(new, release, found, pins)
            before = self._before.pins(release) if self._before else {}
            new.chmod(0o755)
            self._put_in_place(new)
        packages = {pin.name: pin.version for pin in found.values()}
        added = tuple(sorted(packages.keys() - before.keys()))
        return WrittenBundle(self._version, packages, added, sum(sizes.values()))

    def _chosen_version(self) -> str:
        from pyodide_mirror.runtime import NEWEST_PYODIDE

        there = self._before.pyodide if self._before else ""
        wanted = self._settings.pyodide
        if there and wanted not in {"", there}:
            raise BundlingError(
                f"{self._target} has Pyodide {there}: a bundle has one version; write another"
                " folder"
            )
        said = next((lock.pyodide for lock in self._locks if lock.pyodide), "")
        return wanted or said or NEWEST_PYODIDE

    @property
    def _pyodide_cache(self) -> Path:
        return self._settings.cache.folder / PYODIDE

    async def _fetch(self, new: Path, stage: Path) -> tuple[Release, dict[str, Pin], list[Pin]]:
        """Put all files where they belong: those for the loader on its stage."""
        settings = self._settings
        cache, sources = self._pyodide_cache, settings.sources
        core = await npm_pyodide(self._version, cache, sources, settings.timeout)
        for path in core.iterdir():
            (stage / path.name).symlink_to(path.resolve())
        lock = settings.pyodide_lock or core / LOCK
        release = read_release(self._version, lock)
        found, pins = self._merged(release)
        wanted = []
        for pin in pins:
            folder = stage if pin.locked else new / FILES
            near = [place for place in _places_of(found, pin) if isinstance(place, Path)]
            here = [self._target / pin.path] if self._before else []
            places = tuple(dict.fromkeys([*here, *near, *pin.file.places]))
            wanted.append((pin.file._replace(places=places), folder / pin.file.filename))
        await self._fetcher.fetch_all(wanted)
        return release, found, pins

    def _merged(self, release: Release) -> tuple[dict[str, Pin], list[Pin]]:
        """What the lock files have, by name, and all that the bundle is to have.

        BundlingError where lock files do not agree.
        """
        found: dict[str, Pin] = {}
        for lock in self._locks:
            for name, pin in lock.pins(release).items():
                other = found.setdefault(name, pin)
                if (other.file.filename, other.file.sha256) != (pin.file.filename, pin.file.sha256):
                    raise BundlingError(
                        f"{name}: {lock.path} has {pin.file.filename}, and there is"
                        f" {other.file.filename} already, or one with another SHA-256: a bundle has"
                        " one version of each package; write another folder"
                    )
        always = [name for name in ALWAYS if name in release.packages]
        locked = [name for name, pin in found.items() if pin.locked]
        pins = release.pins({*always, *locked}, self._settings.sources)
        others = [pin for pin in found.values() if not pin.locked]
        return found, sorted([*pins, *others], key=lambda pin: (pin.name, pin.locked))

    def _write_pyodide(self, new: Path, stage: Path, release: Release, pins: Sequence[Pin]) -> None:
        locked = [pin for pin in pins if pin.locked]
        lock = stage / "cut.json"
        lock.write_bytes(release.cut(locked))
        try:
            write_loader(
                new / PYODIDE,
                self._version,
                [LocalFolder(stage)],
                index=f"../{SIMPLE}/{{package_name}}/index.json",
                lock=lock,
            )
            for name, content in page_wheels().items():
                (new / PYODIDE / name).write_bytes(content)
        except LoaderError as error:
            raise BundlingError(str(error)) from None
        except PackageNotFoundError:
            raise BundlingError(NOT_INSTALLED) from None

    def _write_rest(
        self, new: Path, release: Release, found: Mapping[str, Pin], pins: Sequence[Pin]
    ) -> dict[str, int]:
        """Write what is made of the packages; returns the sizes of all files by path."""
        projects: dict[str, list[Listed]] = {}
        for pin in pins:
            if pin.file.filename.endswith(".whl"):
                content = (new / pin.path).read_bytes()
                wheels = projects.setdefault(pin.name, [])
                wheels.append(listed(pin.path, pin.version, content))
        projects |= self._own_projects(new, projects)
        sizes = {pin.path: (new / pin.path).stat().st_size for pin in pins}
        pyodide = {
            path.name: path.read_bytes()
            for path in (new / PYODIDE).iterdir()
            if path.suffix in {".js", ".mjs", ".json"}
        }
        contents = {
            **index_files(projects, self._public_url),
            **hosting_files(self._public_url),
            **start_files(pins, release, pyodide),
            PYLOCK: written_lock(found, sizes, release, self._public_url),
        }
        for path, content in contents.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(content)
        there = {path.relative_to(new).as_posix(): path for path in _files_of(new)}
        digests = {name: digest_of(path) for name, path in there.items()}
        (new / SUMS).write_bytes(written_sums(digests))
        return {name: path.stat().st_size for name, path in there.items()}

    def _own_projects(self, new: Path, there: Collection[str]) -> dict[str, list[Listed]]:
        """Our own wheels, and the resolver that pages want where versions conflict."""
        own = version("pyodide-mirror")
        found = {
            "pyodide-mirror": [
                listed(f"{PYODIDE}/{name}", own, content) for name, content in page_wheels().items()
            ]
        }
        if "resolvelib" not in there:
            name, content = rebuilt_wheel("resolvelib")
            (new / FILES / name).write_bytes(content)
            found["resolvelib"] = [listed(f"{FILES}/{name}", version("resolvelib"), content)]
        return found

    def _put_in_place(self, new: Path) -> None:
        """Move the new files, those that name others last; then remove what is of no more use."""
        stale = set(read_sums(self._target)) if (self._target / SUMS).is_file() else set()
        if not self._target.exists():
            new.rename(self._target)
            return
        paths = [path.relative_to(new).as_posix() for path in _files_of(new)]
        order = {path: place for place, path in enumerate(_ENTRIES)}
        for path in sorted(paths, key=lambda each: (order.get(each, -1), _rank(each), each)):
            place = self._target / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if not (place.is_file() and digest_of(place) == digest_of(new / path)):
                (new / path).replace(place)
        there = {path.relative_to(self._target).as_posix() for path in _files_of(self._target)}
        for path in (stale & there) - set(paths):
            (self._target / path).unlink()


def _places_of(found: Mapping[str, Pin], pin: Pin) -> tuple[str | Path, ...]:
    return found[pin.name].file.places if pin.name in found else ()


def _rank(path: str) -> int:
    """Pages come after the files that they name."""
    return 1 if path.startswith(f"{SIMPLE}/") else 0


def _files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _bundle_at(target: Path, *, force: bool) -> LockFile | None:
    """The lock file of a bundle that is there; BundlingError for a folder with other things."""
    if target.exists() and not target.is_dir():
        raise BundlingError(f"{target} is a file; give the folder to write another name")
    lock = target / PYLOCK
    if lock.is_file() and (target / SUMS).is_file():
        found = LockFile(lock.read_text("utf-8"), lock)
        if "bundle" in found.told:
            return found
    if target.is_dir() and any(target.iterdir()) and not force:
        raise BundlingError(
            f"{target} is not empty, and was not written by this command; choose another folder,"
            " or add --force to write into it anyway"
        )
    return None
