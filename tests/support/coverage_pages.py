"""Coverage of our package inside Pyodide, carried out of each page before it goes.

Only when the environment variable `VARIABLE` names the data file of a measurement, as
``nox -s coverage`` does: each page's data become one more parallel data file beside it. Without it
pages load and run nothing more.
"""

import base64
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from coverage import CoverageData

from tests.support import provision

VARIABLE = "COVERAGE_OF_PAGES"
_PATIENCE = 15.0

# Before anything of ours is imported. On Python 3.14 coverage's core is `sys.monitoring`, branches
# included. No configuration file: pages have none.
_START = """
import sysconfig
from coverage import Coverage
ours = sysconfig.get_path("purelib") + "/pyodide_mirror/*"
Coverage(data_file=None, config_file=False, branch=True, include=[ours]).start()
del Coverage, ours, sysconfig
"""
_CARRY_OUT = """
import base64
from coverage import Coverage
measured = Coverage.current()
measured.stop()
base64.b64encode(measured.get_data().dumps()).decode()
"""


class Page(Protocol):
    """What is wanted of an engine (`engines.Engine`): a page that runs Python."""

    script_timeout: float

    def run(self, code: str) -> Any:
        """Run Python in the page and return the value of its last expression."""

    def set_script_timeout(self, timeout: float) -> None:
        """Set the seconds one call into the page may take."""


def wheels() -> tuple[Path, ...]:
    """Return what a page server serves, and its pages load, in addition: coverage, if asked for."""
    if VARIABLE not in os.environ:
        return ()
    (wheel,) = provision.real_wheels([f"coverage=={version('coverage')}"]).glob("coverage-*.whl")
    return (wheel,)


class Measurement:
    """The measurement of the pages of one engine; does nothing when none was asked for."""

    def __init__(self, page: Page, loaded: list[str]) -> None:
        """Take the engine and the names of the wheels that its pages load."""
        self._page = page
        self._wanted = any(name.startswith("coverage-") for name in loaded)

    def start(self) -> None:
        """Start to measure in the current page."""
        if self._wanted:
            self._page.run(_START)

    def carry_out(self) -> None:
        """Stop, and write what the current page has to a data file of the host.

        A page that cannot answer, because a test broke or ended it, keeps its data to itself.
        """
        if not self._wanted:
            return
        usual = self._page.script_timeout
        try:
            self._page.set_script_timeout(_PATIENCE)
            carried = base64.b64decode(self._page.run(_CARRY_OUT))
            self._page.set_script_timeout(usual)
        except Exception as error:
            print(f"coverage: nothing from this page: {error}")
            return
        data = CoverageData(os.environ[VARIABLE], suffix=True)
        data.loads(carried)
        data.close()
