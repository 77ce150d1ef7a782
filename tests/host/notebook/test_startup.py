"""A kernel's start, each time in a Python of its own."""

import json
import subprocess
import sys
from typing import Any

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
from pyodide_mirror import kernel
kernel.prepare(
    mirrors=["http://127.0.0.1:9/simple", {"index_url": "http://127.0.0.1:9/b", "name": "B"}],
    canary="tiny",
)
found = {"loaded": sorted(set(sys.modules) - before)}

def mirrors():
    import pyodide_mirror
    later = pyodide_mirror._session._later
    return [later.question.canary, *(each.name for each in later.question.mirrors.mirrors)]
"""
SETTINGS = ["tiny", "127.0.0.1:9", "B"]


def started(*lines: str) -> dict[str, Any]:
    program = "\n".join([START, *lines, "print(json.dumps(found))"])
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_nothing_but_the_hook_is_loaded_and_micropip_looks_as_before() -> None:
    found = started(
        "found['signature'] = str(inspect.signature(micropip.install))",
        "found['plain'] = str(inspect.signature(plain))",
        "found['self'] = micropip.install.__self__ is manager",
        "found['magics'] = [list(key) for key in shell.magics]",
    )
    assert found["loaded"] == ["pyodide_mirror", "pyodide_mirror.hook", "pyodide_mirror.kernel"]
    assert found["signature"] == found["plain"]
    assert found["self"]
    assert found["magics"] == [["line", "mirror"]]


def test_the_first_install_configures_as_the_site_says_and_is_made() -> None:
    found = started(
        # A user's own index URL is not ours to change.
        "asyncio.run(micropip.install('it', index_urls='http://127.0.0.1:9/own'))",
        "found['calls'], found['mirrors'] = calls, mirrors()",
    )
    assert found["calls"] == [["it", False, "http://127.0.0.1:9/own"]]
    assert found["mirrors"] == SETTINGS


def test_the_package_itself_and_the_magic_know_the_site_s_mirrors_as_well() -> None:
    found = started(
        "import pyodide_mirror",
        "found['status'] = pyodide_mirror.status()",
        "found['mirrors'] = mirrors()",
    )
    assert found["status"] is None
    assert found["mirrors"] == SETTINGS
    assert started(
        "import contextlib, io",
        "with contextlib.redirect_stdout(io.StringIO()) as printed:",
        "    found['shown'] = shell.magics['line', 'mirror']('')",
        "found['printed'], found['mirrors'] = printed.getvalue(), mirrors()",
        "del found['loaded']",
    ) == {
        "shown": None,
        "printed": "pyodide_mirror: no mirror is chosen yet, the first install does that;"
        " await pyodide_mirror.probe() looks at all of them\n",
        "mirrors": SETTINGS,
    }


def test_reset_takes_the_kernel_s_hook_away_and_a_wrapper_around_it_stays() -> None:
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
        "    asyncio.run(micropip.install('it', index_urls='http://127.0.0.1:9/own'))",
        "found['calls'] = calls",
    )
    call = ["it", False, "http://127.0.0.1:9/own"]
    assert found["calls"] == ["wrapped", call, "wrapped", call]
