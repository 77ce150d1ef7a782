"""Coverage of our package inside Pyodide, carried out of each page before it goes.

Only when the environment variable `VARIABLE` names the data file of a measurement, as
``nox -s coverage`` does: each page's data become one more parallel data file beside it. Without it
pages load and run nothing more.

`measured` does the same for programs in environments that have no coverage of their own.
"""

import base64
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import coverage
from coverage import CoverageData

from tests.support import provision

VARIABLE = "COVERAGE_OF_PAGES"
_PATIENCE = 15.0
# Set by coverage itself for the processes that one under its `subprocess` patch starts.
_OF_COVERAGE = (VARIABLE, "COVERAGE_FILE", "COVERAGE_PROCESS_CONFIG")

# Before anything of ours is imported. On Python 3.14 coverage's core is `sys.monitoring`, branches
# included. No configuration file: pages have none. Tests of what is installed do not see it.
_START = """
import shutil
import sysconfig
from pathlib import Path
from coverage import Coverage
site_packages = Path(sysconfig.get_path("purelib"))
for metadata in site_packages.glob("coverage-*.dist-info"):
    shutil.rmtree(metadata)
ours = str(site_packages / "pyodide_mirror" / "*")
Coverage(data_file=None, config_file=False, branch=True, include=[ours]).start()
del Coverage, Path, metadata, ours, shutil, site_packages, sysconfig
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


def measured(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a Python program, with what measures it if this process is measured.

    For a Python that has no coverage installed: it gets ours by ``PYTHONPATH``.
    """
    ours = {name: value for name, value in os.environ.items() if name in _OF_COVERAGE}
    if len(ours) < len(_OF_COVERAGE):
        return dict(environ)

    def copy(folder: Path) -> None:
        # With its compiled tracer: that in Python breaks off in some programs (IndexError).
        shutil.copytree(Path(coverage.__file__).parent, folder / "coverage")
        Path(folder, "sitecustomize.py").write_text("import coverage\ncoverage.process_startup()\n")

    named = f"{coverage.__version__}-{sys.implementation.cache_tag}"
    folder = provision.made(provision.CACHE / "coverage" / named, copy)
    path = os.pathsep.join(filter(None, [environ.get("PYTHONPATH"), str(folder)]))
    return {**environ, **ours, "PYTHONPATH": path}


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
        except Exception as error:
            print(f"coverage: nothing from this page: {error}")
            return
        finally:
            with suppress(Exception):  # a driver that has ended takes no time-out either
                self._page.set_script_timeout(usual)
        data = CoverageData(os.environ[VARIABLE], suffix=True)
        data.loads(carried)
        data.close()
