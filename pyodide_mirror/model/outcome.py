"""What was found out about a mirror."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mirror import Mirror
    from .reason import Reason, Support


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen of a mirror: the reason it bears on, and the fact in a clause."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict on a mirror.

    ``reason``: the one that decides. ``repairs``: all that is repaired when it is used.
    ``elapsed_ms``: milliseconds from the first request to the verdict. ``detail``: what was seen.
    ``hint``: what to do about it.
    """

    __module__ = "pyodide_mirror"  # where users find it

    mirror: Mirror
    reason: Reason
    repairs: tuple[Reason, ...] = ()
    elapsed_ms: float = 0.0
    detail: str = ""
    hint: str = ""

    @property
    def support(self) -> Support:
        """How far the mirror can be used."""
        return self.reason.support

    @property
    def verdict(self) -> str:
        """The verdict as it is shown: all that is repaired, or the reason."""
        return " + ".join(self.repairs or (self.reason,))
