"""What stays of an install that fails, and of those beside it; the rest is tested in CPython."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser.test_install import clean
from tests.support.engines import Engine
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.engines("chromium", "firefox", ci=("chromium",))

GOOD = make_wheel("zoo-good", "1.0")
BAD = make_wheel("zoo-bad", "1.0", requires=["zoo-dep", "zoo-nowhere"])
OLD = make_wheel("zoo-pkg", "1.0", modules={"zoo_pkg_old/part.py": "OLD = 1\n"})
DAMAGED = make_wheel("zoo-pkg", "2.0", modules={"zoo_pkg_data.txt": "some data"})
STOCK = (
    GOOD,
    make_wheel("zoo-dep", "1.0"),
    make_wheel("zoo-user", "1.0", requires=["zoo-dep"]),
    BAD,
    OLD,
    replace(DAMAGED, data=DAMAGED.data.replace(b"some data", b"Some data")),
)
"""The last one has a member whose CRC is wrong."""


@pytest.fixture
def index() -> Iterator[SmallIndex]:
    with SmallIndex(*STOCK) as made:
        yield made


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    clean(page)
    yield
    clean(page)


@run_in_pyodide
async def installs_beside_one_that_fails(selenium: Engine, origin: str) -> dict:
    """Install by several means while another install goes on, which fails later."""
    import asyncio

    import micropip
    from js import fetch
    from pyodide_js import loadedPackages, loadPackage

    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    if "tblib" in installed():
        micropip.uninstall("tblib")
    options = {"mirrors": f"{origin}/simple", "canary": "zoo-good", "cache": False}
    await pyodide_mirror.configure(f"{origin}/simple", canary="zoo-good")
    failing = asyncio.ensure_future(pyodide_mirror.install("zoo-bad", **options))
    await fetch(f"{origin}/asked")
    report = await pyodide_mirror.install("zoo-good", **options)
    await micropip.install("zoo-user")
    await loadPackage("tblib")
    await fetch(f"{origin}/release")
    [error] = await asyncio.gather(failing, return_exceptions=True)
    return {
        "error": str(error),
        "report": [one.name for one in report.installed],
        "there": sorted(name for name in installed() if name.startswith("zoo-") or name == "tblib"),
        "listed": sorted(name for name in loadedPackages.to_py() if name.startswith("zoo-")),
    }


def test_whoever_has_reported_success_stays_installed(page: Engine, index: SmallIndex) -> None:
    found = installs_beside_one_that_fails(page, index.origin)
    assert "zoo-nowhere" in found.pop("error")
    assert found == {
        "report": ["zoo-good"],
        "there": ["tblib", "zoo-dep", "zoo-good", "zoo-user"],
        "listed": ["zoo-dep", "zoo-good", "zoo-user"],
    }


@run_in_pyodide
async def installs_what_is_damaged(selenium: Engine, url: str) -> dict:
    """Install a damaged wheel, on nothing and over an older version."""
    import json
    from pathlib import Path
    from site import getsitepackages

    import micropip
    from pyodide_js import loadedPackages

    import pyodide_mirror

    options = {"mirrors": url, "canary": "zoo-good", "cache": False}
    folder = Path(getsitepackages()[0])

    def state() -> dict[str, object]:
        files = (path for top in folder.glob("zoo*") for path in [top, *top.rglob("*")])
        found = {str(one.relative_to(folder)): one.read_bytes() for one in files if one.is_file()}
        return {**found, "listed": dict(loadedPackages.to_py()).get("zoo-pkg")}

    async def error(**others: object) -> str:
        try:
            await pyodide_mirror.install("zoo-pkg==2.0", **options, **others)
        except pyodide_mirror.MirrorError as error:
            return f"{type(error).__name__}: {error}"
        return "it installed"

    found = {"alone": await error(), "left": state()}
    await pyodide_mirror.install("zoo-pkg==1.0", **options)
    before = state()
    found["over the old one"] = await error(reinstall=True)
    found["as before"] = state() == before
    frozen = json.loads(micropip.freeze())["packages"]
    return {**found, "frozen": frozen["zoo-pkg"]["file_name"]}


def test_a_wheel_that_cannot_be_unpacked_leaves_all_as_it_was(
    page: Engine, index: SmallIndex
) -> None:
    found = installs_what_is_damaged(page, index.url)
    text = (
        f"MirrorError: {DAMAGED.filename} from {index.url} cannot be unpacked: "
        "zipfile.BadZipFile: Bad CRC-32 for file 'zoo_pkg_data.txt'. "
    )
    for error in (found.pop("alone"), found.pop("over the old one")):
        assert error.startswith(text)
    assert found == {
        "left": {"listed": None},
        "as before": True,
        "frozen": f"{index.origin}/files/{OLD.filename}",
    }
