"""Configurations: what is asked for, what is in force, and what is put off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror import installing, model, probing, reporting
from pyodide_mirror.model import Reason

if TYPE_CHECKING:
    from pyodide_mirror._micropip import Prefer
    from pyodide_mirror.installing import MirrorOrder, RankedMirror
    from pyodide_mirror.model import CDN, Mirror, Outcome, ProjectPage
    from pyodide_mirror.probing import Canary, Check, Result
    from pyodide_mirror.reporting import Report
    from pyodide_mirror.transport import Progress, Transport

    from .arguments import Mirrors

OnConfigured = Callable[["Report"], None] | None

_DOUBTFUL: Final = frozenset(
    {
        Reason.TIMEOUT,
        Reason.UNREACHABLE,
        Reason.HTTP_STATUS,
        Reason.NOT_AN_INDEX,
        Reason.FILES_BLOCKED,
    }
)
"""Verdicts whose cause may pass, or lie in the canary."""
_WITHOUT_PROJECT: Final = frozenset({Reason.HTTP_STATUS, Reason.NOT_AN_INDEX})


class PackageSettings(NamedTuple):
    """How packages of Pyodide's lock file are loaded.

    ``cdns``: None for those of the environment or of the table. ``remember``: put a CDN that worked
    before the others the next time.
    """

    cdns: tuple[CDN, ...] | None = None
    remember: bool = True


_USUAL: Final = PackageSettings()


class ProbeSettings(NamedTuple):
    """Which mirrors are to be probed, with which canary, and how long each request may take.

    ``packages`` are not probed before one is needed.
    """

    mirrors: Mirrors
    canary: str
    timeout: float
    packages: PackageSettings = _USUAL

    def is_same(self, other: ProbeSettings) -> bool:
        """Whether the other's verdicts on mirrors hold here, whatever the time-out is."""
        return (self.mirrors, self.canary) == (other.mirrors, other.canary)

    def check(
        self, transport: Transport, canary: Canary | None = None, *, thorough: bool = False
    ) -> Check[Mirror, Outcome]:
        """The check of one mirror; ``canary`` may be another one than that of the settings.

        Mirrors that race are not asked for more than it takes to choose one of them, so they are
        not checked thoroughly.
        """
        project = canary or probing.Canary(project=self.canary)

        def check(mirror: Mirror, progress: Progress) -> Awaitable[Outcome]:
            return probing.probe_mirror(
                mirror,
                transport,
                canary=project,
                timeout=self.timeout,
                named=self.mirrors.named,
                thorough=thorough,
                progress=progress,
            )

        return check


class Configuration(NamedTuple):
    """A configuration that was made: the report on its mirrors, and their order."""

    settings: ProbeSettings
    prefer: Prefer
    report: Report
    order: MirrorOrder

    @property
    def mirror(self) -> Mirror:
        """The mirror in use."""
        return self.order.ranked[0].mirror

    def updated(self, settings: ProbeSettings, prefer: Prefer) -> Configuration:
        """The same mirrors, with another time-out and preference, and other CDNs."""
        order = self.order._replace(timeout=settings.timeout)
        return Configuration(settings, prefer, self.report, order)


class DeferredConfiguration(NamedTuple):
    """A configuration that is made when it is first needed.

    ``remember``: put a remembered mirror first, and remember the chosen one.
    """

    settings: ProbeSettings
    prefer: Prefer
    remember: bool = True
    on_configured: OnConfigured = None


def without_project(result: Result[Mirror, Outcome]) -> list[Mirror]:
    """The mirrors that answered a request for the project, but not with its page."""
    return [outcome.mirror for outcome in result.outcomes if outcome.reason in _WITHOUT_PROJECT]


def updated(
    result: Result[Mirror, Outcome], later: Result[Mirror, Outcome]
) -> Result[Mirror, Outcome]:
    """The result after a later race among some of the mirrors."""
    again = {outcome.mirror for outcome in later.outcomes} | set(later.pending)
    before = tuple(outcome for outcome in result.outcomes if outcome.mirror not in again)
    outcomes, pending = (*later.outcomes, *before), (*result.pending, *later.pending)
    return probing.Result(later.winner, outcomes, pending)


def report_of(result: Result[Mirror, Outcome], others: tuple[Mirror, ...] = ()) -> Report:
    """The report of a race or a probe; the winner stands first among the outcomes."""
    outcomes = probing.rank(result.outcomes)
    pending = (*result.pending, *others)
    best = result.winner or next((o for o in outcomes if probing.tier(o) < probing.UNUSABLE), None)
    if best is None:
        return reporting.Report(None, outcomes, pending)
    rest = tuple(outcome for outcome in outcomes if outcome is not best)
    return reporting.Report(best.mirror, (best, *rest), pending)


def recalled(mirror: Mirror, page: ProjectPage) -> Outcome:
    """The verdict on a mirror that worked the last time, after its first page of this time."""
    reason = page.repairs[0] if page.repairs else Reason.OK
    detail = "it worked last time, and its first page is correct now"
    return model.Outcome(
        mirror=mirror, reason=reason, repairs=page.repairs, detail=detail, hint=reason.advice
    )


def ranking(report: Report) -> tuple[RankedMirror, ...]:
    """All mirrors that may be of use, in order.

    The usable ones, the unknown ones, and last those whose trouble may pass or lie in the canary.
    """
    usable = [o for o in report.outcomes if probing.tier(o) < probing.UNUSABLE]
    doubtful = [o for o in report.outcomes if o.reason in _DOUBTFUL]
    return (
        *(installing.RankedMirror(outcome.mirror, outcome.repairs) for outcome in usable),
        *(installing.RankedMirror(mirror) for mirror in report.pending),
        *(installing.RankedMirror(outcome.mirror, outcome.repairs) for outcome in doubtful),
    )
