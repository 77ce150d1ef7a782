"""Installs that are resolved anew, because what micropip chooses first does not fit together."""

import io
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from pyodide_mirror import DigestMismatch, Event, Mirror, MirrorError, ResolutionError, resolving
from pyodide_mirror.installing.choices import Conflicts
from pyodide_mirror.jupyterlite.site_wheels import MADE, installed_wheel
from pyodide_mirror.resolving import resolution
from tests.support.conflict_worlds import CONFLICTS, CORES, TRANS, Conflict, needs, resolver_wheel
from tests.support.fake_web import GONE, OUTAGE, A, Answer, B, entry, file_url
from tests.support.install_world import World
from tests.support.pyodide_micropip import DEPENDS
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def publish(world: World, *wheels: Wheel, **changes: object) -> None:
    """Let A have these wheels."""
    for name in dict.fromkeys(wheel.name for wheel in wheels):
        world.web.publish(A, *(wheel for wheel in wheels if wheel.name == name), **changes)


async def outcome(world: World, conflict: Conflict, **changes: object) -> str:
    """Install; the text of the error, if there is one."""
    publish(world, *conflict.wheels, **changes)
    if conflict.before:
        await world.install(*conflict.before, mirrors=[A])
    try:
        await world.install(*conflict.wanted, mirrors=[A], **conflict.options)
    except ResolutionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("promised", [True, False], ids=["metadata", "no metadata"])
@pytest.mark.parametrize("kind", CONFLICTS)
async def test_the_versions_are_those_that_fit(world: World, kind: str, promised: bool) -> None:
    conflict = CONFLICTS[kind]
    text = await outcome(world, conflict, **({} if promised else {"core_metadata": None}))
    assert conflict.refused in text
    assert bool(conflict.refused) is bool(text), text
    assert world.installed == conflict.there


async def test_by_each_micropip(each_world: World) -> None:
    assert not await outcome(each_world, CONFLICTS["one goes back"])
    assert each_world.installed == CONFLICTS["one goes back"].there


async def test_what_fits_is_looked_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    check = Conflicts.check
    monkeypatch.setattr(Conflicts, "check", lambda self: looked.append(self) or check(self))
    publish(world, needs("zroot", "ztrans", "zcore"), *TRANS, *CORES)
    report = await world.install("zroot", mirrors=[A])
    assert len(report.installed) == 3
    assert len(looked) == 1


# --- what is told ---------------------------------------------------------------------------------


async def test_events_say_what_was_chosen_instead_and_why(world: World) -> None:
    publish(world, needs("zroot", "ztrans", "zcore==1.0"), *TRANS, *CORES)
    report = await world.install("zcore", "zroot", mirrors=[A])
    assert [event.text for event in report.events if event.kind == "resolved"] == [
        "resolved anew: zcore 1.0 instead of 2.0, because zroot requires ==1.0",
        "resolved anew: ztrans 1.0 instead of 2.0, which requires zcore>=2",
    ]
    assert {each.name: (each.version, each.source) for each in report.installed} == {
        "zcore": ("1.0", "mirror"),
        "zroot": ("1.0", "mirror"),
        "ztrans": ("1.0", "mirror"),
    }
    assert not any(event.kind == "undone" for event in report.events)


async def test_nothing_is_unpacked_before_it_is_resolved(world: World) -> None:
    unpacked = []
    publish(world, *CONFLICTS["one goes back"].wheels)
    report = await world.install("zroot", mirrors=[A], on_event=lambda e: unpacked.append(e.kind))
    kinds = [event.kind for event in report.events]
    assert kinds.index("resolved") < kinds.index("unpacked")
    assert kinds.count("unpacked") == 3


async def test_an_extra_that_micropip_passes_over_is_seen_before_anything_is_unpacked(
    world: World,
) -> None:
    # micropip takes zroot for there already when its extra is asked for.
    zroot = make_wheel("zroot", "1.0", extras={"x": ["zcore<2"]})
    publish(world, zroot, needs("za", "zroot[x]", "zcore"), *CORES)
    report = await world.install("zroot", "za", mirrors=[A])
    assert world.installed == {"za": "1.0", "zcore": "1.0", "zroot": "1.0"}
    assert not any(event.kind == "undone" for event in report.events)


