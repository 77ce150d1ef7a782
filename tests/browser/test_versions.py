"""What users of older Pyodides get: the same installs with micropip 0.9 to 0.11."""

import json
from collections.abc import Iterator

import pytest

from tests.browser import figures, test_cdns, test_undo
from tests.browser.test_install import FIVE
from tests.support.engines import Engine
from tests.support.small_index import SmallIndex
from tests.support.wheels import INSTALLED
from tests.zoo.table import install, install_through, run_inside
from tests.zoo.zoo import Zoo

VERSIONS = {"0.27.8": "0.9.0", "0.28.3": "0.10.1", "0.29.5": "0.11.1"}
"""Pyodide, and the micropip in it."""

pytestmark = [
    # CPython does most of it with these micropips, and JupyterLite has a Pyodide between.
    pytest.mark.nightly,
    # One engine is enough: what differs is Python's side.
    pytest.mark.engines("chromium"),
    pytest.mark.parametrize("version", VERSIONS, indirect=True, scope="session"),
]


@pytest.fixture(scope="module")
def _old(engine_without_us: Engine) -> Engine:
    """Install our wheel."""
    page = engine_without_us
    urls = [f"{page.base_url}/wheels/{name}" for name in page.pages.wheels]
    page.run_async(f"import micropip\nawait micropip.install({urls!r})")
    return page


@pytest.fixture
def old(_old: Engine) -> Iterator[Engine]:
    """Return a page with that Pyodide, with nothing of the zoo in it."""
    yield _old
    run_inside(_old, "await clean()")


def test_it_is_the_micropip_we_mean(old: Engine, version: str) -> None:
    assert run_inside(old, "import micropip\nmicropip.__version__") == VERSIONS[version]


# --- installs -----------------------------------------------------------------------------------


def test_installs_through_the_one_of_five_that_works(old: Engine, version: str, zoo: Zoo) -> None:
    # One of the five never answers: whoever waited for it would take longer than the patience.
    result = install(old, [zoo.url(name) for name in FIVE], timeout=120, patience=50)
    assert result.word == "complete", result
    assert result.versions == INSTALLED
    figures.SECONDS[f"Pyodide {version}"]["install through five mirrors"] = result.seconds


def test_what_every_mirror_has_tampered_with_is_not_installed(old: Engine) -> None:
    tampered = ["dep-file-tampered", "dep-file-tampered"]
    result = install_through(old, tampered, patience=50.0, timeout=30)
    assert result.error.startswith("DigestMismatch: "), result
    assert result.traces == []


# --- configure, plain micropip, reset -----------------------------------------------------------

CONFIGURE = """
import json
import micropip
import pyodide_mirror
from micropip import package_index
from micropip._compat import _compat_in_pyodide

def state():
    manager = micropip.set_index_urls.__self__
    return [
        list(manager.index_urls),
        list(package_index.DEFAULT_INDEX_URLS),
        id(_compat_in_pyodide.pyfetch),
        id(micropip.install),
    ]

before = state()
report = await pyodide_mirror.configure({url!r}, canary="zoo-canary", timeout=30, prefer={prefer!r})
configured = state()
assert pyodide_mirror.status() is report
assert micropip.install.__self__ is micropip.set_index_urls.__self__
await micropip.install("zoo-root")
found = versions()
pyodide_mirror.reset()
after = state()
json.dumps([configured[:2], found, before == after, wrong()])
"""


@pytest.mark.parametrize("prefer", ["lockfile", "index"])
@pytest.mark.parametrize("name", ["healthy", "relative-urls", "metadata-lies"])
def test_plain_micropip_goes_through_the_mirror_until_reset(
    old: Engine, zoo: Zoo, name: str, prefer: str
) -> None:
    url = zoo.url(name)
    code = CONFIGURE.format(url=url, prefer=prefer)
    (urls, defaults), found, restored, wrong = json.loads(run_inside(old, code))
    assert urls == [url]
    assert (urls == defaults) == (prefer == "lockfile")
    assert found == INSTALLED
    assert restored
    assert wrong == []


# --- installs that fail -------------------------------------------------------------------------

