"""The project that is looked up to test a mirror, and what is fetched of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from pyodide_mirror.transport import timed_out

if TYPE_CHECKING:
    from pyodide_mirror.model import ProjectPage
    from pyodide_mirror.transport import Failure, Response

DEFAULT_CANARY: Final = "iniconfig"
"""A pure project with a page of a few kilobytes and wheels of some 6 kB, on every full mirror."""


class ProbeDownloads:
    """What probes have fetched that an install can use, because its own project is the canary.

    ``pages``: with the answers they were read from, by index URL and project. ``files``: verified
    wheels by their SHA-256. ``early``: what was asked for before any probe, by URL.
    """

    def __init__(self) -> None:
        self.pages: dict[tuple[str, str], tuple[ProjectPage, Response]] = {}
        self.files: dict[str, bytes] = {}
        self.early: dict[str, asyncio.Task[Response | Failure]] = {}

    async def early_answer(self, url: str, timeout: float) -> Response | Failure | None:
        """The answer to what was asked for early, within a time-out; None if that was nothing."""
        asked = self.early.pop(url, None)
        if asked is None:
            return None
        try:
            async with asyncio.timeout(timeout):
                return await asked
        except TimeoutError:
            return timed_out(timeout, None).failure

    def close(self) -> None:
        """End what was asked for early, and not taken."""
        for task in self.early.values():
            task.cancel()
        self.early.clear()


class Canary(NamedTuple):
    """The project that is looked up to test a mirror.

    ``project``: its normalized name. ``specifier`` (PEP 440): the versions that the install wants.
    ``downloads``: takes what the probe fetches, for an install of this project.
    """

    project: str
    specifier: str = ""
    downloads: ProbeDownloads | None = None