async def test_the_error_is_one_that_code_for_micropip_catches(world: World) -> None:
    publish(world, *CONFLICTS["nothing fits"].wheels)
    with pytest.raises(ResolutionError) as caught:
        await world.install("zroot", mirrors=[A])
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, MirrorError)
    assert caught.value.projects == ("zcore",)
    [chain] = caught.value.chains
    assert chain == (
        "zcore: zcore==1.0 (required by zroot 1.0), "
        "zcore>=2 (required by ztrans 2.0, required by zroot 1.0); there is 2.0, 1.0"
    )
    assert caught.value.hints == ("ask for other versions of what requires this",)


async def test_the_error_names_a_constraint(world: World) -> None:
    publish(world, needs("zroot", "zcore>=2"), *CORES)
    with pytest.raises(ResolutionError) as caught:
        await world.install("zroot", mirrors=[A], constraints=["zcore<2"])
    assert "zcore<2 (a constraint), zcore>=2 (required by zroot 1.0)" in caught.value.chains[0]
    assert "leave out the constraint on zcore" in caught.value.hints


async def test_the_error_says_what_there_is_and_why_it_is_out(world: World) -> None:
    other = make_wheel("zcore", "4.0", tag="cp27-cp27m-win32")
    wheels = [make_wheel("zcore", "3.0", requires_python=">=3.99"), other, *CORES]
    world.web.publish(A, *wheels)
    rows = [entry(A, wheel, requires_python=wheel.requires_python) for wheel in wheels]
    world.web.list_files(A, "zcore", [*rows[:-1], rows[-1] | {"yanked": "broken"}])
    publish(world, needs("zroot", "zcore>=3"))
    with pytest.raises(ResolutionError) as caught:
        await world.install("zroot", mirrors=[A])
    assert caught.value.chains[0].startswith(
        "zcore: zcore>=3 (required by zroot 1.0); there is 2.0 (yanked), 1.0; left out: "
        "4.0 has no wheel for Pyodide, 3.0 requires Python >=3.99; this is Python 3."
    )


async def test_an_error_of_hundreds_of_requirements_is_short(world: World) -> None:
    roots = [needs(f"zr{n}", f"zcore=={n}.0") for n in range(200)]
    publish(world, *roots, *(make_wheel("zcore", f"{n}.0") for n in range(200)))
    with pytest.raises(ResolutionError) as caught:
        await world.install(*(root.name for root in roots), mirrors=[A])
    assert len(str(caught.value)) < 3000


async def test_so_is_one_with_a_long_text_from_the_network(world: World) -> None:
    publish(world, make_wheel("zcore", "1.0", requires_python=">=3.99" + ",>=3.9" * 5000))
    with pytest.raises(ResolutionError, match=r"requires Python >=3\.99") as caught:
        await world.install("zcore", mirrors=[A])
    assert len(str(caught.value)) < 3000


# --- where resolvelib comes from ------------------------------------------------------------------


@pytest.fixture
def unknown_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that has no resolvelib."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "resolvelib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(resolution, "_LOADED", [])


@pytest.mark.usefixtures("unknown_library")
async def test_the_library_comes_from_a_mirror_and_leaves_no_trace(world: World) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels, resolver_wheel())
    await world.install("zroot", mirrors=[A])
    assert world.installed == CONFLICTS["one goes back"].there
    assert not any("resolvelib" in name for name in [*sys.modules, *sys.path])
    asked = list(world.web.asked)
    world.micropip.uninstall(["zroot", "ztrans", "zcore"])
    await world.install("zroot", mirrors=[A])
    assert not any("resolvelib" in url for url in world.web.asked[len(asked) :])


@pytest.mark.usefixtures("unknown_library")
async def test_without_a_conflict_nobody_asks_for_it(world: World) -> None:
    publish(world, needs("zroot", "zcore"), *CORES, resolver_wheel())
    await world.install("zroot", mirrors=[A])
    assert not any("resolvelib" in url for url in world.web.asked)


