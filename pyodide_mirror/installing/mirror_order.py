"""The mirrors of an install in order, and which of them may answer for a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pyodide_mirror.model import Mirror, Reason
    from pyodide_mirror.transport import Transport

NOWHERE: Final = "https://no-mirror.invalid/simple"
"""What micropip is told where there is no mirror to name (RFC 2606: no such host exists); files
of a lock file that names no place for them are below it."""


class RankedMirror(NamedTuple):
    """A mirror in its place, with what the probe found to be repaired."""

    mirror: Mirror
    repairs: tuple[Reason, ...] = ()


class MirrorOrder(NamedTuple):
    """The mirrors, best first, and how they are asked.

    ``timeout``: seconds for one page, for the first byte of a file, and between two of its bytes.
    """

    ranked: tuple[RankedMirror, ...]
    transport: Transport
    timeout: float

    @property
    def index_url(self) -> str:
        """The index URL that micropip knows: that of the first mirror."""
        return self.ranked[0].mirror.index_url if self.ranked else NOWHERE

    def plain_urls(self) -> list[str]:
        """Index URLs for a micropip whose requests we cannot serve.

        It asks the next one after any failure; so beside a private index there must be no other.
        """
        mirrors = [one.mirror for one in self.ranked]
        exclusive = [mirror for mirror in mirrors if mirror.is_exclusive]
        return [mirror.index_url for mirror in exclusive or mirrors]

    def mirrors_for(self, project: str) -> list[RankedMirror]:
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
