"""The first install of a page: what it asks for before it has loaded its code, and what it loads.

`first_install.txt` is the budget: the modules that an install of one small package loads. Whoever
adds one makes the first install of each user slower, and says so by a change of that list.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.engines import Engine
from tests.zoo.zoo import Zoo

pytestmark = pytest.mark.engines(
    "chromium", "chromium-worker", "firefox", "webkit", ci=("chromium",)
)

BUDGET = Path(__file__).with_name("first_install.txt")
_INSTALL = """
import json, sys
from pyodide.code import run_js
from pyodide.ffi import create_proxy

import pyodide_mirror

loaded = create_proxy(lambda: len([name for name in sys.modules if name in LAST]))
seen = run_js('''(loaded) => {
    const seen = [], real = globalThis.fetch;
    globalThis.fetch = (url, options) => {
        seen.push([String(url), loaded()]);
        return real(url, options);
    };
    return seen;
}''')(loaded)
before = set(sys.modules)
await pyodide_mirror.install("zoo-canary", mirrors=URL, timeout=30, remember=False)
added = set(sys.modules) - before
# A module that is loaded when it is used is of another type until then.
ours = [name for name in added if type(sys.modules[name]) is type(sys)]
import micropip, zoo_canary
json.dumps([seen.to_py(), sorted(ours)])
"""
LAST = ("micropip", "pyodide_mirror.installing.installation")
"""What is loaded after the first request."""


@pytest.fixture(scope="module")
def _found() -> dict[str, tuple[str, list[list[object]], list[str]]]:
    return {}


@pytest.fixture
def first(
    page: Engine,
    open_page: Callable[..., Engine],
    zoo: Zoo,
    _found: dict[str, tuple[str, list[list[object]], list[str]]],
) -> tuple[str, list[list[object]], list[str]]:
    """The mirror's index URL; the requests, with how many of `LAST` were loaded; the modules.

    The first install is made once in each engine.
    """
    if page.name not in _found:
        url = zoo.url("healthy")
        code = _INSTALL.replace("LAST", repr(LAST)).replace("URL", repr(url))
        # By JavaScript: pytest-pyodide's own way would load modules that an install loads, too.
        run = f"return await pyodide.runPythonAsync({json.dumps(code)});"
        _found[page.name] = (url, *json.loads(open_page().run_js(run)))
    return _found[page.name]


def test_the_page_is_asked_for_before_micropip_is_loaded(
    first: tuple[str, list[list[object]], list[str]],
) -> None:
    url, requests, _ = first
    assert requests[0] == [f"{url}/zoo-canary/", 0]
    # The wheel is next, sooner or later: that depends on how fast the mirror is.
    assert [str(each).endswith(".whl") for each, _ in requests] == [False, True]


def test_no_more_is_loaded_than_the_budget_allows(
    first: tuple[str, list[list[object]], list[str]],
) -> None:
    *_, modules = first
    loaded = {name for name in modules if not name.startswith("micropip")}
    budget = set(BUDGET.read_text("utf-8").split())
    assert sorted(loaded - budget) == [], "not in the budget"
    # It would be no limit any more if it had what nothing needs.
    ours = {name for name in budget if name.startswith("pyodide_mirror")}
    assert sorted(ours - loaded) == [], "in the budget for nothing"


_MICROPIP = """
import json
import sys
there = set(sys.modules)  # of coverage, say
import pyodide_mirror
from pyodide_mirror.api import SESSION

await pyodide_mirror.install("zoo-canary", mirrors=URL, timeout=30, remember=False)
import micropip
from micropip import package_index

later = ("micropip._mock_package", "micropip._vendored.mousebender.simple", "html")
before = [each not in there and type(sys.modules.get(each)) is type(sys) for each in later]
page = package_index.from_project_details_html('<a href="a-1.tar.gz">a-1.tar.gz</a>', "a")
micropip.add_mock_package("zq-mock", "1.0", modules={"zq_mock": ""})
names = micropip.list_mock_packages()
import zq_mock
micropip.remove_mock_package("zq-mock")
frozen = json.loads(micropip.freeze())["packages"]
json.dumps([before, page["files"][0]["filename"], list(names),
            frozen["zoo-canary"]["name"]])
"""


def test_what_micropip_seldom_needs_is_loaded_when_it_is(
    page: Engine, open_page: Callable[..., Engine], zoo: Zoo
) -> None:
    code = _MICROPIP.replace("URL", repr(zoo.url("healthy")))
    run = f"return await pyodide.runPythonAsync({json.dumps(code)});"
    found = json.loads(open_page().run_js(run))
    assert found == [[False, True, False], "a-1.tar.gz", ["zq-mock"], "zoo-canary"]


_REMEMBER = """
import json
import pyodide_mirror
from pyodide_mirror.api import SESSION
from pyodide_mirror.browser import has_choice

before = await has_choice()
await pyodide_mirror.configure(URL, canary="zoo-canary", timeout=30)
await SESSION.settled()
after = await has_choice()
pyodide_mirror.reset()
await SESSION.settled()
json.dumps([before, after])
"""
_NOTHING_REMEMBERED = """
const request = indexedDB.deleteDatabase("pyodide_mirror");
await new Promise((resolve) => request.addEventListener("success", resolve));
"""


def test_a_mirror_that_is_remembered_is_seen_without_a_look_at_it(page: Engine, zoo: Zoo) -> None:
    page.run_js(_NOTHING_REMEMBERED)
    code = json.dumps(_REMEMBER.replace("URL", repr(zoo.url("healthy"))))
    assert json.loads(page.run_js(f"return await pyodide.runPythonAsync({code});")) == [False, True]


_COUNT = """
const count = (prototype, name) => {
    const real = prototype[name];
    prototype[name] = function (...args) {
        globalThis.counted.push(`${name} ${[args[0]].flat().join("+")}`);
        return real.apply(this, args);
    };
};
globalThis.counted = [];
count(IDBFactory.prototype, "open");
count(IDBDatabase.prototype, "transaction");
"""
_VISIT = """
import json, js
import pyodide_mirror
from pyodide_mirror.api import SESSION

report = await pyodide_mirror.install("zoo-canary", mirrors=URL, timeout=30)
await SESSION.settled()
json.dumps([list(js.counted), [each.source for each in report.installed]])
"""


def test_a_repeat_visit_opens_each_database_once_and_reads_all_entries_at_once(
    open_page: Callable[..., Engine], zoo: Zoo
) -> None:
    code = json.dumps(_VISIT.replace("URL", repr(zoo.url("healthy"))))
    visits = []
    for _ in range(2):
        page = open_page()
        if not visits:
            page.run_js(_NOTHING_REMEMBERED)
        page.run_js(_COUNT)
        visits.append(json.loads(page.run_js(f"return await pyodide.runPythonAsync({code});")))
    # What is known to be empty is not read, only written.
    assert [each for each in visits[0][0] if "choice" in each] == ["transaction choice"]
    counted, found = visits[1]
    assert found == ["cache"]
    assert sorted(counted) == [
        *("open pyodide_mirror", "open pyodide_mirror_cache", "transaction choice"),
        *("transaction content", "transaction content+order", "transaction order"),
    ]