@pytest.mark.usefixtures("unknown_library")
async def test_the_cache_remembers_it(world: World) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels, resolver_wheel())
    await world.install("zroot", mirrors=[A], cache=True)
    world.micropip.uninstall(["zroot", "ztrans", "zcore"])
    resolution._LOADED.clear()
    asked = list(world.web.asked)
    await world.install("zroot", mirrors=[A], cache=True)
    assert world.installed == CONFLICTS["one goes back"].there
    assert not any("resolvelib" in url for url in world.web.asked[len(asked) :])


@pytest.mark.usefixtures("unknown_library")
@pytest.mark.parametrize("kind", ["nowhere", "too old", "too new", "tampered", "no wheel"])
async def test_where_it_cannot_be_had_the_error_says_so_and_names_the_conflict(
    world: World, kind: str
) -> None:
    publish(world, needs("zroot", "zcore==1.0", "ztrans"), *TRANS, *CORES)
    wheel = resolver_wheel({"too old": "0.9", "too new": "2.0"}.get(kind, ""))
    if kind != "nowhere":
        world.web.publish(A, wheel)
    if kind in {"tampered", "no wheel"}:
        world.web.answer(file_url(A, wheel), Answer(body=wheel.data[:-9]))
    if kind == "no wheel":
        world.web.publish(A, make_wheel("resolvelib", "1.2.0"))
    with pytest.raises((ResolutionError, ValueError)) as caught:
        await world.install("zroot", mirrors=[A])
    notes = "".join(caught.value.__notes__)
    assert "resolvelib, which looks for versions that fit, cannot be loaded" in notes
    assert "zcore" in str(caught.value)
    assert world.folders == []
    assert not any("resolvelib" in name for name in [*sys.modules, *sys.path])


@pytest.mark.usefixtures("unknown_library")
async def test_it_comes_from_the_next_mirror_if_the_first_has_not_got_the_file(
    world: World,
) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels, resolver_wheel())
    world.web.publish(B, resolver_wheel())
    world.web.answer(file_url(A, resolver_wheel()), GONE)
    await world.install("zroot", mirrors=[A, B])
    assert world.installed == CONFLICTS["one goes back"].there


async def test_it_is_what_is_installed_if_it_is(world: World) -> None:
    assert resolving.loaded_library() is sys.modules["resolvelib"]
    publish(world, *CONFLICTS["one goes back"].wheels)
    await world.install("zroot", mirrors=[A])
    assert not any("resolvelib" in url for url in world.web.asked)


# --- where versions come from ---------------------------------------------------------------------


@pytest.mark.parametrize("prefer", ["lockfile", "index"])
async def test_packages_of_the_lock_file_are_part_of_it(world: World, prefer: str) -> None:
    # The lock file has ztrans 2.0, which Pyodide trims; zcore 2.0 is what nobody else takes.
    world.lock(TRANS[1])
    world.lock(make_wheel("zextra", "1.0"))
    publish(world, needs("zroot", "zcore==1.0", "zextra"), *CORES, needs("zb", "zcore", "ztrans"))
    report = await world.install("zcore", "zb", "zroot", mirrors=[A], prefer=prefer)
    there = {"zb": "1.0", "zcore": "1.0", "zroot": "1.0", "ztrans": "2.0", "zextra": "1.0"}
    assert world.installed == there
    sources = {each.name: each.source for each in report.installed}
    assert [name for name, source in sources.items() if source == "lockfile"] == [
        "zextra",
        "ztrans",
    ]


async def test_what_the_lock_file_lists_as_needed_comes_as_well(world: World) -> None:
    DEPENDS["zuser"] = ["zlib-py", "zoo-blas"]
    try:
        for name in ("zlib-py", "zuser", "zoo-blas"):
            world.lock(make_wheel(name, "1.0"))
        publish(world, needs("za", "zcore==1.0", "zuser"), *CORES)
        await world.install("zcore", "za", mirrors=[A])
    finally:
        del DEPENDS["zuser"]
    there = {"za": "1.0", "zcore": "1.0", "zuser": "1.0", "zlib-py": "1.0"}
    assert world.installed == there | {"zoo-blas": "1.0"}  # which is none in a real Pyodide


