"""The CDNs in order: the one that worked last, those that a race finds, and the doubtful ones."""

from __future__ import annotations

import asyncio
import functools
import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pyodide_mirror.model import CDN, CDNOutcome, Reason
from pyodide_mirror.probing import run_race
from pyodide_mirror.reporting import Event
from pyodide_mirror.transport import OnceMap

from .check import LockedFile, probe_cdn

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pyodide_mirror.storage import ChoiceStore
    from pyodide_mirror.transport import Progress, Transport

CDN_VARIABLE: Final = "PYODIDE_MIRROR_CDNS"
_DOUBTFUL: Final = frozenset({Reason.INCOMPLETE, Reason.HTTP_STATUS, Reason.HASH_MISMATCH})
"""Verdicts of CDNs that answer, and may have another file than the one that was asked for."""


def default_cdns() -> tuple[tuple[CDN, ...], bool]:
    """The CDNs of the environment, else those of the table; and whether they are named."""
    urls = re.split(r"[\s,]+", os.environ.get(CDN_VARIABLE, ""))
    found = tuple(dict.fromkeys(CDN.from_untrusted(url) for url in urls if url))
    if found:
        return found, True
    from pyodide_mirror.cdns import CDNS

    return CDNS, False


MAX_AT_ONCE: Final = 5
"""Packages that are read at the same time.

Browsers open six connections to a host without HTTP/2. What waits for one seems to hang; and one is
left for who tests a CDN.
"""


class Places:
    """The CDNs in order, and what is known of each.

    ``urls`` gives the URL of a file at a CDN. ``named``: those whose addresses the user, or the
    page, gave. ``own``: the one that Pyodide itself came from. ``trusted``: one that is used
    without a probe, before the others.
    """

    def __init__(
        self,
        cdns: tuple[CDN, ...],
        urls: Callable[[CDN, str], str],
        named: Collection[CDN],
        own: CDN | None = None,
        *,
        trusted: CDN | None = None,
    ) -> None:
        self.cdns = cdns
        self.urls = urls
        self.trusted = trusted
        self.remembered: CDN | None = None
        self.outcomes: dict[CDN, CDNOutcome] = {}
        self.readers = 0
        self.slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._named = named
        self._own = own
        self._races = OnceMap[str, None]()
        self._recalled = False

    async def recall(self, store: ChoiceStore) -> None:
        """Trust the CDN that worked the last time, if it is one of these."""
        if self._recalled:
            return
        self._recalled = True
        choice = await store.load()
        if choice is not None and choice.is_fresh(datetime.now(UTC)):
            known = [cdn for cdn in self.cdns if cdn.base_url == choice.index_url]
            self.remembered = next((cdn for cdn in known if not cdn.problem), None)
            self.trusted = self.remembered or self.trusted

    def known(self) -> tuple[CDNOutcome, ...]:
        """What is known of the CDNs, the usable ones first."""
        return tuple(sorted(self.outcomes.values(), key=lambda each: each.reason is not Reason.OK))

    def is_named(self, cdn: CDN) -> bool:
        """Whether the user, or the page, gave its address."""
        return cdn in self._named

    def is_own(self, cdn: CDN) -> bool:
        """Whether Pyodide itself came from there."""
        return cdn == self._own

    def is_good(self, cdn: CDN) -> bool:
        """Whether it was tested, and can be used."""
        return cdn in self.outcomes and self.outcomes[cdn].reason is Reason.OK

    def forget_failures(self) -> None:
        """Ask those that have failed once more the next time: the network may be another."""
        self.outcomes = {
            cdn: each for cdn, each in self.outcomes.items() if each.reason is Reason.OK
        }

    async def next(
        self,
        tried: Collection[CDN],
        canary: LockedFile,
        transport: Transport,
        timeout: float,
        tell: Callable[[Event], None],
    ) -> CDN | None:
        """The next CDN to ask for a file, after those that were tried; None when all were."""
        if self.trusted is not None and self.trusted not in tried:
            return self.trusted
        while self._usable(tried) is None and (unknown := self._unknown(tried)):
            race = functools.partial(self._race, unknown, canary, transport, timeout, tell)
            await self._races.get("", race)  # what is wanted at the same time shares one race
        doubtful = (
            cdn for cdn in self.cdns if cdn not in tried and self.outcomes[cdn].reason in _DOUBTFUL
        )
        return self._usable(tried) or next(doubtful, None)

    def stop(self) -> None:
        """End what still runs."""
        self._races.stop()

    def _usable(self, tried: Collection[CDN]) -> CDN | None:
        found = [each.cdn for each in self.known() if each.reason is Reason.OK]
        return next((cdn for cdn in found if cdn not in tried), None)

    def _unknown(self, tried: Collection[CDN]) -> list[CDN]:
        return [cdn for cdn in self.cdns if cdn not in tried and cdn not in self.outcomes]

    async def _race(
        self,
        cdns: list[CDN],
        canary: LockedFile,
        transport: Transport,
        timeout: float,
        tell: Callable[[Event], None],
    ) -> None:
        async def check(cdn: CDN, progress: Progress) -> CDNOutcome:
            return await probe_cdn(
                cdn,
                self.urls(cdn, canary.file_name),
                canary,
                transport,
                core_url=self.urls(cdn, "pyodide.mjs"),
                timeout=timeout,
                named=cdn in self._named,
                progress=progress,
            )

        def watch(outcome: CDNOutcome) -> None:
            text = f"{outcome.cdn.name}: {outcome.verdict} ({outcome.detail})"
            tell(Event("outcome", text, outcome.cdn.base_url))

        result = await run_race(cdns, check, watch)
        self.outcomes.update((outcome.cdn, outcome) for outcome in result.outcomes)
        if result.winner is not None:
            name, url = result.winner.cdn.name, result.winner.cdn.base_url
            tell(Event("chosen", f"loads Pyodide's packages from {name}", url))
