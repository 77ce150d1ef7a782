"""Installs are complete, or nothing at all; and micropip is still micropip."""

from collections.abc import Iterator

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser.test_install import clean
from tests.support.engines import Engine
from tests.support.wheels import INSTALLED
from tests.zoo.zoo import Zoo

pytestmark = pytest.mark.engines(
    "chromium", "firefox", "firefox-worker", "webkit", ci=("chromium",)
)


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    clean(page)
    yield
    clean(page)


@run_in_pyodide
async def plain_after_configure(selenium: Engine, urls: list[str]) -> dict:
    """Use micropip's own functions on a configured micropip."""
    import inspect
    import json

    import micropip

    import pyodide_mirror

    original = micropip.install
    signature = inspect.signature(original)
    await pyodide_mirror.configure(urls, canary="zoo-canary", timeout=2)
    assert micropip.install is not original
    assert micropip.install.__self__ is original.__self__
    assert inspect.signature(micropip.install) == signature
    result = await micropip.install("zoo-root==0.9")
    found = {"result": result, "listed": micropip.list()["zoo-root"].version}
    await micropip.install("zoo-root==1.0", reinstall=True)
    found["reinstalled"] = micropip.list()["zoo-root"].version
    frozen = json.loads(micropip.freeze())["packages"]
    found["frozen"] = sorted(name for name in frozen if name.startswith("zoo-"))
    micropip.uninstall(["zoo-root", "zoo-dep-a"])
    found["left"] = sorted(name for name in micropip.list() if name.startswith("zoo-"))
    await micropip.install("zoo-root", constraints=["zoo-root<1"])
    found["constrained"] = micropip.list()["zoo-root"].version
    pyodide_mirror.reset()
    assert micropip.install is original
    return found


def test_plain_micropip_works_as_before_through_a_bad_and_a_good_mirror(
    page: Engine, zoo: Zoo
) -> None:
    found = plain_after_configure(page, [zoo.url("dep-file-tampered"), zoo.url("healthy")])
    assert found == {
        "result": None,
        "listed": "0.9",
        "reinstalled": "1.0",
        "frozen": sorted(INSTALLED),
        "left": ["zoo-dep-b"],
        "constrained": "0.9",
    }


@run_in_pyodide
async def install_options(selenium: Engine, url: str, wheel: str) -> dict:
    """Install with the options that micropip has."""
    import micropip

    import pyodide_mirror

    options = {"mirrors": url, "canary": "zoo-canary", "timeout": 2}
    found = {}
    report = await pyodide_mirror.install("zoo-root", deps=False, **options)
    found["deps=False"] = [one.name for one in report.installed]
    micropip.uninstall("zoo-root")
    micropip.add_mock_package("zoo-dep-a", "1.0")
    report = await pyodide_mirror.install("zoo-root", **options)
    found["mock"] = [one.name for one in report.installed]
    micropip.remove_mock_package("zoo-dep-a")
    micropip.uninstall(["zoo-root", "zoo-dep-b"])
    report = await pyodide_mirror.install(wheel, **options)
    found["wheel"] = [(one.name, one.source, one.url == wheel) for one in report.installed]
    return found


def test_options_and_direct_urls_are_respected(page: Engine, zoo: Zoo) -> None:
    url = zoo.url("healthy")
    wheel = f"{url.removesuffix('/simple')}/files/zoo_dep_a-1.0-py3-none-any.whl"
    assert install_options(page, url, wheel) == {
        "deps=False": ["zoo-root"],
        "mock": ["zoo-dep-b", "zoo-root"],
        "wheel": [("zoo-dep-a", "url", True)],
    }


@run_in_pyodide
async def after_leftovers(selenium: Engine, url: str) -> tuple[list[str], list[str]]:
    """Install on top of what an incomplete install has left behind."""
    import micropip

    import pyodide_mirror

    await micropip.install("zoo-root", deps=False, index_urls=[url])
    report = await pyodide_mirror.install("zoo-root", mirrors=url, canary="zoo-canary", timeout=2)
    closure = [event.text for event in report.events if event.kind == "closure"]
    return [one.name for one in report.installed], closure