async def test_a_version_of_the_lock_file_that_one_does_not_take(world: World) -> None:
    world.lock(make_wheel("zlockcore", "2.0"))
    trans = [
        needs("ztrans", "zlockcore<2", version="2.0"),
        needs("ztrans", "zlockcore>=1", version="1.0"),
    ]
    publish(world, *trans, needs("zroot", "zlockcore>=2", "ztrans"))
    await world.install("zroot", mirrors=[A])
    assert world.installed == {"zlockcore": "2.0", "zroot": "1.0", "ztrans": "1.0"}
    assert not any("zlockcore-" in url for url in world.web.asked)


async def test_a_project_of_a_private_index_comes_from_nowhere_else(world: World) -> None:
    acme = Mirror("https://acme.example/simple", private=True, projects=["zcore"])
    world.lock(make_wheel("zlockcore", "1.0"))
    publish(world, needs("zroot", "zcore==1.0", "ztrans"), *TRANS, *CORES)
    world.web.publish(acme, *CORES)
    await world.install("zroot", mirrors=[A, acme])
    assert world.installed == CONFLICTS["one goes back"].there
    assert not any("a.example" in url and "zcore" in url for url in world.web.asked)


async def test_an_outage_of_a_private_index_ends_it(world: World) -> None:
    acme = Mirror("https://acme.example/simple", private=True, projects=["zcore"])
    publish(world, needs("zroot", "ztrans", "zother"), needs("zother", "zcore==1.0"), *TRANS)
    publish(world, *CORES)
    world.web.answer(acme.project_url("zcore"), OUTAGE)
    with pytest.raises(MirrorError, match="no other mirror may be asked for it"):
        await world.install("zroot", mirrors=[A, acme])
    assert world.folders == []


async def test_a_page_that_cannot_be_read_is_no_reason_for_older_versions(world: World) -> None:
    publish(world, needs("zroot"), needs("zroot", "zgone", version="2.0"))
    world.web.answer(A.project_url("zgone"), OUTAGE)
    with pytest.raises(ValueError, match="zgone"):
        await world.install("zroot", mirrors=[A])
    assert world.folders == []


async def test_a_project_that_nobody_has_is_a_reason(world: World) -> None:
    publish(world, needs("zroot"), needs("zroot", "zgone", version="2.0"))
    await world.install("zroot", mirrors=[A])
    assert world.installed == {"zroot": "1.0"}


async def test_what_a_cached_page_has_not_is_asked_of_its_mirror(world: World) -> None:
    publish(
        world, needs("zroot", "zcore==1.0", "ztrans"), TRANS[1], *CORES, needs("zuser", "ztrans")
    )
    await world.install("zuser", mirrors=[A], cache=True)
    world.micropip.uninstall(["zuser", "ztrans", "zcore"])
    publish(world, *TRANS)
    await world.install("zroot", mirrors=[A], cache=True)
    assert world.installed == CONFLICTS["one goes back"].there


async def test_a_file_that_cannot_be_had_comes_from_the_next_mirror(world: World) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels)
    world.web.publish(B, *TRANS)
    world.web.answer(file_url(A, TRANS[0]), GONE)
    await world.install("zroot", mirrors=[A, B])
    assert world.installed == CONFLICTS["one goes back"].there


async def test_a_version_of_which_no_file_can_be_had_ends_it(world: World) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels)
    world.web.answer(file_url(A, TRANS[0]), GONE)
    with pytest.raises(MirrorError, match="could not be installed: ztrans"):
        await world.install("zroot", mirrors=[A])
    assert world.folders == []


async def test_a_wheel_that_is_not_what_its_page_says_is_not_installed(world: World) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels)
    other = replace(TRANS[0], data=make_wheel("ztrans", "1.0", padding=9).data)
    world.web.answer(file_url(A, TRANS[0]), Answer(body=other.data))
    with pytest.raises(DigestMismatch, match="ztrans"):
        await world.install("zroot", mirrors=[A])
    assert world.folders == []


@pytest.mark.parametrize("known", [True, False], ids=["two mirrors", "one mirror"])
async def test_quorum_holds_for_it(world: World, known: bool) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels)
    if known:
        for wheels in (CONFLICTS["one goes back"].wheels[:1], TRANS, CORES):
            world.web.publish(B, *wheels)
        await world.install("zroot", mirrors=[A, B], verify="quorum")
        assert world.installed == CONFLICTS["one goes back"].there
        return
    with pytest.raises(MirrorError, match="only one mirror"):
        await world.install("zroot", mirrors=[A, B], verify="quorum")
    assert world.folders == []


