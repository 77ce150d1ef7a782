"""The pure tests, which CPython runs as well, inside the Python of each engine."""

from pathlib import Path

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser import figures
from tests.support.engines import Engine

PURE = Path(__file__).parents[1] / "pure"


@run_in_pyodide
def run_inside(selenium: Engine, files: dict[str, str]) -> tuple[int, int, str]:
    """Run pytest over ``files`` and return its status, how many tests passed, and its output."""
    import contextlib
    import io
    import tempfile
    from pathlib import Path

    import pytest

    class Counter:
        passed = 0

        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            self.passed += report.when == "call" and report.passed

    counter, output = Counter(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            Path(folder, name).write_text(text)
        options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "--import-mode=importlib"]
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            status = pytest.main([*options, "--rootdir", folder, folder], plugins=[counter])
    return int(status), counter.passed, output.getvalue()


@pytest.mark.engines(ci=("chromium", "node"))
@pytest.mark.driver_timeout(300)
def test_pure_tests_pass_inside_pyodide(page: Engine) -> None:
    files = {path.name: path.read_text() for path in sorted(PURE.glob("*.py"))}
    status, passed, output = run_inside(page, files)
    # pytest ends with 5 when it found no tests: 0 means that some ran, and all passed.
    assert status == 0, output
    assert passed > 0, output
    figures.INNER_TESTS[page.name] = passed
