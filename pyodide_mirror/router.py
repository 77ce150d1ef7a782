"""The mirrors of a configuration, and which of them may answer for a project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .simple_api import normalize

if TYPE_CHECKING:
    from .errors import Reason
    from .model import Mirror
    from .transport import Transport

_PROJECT: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508


@dataclass(frozen=True, slots=True)
class Ranked:
    """A mirror in its place, with what the probe found to be repaired."""

    mirror: Mirror
    repairs: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Router:
    """The mirrors, best first, and how they are asked.

    ``timeout``: seconds for one page, for the first byte of a file, and between two of its bytes.
    """

    ranked: tuple[Ranked, ...]
    transport: Transport
    timeout: float

    @property
    def mirror(self) -> Mirror:
        """The mirror whose index URL micropip knows."""
        return self.ranked[0].mirror

    def plain_urls(self) -> list[str]:
        """Index URLs for a micropip that we cannot stand behind.

        It asks the next one after any failure; so beside a private index there must be no other.
        """
        mirrors = [one.mirror for one in self.ranked]
        exclusive = [mirror for mirror in mirrors if mirror.is_exclusive]
        return [mirror.index_url for mirror in exclusive or mirrors]

    def candidates(self, project: str) -> list[Ranked]:
        """The mirrors that may answer for a project, in order.

        Those that name it are the only ones; else private ones come first, so that no public
        mirror is asked for what a private one has (dependency confusion).
        """
        named = [one for one in self.ranked if one.mirror.names(project)]
        general = [one for one in self.ranked if not one.mirror.projects]
        return named or sorted(general, key=lambda one: not one.mirror.private)

    def is_claimed(self, project: str) -> bool:
        """Whether some index names the project as its own."""
        return any(one.mirror.names(project) for one in self.ranked)

    def project_of(self, url: str) -> str | None:
        """The project whose page this URL is, or None if it is no page of ours."""
        start = f"{self.mirror.index_url}/"
        name = url.removeprefix(start).removesuffix("/")
        is_page = url.startswith(start) and url.endswith("/") and _PROJECT.fullmatch(name)
        return normalize(name) if is_page else None