@pytest.mark.parametrize("named", ["{}", "ztrans @ {}"], ids=["URL", "name and URL"])
async def test_a_wheel_by_its_url_counts_with_what_it_needs(world: World, named: str) -> None:
    publish(world, needs("zroot", "ztrans", "zcore"), *TRANS, *CORES)
    world.web.answer("https://else.example/ztrans-1.0-py3-none-any.whl", Answer(body=TRANS[0].data))
    wheel = named.format("https://else.example/ztrans-1.0-py3-none-any.whl")
    report = await world.install("zroot", wheel, mirrors=[A])
    assert world.installed == CONFLICTS["one goes back"].there
    assert {each.name: each.source for each in report.installed}["ztrans"] == "url"


# --- the options ----------------------------------------------------------------------------------


async def test_without_dependencies_the_requested_versions_fit(world: World) -> None:
    publish(world, needs("zcore", "znowhere"), *CORES[1:])
    await world.install("zcore", "zcore<2", mirrors=[A], deps=False)
    assert world.installed == {"zcore": "1.0"}


@pytest.mark.parametrize("pre", [True, False])
async def test_pre_releases_if_they_are_wanted(world: World, pre: bool) -> None:
    publish(
        world, needs("zroot", "zcore<2", "ztrans"), *TRANS, *CORES, make_wheel("zcore", "1.5b1")
    )
    await world.install("zroot", mirrors=[A], pre=pre)
    assert world.installed["zcore"] == ("1.5b1" if pre else "1.0")


async def test_yanked_versions_only_if_they_are_pinned(world: World) -> None:
    publish(world, needs("zroot", "ztrans", "zcore<2"), needs("zpin", "zcore==1.0"), *TRANS)
    rows = [entry(A, wheel) for wheel in CORES]
    world.web.publish(A, *CORES)
    world.web.list_files(A, "zcore", [rows[0] | {"yanked": True}, rows[1]])
    await world.install("zpin", "zroot", "ztrans", mirrors=[A])
    assert world.installed["zcore"] == "1.0"


async def test_with_keep_going(world: World) -> None:
    publish(world, *CONFLICTS["one goes back"].wheels)
    await world.install("zroot", mirrors=[A], keep_going=True)
    assert world.installed == CONFLICTS["one goes back"].there


async def test_the_constraints_that_micropip_has_by_default(world: World) -> None:
    publish(world, *TRANS, *CORES)
    world.micropip.set_constraints(["zcore<2"])
    try:
        await world.install("ztrans", mirrors=[A])
    finally:
        world.micropip.set_constraints([])
    assert world.installed == {"zcore": "1.0", "ztrans": "1.0"}


async def test_plain_micropip_after_configure(each_world: World) -> None:
    publish(each_world, *CONFLICTS["one goes back"].wheels, make_wheel("iniconfig", "1.0"))
    await each_world.session.configure([A], remember=False)
    await each_world.micropip.install("zroot")
    assert each_world.installed == CONFLICTS["one goes back"].there


async def test_what_was_removed_comes_back_if_nothing_fits(world: World) -> None:
    publish(world, *TRANS, *CORES, needs("zroot", "zcore>=3"))
    await world.install("ztrans", mirrors=[A])
    with pytest.raises(ResolutionError):
        await world.install("zroot", "ztrans<2", mirrors=[A], reinstall=True)
    assert world.installed == {"zcore": "2.0", "ztrans": "2.0"}


# --- what it costs --------------------------------------------------------------------------------


async def test_each_page_is_asked_for_once_and_each_wheel_too(world: World) -> None:
    publish(world, *CONFLICTS["aioboto3"].wheels)
    await world.install("zaio", mirrors=[A])
    assert len(world.web.asked) == len(set(world.web.asked))
    pages = [url for url in world.web.asked if "/simple/" in url]
    assert sorted(pages) == sorted(A.project_url(n) for n in CONFLICTS["aioboto3"].there)


