"""Packages of Pyodide's lock file come from the first CDN that has them, or the install says why.

The clock is virtual, so that seconds are exact.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pyodide_mirror.api
from pyodide_mirror import CDN, IncompleteInstall, InstallReport
from pyodide_mirror._micropip import PREPARED
from pyodide_mirror.api import Session
from pyodide_mirror.cdns import CDNS
from pyodide_mirror.notebook import kernel
from pyodide_mirror.transport import FailureKind
from tests.support.fake_web import BUSY, DOWN, GONE, SLOW, TIMEOUT, A, Answer, B
from tests.support.install_world import World, world_in
from tests.support.pyodide_micropip import OWN_PLACE, PackageManager
from tests.support.wheels import Wheel, make_wheel
from tests.zoo.cdns import ARRAYS, FRAMES, LIBRARY, LOCKED, SMALL

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

VERSION = "314.0.7"
X, Y, Z = (CDN(f"https://{letter}.example/v{{version}}/", name=letter.upper()) for letter in "xyz")
OWN = CDN(OWN_PLACE)
ALL = {"zoo-arrays": "1.0", "zoo-blas": "1.0", "zoo-frames": "2.0"}
FORBIDDEN = Answer(status=403)
CUT = Answer(failure=FailureKind.CUT_OFF)
LOGIN = Answer(body=b"<html>Log in")
TAMPERED = make_wheel("iniconfig", "6.6.6")


def answer(world: World, cdn: CDN, *answers: Answer, wheels: tuple[Wheel, ...] = LOCKED) -> None:
    """Let a CDN give these answers for packages; by default the packages."""
    for wheel in wheels:
        told = answers or (Answer(body=wheel.data),)
        world.web.answer(cdn.url(wheel.filename, VERSION), *told)


def asked(world: World, cdn: CDN) -> list[str]:
    """The names of the files that a CDN was asked for."""
    base = cdn.url("", VERSION)
    return [url.removeprefix(base) for url in world.web.asked if url.startswith(base)]


def reasons(report: InstallReport) -> dict[str, str]:
    return {outcome.cdn.name: str(outcome.reason) for outcome in report.report.cdns}


async def install(world: World, *wanted: str, cdns: Any = (X, Y, Z), **options: Any) -> Any:
    return await world.install(*(wanted or ("zoo-frames",)), mirrors=A, cdns=cdns, **options)


async def fails(world: World, *wanted: str, cdns: Any = (X, Y, Z)) -> tuple[str, float]:
    """The error of an install, and the seconds until it came."""
    before = asyncio.get_running_loop().time()
    with pytest.raises(IncompleteInstall) as raised:
        await install(world, *wanted, cdns=cdns)
    return str(raised.value), asyncio.get_running_loop().time() - before


# --- which CDN ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (DOWN, "unreachable"),
        (SLOW, ""),
        (FORBIDDEN, "http-status"),
        (Answer(status=451), "http-status"),
        (BUSY, "http-status"),
        (CUT, "unreachable"),
        (Answer(body=TAMPERED.data), "hash-mismatch"),
        (LOGIN, "not-an-index"),
    ],
    ids=["down", "slow", "403", "451", "503", "cut off", "wrong bytes", "login"],
)
async def test_a_bad_one_is_passed_over_without_delay(
    world: World, bad: Answer, reason: str
) -> None:
    answer(world, X, bad)
    answer(world, Y)
    begun = asyncio.get_running_loop().time()
    report = await install(world, cdns=[X, Y])
    assert asyncio.get_running_loop().time() - begun < 1
    assert world.installed == ALL
    found = reasons(report)
    assert found["Y"] == "ok"
    assert found.get("X", "") == reason
    assert set(asked(world, X)) <= {SMALL.filename, "pyodide.mjs"}
    assert {one.source for one in report.installed} == {"lockfile"}
    urls = {one.name: (one.url, one.sha256, one.size) for one in report.installed}
    assert urls == {
        each.name: (Y.url(each.filename, VERSION), each.sha256, len(each.data))
        for each in (ARRAYS, FRAMES, LIBRARY)
    }


async def test_one_with_the_core_alone_is_incomplete(world: World) -> None:
    world.web.answer(X.url("pyodide.mjs", VERSION), Answer(body=b"loadPyodide"))
    answer(world, Y)
    report = await install(world, cdns=[X, Y])
    assert reasons(report) == {"Y": "ok", "X": "incomplete"}
    assert world.installed == ALL


async def test_the_place_that_pyodide_came_from_is_asked_first_and_without_a_probe(
    world: World,
) -> None:
    answer(world, OWN)
    report = await install(world, cdns=None)
    assert world.installed == ALL
    assert sorted(asked(world, OWN)) == sorted(w.filename for w in (ARRAYS, FRAMES, LIBRARY))
    assert world.web.hosts == ["https://pyodide.example"]
    assert report.report.cdns == ()
    assert {request.credentials for request in world.web.requests} == {"same-origin"}


@pytest.mark.parametrize("bad", [GONE, SLOW, DOWN], ids=["gone", "slow", "down"])
async def test_if_that_has_none_the_known_ones_race(world: World, bad: Answer) -> None:
    answer(world, OWN, bad)
    answer(world, CDNS[2])
    begun = asyncio.get_running_loop().time()
    await install(world, cdns=None)
    assert asyncio.get_running_loop().time() - begun < 1.5
    assert world.installed == ALL


async def test_the_environment_names_cdns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODIDE_MIRROR_CDNS", f"{X.base_url}, nonsense {Y.base_url}")
    answer(world, Y)
    report = await install(world, cdns=None)
    assert world.installed == ALL
    assert {one.reason for one in report.report.cdns} >= {"ok"}
    assert not any(asked(world, cdn) for cdn in CDNS)


async def test_another_one_delivers_what_the_first_cannot(world: World) -> None:
    answer(world, X)
    answer(world, X, CUT, wheels=(ARRAYS,))
    answer(world, Y)
    report = await install(world, cdns=[X, Y])
    assert world.installed == ALL
    assert {one.name: one.url.split("/")[2] for one in report.installed} == {
        "zoo-arrays": "y.example",
        "zoo-blas": "x.example",
        "zoo-frames": "x.example",
    }
    told = [event.text for event in report.events if event.kind in {"problem", "failover"}]
    assert told == [
        f"X, {ARRAYS.filename}: Failed to fetch",
        f"{ARRAYS.filename}: from Y instead",
    ]


async def test_one_that_was_cut_off_is_asked_again_where_there_is_no_other(world: World) -> None:
    answer(world, X)
    answer(world, X, CUT, Answer(body=ARRAYS.data), wheels=(ARRAYS,))
    await install(world, cdns=X)
    assert world.installed == ALL


async def test_one_that_is_busy_for_a_moment_is_waited_for(world: World) -> None:
    answer(world, X)
    answer(world, X, BUSY, Answer(body=ARRAYS.data), wheels=(ARRAYS,))
    report = await install(world, cdns=X)
    assert world.installed == ALL
    assert [event.text for event in report.events if event.kind == "retry"] == [
        "X is busy; trying again in 0.5 s"
    ]


async def test_no_more_are_read_at_once_than_a_browser_has_connections(world: World) -> None:
    many = tuple(make_wheel(f"zoo-many-{number}", "1.0") for number in range(12))
    for wheel in many:
        world.lock(wheel)
        answer(world, OWN, Answer(body=wheel.data, delay=0.4), wheels=(wheel,))
    begun = asyncio.get_running_loop().time()
    await install(world, *(wheel.name for wheel in many), cdns=None)
    # Three rounds; what waits for its turn is not taken for hanging.
    assert 1.2 <= asyncio.get_running_loop().time() - begun < 1.5
    assert world.web.hosts == ["https://pyodide.example"]


async def test_many_packages_do_not_each_wait_for_one_that_has_died(world: World) -> None:
    many = tuple(make_wheel(f"zoo-many-{number}", "1.0") for number in range(12))
    answer(world, X, Answer(body=SMALL.data), SLOW, wheels=(SMALL,))
    for wheel in many:
        world.lock(wheel)
        answer(world, X, SLOW, wheels=(wheel,))
    text, seconds = await fails(world, *(wheel.name for wheel in many), cdns=X)
    assert seconds < 3 * TIMEOUT
    assert "X: timeout" in text


async def test_a_copy_with_some_packages_only_is_used_for_those(world: World) -> None:
    answer(world, X, wheels=(ARRAYS, LIBRARY))
    await install(world, "zoo-arrays", cdns=X)
    assert "zoo-arrays" in world.installed


async def test_a_file_with_a_whole_url_comes_from_there(world: World) -> None:
    entry = world.pyodide.api.lockfile_packages
    place = "https://elsewhere.example/files"
    entry.places[ARRAYS.name] = f"{place}/{ARRAYS.filename}"
    answer(world, OWN)
    world.web.answer(f"{place}/{ARRAYS.filename}", Answer(body=ARRAYS.data))
    try:
        report = await install(world, cdns=None)
    finally:
        entry.places.clear()
    assert world.installed == ALL
    assert {one.name: one.url for one in report.installed}["zoo-arrays"].startswith(place)


# --- what fails ---------------------------------------------------------------------------------


async def test_without_any_it_says_of_each_why_and_what_to_do(world: World) -> None:
    answer(world, X, SLOW)
    answer(world, Y, FORBIDDEN)
    answer(world, Z, Answer(body=TAMPERED.data))
    text, seconds = await fails(world)
    assert seconds < TIMEOUT + 1
    lines = [
        f"{wheel.name} could not be loaded from any CDN: "
        "X: timeout (no answer in time); Y: http-status (HTTP 403); "
        f"Z: hash-mismatch (the SHA-256 of {wheel.filename} is not that of the lock file); "
        "name a CDN that can be read, by cdns= or in PYODIDE_MIRROR_CDNS"
        for wheel in (ARRAYS, LIBRARY, FRAMES)
    ]
    assert text.splitlines() == [
        "could not be installed: zoo-arrays, zoo-blas, zoo-frames",
        *lines,
    ]
    assert world.installed == {}


async def test_with_all_known_ones_hanging_it_says_so_in_time(world: World) -> None:
    for cdn in (OWN, *CDNS):
        answer(world, cdn, SLOW)
    text, seconds = await fails(world, cdns=None)
    assert seconds < TIMEOUT + 1
    for name in ("this page's own Pyodide", *(cdn.name for cdn in CDNS)):
        assert f"{name}: timeout (no answer in time)" in text


async def test_what_was_loaded_before_the_failure_is_taken_away_again(world: World) -> None:
    answer(world, X)
    answer(world, X, GONE, wheels=(ARRAYS,))
    text, _ = await fails(world, cdns=X)
    assert text.startswith("could not be installed: zoo-arrays\n")
    assert world.installed == {}


async def test_a_library_that_no_index_can_have_ends_the_install(world: World) -> None:
    world.web.publish(A, make_wheel("zoo-blas", "9.0"))
    answer(world, X)
    answer(world, X, GONE, wheels=(LIBRARY,))
    text, _ = await fails(world, cdns=X)
    assert text.startswith("could not be installed: zoo-blas\nzoo-blas could not be loaded")
    assert world.installed == {}


async def test_where_an_index_has_a_wheel_that_is_used_and_said(world: World) -> None:
    world.web.publish(A, make_wheel("zoo-arrays", "1.1"))
    answer(world, X)
    answer(world, X, GONE, wheels=(ARRAYS,))
    report = await install(world, cdns=X, canary="zoo-arrays")
    assert world.installed == {**ALL, "zoo-arrays": "1.1"}
    assert {one.name: one.source for one in report.installed}["zoo-arrays"] == "mirror"
    [told] = [event.text for event in report.events if event.text.startswith("zoo-arrays, ")]
    assert told.endswith("Pyodide's build cannot be loaded, so an index is asked")


async def test_a_package_without_a_digest_is_not_loaded(world: World) -> None:
    answer(world, X)
    world.pyodide.api.lockfile_packages.digests[ARRAYS.name] = ""
    try:
        text, _ = await fails(world, "zoo-arrays", cdns=X)
    finally:
        world.pyodide.api.lockfile_packages.digests.clear()
    assert "Pyodide's lock file has no SHA-256 of it" in text


async def test_a_later_try_asks_anew(world: World) -> None:
    answer(world, X, FORBIDDEN)
    await fails(world, cdns=X)
    answer(world, X)
    await install(world, cdns=X)
    assert world.installed == ALL


async def test_a_cancelled_install_leaves_no_request_and_no_package(world: World) -> None:
    answer(world, X)
    answer(world, X, Answer(body=ARRAYS.data, delay=3), wheels=(ARRAYS,))
    before = asyncio.all_tasks()
    running = asyncio.ensure_future(install(world, cdns=X))
    await asyncio.sleep(1)
    running.cancel()
    await asyncio.wait({running})
    await asyncio.sleep(1)
    assert asyncio.all_tasks() == before
    assert world.web.cancelled == [X.url(ARRAYS.filename, VERSION)]


# --- the cache, and what is remembered ----------------------------------------------------------


async def test_what_was_read_once_is_in_the_cache(world: World) -> None:
    answer(world, X)
    await install(world, cdns=X, cache=True)
    world.micropip.uninstall(list(ALL))
    vars(world.pyodide.loaded).clear()
    answer(world, X, DOWN)
    report = await install(world, cdns=X, cache=True)
    assert world.installed == ALL
    assert {(one.source, one.url, one.sha256) for one in report.installed} == {
        ("lockfile", "", wheel.sha256) for wheel in (ARRAYS, FRAMES, LIBRARY)
    }


async def test_a_cdn_that_worked_is_asked_first_the_next_time(world: World) -> None:
    answer(world, Y)
    await install(world, remember=True)
    world.micropip.uninstall(list(ALL))
    vars(world.pyodide.loaded).clear()
    world.session.release()
    world.session = Session(world.host)  # another page
    world.web.requests.clear()
    await install(world, remember=True)
    assert world.installed == ALL
    assert world.web.hosts == ["https://y.example"]
    assert SMALL.filename not in asked(world, Y)


async def test_reset_forgets_it(world: World) -> None:
    answer(world, Y)
    await install(world, remember=True)
    assert await world.host.cdn_store.load() is not None
    world.session.reset()
    await world.session.settled()
    assert await world.host.cdn_store.load() is None


@pytest.mark.parametrize("cdn", [X, OWN], ids=["named", "own"])
async def test_nothing_is_remembered_without_leave_or_need(world: World, cdn: CDN) -> None:
    answer(world, cdn)
    await install(world, cdns=None if cdn is OWN else cdn, remember=cdn is OWN)
    assert await world.host.cdn_store.load() is None


# --- Pyodide's own ways -------------------------------------------------------------------------


async def configured(world: World, **options: Any) -> PackageManager:
    world.web.publish(A, make_wheel("zoo-canary", "1.0"))
    await world.session.configure(A, canary="zoo-canary", timeout=TIMEOUT, **options)
    manager: PackageManager = world.pyodide.api.packageManager
    return manager


async def test_plain_load_package_goes_through_the_cdns_until_reset(world: World) -> None:
    before = len(world.web.asked)
    manager = await configured(world, cdns=[X, Y])
    assert not any(".example/v" in url for url in world.web.asked[before:])  # nothing is needed yet
    answer(world, Y)
    await world.pyodide.load_package("zoo-frames")
    assert world.installed == ALL
    ours = manager.downloadPackage
    world.session.reset()
    assert not manager.hasOwnProperty("downloadPackage")
    assert ours.destroyed  # type: ignore[attr-defined]


async def test_plain_load_package_logs_one_sentence(world: World) -> None:
    await configured(world, cdns=[X, Y], remember=False)
    answer(world, X, SLOW)
    answer(world, Y, FORBIDDEN)
    begun = asyncio.get_running_loop().time()
    assert await world.pyodide.load_package("zoo-arrays") == []
    assert asyncio.get_running_loop().time() - begun < TIMEOUT + 1
    [sentence] = [text for text in world.pyodide.logged if text.startswith("zoo-arrays")]
    assert sentence == (
        "zoo-arrays could not be loaded from any CDN: X: timeout (no answer in time); "
        "Y: http-status (HTTP 403); "
        "name a CDN that can be read, by cdns= or in PYODIDE_MIRROR_CDNS"
    )
    answer(world, X)
    await world.pyodide.load_package("zoo-arrays")
    assert "zoo-arrays" in world.installed


async def test_plain_micropip_raises(world: World) -> None:
    await configured(world, cdns=X)
    with pytest.raises(IncompleteInstall, match="zoo-frames could not be loaded from any CDN"):
        await world.micropip.install("zoo-frames")
    assert world.installed == {}


async def test_an_install_uses_the_cdns_that_are_configured(world: World) -> None:
    await configured(world, cdns=X)
    answer(world, X)
    report = await world.session.install("zoo-frames", mirrors=A, canary="zoo-canary")
    assert world.installed == ALL
    assert reasons(report) == {"X": "ok"}
    status = world.session.status()
    assert status is not None
    assert [each.cdn for each in status.cdns] == [X]


async def test_an_install_with_other_mirrors_leaves_the_cdns_as_they_are(world: World) -> None:
    await configured(world, cdns=X)
    answer(world, X)
    wheel = make_wheel("zother", "1.0")
    world.web.publish(B, wheel, size=len(wheel.data))
    await world.session.install("zother", mirrors=B)
    await world.pyodide.load_package("zoo-arrays")
    assert asked(world, X)
    assert "zoo-arrays" in world.installed


async def test_what_is_put_off_holds_for_plain_load_package_too(world: World) -> None:
    answer(world, X)
    world.session.configure_later(A, cdns=X)
    await world.pyodide.load_package("zoo-arrays")
    assert "zoo-arrays" in world.installed
    assert world.web.hosts == ["https://x.example"]


async def test_a_kernel_loads_what_a_cell_imports_before_anything_is_installed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(world, OWN, GONE)
    answer(world, CDNS[1])
    world.session.release()
    # As in a kernel that has just started, whatever other tests have used.
    monkeypatch.delitem(sys.modules, "pyodide_mirror.api.default", raising=False)
    kernel.prepare(mirrors=[A.index_url])
    assert world.web.asked == []
    hook, packages, configure = PREPARED.pop()
    world.session = Session(world.host, hook, packages)  # as it is made when it is first needed
    configure(world.session)
    monkeypatch.setattr(pyodide_mirror.api, "SESSION", world.session)
    packages.default = kernel._first_request
    await world.pyodide.load_package("zoo-arrays")
    assert "zoo-arrays" in world.installed
    world.session.reset()
    assert not world.pyodide.api.packageManager.hasOwnProperty("downloadPackage")


async def test_without_a_configuration_pyodide_is_left_alone_during_an_install(
    world: World,
) -> None:
    answer(world, X)
    answer(world, X, Answer(body=FRAMES.data, delay=2), wheels=(FRAMES,))
    manager: PackageManager = world.pyodide.api.packageManager
    running = asyncio.ensure_future(install(world, cdns=X))
    await asyncio.sleep(0.5)
    package = {"name": "zlocked", "normalizedName": "zlocked", "channel": "default channel"}
    assert await manager.downloadPackage(SimpleNamespace(**package), True)
    await running
    assert not manager.hasOwnProperty("downloadPackage")
    assert world.web.hosts == ["https://x.example"]


async def test_who_wants_no_check_gets_what_pyodide_gives(world: World) -> None:
    manager = await configured(world, cdns=X)
    package = {"name": "zlocked", "normalizedName": "zlocked", "channel": "default channel"}
    assert await manager.downloadPackage(SimpleNamespace(**package), False)
    assert asked(world, X) == []


async def test_what_somebody_else_has_put_in_front_stays(world: World) -> None:
    manager = await configured(world, cdns=X)
    ours = manager.downloadPackage

    async def theirs(package: Any, check: bool = True) -> bytes:
        return await ours(package, check)

    manager.downloadPackage = theirs  # type: ignore[method-assign]
    world.session.reset()
    assert manager.downloadPackage is theirs
    await world.pyodide.load_package("zlocked")
    assert "zlocked" in world.installed


async def test_two_installs_at_once_use_their_own_cdns(world: World) -> None:
    answer(world, X, wheels=(SMALL, LIBRARY, ARRAYS))
    answer(world, Y, wheels=(SMALL,))
    first, second = await asyncio.gather(
        install(world, "zoo-arrays", cdns=X), install(world, "iniconfig", cdns=Y)
    )
    assert {one.url.split("/")[2] for one in first.installed} == {"x.example"}
    assert {one.url.split("/")[2] for one in second.installed} == {"y.example"}


async def test_no_cdn_is_asked_before_a_package_is_needed(world: World) -> None:
    world.web.publish(A, make_wheel("demo", "1.0"))
    answer(world, X)
    await install(world, "demo", cdns=X)
    assert asked(world, X) == []


async def test_a_probe_looks_at_the_cdns_that_are_named_and_changes_nothing(world: World) -> None:
    answer(world, X, FORBIDDEN)
    answer(world, Y)
    options: dict[str, Any] = {"canary": "zoo-canary", "timeout": TIMEOUT}
    report = await world.session.probe(A, cdns=[X, Y], **options)
    assert [(one.cdn, str(one.reason)) for one in report.cdns] == [(Y, "ok"), (X, "http-status")]
    assert not world.pyodide.api.packageManager.hasOwnProperty("downloadPackage")
    world.web.requests.clear()
    assert (await world.session.probe(A, **options)).cdns == ()
    assert {url.partition("/simple")[0] for url in world.web.asked} == {"https://a.example"}


async def test_a_probe_looks_at_mirrors_and_cdns_at_the_same_time(world: World) -> None:
    answer(world, X, SLOW)
    world.web.answer(f"{A.index_url}/zoo-canary/", SLOW)
    before = asyncio.get_running_loop().time()
    report = await world.session.probe(A, cdns=X, canary="zoo-canary", timeout=TIMEOUT)
    assert [str(one.reason) for one in (*report.outcomes, *report.cdns)] == ["timeout"] * 2
    assert asyncio.get_running_loop().time() - before < TIMEOUT * 1.5


async def test_where_nothing_is_named_it_looks_at_the_known_ones(world: World) -> None:
    report = await world.session.probe(timeout=TIMEOUT)
    assert {one.cdn for one in report.cdns} == set(CDNS)


# --- Pyodides without a place for the hook ------------------------------------------------------


@contextmanager
def old_world(folder: Path) -> Iterator[World]:
    with world_in(folder, "0.9.0") as made:
        yield made


async def test_where_there_is_no_hook_it_warns_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with old_world(tmp_path) as world, caplog.at_level(logging.WARNING):
        await install(world, "zlocked", cdns=X)
        assert world.installed == {"zlocked": "1.0"}
        assert "cdns is without effect here" in caplog.text
        text, _ = await fails(world, "zlost", cdns=X)
        assert "zlost could not be loaded: Pyodide 314.0.7 loads its own packages" in text
