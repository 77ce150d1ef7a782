"""Installs that are resolved anew in a page, which has resolvelib from a mirror."""

from collections.abc import Iterator

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser.test_install import clean
from tests.support.conflict_worlds import CONFLICTS, CORES, needs, resolver_wheel
from tests.support.engines import Engine
from tests.support.small_index import SmallIndex
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.engines("chromium", "firefox", "webkit", ci=("chromium",))


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    clean(page)
    yield
    clean(page)


@run_in_pyodide
async def install(
    selenium: Engine, url: str, before: list[str], wanted: list[str], options: dict
) -> dict:
    """Install into the page, and leave nothing there: the versions by name, and the error."""
    import sys

    import micropip

    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    if "tblib" in installed():  # pytest-pyodide has loaded it
        micropip.uninstall("tblib")
    there = set(installed())
    settings = {"mirrors": url, "canary": "zcore", "remember": False, "timeout": 30}
    error, told = "", []
    try:
        if before:
            await pyodide_mirror.install(before, **settings)
        report = await pyodide_mirror.install(wanted, **settings, **options)
        told = [event.text for event in report.events if event.kind == "resolved"]
    except pyodide_mirror.ResolutionError as caught:
        error = str(caught)
    found = {name: item.version for name, item in installed().items() if name not in there}
    for name in found:
        micropip.uninstall([name])
    pyodide_mirror.reset()
    return {
        "there": found,
        "error": error,
        "told": told,
        "traces": [name for name in (*micropip.list(), *sys.modules) if "resolvelib" in name],
    }


@pytest.mark.driver_timeout(120)
def test_the_versions_are_those_that_fit(page: Engine) -> None:
    for kind, conflict in CONFLICTS.items():
        with SmallIndex(*conflict.wheels, resolver_wheel(), make_wheel("zcore", "0.1")) as index:
            found = install(
                page,
                index.url,
                list(conflict.before),
                list(conflict.wanted),
                dict(conflict.options),
            )
        assert conflict.refused in found["error"], (kind, found)
        assert found["there"] == conflict.there, (kind, found)
        assert found["traces"] == [], kind


def test_a_package_of_the_lock_file_does_not_fit(page: Engine) -> None:
    wheels = [
        needs("zroot", "tblib<1", "zlock"),
        needs("zlock", "tblib"),
        make_wheel("tblib", "0.1"),
    ]
    with SmallIndex(*wheels, resolver_wheel(), make_wheel("zcore", "0.1")) as index:
        found = install(page, index.url, [], ["zlock", "zroot"], {})
    assert found["error"] == ""
    assert found["there"] == {"zroot": "1.0", "zlock": "1.0", "tblib": "0.1"}


def test_of_large_wheels_the_end_is_read(page: Engine) -> None:
    # A range is asked for without a preflight, and where it begins need not be readable.
    padding = {"ztrans_data.txt": "ztrans" * 50_000}
    large = [
        make_wheel("ztrans", version, requires=[needed], modules=padding)
        for version, needed in (("1.0", "zcore<2"), ("2.0", "zcore>=2"), ("3.0", "zcore>=2"))
    ]
    wheels = [needs("zroot", "zcore==1.0", "ztrans"), *CORES, *large, resolver_wheel()]
    with SmallIndex(*wheels, sizes=True) as index:
        found = install(page, index.url, [], ["zroot"], {})
    assert found["there"] == {"zroot": "1.0", "zcore": "1.0", "ztrans": "1.0"}
    assert len(list(filter(None, index.parts))) == 2
