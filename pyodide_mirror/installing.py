"""One install: as many tries as there are mirrors, complete or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _micropip
from .cache import NO_CACHE
from .closure import gaps
from .errors import IncompleteInstall
from .printing import printable
from .race import tell
from .report import Event
from .scout import Scout
from .supply import Supply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .cache import Cache
    from .closure import Gap
    from .delivery import Delivery
    from .model import Outcome
    from .probing import Harvest
    from .report import Installed, Report
    from .router import Router


class Installation:
    """Installs requirements through a delivery; nothing stays of one that fails.

    ``call`` is micropip's own install, ``options`` what it is called with besides the
    requirements.
    """

    def __init__(
        self,
        delivery: Delivery,
        call: Callable[..., Any],
        options: Mapping[str, Any],
        report: Report,
        events: Events,
    ) -> None:
        self.delivery = delivery
        self._call = call
        self._options = options
        self._report = report
        self._events = events
        self._tell = events.add
        self._known: Mapping[str, _micropip.Distribution] = {}

    async def run(self, requirements: list[str]) -> tuple[Installed, ...]:
        """Install, and say what was added. Raises what micropip raises, or a MirrorError."""
        before = self._known = _micropip.installed()
        token = _micropip.CURRENT.set(self.delivery)
        if self._options.get("deps", True):
            self._look_ahead(requirements)
        try:
            await self._install(requirements, lambda _: False)
            await self._complete(requirements)
        except BaseException as error:
            self.delivery.stop()
            self._undo(before)
            # micropip's own words name neither the mirrors nor what they said.
            for text in dict.fromkeys(self._events.problems()):
                error.add_note(printable(text))
            raise
        finally:
            _micropip.CURRENT.reset(token)
            self.delivery.stop()
        return _micropip.newly_installed(before, self.delivery.sources)

    def _look_ahead(self, requirements: list[str]) -> None:
        delivery, known = self.delivery, self._known
        # micropip asks its lock file first while its index URLs are its default ones.
        elsewhere = _micropip.elsewhere(lockfile=_micropip.has_default_index_urls())

        def is_there(name: str) -> bool:
            return name in known or (not delivery.router.is_claimed(name) and elsewhere(name))

        delivery.scout = Scout(requirements, is_there, delivery.page_ahead, delivery.wheel_ahead)

    async def _install(self, requirements: list[str], hide: Callable[[str], bool]) -> None:
        router = self.delivery.router

        def hidden(name: str) -> bool:
            # A project that an index names as its own must not come from anywhere else.
            return hide(name) or router.is_claimed(name)

        while True:
            try:
                with _micropip.hidden_from_lockfile(hidden):
                    await self._call(requirements, self._options)
            except Exception as error:  # noqa: BLE001  # it is raised again, or mended
                self.delivery.stop()
                if self.delivery.fatal is None and self.delivery.next_try(error):
                    continue
                self._raise(error)
            if self.delivery.fatal is not None:
                # micropip takes a failed request for a missing project, and goes on elsewhere.
                raise self.delivery.fatal
            self._tell_unpacked()
            return

    def _tell_unpacked(self) -> None:
        now = _micropip.installed()
        for name, item in sorted(now.items()):
            if self._known.get(name) != item:
                self._tell(Event("unpacked", f"{name} {item.version}"))
        self._known = now

    def _raise(self, error: Exception) -> None:
        delivery = self.delivery
        if delivery.fatal is not None:
            raise delivery.fatal from error
        for project in sorted(delivery.lost & delivery.mismatches.keys()):
            raise delivery.mismatches[project] from error
        if delivery.lost:
            raise IncompleteInstall(sorted(delivery.lost), self._report) from error
        raise error

    async def _complete(self, requirements: list[str]) -> None:
        """The closure check: what is required and not there is installed by name."""
        tried: set[str] = set()
        while new := [gap for gap in self._gaps(requirements) if gap.name not in tried]:
            for gap in new:
                tried.add(gap.name)
                how = "left out by Pyodide" if gap.lenient else "missing, and installed now"
                self._tell(
                    Event("closure", f"{gap.name}, wanted by {gap.wanted_by or 'you'}: {how}")
                )
            strict = [gap for gap in new if not gap.lenient]
            if strict:
                await self._fill(strict)

    def _gaps(self, requirements: list[str]) -> tuple[Gap, ...]:
        deps = bool(self._options.get("deps", True))
        return gaps(requirements, deps=deps, present=_micropip.without_distribution())

    async def _fill(self, missing: list[Gap]) -> None:
        names = {gap.name for gap in missing}
        try:
            # What Pyodide's lock file could not deliver comes from the mirrors.
            await self._install([gap.requirement for gap in missing], names.__contains__)
        except Exception as error:
            raise IncompleteInstall(sorted(names), self._report) from error
        lost = sorted(names - set(_micropip.installed()))
        if lost:
            raise IncompleteInstall(lost, self._report)

    def _undo(self, before: Mapping[str, _micropip.Distribution]) -> None:
        added = sorted(set(_micropip.installed()) - set(before))
        if added:
            _micropip.uninstall(added)
            self._tell(Event("undone", f"uninstalled again: {', '.join(added)}"))


class Events:
    """Collects the events of one install and passes them on."""

    def __init__(self, on_event: Callable[[Event], None] | None) -> None:
        self.all: list[Event] = []
        self._on_event = on_event

    def add(self, event: Event) -> None:
        """Note what happened, and tell the user's function."""
        if event.kind != "progress":
            self.all.append(event)
        tell(self._on_event, event)

    def on_outcome(self, outcome: Outcome) -> None:
        """Note a verdict."""
        text = f"{outcome.mirror.name}: {outcome.verdict} ({outcome.detail})"
        self.add(Event("outcome", text, outcome.mirror.index_url))

    def problems(self) -> list[str]:
        """What went wrong, in words."""
        return [event.text for event in self.all if event.kind == "problem"]


@dataclass(slots=True)
class Order:
    """What was asked of one install.

    ``options``: micropip's. ``verify``, ``cache``: as ``install`` has them. ``harvest``: what its
    probes have fetched.
    """

    requirements: list[str]
    options: Mapping[str, Any]
    events: Events
    verify: str = "index"
    cache: bool = True
    harvest: Harvest | None = None

    @property
    def quorum(self) -> bool:
        """Whether a second mirror has to confirm each digest."""
        return self.verify == "quorum"

    def supply(self, router: Router, cache: Cache) -> Supply:
        """Where this install gets everything from."""
        return Supply(
            router,
            self.events.add,
            cache=cache if self.cache else NO_CACHE,
            credentials=self.options.get("credentials"),
            harvest=self.harvest,
        )
