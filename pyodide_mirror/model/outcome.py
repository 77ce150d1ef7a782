"""The verdict on a mirror, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .mirror import Mirror
    from .reason import Reason, Support


class Finding(NamedTuple):
    """One thing that was seen of a mirror: the reason, and the fact in a clause.

    ``hint``: what to do about it, where the reason's own advice does not fit.
    """

    reason: Reason
    detail: str
    hint: str = ""


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
        """All that is repaired, or the reason, as it is shown."""
        return " + ".join(self.repairs or (self.reason,))
