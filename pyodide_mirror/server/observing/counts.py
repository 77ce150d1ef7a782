"""What happens in the server, told to whoever counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .handled import Handled


class Counts:
    """Forgets what it is told; metrics remember it. Its methods are called from threads, too."""

    def begun(self) -> None:
        """A request has come."""

    def answered(self, handled: Handled) -> None:
        """A request has been answered."""

    def looked_up(self, kind: str, *, hit: bool) -> None:
        """A ``page`` or ``file`` was looked up in the cache."""

    def evicted(self, size: int) -> None:
        """A file of so many bytes was removed from the cache, to make room."""

    def asked_upstream(self, host: str, kind: str, result: str, seconds: float) -> None:
        """A request for a ``page`` or ``file`` to the upstream of this name has ended."""


FORGETS = Counts()
"""What those tell that nobody counts."""
