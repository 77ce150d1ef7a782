"""A kernel's start, each time in a Python of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.wheels import CANARY
from tests.zoo.zoo import Zoo

Started = Callable[..., dict[str, Any]]

START = """
import asyncio, inspect, json, sys, types
import micropip

class Manager:
    async def install(self, requirements, keep_going=False, index_urls=None):
        calls.append([requirements, keep_going, index_urls])

    def set_index_urls(self, urls):
        self.index_urls = urls

class Shell:
    magics = {}

    def register_magic_function(self, function, kind, name):
        self.magics[kind, name] = function

calls = []
manager, real = Manager(), micropip.set_index_urls.__self__
manager.index_urls = list(real.index_urls)
micropip.install, micropip.set_index_urls = manager.install, manager.set_index_urls
plain = micropip.install
shell = Shell()
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
before = set(sys.modules)
from pyodide_mirror import notebook
notebook.prepare(mirrors=json.loads(sys.argv[1]), canary=sys.argv[2])
found = {"loaded": sorted(set(sys.modules) - before)}

def mirrors():
    import pyodide_mirror
    report = asyncio.run(pyodide_mirror.configure())
    others = [*(each.mirror for each in report.outcomes[1:]), *report.pending]
    return [report.chosen.name, *(mirror.name for mirror in others)]
"""
OWN = "http://127.0.0.1:9/own"  # a user's own index URL is not ours to change
CALL = ["it", False, OWN]
NOT_YET = (
    "pyodide_mirror: no mirror has been chosen yet: the first install that needs one does that;"
    " await pyodide_mirror.probe() tests all of them"
)


@pytest.fixture
def started(zoo: Zoo) -> Started:
    """A function that starts a kernel of a site with two mirrors, and then runs these lines."""
    site = [{"index_url": zoo.url("closed-port"), "name": "B"}, zoo.url("healthy")]

    def start(*lines: str, before: str = "") -> dict[str, Any]:
        start = START.replace("notebook.prepare(", f"{before}\nnotebook.prepare(")
        program = "\n".join([start, *lines, "print(json.dumps(found))"])
        done = subprocess.run(
            [sys.executable, "-c", program, json.dumps(site), CANARY],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return start


def host(zoo: Zoo) -> str:
    """The name of the site's mirror that works; it has the canary that the site names alone."""
    return zoo["healthy"].here.removeprefix("http://")


def test_nothing_but_the_hook_is_loaded_and_micropip_looks_as_before(started: Started) -> None:
    found = started(
        "found['signature'] = str(inspect.signature(micropip.install))",
        "found['plain'] = str(inspect.signature(plain))",
        "found['self'] = micropip.install.__self__ is manager",
        "found['magics'] = [list(key) for key in shell.magics]",
    )
    assert found["loaded"] == [
        "gc",  # of the interpreter itself
        "pyodide_mirror",
        "pyodide_mirror._imports",
        "pyodide_mirror._lazy",
        "pyodide_mirror._micropip",
        "pyodide_mirror._micropip.hook",
        "pyodide_mirror.notebook",
        "pyodide_mirror.notebook.ipython",
        "pyodide_mirror.notebook.kernel",
        "pyodide_mirror.notebook.startup",
        "pyodide_mirror.runtime",
        "pyodide_mirror.runtime.hook",
    ]
    assert found["signature"] == found["plain"]
    assert found["self"]
    assert found["magics"] == [["line", "mirror"]]


def test_the_first_install_is_made_and_the_site_s_mirrors_stay_known(
    started: Started, zoo: Zoo
) -> None:
    found = started(
        f"asyncio.run(micropip.install('it', index_urls={OWN!r}))",
        "found['calls'], found['mirrors'] = calls, mirrors()",
    )
    assert found["calls"] == [CALL]
    assert found["mirrors"] == [host(zoo), "B"]


def test_the_package_itself_and_the_magic_know_the_site_s_mirrors_as_well(
    started: Started, zoo: Zoo
) -> None:
    found = started(
        "import pyodide_mirror",
        "found['status'] = pyodide_mirror.status()",
        "found['mirrors'] = mirrors()",
    )
    assert found["status"] is None
    assert found["mirrors"] == [host(zoo), "B"]
    assert started(
        "import contextlib, io",
        "with contextlib.redirect_stdout(io.StringIO()) as printed:",
        "    found['shown'] = shell.magics['line', 'mirror']('')",
        "    found['mirrors'] = mirrors()",
        "    found['now'] = str(shell.magics['line', 'mirror']('').chosen.name)",
        "found['printed'] = printed.getvalue().splitlines()",
        "del found['loaded']",
    ) == {
        "shown": None,
        "mirrors": [host(zoo), "B"],
        "now": host(zoo),
        "printed": [NOT_YET],
    }


def test_what_was_installed_before_the_start_up_file_changes_nothing(
    started: Started, zoo: Zoo
) -> None:
    """As with the loader, by which our package may be in use before."""
    before = "notebook.prepare_page()\nasyncio.run(micropip.install('it', index_urls='x'))"
    found = started(
        "found['mirrors'], found['magics'] = mirrors(), [list(key) for key in shell.magics]",
        before=f"from pyodide_mirror import notebook\n{before}",
    )
    assert found["mirrors"] == [host(zoo), "B"]
    assert found["magics"] == [["line", "mirror"]]


def test_reset_takes_the_kernel_s_hook_away_and_a_wrapper_around_it_stays(
    started: Started,
) -> None:
    found = started(
        "import pyodide_mirror",
        "pyodide_mirror.reset()",
        "found['same'] = micropip.install is plain",
    )
    assert found["same"]
    found = started(
        "import functools",
        "hooked = micropip.install",
        "@functools.wraps(hooked)",
        "async def install(*arguments, **options):",
        "    calls.append('wrapped')",
        "    await hooked(*arguments, **options)",
        "micropip.install = install",
        "for _ in range(2):",
        f"    asyncio.run(micropip.install('it', index_urls={OWN!r}))",
        "found['calls'] = calls",
    )
    assert found["calls"] == ["wrapped", CALL, "wrapped", CALL]