async def test_a_plain_tree_with_one_conflict_asks_for_little_more(world: World) -> None:
    names = [f"zt{n}" for n in range(30)]
    trees = [needs(name, *names[2 * n + 1 : 2 * n + 3]) for n, name in enumerate(names)]
    publish(world, *trees)
    await world.install("zt0", mirrors=[A])
    plain = len(world.web.asked)
    world.micropip.uninstall(names)
    last = [needs("zt29", "zcore<2"), *CORES, needs("zt28", "zcore")]
    publish(world, *last)
    world.web.requests.clear()
    await world.install("zt0", "zcore", mirrors=[A])
    assert len(world.installed) == 31
    assert len(world.web.asked) <= plain + 2 * 31


PADDING = {"ztrans_data.txt": "ztrans" * 50_000}
"""What makes a wheel large, before its metadata."""
LARGE = [
    make_wheel("ztrans", version, requires=requires, modules=PADDING)
    for version, requires in [("1.0", ["zcore<2"]), ("2.0", ["zcore>=2"]), ("3.0", ["zcore>=2"])]
]


def publish_large(world: World, *, has_parts: bool, said: Wheel | None = None) -> None:
    """Let A have these wheels without core metadata; ``said``: of which it sends the end."""
    publish(world, needs("zroot", "zcore==1.0", "ztrans"), *CORES)
    world.web.publish(A, *LARGE)
    rows = [entry(A, wheel, core_metadata=None, size=len(wheel.data)) for wheel in LARGE]
    world.web.list_files(A, "ztrans", rows)
    for wheel in LARGE:
        whole = Answer(body=wheel.data)
        end = Answer(body=(said or wheel).data, has_parts=has_parts)
        # micropip's first choice is read as a whole.
        world.web.answer(file_url(A, wheel), *([whole] if wheel is LARGE[2] else [end, whole]))


@pytest.mark.parametrize("has_parts", [True, False])
async def test_of_large_wheels_the_end_is_read(world: World, has_parts: bool) -> None:
    publish_large(world, has_parts=has_parts)
    await world.install("zroot", mirrors=[A])
    assert world.installed == CONFLICTS["one goes back"].there
    asked = {wheel: world.web.asked.count(file_url(A, wheel)) for wheel in LARGE}
    assert asked == {LARGE[0]: 2, LARGE[1]: 1 if has_parts else 2, LARGE[2]: 1}
    size = len(LARGE[0].data)
    parts = {request.headers.get("range") for request in world.web.requests}
    assert f"bytes={size - 131072}-{size - 1}" in parts


MEMBERS = {f"ztrans_data/{n:05}{'x' * 200}.txt": "" for n in range(900)}
"""What makes a wheel's directory larger than what is read of its end at first."""


async def test_of_wheels_with_large_directories_some_parts_are_read(world: World) -> None:
    publish(world, needs("zroot", "zcore==1.0", "ztrans"), *CORES)
    wheels = [
        make_wheel("ztrans", version, requires=requires, modules=PADDING | MEMBERS)
        for version, requires in [("1.0", []), ("2.0", ["zcore>=2"]), ("3.0", ["zcore>=2"])]
    ]
    world.web.publish(A, *wheels)
    rows = [entry(A, wheel, core_metadata=None, size=len(wheel.data)) for wheel in wheels]
    world.web.list_files(A, "ztrans", rows)
    for wheel in wheels[:2]:
        world.web.answer(file_url(A, wheel), Answer(body=wheel.data, has_parts=True))
    await world.install("zroot", mirrors=[A])
    assert world.installed["ztrans"] == "1.0"
    url = file_url(A, wheels[1])
    asked = [request.headers["range"] for request in world.web.requests if request.url == url]
    size = len(wheels[1].data)
    assert asked[0] == f"bytes={size - 131072}-{size - 1}"
    assert len(asked) == 3  # its end, the rest of its directory, and what METADATA is in
    sent = [int(last) - int(first) + 1 for first, _, last in map(_positions, asked)]
    assert sum(sent) < size


def _positions(part: str) -> tuple[str, str, str]:
    return part.removeprefix("bytes=").partition("-")