def test_leftovers_of_an_earlier_try_are_completed(page: Engine, zoo: Zoo) -> None:
    names, closure = after_leftovers(page, zoo.url("healthy"))
    assert names == ["zoo-dep-a", "zoo-dep-b"]
    assert len(closure) == 2


@run_in_pyodide
async def failing(selenium: Engine, urls: list[str], **options: object) -> dict:
    """Install what must fail; return what is told, and what is left."""
    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    kinds = []
    try:
        await pyodide_mirror.install(
            "zoo-root",
            mirrors=urls,
            canary="zoo-canary",
            timeout=1,
            on_event=lambda event: kinds.append(event.kind),
            **options,
        )
    except Exception as error:
        name, text = type(error).__name__, str(error)
    else:
        name, text = "", ""
    left = sorted(name for name in installed() if name.startswith("zoo-"))
    return {"error": name, "text": text, "left": left, "kinds": kinds}


@pytest.mark.parametrize(
    ("animals", "error", "text"),
    [
        (["dep-file-tampered"], "DigestMismatch", "zoo_dep_"),
        (["dep-file-tampered", "dep-file-tampered"], "DigestMismatch", "zoo_dep_"),
        (["dep-file-missing"], "IncompleteInstall", "zoo-dep-"),
        (["dep-page-missing"], "ValueError", "zoo-dep-"),
    ],
)
def test_an_install_that_fails_leaves_nothing_and_says_what_is_missing(
    page: Engine, zoo: Zoo, animals: list[str], error: str, text: str
) -> None:
    found = failing(page, [zoo.start(name).url for name in animals])
    assert (found["error"], found["left"]) == (error, [])
    assert text in found["text"]


def test_quorum_wants_a_second_host(page: Engine, zoo: Zoo) -> None:
    one = zoo.start("healthy").url
    other = zoo.start("healthy").url.replace("127.0.0.1", "localhost")
    alone = failing(page, [one, zoo.start("healthy").url], verify="quorum")
    assert alone["error"] == "MirrorError"
    assert "only one mirror" in alone["text"]
    assert alone["left"] == []
    both = failing(page, [one, other], verify="quorum")
    assert (both["error"], both["left"]) == ("", sorted(INSTALLED))


def test_quorum_refuses_a_file_on_which_hosts_disagree(page: Engine, zoo: Zoo) -> None:
    other = zoo.start("rebuilt").url.replace("127.0.0.1", "localhost")
    found = failing(page, [zoo.start("healthy").url, other], verify="quorum")
    assert (found["error"], found["left"]) == ("DigestMismatch", [])


# --- private indexes ----------------------------------------------------------------------------


@run_in_pyodide
async def with_private_index(selenium: Engine, url: str, public: str, private: bool) -> dict:
    """Install where one index claims the project, or is private."""
    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    options = {"private": True} if private else {"projects": ["zoo-dep-*"]}
    mirrors = [pyodide_mirror.Mirror(url, **options), public]
    try:
        report = await pyodide_mirror.install(
            "zoo-root", mirrors=mirrors, canary="zoo-canary", timeout=1
        )
    except pyodide_mirror.MirrorError as error:
        left = [name for name in installed() if name.startswith("zoo-")]
        return {"error": str(error), "left": left}
    return {one.name: one.mirror for one in report.installed}


def test_a_project_of_a_private_index_comes_from_there_alone(page: Engine, zoo: Zoo) -> None:
    own, public = zoo.start("healthy"), zoo.start("healthy")
    found = with_private_index(page, own.url, public.url, False)
    assert found == {"zoo-root": public.url, "zoo-dep-a": own.url, "zoo-dep-b": own.url}
    assert not any("zoo-dep" in request.target for request in public.requests)
    assert not any("zoo-root" in request.target for request in own.requests)


