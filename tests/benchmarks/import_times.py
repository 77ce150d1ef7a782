"""How long imports take, by whose modules they are; its source is sent into Pyodide."""

import sys
from typing import Any

from js import performance

_LOAD = "_find_and_load"
"""What every import calls that has to load something."""


class ImportTimes:
    """Milliseconds of imports: of ours, and of micropip's and all that nobody of us imports."""

    def __init__(self) -> None:
        self._owners: list[str] = []
        self._last = 0.0
        self.start()

    def start(self) -> None:
        """Forget what was measured."""
        self.by_owner = {"micropip": 0.0, "ours": 0.0}
        self.spans: list[tuple[float, float]] = []

    def watch(self, importlib: Any) -> None:
        """Measure from now on; a module's time is without that of what it imports."""
        find_and_load = getattr(importlib, _LOAD)

        def timed(name: str, import_: Any) -> Any:
            above = self._owners[-1] if self._owners else "micropip"
            known = {"pyodide_mirror": "ours", "micropip": "micropip"}
            self._lap()
            self._owners.append(known.get(name.partition(".")[0], above))
            try:
                return find_and_load(name, import_)
            finally:
                self._lap()
                self._owners.pop()

        setattr(importlib, _LOAD, timed)

    def _lap(self) -> None:
        now = performance.now()
        if self._owners:
            self.by_owner[self._owners[-1]] += now - self._last
            self.spans.append((self._last, now))
        self._last = now


import_times = ImportTimes()
import_times.watch(sys.modules["_frozen_importlib"])
