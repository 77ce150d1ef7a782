"""Lock files that cannot be installed say why, with all reasons, before the first request."""

import hashlib
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from pyodide_mirror import IncompleteInstall, MirrorError
from pyodide_mirror.api.locks import freeze, install_pylock
from tests.support.fake_web import A, Answer, B, file_url
from tests.support.install_world import World
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

DEMO = make_wheel("demo", "1.0")
LOCK_URL = "https://locks.example/team/pylock.toml"


def wheel(made: Wheel = DEMO, **changes: Any) -> dict[str, Any]:
    """An entry of a package's wheels; a change to None takes the key away."""
    entry = {"url": file_url(A, made), "hashes": {"sha256": made.sha256}} | changes
    return {key: value for key, value in entry.items() if value is not None}


def package(name: str = "demo", **changes: Any) -> dict[str, Any]:
    """An entry of the packages."""
    entry = {"name": name, "version": "1.0", "wheels": [wheel()]} | changes
    return {key: value for key, value in entry.items() if value is not None}


def lock(*packages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A lock file as it is read."""
    found = [*(packages or (package(),))]
    return {"lock-version": "1.0", "created-by": "test", "packages": found} | changes


async def refused(world: World, source: Any, **options: Any) -> str:
    """What is said of it; nobody was asked, and nothing is there."""
    with pytest.raises((MirrorError, ValueError)) as caught:
        await install_pylock(source, mirrors=B, **options)
    assert world.web.asked == []
    assert world.installed == {}
    return str(caught.value)


SDIST = {"name": "demo-1.0.tar.gz", "url": "https://a.example/x.tar.gz", "hashes": {"sha256": "0"}}
VCS = {"type": "git", "url": "https://a.example/demo.git", "commit-id": "1"}
OTHER = "demo-1.0-cp27-cp27m-win32.whl"
UNFIT = {
    "another Python": (lock(**{"requires-python": ">=3.99"}), "it is for Python >=3.99, and this"),
    "another environment": (
        lock(environments=["sys_platform == 'win32'"]),
        'it is for sys_platform == "win32" only',
    ),
    "a package for another Python": (
        lock(package(**{"requires-python": "<3"})),
        "demo: it is for Python <3, and this is",
    ),
    "twice": (lock(package(), package()), "demo: two entries of it are for this Python"),
    "sdist": (lock(package(wheels=None, sdist=SDIST)), "demo: it is locked as sdist, and only"),
    "vcs": (lock(package(wheels=None, vcs=VCS)), "demo: it is locked as vcs, and only wheels"),
    "directory": (
        lock(package(wheels=None, version=None, directory={"path": "."})),
        "demo: it is locked as directory, and only wheels",
    ),
    "archive": (
        lock(package(wheels=None, archive={**SDIST})),
        "demo: it is locked as archive, and only wheels",
    ),
    "another ABI": (
        lock(package(wheels=[wheel(name=OTHER)])),
        f"demo: it has no wheel for this Python, only {OTHER}",
    ),
    "a weak digest": (
        lock(package(wheels=[wheel(hashes={"md5": "0" * 32})])),
        "has no digest that can be checked",
    ),
    "no real digest": (
        lock(package(wheels=[wheel(hashes={"sha256": "../x"})])),
        "has no digest that can be checked",
    ),
    "another build of Pyodide": (
        lock(package(tool={"pyodide-mirror": {"pyodide": "314.0.0"}})),
        "demo: it is the build of Pyodide 314.0.0, which is not here",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
async def test_one_that_is_not_for_this_place(world: World, kind: str) -> None:
    document, said = UNFIT[kind]
    assert said in await refused(world, document)


async def test_all_reasons_together(world: World) -> None:
    two = package("other", wheels=None, vcs=VCS)
    text = await refused(world, lock(package(wheels=None, sdist=SDIST), two))
    assert text.startswith("this lock file cannot be installed here: demo: ")
    assert "; other: it is locked as vcs" in text


HOSTILE = {
    "no TOML": ("a = \n", "source is no TOML"),
    "too deep": (f"a = {'[' * 100_000}\n", "source is no TOML"),
    "no lock file": ("a = 1\n", "source is no lock file: Missing required value in 'lock-version'"),
    "a later version": (lock(**{"lock-version": "2.0"}), "pylock version 2.0 is not supported"),
    "no digests": (lock(package(wheels=[wheel(hashes={})])), "At least one hash must be provided"),
    "no file": (lock(package(wheels=[wheel(url=None)])), "path or url must be provided"),
    "another project": (lock(package("other")), "is not consistent with package name 'other'"),
    "control characters": (lock(package("a\x1b[31m")), "is not normalized"),
    "a marker of 10,000 brackets": (lock(package(marker="(" * 10_000)), "source is no lock file"),
    "large": ("a\n" + "#" * 10_000_000, "more than 10,000,000 bytes"),
    "a file's URL": ("file://x/pylock.toml", "does not start with https:// or http://"),
    "a password": ("https://me:secret@a.example/pylock.toml", "contains a user name or password"),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_ones(world: World, kind: str) -> None:
    source, said = HOSTILE[kind]
    text = await refused(world, source)
    assert said in text
    assert "secret" not in text
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize("source", [None, 1, b"x", ["x"]])
async def test_bad_arguments(world: World, source: Any) -> None:
    with pytest.raises(TypeError, match="source must be"):
        await install_pylock(source, mirrors=A)
    with pytest.raises(TypeError, match="cache"):
        await install_pylock(lock(), cache="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mirrors is empty"):
        await install_pylock(lock(), mirrors=[])


async def test_what_does_not_apply_here_is_passed_over(world: World) -> None:
    world.web.publish(A, DEMO)
    windows = package("other", wheels=None, vcs=VCS, marker="sys_platform == 'win32'")
    extra = package("third", wheels=None, vcs=VCS, marker="'x' in extras")
    group = package("fourth", wheels=None, vcs=VCS, marker="'dev' in dependency_groups")
    await install_pylock(lock(windows, package(), extra, group), mirrors=A)
    assert world.installed == {"demo": "1.0"}


# --- digests and sizes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "works"),
    [
        ({"hashes": {"sha512": hashlib.sha512(DEMO.data).hexdigest()}}, True),
        ({"hashes": {"sha512": "0" * 128}}, False),
        ({"hashes": {"blake2b": "0" * 128, "sha256": DEMO.sha256}}, False),
        ({"hashes": {"sha256": DEMO.sha256.upper()}}, True),
        ({"size": len(DEMO.data)}, True),
        ({"size": len(DEMO.data) + 1}, False),
    ],
)
async def test_all_that_the_lock_says_of_a_file_must_hold(
    world: World, changes: dict[str, Any], works: bool
) -> None:
    world.web.publish(A, DEMO)
    source = lock(package(wheels=[wheel(**changes)]))
    if works:
        await install_pylock(source, mirrors=B)
    else:
        with pytest.raises(IncompleteInstall) as caught:
            await install_pylock(source, mirrors=B)
        assert DEMO.filename in "".join(caught.value.__notes__)
    assert world.installed == ({"demo": "1.0"} if works else {})


# --- where files lie ------------------------------------------------------------------------------


async def test_a_path_is_relative_to_the_url_of_the_lock_file(world: World) -> None:
    entry = wheel(url=None, path=f"wheels/{DEMO.filename}")
    text = tomli_w.dumps(lock(package(version=None, wheels=[entry])))
    world.web.answer(LOCK_URL, Answer(body=text.encode()))
    place = f"https://locks.example/team/wheels/{DEMO.filename}"
    world.web.answer(place, Answer(body=DEMO.data))
    report = await install_pylock(LOCK_URL, mirrors=B)
    assert world.web.asked == [LOCK_URL, place]
    assert [(each.source, each.url) for each in report.installed] == [("url", place)]
    assert freeze() == report.to_pylock()
    assert "index" not in tomllib.loads(freeze())["packages"][0]


async def test_a_path_leads_nowhere_else(world: World) -> None:
    evil = f"//evil.example/{DEMO.filename}"
    document = lock(package(wheels=[wheel(url=None, path=evil)]))
    text = tomli_w.dumps(document)
    world.web.answer(LOCK_URL, Answer(body=text.encode()))
    with pytest.raises(MirrorError, match=r"the path of demo-1.0-.* leads somewhere else"):
        await install_pylock(LOCK_URL, mirrors=B)
    assert world.web.asked == [LOCK_URL]
    with pytest.raises(IncompleteInstall):  # of a text, a path says only the name
        await install_pylock(document, mirrors=B)
    assert {"https://locks.example", "https://b.example"} == set(world.web.hosts)


async def test_a_file_beside_the_lock_file(world: World, folder: Path) -> None:
    path = folder / "pylock.toml"
    path.write_text(tomli_w.dumps(lock(package(wheels=[wheel(url=None, path=DEMO.filename)]))))
    for source in (path, str(path)):
        with pytest.raises(IncompleteInstall):
            await install_pylock(source, mirrors=B)
    (folder / DEMO.filename).write_bytes(DEMO.data)
    asked = len(world.web.asked)
    report = await install_pylock(path, mirrors=B)
    assert len(world.web.asked) == asked
    assert [(each.name, each.url, each.mirror) for each in report.installed] == [("demo", "", "")]
    (folder / DEMO.filename).write_bytes(DEMO.data[:-1])
    with pytest.raises(MirrorError, match="does not have the sha256 of the lock file"):
        await install_pylock(path, mirrors=B)


@pytest.mark.parametrize("place", ["http://192.168.1.1/x/", "http://localhost/", "http://a.lan/"])
@pytest.mark.parametrize("index", [None, "http://192.168.1.1/simple"])
async def test_no_host_of_the_users_own_network_is_asked_unless_it_was_named(
    world: World, new_world: Callable[..., World], place: str, index: str | None
) -> None:
    url = f"{place}{DEMO.filename}"
    document = lock(package(wheels=[wheel(url=url)], index=index))
    world.web.answer(url, Answer(body=DEMO.data))
    with pytest.raises(IncompleteInstall):
        await install_pylock(document, mirrors=B)
    assert world.web.hosts == ["https://b.example"]
    await install_pylock(document, mirrors=[B, f"{place}simple"])
    assert world.installed == {"demo": "1.0"}
    assert world.web.asked[-1] == url


async def test_a_lock_file_that_is_gone(world: World) -> None:
    with pytest.raises(
        MirrorError, match=r"^https://locks\.example/team/pylock\.toml cannot be read"
    ):
        await install_pylock(f"{LOCK_URL}?token=1", mirrors=A)
    with pytest.raises(FileNotFoundError):
        await install_pylock("no-such/pylock.toml", mirrors=A)


async def test_a_micropip_that_cannot_be_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("micropip._compat._compat_in_pyodide.pyfetch")
    assert "this version of micropip is not supported" in await refused(world, lock())


async def test_a_packaging_that_cannot_read_lock_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "packaging.pylock", None)
    text = await refused(world, lock())
    assert text.startswith("lock files are read by packaging 26 or newer, which is not here")


async def test_no_writer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.web.publish(A, DEMO)
    report = await world.install("demo", mirrors=A)
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    with pytest.raises(MirrorError, match="written by tomli-w, which is not here"):
        report.to_pylock()
