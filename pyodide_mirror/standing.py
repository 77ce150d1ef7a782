"""Configurations: the question, the answer in force, and the one that is still to be made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Reason
from .model import Outcome
from .probing import probe_mirror
from .report import Report
from .router import Ranked
from .verdict import UNUSABLE, rank, tier

if TYPE_CHECKING:
    from ._micropip import Prefer
    from .arguments import Mirrors
    from .model import Mirror, ProjectPage
    from .probing import Harvest
    from .race import Check, Result
    from .router import Router
    from .transport import Progress, Transport

OnConfigured = Callable[[Report], None] | None

_DOUBTFUL = frozenset(
    {
        Reason.TIMEOUT,
        Reason.UNREACHABLE,
        Reason.HTTP_STATUS,
        Reason.NOT_AN_INDEX,
        Reason.FILES_BLOCKED,
    }
)
_WITHOUT_PROJECT = frozenset({Reason.HTTP_STATUS, Reason.NOT_AN_INDEX})


@dataclass(frozen=True, slots=True)
class Question:
    """What a configuration answers: which of these mirrors works, judged by this canary."""

    mirrors: Mirrors
    canary: str
    timeout: float

    def is_same(self, other: Question) -> bool:
        """Whether the other's answer serves here; the time-out does not matter for that."""
        return (self.mirrors, self.canary) == (other.mirrors, other.canary)

    def check(
        self, transport: Transport, harvest: Harvest | None = None, *, thorough: bool = False
    ) -> Check:
        """How a mirror is looked at; a harvest is another canary.

        Those that race are not to be asked for more than it takes to choose one of them.
        """

        def check(mirror: Mirror, progress: Progress) -> Awaitable[Outcome]:
            return probe_mirror(
                mirror,
                transport,
                canary=harvest or self.canary,
                timeout=self.timeout,
                named=self.mirrors.named,
                thorough=thorough,
                progress=progress,
            )

        return check


@dataclass(frozen=True, slots=True)
class Standing:
    """The configuration in force."""

    question: Question
    prefer: Prefer
    report: Report
    router: Router

    @property
    def mirror(self) -> Mirror:
        """The mirror in use."""
        return self.router.mirror


@dataclass(frozen=True, slots=True)
class Later:
    """A configuration that is to be made when it is first needed."""

    question: Question
    prefer: Prefer
    on_configured: OnConfigured = None


def without_project(result: Result) -> list[Mirror]:
    """The mirrors that answered a request for the project, but not with its page."""
    return [outcome.mirror for outcome in result.outcomes if outcome.reason in _WITHOUT_PROJECT]


def report_of(result: Result, others: tuple[Mirror, ...] = ()) -> Report:
    """The report of a race or a probe; the winner stands first among the outcomes."""
    outcomes = rank(result.outcomes)
    pending = (*result.pending, *others)
    best = result.winner or next((o for o in outcomes if tier(o) < UNUSABLE), None)
    if best is None:
        return Report(None, outcomes, pending)
    rest = tuple(outcome for outcome in outcomes if outcome is not best)
    return Report(best.mirror, (best, *rest), pending)


def recalled(mirror: Mirror, page: ProjectPage) -> Outcome:
    """The verdict on a mirror that worked the last time, after its first page of this time."""
    reason = page.repairs[0] if page.repairs else Reason.OK
    detail = "it worked the last time, and its first page of this time is right"
    return Outcome(
        mirror=mirror, reason=reason, repairs=page.repairs, detail=detail, hint=reason.advice
    )


def ranking(report: Report) -> tuple[Ranked, ...]:
    """All mirrors that may be of use, in order.

    The usable ones, the unknown ones, and last those whose trouble may pass or lie in the canary.
    """
    usable = [o for o in report.outcomes if tier(o) < UNUSABLE]
    doubtful = [o for o in report.outcomes if o.reason in _DOUBTFUL]
    return (
        *(Ranked(outcome.mirror, outcome.repairs) for outcome in usable),
        *(Ranked(mirror) for mirror in report.pending),
        *(Ranked(outcome.mirror, outcome.repairs) for outcome in doubtful),
    )
