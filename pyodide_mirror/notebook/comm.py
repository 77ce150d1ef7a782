"""The kernel's side of the comm by which a front end shows the mirrors, and changes them.

All messages are JSON objects. The front end opens the comm with its version and with ``settings``,
what its user has set. The kernel sends ``state`` then, and whatever happens later: ``state`` again,
``outcome`` (a verdict, as in a report), ``event`` (of an install). The front end sends requests, of
which ``do`` is the name of a method here; each gets an ``answer`` with the same ``id``, which has
``error`` if it failed. The front end keeps what the user sets, and passes it on to each kernel.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyodide_mirror.api import Session

_MINE: Final = ("mirrors", "cdns", "prefer", "timeout", "remember")
"""What users may set: arguments of :func:`.extension.activate`."""
_OPEN: Final[list[MirrorComm]] = []


def begin(session: Session, settings: dict[str, Any], preferences: str | None) -> None:
    """Configure the new session as the user has set it, or else as the site has.

    ``preferences``: those of the page when the kernel was started, as JSON. A comm that is open
    has newer ones.
    """
    from .extension import activate

    try:
        mine = _OPEN[-1].mine if _OPEN else json.loads(preferences or "{}")
        activate(session, **_merged(settings, mine))
    except (TypeError, ValueError, AttributeError) as error:
        print(f"pyodide_mirror: your settings cannot be used: {error}")  # noqa: T201  # it is seen
        activate(session, **settings)
    for comm in _OPEN:
        comm.watch()


class MirrorComm:
    """One comm with a front end, which has opened it by ``message``.

    ``settings`` are the site's; ``mine`` are the user's, which count unless the site's are
    ``locked``.
    """

    def __init__(
        self, comm: Any, message: Mapping[str, Any], settings: dict[str, Any], *, locked: bool
    ) -> None:
        self.mine: Any = {} if locked else message["content"]["data"].get("settings", {})
        self._comm = comm
        self._settings = settings
        self._locked = locked
        self._report: Any = None
        self._tasks: set[Any] = set()
        _OPEN.append(self)
        comm.on_msg(self._receive)
        comm.on_close(self._close)
        if "pyodide_mirror.api.default" in sys.modules:
            self._report = _session().status()
            self.watch()
        self._send_state()

    def watch(self) -> None:
        """Pass on what happens in the session."""
        from pyodide_mirror.reporting import WATCHERS

        WATCHERS.append(self._tell)

    def _close(self, _: object) -> None:
        from pyodide_mirror.reporting import WATCHERS

        _OPEN.remove(self)
        if self._tell in WATCHERS:
            WATCHERS.remove(self._tell)

    def _send(self, kind: str, **values: Any) -> None:
        self._comm.send({"type": kind, **values})

    def _send_state(self) -> None:
        report = self._report
        self._send("state", version=1, locked=self._locked, report=report and report.to_dict())

    def _tell(self, value: Any) -> None:
        from pyodide_mirror.reporting import Event, Report

        if isinstance(value, Report):
            self._report = value
            self._send_state()
        elif isinstance(value, Event):
            self._send("event", event=value.to_dict())
        else:
            self._send("outcome", outcome=Report(None, (value,)).to_dict()["outcomes"][0])

    def _receive(self, message: Mapping[str, Any]) -> None:
        task = asyncio.ensure_future(self._answer(message["content"]["data"]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, asked: Mapping[str, Any]) -> None:
        try:
            answer = await getattr(self, f"do_{asked['do']}")(asked)
        except Exception as error:  # noqa: BLE001  # the front end shows it
            answer = {"error": str(error)}
        self._send("answer", id=asked["id"], **(answer or {}))

    async def do_list(self, _: object) -> dict[str, Any]:
        """Answer with the mirrors, the cache's size, and the report as text."""
        from pyodide_mirror.api import known_mirrors
        from pyodide_mirror.reporting import Report

        session = _session()
        mirrors = Report(None, (), known_mirrors(session)).to_dict()["pending"]
        cache = (await session.cache_info()).to_dict()
        return {"mirrors": mirrors, "cache": cache, "text": str(self._report or "")}

    async def do_probe(self, _: object) -> None:
        """Test all mirrors."""
        session = _session()
        report = await session.probe(timeout=self._settings["timeout"], on_outcome=self._tell)
        in_use = session.status()
        self._tell(replace(report, chosen=in_use.chosen if in_use else None))

    async def do_use(self, asked: Mapping[str, Any]) -> None:
        """Use other settings of the user's; with ``mirror``, that one, if it works."""
        if self._locked:
            raise ValueError("locked by the site")
        before, self._report = self.mine, None
        try:
            self._apply(asked["settings"])
            if asked.get("mirror"):
                from pyodide_mirror.api import choose

                await choose(_session(), asked["mirror"], self._tell)
        except Exception:
            self._apply(before)
            raise
        finally:
            self._send_state()

    def _apply(self, mine: dict[str, Any]) -> None:
        from .extension import activate

        session = _session()
        session.release()
        activate(session, **_merged(self._settings, mine))
        self.mine = mine

    async def do_clear(self, _: object) -> None:
        """Clear the cache."""
        await _session().clear_cache()


def _session() -> Session:
    from pyodide_mirror.api import SESSION

    return SESSION


def _merged(settings: dict[str, Any], preferences: dict[str, Any]) -> dict[str, Any]:
    """The site's settings with the user's before them, but for empty lists.

    A mirror of the site stays what it is.
    """
    mine: dict[str, Any] = {
        name: preferences[name] for name in _MINE if preferences.get(name, []) != []
    }
    known = {each["index_url"]: each for each in settings["mirrors"] or () if type(each) is dict}
    if "mirrors" in mine:
        mine["mirrors"] = [known.get(url, url) for url in mine["mirrors"]]
    return {**settings, **mine}
