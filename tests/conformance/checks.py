"""The one table of HTTP checks: what a browser's client, pip and uv need of a mirror.

    with upstream("html") as index, some_mirror_over(index.url) as url:
        for result in run(url, index, Capabilities(ours=True)):
            ...

The checks look from outside, over real sockets. Under pytest each is a test of its own:

    @pytest.mark.parametrize(("kind", "check"), cases(capabilities))
    def test_the_table_holds(kind: Kind, check: Check) -> None:
        check.run(Context(mirror_url, upstream, capabilities))

`python -m tests.conformance.checks` prints the table.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException

from tests.conformance.base import Capabilities, Check, Context
from tests.conformance.cors import CORS, PREFLIGHT
from tests.conformance.errors import ERRORS, HYGIENE
from tests.conformance.files import FILES
from tests.conformance.negotiation import CONDITIONAL, NEGOTIATION
from tests.conformance.pages import PAGES
from tests.conformance.streaming import STREAMING
from tests.conformance.wire import WIRE
from tests.support.upstreams import KINDS, Kind, Upstream

__all__ = [
    "CHECKS",
    "Capabilities",
    "Check",
    "Context",
    "Result",
    "applicable",
    "cases",
    "run",
]

_GROUPS = (
    *(PAGES, NEGOTIATION, CONDITIONAL, CORS, PREFLIGHT),
    *(FILES, STREAMING, ERRORS, HYGIENE, WIRE),
)
CHECKS: tuple[Check, ...] = tuple(check for group in _GROUPS for check in group)
"""The table."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one check went."""

    check: Check
    kind: Kind
    detail: str
    """What was wrong, or nothing."""
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.detail


def applicable(kind: Kind, can: Capabilities) -> tuple[Check, ...]:
    """Return the checks that apply to a mirror with these capabilities over that upstream."""
    return tuple(check for check in CHECKS if check.applies(kind, can))


def cases(can: Capabilities, kinds: Iterable[Kind] = KINDS) -> list[tuple[Kind, Check]]:
    """Return every pair of upstream and check that applies, for `pytest.mark.parametrize`."""
    return [(kind, check) for kind in kinds for check in applicable(kind, can)]


def case_id(value: object) -> str:
    """Name a case's parts for pytest."""
    return value.name.replace(" ", "-") if isinstance(value, Check) else str(value)


def run(mirror_url: str, upstream: Upstream, can: Capabilities, *, only: str = "") -> list[Result]:
    """Run every check that applies, and return how each went; a check never ends the others.

    `only` picks the checks in whose group or name it occurs.
    """
    context = Context(mirror_url, upstream, can)
    chosen = [
        check for check in applicable(upstream.kind, can) if only in f"{check.group}: {check.name}"
    ]
    return [_result(check, context) for check in chosen]


def _result(check: Check, context: Context) -> Result:
    started = time.monotonic()
    detail = ""
    try:
        check.run(context)
    except AssertionError as error:
        detail = str(error) or "it does not hold"
    except (HTTPException, OSError, LookupError, TypeError, ValueError) as error:
        # No answer, or one of another shape than anything that could hold.
        detail = f"{type(error).__name__}: {error}"
    return Result(check, context.upstream.kind, detail, time.monotonic() - started)


def main() -> None:
    """Print the table."""
    for check in CHECKS:
        needs = f" [{', '.join(check.needs)}]" if check.needs else ""
        kinds = ", ".join(kind for kind in KINDS if kind in check.on)
        print(f"{check.group}: {check.name}{needs}\n    {check.meaning}\n    over {kinds}")
    print(f"\n{len(CHECKS)} checks")


if __name__ == "__main__":
    main()