DAMAGED = """
import json
import micropip
import pyodide_mirror
from inspect import signature
from pathlib import Path
from pyodide_js import loadedPackages
from site import getsitepackages

options = dict(mirrors={url!r}, canary="zoo-good", cache=False)
folder = Path(getsitepackages()[0])

def state():
    paths = sorted(str(path) for top in folder.glob("zoo*") for path in [top, *top.rglob("*")])
    return [paths, dict(loadedPackages.to_py()).get("zoo-pkg")]

async def error(**others):
    try:
        await pyodide_mirror.install("zoo-pkg==2.0", **options, **others)
    except pyodide_mirror.MirrorError as error:
        return str(error)

found = [await error(), state()]
await pyodide_mirror.install("zoo-pkg==1.0", **options)
before = state()
if "reinstall" in signature(micropip.install).parameters:  # not in 0.9
    found[0] = await error(reinstall=True)
frozen = json.loads(micropip.freeze())["packages"]["zoo-pkg"]["file_name"]
pyodide_mirror.reset()
json.dumps([*found, before == state(), frozen])
"""


def test_a_wheel_that_cannot_be_unpacked_leaves_all_as_it_was(old: Engine) -> None:
    with SmallIndex(*test_undo.STOCK) as index:
        found = json.loads(run_inside(old, DAMAGED.format(url=index.url)))
        error, left, restored, frozen = found
        assert error.startswith(f"{test_undo.DAMAGED.filename} from {index.url} cannot be unpacked")
        assert "Bad CRC-32 for file 'zoo_pkg_data.txt'" in error
        assert left == [[], None]
        assert restored
        assert frozen == f"{index.origin}/files/{test_undo.OLD.filename}"


# --- Pyodide's own packages ---------------------------------------------------------------------

LOCKED = """
import json
import micropip
import pyodide_mirror
from importlib.metadata import distributions

# Of Pyodide's own packages, one that is not needed here: as if it had never been loaded.
if any(one.name == "tblib" for one in distributions()):
    micropip.uninstall("tblib")
report = await pyodide_mirror.install(
    "tblib", mirrors={url!r}, canary="zoo-canary", timeout=30, remember=False, prefer={prefer!r}
)
json.dumps([(one.name, one.source) for one in report.installed])
"""


@pytest.mark.parametrize("name", ["healthy", "masked-404"])
@pytest.mark.parametrize("prefer", ["lockfile", "index"])
def test_what_the_mirror_lacks_comes_from_the_lock_file(
    old: Engine, zoo: Zoo, name: str, prefer: str
) -> None:
    code = LOCKED.format(url=zoo.url(name), prefer=prefer)
    assert json.loads(run_inside(old, code)) == [["tblib", "lockfile"]]


HIDDEN = """
import micropip
import pyodide_mirror
from pyodide_mirror._micropip import hidden_from_lockfile
from importlib.metadata import distributions

if any(one.name == "tblib" for one in distributions()):
    micropip.uninstall("tblib")
await pyodide_mirror.configure({url!r}, canary="zoo-canary", timeout=30)
with hidden_from_lockfile("tblib".__eq__):
    try:
        await micropip.install("tblib")
    except Exception as error:
        result = type(error).__name__
    else:
        result = "installed"
result
"""


def test_what_is_hidden_from_the_lock_file_does_not_come_from_it(old: Engine, zoo: Zoo) -> None:
    assert run_inside(old, HIDDEN.format(url=zoo.url("healthy"))) == "ValueError"


MISSING = """
import pyodide_mirror

try:
    await pyodide_mirror.install("zoo-missing", mirrors={url!r}, canary="zoo-canary", timeout=30)
except Exception as error:
    result = repr(error)
result
"""


def test_a_project_that_no_mirror_has_is_micropips_own_error(old: Engine, zoo: Zoo) -> None:
    error = run_inside(old, MISSING.format(url=zoo.url("healthy")))
    assert error.startswith("ValueError"), error
    assert "zoo-missing" in error


DEGRADED = """
said = []

class Handler(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())

handler = Handler()
logging.getLogger("pyodide_mirror").addHandler(handler)
try:
    await install(cdns=cdns)
except pyodide_mirror.IncompleteInstall as error:
    raised = str(error)
logging.getLogger("pyodide_mirror").removeHandler(handler)
RESULT([said, raised, zoo_installed()])
"""


def test_pyodides_own_packages_come_from_a_cdn_since_0_28(
    old: Engine, version: str, zoo: Zoo
) -> None:
    with test_cdns.CDNZoo() as cdns:
        urls = [cdns.url(name) for name in ("closed", "wrong-bytes", "good")]
        if version != "0.27.8":
            found = test_cdns.run(old, test_cdns.INSTALL, zoo.url("healthy"), cdns=urls)
            test_cdns.check_installed(found, urls[-1])
            return
        said, raised, left = test_cdns.run(old, DEGRADED, zoo.url("healthy"), cdns=urls)
    assert [text for text in said if text.startswith("cdns is without effect here")]
    assert "could not be loaded: Pyodide 0.27.8 loads its own packages from one place" in raised
    assert left == []
