"""What is required, what may meet it, and what is known of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pyodide_mirror import _packaging
from pyodide_mirror.index import metadata_fields
from pyodide_mirror.model import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from pyodide_mirror.model import File

Origin = Literal["installed", "lockfile", "index", "url"]
"""Where a candidate is, or would come from."""


class Need:
    """A requirement of a project, or of one extra of it (resolvelib's requirement).

    ``url``: a wheel that it must be. ``exact``: the candidate that it must be, as an extra requires
    its own project. ``impossible``: why nothing can meet it.
    """

    def __init__(
        self,
        name: str,
        specifier: SpecifierSet,
        *,
        extra: str = "",
        url: str = "",
        exact: Candidate | None = None,
        impossible: str = "",
    ) -> None:
        self.name = name
        self.specifier = specifier
        self.extra = extra
        self.url = url
        self.exact = exact
        self.impossible = impossible
        self.key = f"{name}[{extra}]" if extra else name

    def __str__(self) -> str:
        return f"{self.key} @ {self.url}" if self.url else f"{self.key}{self.specifier}"


class Candidate:
    """A version of a project that is installed, or could be (resolvelib's candidate).

    ``place``: what its source needs to find it again. ``yanked``: see PEP 592. With an ``extra`` it
    stands for what that requires besides, and ``base`` is the one without.
    """

    def __init__(
        self,
        name: str,
        version: Version,
        origin: Origin,
        *,
        file: File | None = None,
        place: object = None,
    ) -> None:
        self.name = self.key = name
        self.version = version
        self.origin = origin
        self.file = file
        self.place = place
        self.yanked = file is not None and bool(file.yanked)
        self.extra = ""
        self.base = self

    def with_extra(self, extra: str) -> Candidate:
        """The one that stands for an extra of it."""
        other = Candidate(self.name, self.version, self.origin)
        other.yanked = self.yanked
        other.extra, other.base, other.key = extra, self, f"{self.name}[{extra}]"
        return other

    def __str__(self) -> str:
        return f"{self.key} {self.version}"


class Facts(NamedTuple):
    """What core metadata say of a candidate; ``fault``: why it cannot be installed.

    ``requires``: the lines, with their markers. ``lenient``: they name projects, whose versions are
    not to be relied on, as those of Pyodide's own builds.
    """

    requires: Sequence[str] = ()
    requires_python: str = ""
    extras: frozenset[str] = frozenset()
    lenient: bool = False
    fault: str = ""


def facts_of(metadata: bytes, *, lenient: bool = False) -> Facts:
    """What these core metadata say."""
    fields = metadata_fields(metadata)
    return Facts(
        [value for name, value in fields if name == "requires-dist"],
        next((value for name, value in fields if name == "requires-python"), ""),
        frozenset(normalize(value) for name, value in fields if name == "provides-extra"),
        lenient,
    )


def needs_of(requirement: Requirement, *, lenient: bool = False) -> list[Need]:
    """What a requirement means: a need of the project, and one for each extra.

    ``lenient``: any version will do.
    """
    anything = _packaging.specifiers.SpecifierSet()
    specifier = anything if lenient else requirement.specifier
    url = requirement.url or ""
    name = normalize(requirement.name)
    extras = sorted(set(map(normalize, requirement.extras)))
    return [Need(name, specifier, extra=extra, url=url) for extra in ("", *extras)]


class Source(Protocol):
    """Where candidates come from. What is the same is the same object each time."""

    def local(self, name: str) -> tuple[list[Candidate], bool]:
        """The candidates for which no index is asked, and whether none may be.

        They are preferred to all others, the first of them most.
        """
        ...

    async def listed(self, name: str) -> tuple[list[Candidate], list[str]]:
        """The other candidates, the preferred first, and which versions are none, and why.

        Raises OSError or MirrorError where the install has to end.
        """
        ...

    async def at(self, name: str, url: str) -> Candidate | None:
        """The wheel at a URL; None if it is another project's, or cannot be read."""
        ...

    async def facts(self, candidate: Candidate) -> Facts:
        """What is known of a candidate; what cannot be read is a fault of it."""
        ...