async def test_no_more_wheels_are_read_than_a_page_has_room_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All of many versions want what nobody has; neither metadata nor parts of wheels can be read.
    wheels = [needs("zbig", "zmissing", version=f"{n}.0") for n in range(1, 40)]
    publish(world, *wheels)
    rows = [entry(A, wheel, core_metadata=None, size=len(wheel.data)) for wheel in wheels]
    world.web.list_files(A, "zbig", rows)
    room = 10 * len(wheels[0].data)
    monkeypatch.setattr("pyodide_mirror.installing.version_source._MOST_BYTES", room)
    events: list[Event] = []
    with pytest.raises(ResolutionError) as caught:
        await world.install("zbig", mirrors=[A], on_event=events.append)
    read = [event.text for event in events if event.kind == "progress"]
    assert "what zbig 38.0 requires" in read
    assert f"among {room:,} bytes of wheels, whose index has no metadata files" in str(caught.value)
    assert "zmissing" in str(caught.value)
    asked = sum(world.web.asked.count(file_url(A, wheel)) for wheel in wheels)
    assert 5 <= asked <= 12
    assert world.folders == []


async def test_what_the_end_says_is_compared_with_the_wheel(world: World) -> None:
    # The same size, and other requirements.
    said = make_wheel("ztrans", "1.0", requires=["zcore<3"], modules=PADDING)
    publish_large(world, has_parts=True, said=said)
    with pytest.raises(ResolutionError, match="is not what its mirror said"):
        await world.install("zroot", mirrors=[A])
    assert world.folders == []


# --- a JupyterLite site, which has wheels of its own ----------------------------------------------

SITE = "https://site.example/pypi/all.json"


@pytest.fixture
def site(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let piplite have these wheels, as it has those of a site."""
    indices: dict[str, Any] = {SITE: {}}
    piplite = ModuleType("piplite.piplite")
    vars(piplite)["_PIPLITE_INDICES"] = indices
    monkeypatch.setitem(sys.modules, "piplite.piplite", piplite)
    index: Any = sys.modules["micropip.package_index"]
    own = index.query_package

    async def query_package(name: str, *arguments: Any, **options: Any) -> Any:
        found = indices[SITE].get(name)
        if found is None:
            return await own(name, *arguments, **options)
        return index.ProjectInfo._compatible_only(name, found["releases"])

    query_package.__module__ = "piplite.piplite"
    monkeypatch.setattr(index, "query_package", query_package)

    def have(*wheels: Wheel, **changes: object) -> None:
        for wheel in wheels:
            url = f"https://site.example/pypi/{wheel.filename}"
            world.web.answer(url, Answer(body=wheel.data))
            row = {"filename": wheel.filename, "url": url, "digests": {"sha256": wheel.sha256}}
            project = indices[SITE].setdefault(wheel.name, {"releases": {}})
            project["releases"].setdefault(wheel.version, []).append(row | changes)

    return have


async def test_the_wheels_of_a_site_come_first(world: World, site: Callable[..., None]) -> None:
    site(*CORES, TRANS[1])
    site(TRANS[0], requires_python=">=3")
    publish(world, needs("zroot", "zcore==1.0", "ztrans"), make_wheel("ztrans", "1.5"))
    await world.install("zroot", mirrors=[A])
    assert world.installed == CONFLICTS["one goes back"].there
    assert not any("ztrans" in url and "a.example" in url for url in world.web.asked)


@pytest.mark.usefixtures("unknown_library")
async def test_so_does_its_resolver(world: World, site: Callable[..., None]) -> None:
    site(resolver_wheel())
    publish(world, *CONFLICTS["one goes back"].wheels)
    await world.install("zroot", mirrors=[A])
    assert world.installed == CONFLICTS["one goes back"].there


@pytest.mark.usefixtures("unknown_library")
async def test_unless_it_is_not_what_the_site_lists(
    world: World, site: Callable[..., None]
) -> None:
    site(resolver_wheel(), digests={"sha256": "0" * 64})
    publish(world, *CONFLICTS["one goes back"].wheels)
    with pytest.raises(ValueError, match="zcore") as caught:
        await world.install("zroot", mirrors=[A])
    assert "does not have the SHA-256 that the site lists" in "".join(caught.value.__notes__)


async def test_a_site_gets_the_resolver_that_is_installed() -> None:
    name, content = installed_wheel("resolvelib", why="")
    assert MADE.fullmatch(name)
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        assert "resolvelib/resolvers/resolution.py" in wheel.namelist()