@pytest.mark.parametrize("animal", ["500", "no-cors", "hangs", "login-page", "closed-port"])
def test_a_private_index_that_fails_never_falls_through(
    page: Engine, zoo: Zoo, animal: str
) -> None:
    own, public = zoo.start(animal), zoo.start("healthy")
    found = with_private_index(page, own.url, public.url, False)
    assert "no other mirror may be asked for it" in found["error"]
    assert found["left"] == []
    assert not any("zoo-dep" in request.target for request in public.requests)


@run_in_pyodide
async def hidden_lock(selenium: Engine, own: str, public: str) -> list[str]:
    """Ask for a project of an index that Pyodide's lock file has, too."""
    import micropip

    import pyodide_mirror

    manager = micropip.install.__self__
    packages = manager.compat_layer.lockfile_packages
    packages["zoo-dep-a"] = {**packages["packaging"], "name": "zoo-dep-a", "version": "1.0"}
    try:
        report = await pyodide_mirror.install(
            "zoo-dep-a",
            mirrors=[pyodide_mirror.Mirror(own, projects=["zoo-*"]), public],
            canary="zoo-canary",
            timeout=2,
        )
    finally:
        kept = packages.pop("zoo-dep-a", None)
    assert kept, "it is hidden during the install only"
    return [f"{one.name} {one.source} {one.mirror}" for one in report.installed]


def test_a_claimed_project_is_hidden_from_the_lock_file(page: Engine, zoo: Zoo) -> None:
    own = zoo.url("healthy")
    found = hidden_lock(page, own, zoo.start("healthy").url)
    assert found == [f"zoo-dep-a mirror {own}"]


@run_in_pyodide
async def broken_lock(selenium: Engine, url: str) -> tuple[list[str], list[str]]:
    """Ask for a lock-file package whose file is gone."""
    import micropip
    from pyodide_js._api import lockfile_packages

    import pyodide_mirror

    manager = micropip.install.__self__
    entry = {**manager.compat_layer.lockfile_packages["packaging"]}
    gone = {**entry, "name": "zoo-dep-a", "version": "1.0", "file_name": "gone-1.0.whl"}
    manager.compat_layer.lockfile_packages["zoo-dep-a"] = gone
    import js
    from pyodide.ffi import to_js

    js_gone = to_js(gone, dict_converter=js.Object.fromEntries)
    setattr(lockfile_packages, "zoo-dep-a", js_gone)
    try:
        report = await pyodide_mirror.install(
            "zoo-dep-a", mirrors=url, cdns=url, canary="zoo-canary", timeout=2
        )
    finally:
        manager.compat_layer.lockfile_packages.pop("zoo-dep-a", None)
        delattr(lockfile_packages, "zoo-dep-a")
    closure = [event.text for event in report.events if event.kind == "closure"]
    return [f"{one.name} {one.source}" for one in report.installed], closure


def test_a_lock_file_package_that_is_nowhere_takes_the_whole_install_back(
    page: Engine, zoo: Zoo
) -> None:
    found = lost_lock(page, zoo.url("healthy"))
    assert found == {"error": "IncompleteInstall", "missing": ["zoo-lost"], "left": []}


@run_in_pyodide
async def lost_lock(selenium: Engine, url: str) -> dict:
    """Ask for a lock-file package whose file is gone, and that no mirror has."""
    import js
    import micropip
    from pyodide.ffi import to_js
    from pyodide_js._api import lockfile_packages

    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    packages = micropip.install.__self__.compat_layer.lockfile_packages
    gone = {
        **packages["packaging"],
        "name": "zoo-lost",
        "version": "1.0",
        "file_name": "lost-1.0.whl",
    }
    packages["zoo-lost"] = gone
    setattr(lockfile_packages, "zoo-lost", to_js(gone, dict_converter=js.Object.fromEntries))
    options = {"mirrors": url, "cdns": url, "canary": "zoo-canary", "timeout": 2}
    try:
        await pyodide_mirror.install(["zoo-root", "zoo-lost"], **options)
    except pyodide_mirror.IncompleteInstall as error:
        left = [name for name in installed() if name.startswith("zoo-")]
        return {"error": type(error).__name__, "missing": list(error.missing), "left": left}
    finally:
        packages.pop("zoo-lost", None)
        delattr(lockfile_packages, "zoo-lost")
    raise AssertionError("it installed")


def test_a_lock_file_package_that_does_not_load_comes_from_the_mirror(
    page: Engine, zoo: Zoo
) -> None:
    found, closure = broken_lock(page, zoo.url("healthy"))
    assert found == ["zoo-dep-a mirror"]
    assert closure == [
        "zoo-dep-a, requested: Pyodide's build cannot be loaded, so an index is asked"
    ]


# --- cancelling ---------------------------------------------------------------------------------


@run_in_pyodide
async def cancelled(selenium: Engine, url: str) -> tuple[list[str], int]:
    """Cancel an install in the middle; return what is left, and the tasks that still run."""
    import asyncio
    import contextlib

    import pyodide_mirror
    from pyodide_mirror.api import SESSION
    from pyodide_mirror.installing.site_packages import installed

    await pyodide_mirror.configure(url, canary="zoo-canary", timeout=5)
    reading = asyncio.Event()

    def on_event(event: pyodide_mirror.Event) -> None:
        if event.kind == "page" and "zoo-dep" in event.text:
            reading.set()

    before = asyncio.all_tasks()
    install = asyncio.ensure_future(
        pyodide_mirror.install(
            "zoo-root", mirrors=url, canary="zoo-canary", timeout=30, on_event=on_event
        )
    )
    await asyncio.wait_for(reading.wait(), 10)
    await asyncio.sleep(0.1)  # let it ask for the file that never comes
    install.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await install
    for _ in range(20):
        await asyncio.sleep(0)
    await SESSION.settled()  # what was read whole is kept
    left = [name for name in installed() if name.startswith("zoo-")]
    return left, len(asyncio.all_tasks() - before)


def test_a_cancelled_install_leaves_no_request_and_no_package(page: Engine, zoo: Zoo) -> None:
    running = zoo.start("dep-file-hangs")
    left, tasks = cancelled(page, running.url)
    assert (left, tasks) == ([], 0)


# --- a micropip that nobody knows ---------------------------------------------------------------


@run_in_pyodide
async def unknown_micropip(selenium: Engine, urls: list[str], private: str) -> dict:
    """Configure a micropip whose fetch is not where it used to be."""
    import logging

    import micropip

    import pyodide_mirror
    from pyodide_mirror._micropip import fetch

    warnings = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())

    handler = Handler()
    logging.getLogger("pyodide_mirror").addHandler(handler)
    modules, fetch._COMPAT_MODULES = fetch._COMPAT_MODULES, ("micropip.nowhere",)
    found = {}
    try:
        for name, mirrors in (
            ("public", urls),
            ("private", [pyodide_mirror.Mirror(private, private=True), *urls]),
        ):
            await pyodide_mirror.configure(mirrors, canary="zoo-canary", timeout=2)
            found[name] = list(micropip.set_index_urls.__self__.index_urls)
            if name == "public":
                await micropip.install("zoo-root")
                found["listed"] = sorted(n for n in micropip.list() if n.startswith("zoo-"))
            pyodide_mirror.reset()
    finally:
        fetch._COMPAT_MODULES = modules
        logging.getLogger("pyodide_mirror").removeHandler(handler)
    found["warned"] = any("not supported" in warning for warning in warnings)
    return found


def test_an_unknown_micropip_gets_plain_index_urls_and_a_warning(page: Engine, zoo: Zoo) -> None:
    # The other one never answers, so that however fast the machine is the first one wins.
    one, other, own = (zoo.start(name).url for name in ("healthy", "hangs", "healthy"))
    assert unknown_micropip(page, [one, other], own) == {
        "public": [one, other],
        "listed": sorted(INSTALLED),
        "private": [own],
        "warned": True,
    }
