"""What stays of installs that fail, and of those beside them: with the micropips of Pyodide."""

import asyncio
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pyodide_mirror import IncompleteInstall, InstallReport, MirrorError
from pyodide_mirror._micropip import unpack
from pyodide_mirror.api import Session
from pyodide_mirror.storage import Cache, CachedPage, MemoryBackend
from pyodide_mirror.transport import NO_PROGRESS, Progress, Request, Response
from tests.support.fake_host import FakeHost
from tests.support.fake_web import A, Answer, B, Web, file_url
from tests.support.pyodide_micropip import VERSIONS, FakePyodide, PlainFetch, pyodide_micropip
from tests.support.wheels import Wheel, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

GOOD, DEP = make_wheel("zgood", "1.0"), make_wheel("zdep", "1.0")
BAD = make_wheel("zbad", "1.0", requires=["zdep", "znowhere"])
NOWHERE = A.project_url("znowhere")


class WatchedWeb(Web):
    """A web that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, asyncio.Event] = {}

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        self._seen.setdefault(request.url, asyncio.Event()).set()
        return await super().fetch(request, progress)

    async def until_asked(self, url: str) -> None:
        await self._seen.setdefault(url, asyncio.Event()).wait()


class Ground:
    """A session in front of Pyodide's micropip, and what is installed."""

    def __init__(self, pyodide: FakePyodide, micropip: Any, web: WatchedWeb) -> None:
        self.pyodide, self.micropip, self.web = pyodide, micropip, web
        self.host: Any = FakeHost(web, cold=True)
        self.session = Session(self.host)

    async def install(self, *wanted: str, mirrors: Any = A, **options: Any) -> InstallReport:
        return await self.session.install(list(wanted), mirrors=mirrors, **options)

    async def fails(self, *wanted: str, **options: Any) -> Exception:
        with pytest.raises(Exception) as raised:  # noqa: PT011  # which it is, the test looks at
            await self.install(*wanted, **options)
        return raised.value

    def publish(self, *wheels: Wheel, **changes: Any) -> None:
        """Let mirror A have these wheels, each page with all that are given of its project."""
        for name in dict.fromkeys(wheel.name for wheel in wheels):
            self.web.publish(A, *(wheel for wheel in wheels if wheel.name == name), **changes)

    def files(self) -> list[str]:
        """What is in site-packages."""
        found = sorted(path for path in self.pyodide.folder.rglob("*"))
        return [str(path.relative_to(self.pyodide.folder)) for path in found]

    def contents(self) -> dict[str, bytes]:
        """The files in site-packages, and what is in them."""
        folder = self.pyodide.folder
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    @property
    def versions(self) -> dict[str, str]:
        infos = self.pyodide.folder.glob("*.dist-info")
        return dict(sorted(info.stem.split("-") for info in infos))


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of micropip."""
    found: str = request.param
    return found


@pytest.fixture
def ground(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    web = WatchedWeb()
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    with pyodide_micropip(version, folder, PlainFetch(web)) as (pyodide, micropip):
        made = Ground(pyodide, micropip, web)
        yield made
        made.session.reset()


def changed(wheel: Wheel, change: Callable[[dict[str, bytes]], object], spoil: str = "") -> Wheel:
    """The wheel with other members; ``spoil``: the one whose CRC is wrong."""
    with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    data = buffer.getvalue()
    if spoil:
        data = data.replace(members[spoil], bytes([members[spoil][0] ^ 1]) + members[spoil][1:], 1)
    return replace(wheel, data=data)


def damaged(wheel: Wheel) -> Wheel:
    """The wheel with a data file whose CRC is wrong, behind its module."""
    name = f"{wheel.name}_data.txt"
    return changed(wheel, lambda members: members.update({name: b"some data"}), spoil=name)


# --- installs at the same time ------------------------------------------------------------------


async def beside(ground: Ground, work: Callable[[], Any]) -> Any:
    """Do this while an install of ``zbad`` goes on, which fails later; the result of it."""
    ground.publish(GOOD, DEP, BAD)
    ground.web.answer(NOWHERE, Answer(status=404, delay=3))
    await ground.session.configure(A, canary="zgood")
    failing = asyncio.ensure_future(ground.fails("zbad"))
    await ground.web.until_asked(NOWHERE)
    result = await work()
    assert not failing.done()
    assert "znowhere" in str(await failing)
    return result


async def test_what_another_install_has_put_there_meanwhile_stays(ground: Ground) -> None:
    report = await beside(ground, lambda: ground.install("zgood"))
    assert [one.name for one in report.installed] == ["zgood"]
    assert ground.versions == {"zgood": "1.0"}


async def test_so_does_what_plain_micropip_has_installed(ground: Ground) -> None:
    await beside(ground, lambda: ground.micropip.install("zgood"))
    assert ground.versions == {"zgood": "1.0"}


async def test_and_what_pyodide_has_loaded(ground: Ground) -> None:
    await beside(ground, lambda: ground.pyodide.load_package("zlocked"))
    assert ground.versions == {"zlocked": "1.0"}
    assert ground.pyodide.loaded.to_py() == {"zlocked": "default channel"}


async def test_what_two_installs_want_stays_with_the_one_that_succeeds(ground: Ground) -> None:
    # `zdep` is on its way for the one that fails when the other one asks for it as well.
    user = make_wheel("zuser", "1.0", requires=["zdep"])
    ground.publish(user)
    report = await beside(ground, lambda: ground.install("zuser"))
    assert [one.name for one in report.installed] == ["zdep", "zuser"]
    assert ground.versions == {"zdep": "1.0", "zuser": "1.0"}


class Gate:
    """Holds the closure check of an install back: its packages are unpacked by then."""

    def __init__(self, ground: Ground) -> None:
        # Of a lock-file package that does not load, only the closure check finds out.
        self.ground = ground
        ground.publish(DEP, make_wheel("zbad", "1.0", requires=["zdep"]))
        ground.web.answer(A.project_url("zlost"), Answer(status=404, delay=3))

    async def __aenter__(self) -> "asyncio.Future[Exception]":
        await self.ground.session.configure(A, canary="zdep")
        failing = asyncio.ensure_future(self.ground.fails("zbad", "zlost"))
        await self.ground.web.until_asked(A.project_url("zlost"))
        assert self.ground.versions == {"zbad": "1.0", "zdep": "1.0"}
        return failing

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def unpacked(ground: Ground) -> Gate:
    """An install that fails when all that it has from the mirror is unpacked."""
    return Gate(ground)


@pytest.mark.parametrize("how", ["ours", "plain", "with own URLs"])
async def test_who_needs_what_is_there_already_keeps_it(unpacked: Gate, how: str) -> None:
    ground = unpacked.ground
    ground.publish(make_wheel("zuser", "1.0", requires=["zdep"]))
    async with unpacked as failing:
        if how == "ours":
            report = await ground.install("zuser")
            assert [one.name for one in report.installed] == ["zuser"]
        elif how == "plain":
            await ground.micropip.install("zuser")
        else:
            await ground.micropip.install("zuser", index_urls=[A.index_url])
        assert isinstance(await failing, IncompleteInstall)
    assert ground.versions == {"zdep": "1.0", "zuser": "1.0"}
    assert "zdep" in ground.pyodide.loaded.to_py()
    assert "zbad" not in ground.pyodide.loaded.to_py()


async def test_two_that_fail_leave_nothing(unpacked: Gate) -> None:
    ground = unpacked.ground
    ground.publish(make_wheel("zuser", "1.0", requires=["zdep", "znowhere"]))
    async with unpacked as failing:
        await ground.fails("zuser")
        assert ground.versions == {"zbad": "1.0", "zdep": "1.0"}
        await failing
    assert ground.files() == []
    assert ground.pyodide.loaded.to_py() == {}


async def test_packages_of_the_lock_file_go_with_the_install_that_loaded_them(
    unpacked: Gate,
) -> None:
    ground = unpacked.ground
    async with unpacked as failing:
        await failing
        await ground.fails("zlocked", "zbad", "zlost")
        assert ground.files() == []
        assert ground.pyodide.loaded.to_py() == {}


async def test_the_report_has_what_this_install_put_there(ground: Ground) -> None:
    ground.publish(GOOD, DEP)
    first, second = await asyncio.gather(ground.install("zgood", "zlocked"), ground.install("zdep"))
    assert [(one.name, one.source) for one in first.installed] == [
        ("zgood", "mirror"),
        ("zlocked", "lockfile"),
    ]
    assert [(one.name, one.source) for one in second.installed] == [("zdep", "mirror")]
    unpacked = [event.text for event in first.events if event.kind == "unpacked"]
    assert unpacked == ["zgood 1.0", "zlocked 1.0"]


# --- wheels that cannot be unpacked -------------------------------------------------------------


def unpacks(error: Exception, filename: str, reason: str) -> bool:
    text = str(error)
    return isinstance(error, MirrorError) and text.startswith(
        f"{filename} from {A.index_url} cannot be unpacked: {reason}"
    )


TWO = make_wheel("zpkg", "2.0")
CRC = "BadZipFile: Bad CRC-32 for file 'zpkg_data.txt'"


async def test_a_damaged_wheel_leaves_nothing(ground: Ground) -> None:
    ground.publish(damaged(TWO), DEP)
    error = await ground.fails("zdep", "zpkg==2.0")
    assert unpacks(error, TWO.filename, "")
    assert "Bad CRC-32 for file 'zpkg_data.txt'" in str(error)
    assert ground.files() == []
    assert ground.pyodide.loaded.to_py() == {}


UNSAFE = "it has the unsafe file name "
ARCHIVES = {
    "cut off": (replace(TWO, data=TWO.data[:-40]), "it is no zip archive"),
    "empty": (replace(TWO, data=b"PK"), "it is no zip archive"),
    "absolute": (changed(TWO, lambda one: one.update({"/etc/zpkg": b""})), f"{UNSAFE}'/etc/zpkg'"),
    "outside": (changed(TWO, lambda one: one.update({"a/../../z": b""})), f"{UNSAFE}'a/../../z'"),
    "a file as a folder": (
        changed(TWO, lambda one: one.update({"zpkg.py/zpkg.py": b""})),
        "",
    ),
    "no dist-info": (
        changed(TWO, lambda one: [one.pop(name) for name in list(one) if "dist-info" in name]),
        "it has no .dist-info folder",
    ),
}


@pytest.mark.parametrize("version", ["0.11.1"], indirect=True)
@pytest.mark.parametrize("promised", [True, False], ids=["with metadata", "without"])
@pytest.mark.parametrize("archive", ARCHIVES)
async def test_so_does_whatever_is_no_wheel(ground: Ground, archive: str, promised: bool) -> None:
    wheel, reason = ARCHIVES[archive]
    ground.publish(wheel, **({} if promised else {"core_metadata": None}))
    error = await ground.fails("zpkg")
    assert unpacks(error, wheel.filename, reason), error
    assert ground.files() == []


async def test_a_wheel_by_its_url_is_named_too(ground: Ground) -> None:
    url = f"https://c.example/{TWO.filename}"
    ground.web.answer(url, Answer(body=b"PK"))
    error = await ground.fails(url)
    text = f"a wheel from {url} cannot be unpacked: File is not a zip file"
    assert isinstance(error, MirrorError)
    assert str(error).startswith(text)
    ground.web.answer(url, Answer(body=damaged(TWO).data))
    error = await ground.fails(url)
    assert isinstance(error, MirrorError)
    assert str(error).startswith(f"{TWO.filename} from {url} cannot be unpacked: ")
    assert ground.files() == []


async def test_nothing_is_unpacked_after_the_end(ground: Ground) -> None:
    # The libraries of `zdep` are still being loaded when the other wheel turns out to be damaged.
    done = []

    async def dynlibs() -> None:
        await asyncio.sleep(5)
        done.append(True)

    ground.pyodide.dynlibs = dynlibs
    ground.publish(damaged(TWO), DEP)
    await ground.fails("zdep", "zpkg")
    await asyncio.sleep(10)
    assert done == [True]
    assert ground.files() == []
    assert ground.pyodide.loaded.to_py() == {}


# --- what was there before ----------------------------------------------------------------------


def without_record(wheel: Wheel) -> Wheel:
    return changed(wheel, lambda one: one.pop(f"{wheel.name}-{wheel.version}.dist-info/RECORD"))


async def test_a_wheel_without_record_is_taken_away_whole(ground: Ground) -> None:
    # micropip does not follow an extra that only another extra asks for; the closure check does.
    wheel = make_wheel(
        "zpkg",
        "1.0",
        extras={"all": ["zpkg[a]"], "a": ["znowhere"]},
        modules={"zpkg_more/part/one.py": "ONE = 1\n"},
    )
    ground.publish(without_record(wheel))
    error = await ground.fails("zpkg[all]")
    assert isinstance(error, IncompleteInstall)
    assert error.missing == ("znowhere",)
    assert ground.files() == []


@pytest.mark.parametrize("version", ["0.11.1", "0.10.1"], indirect=True)  # 0.9 has no reinstall
async def test_the_old_version_comes_back(ground: Ground) -> None:
    old = make_wheel("zpkg", "1.0", modules={"zpkg_old/part.py": "OLD = 1\n"})
    ground.publish(old, damaged(TWO))
    await ground.install("zpkg==1.0")
    before, loaded = ground.contents(), ground.pyodide.loaded.to_py()
    assert unpacks(await ground.fails("zpkg==2.0", reinstall=True), TWO.filename, "")
    assert ground.contents() == before
    assert ground.pyodide.loaded.to_py() == loaded


async def test_a_file_of_another_package_comes_back(ground: Ground) -> None:
    shared = {"zspace/__init__.py": "FROM = 'zone'\n"}
    one = make_wheel("zone", "1.0", modules=shared)
    two = make_wheel("ztwo", "1.0", modules={"zspace/__init__.py": "FROM = 'ztwo'\n"})
    ground.publish(one, two)
    await ground.install("zone")
    before = ground.contents()
    await ground.fails("ztwo", "zlost")
    assert ground.contents() == before


async def test_data_files_are_taken_away_too(ground: Ground, version: str) -> None:
    data = {"zpkg-1.0.data/data/share/zpkg/a.txt": "a"}
    ground.publish(make_wheel("zpkg", "1.0", modules=data), damaged(make_wheel("zother", "1.0")))
    place = Path(sys.prefix, "share/zpkg/a.txt")
    place.parent.mkdir(parents=True)
    place.write_text("before")  # noqa: ASYNC240  # the clock is virtual
    await ground.fails("zpkg", "zother")
    assert place.read_text() == "before"  # noqa: ASYNC240
    await ground.install("zpkg")
    assert place.read_text() == ("before" if version == "0.9.0" else "a")  # noqa: ASYNC240  # 0.9 copies none


# --- where files came from ----------------------------------------------------------------------


async def test_freeze_names_the_mirror_that_delivered(ground: Ground) -> None:
    root = make_wheel("zroot", "1.0", requires=["zdep"])
    ground.publish(root, DEP)
    for wheel in (root, DEP):
        ground.web.publish(B, wheel, url=f"{file_url(B, wheel)}?token=1")
        ground.web.answer(f"{file_url(B, wheel)}?token=1", Answer(body=wheel.data))
    ground.web.answer(file_url(A, DEP), Answer(status=404))
    report = await ground.install("zroot", mirrors=[A, B])
    assert {one.name: one.url for one in report.installed} == {
        "zroot": file_url(A, root),
        "zdep": file_url(B, DEP),
    }
    packages = json.loads(ground.micropip.freeze())["packages"]
    # What is after the question mark may be what opens the file.
    assert packages["zdep"]["file_name"] == f"{file_url(B, DEP)}?token=1"
    assert packages["zroot"]["file_name"] == file_url(A, root)


# --- others -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.11.1"], indirect=True)
async def test_of_an_unknown_micropip_nothing_is_taken_away_and_that_is_told(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "wheelinfo", SimpleNamespace())
    ground.publish(GOOD, DEP)
    report = await ground.install("zdep")
    assert [(one.name, one.source, one.url) for one in report.installed] == [
        ("zdep", "mirror", file_url(A, DEP))
    ]
    error = await ground.fails("zgood", "zlost")
    assert ground.versions == {"zdep": "1.0", "zgood": "1.0"}
    text = "this version of micropip is not supported, so what it has unpacked stays: zgood"
    assert text in error.__notes__


class SlowCache(Cache):
    """A cache that takes its time to write."""

    def __init__(self) -> None:
        super().__init__(MemoryBackend(0, "off"))
        self.writing = asyncio.Event()

    async def save_page(self, url: str, page: CachedPage) -> None:
        self.writing.set()
        await asyncio.sleep(5)


@pytest.mark.parametrize("version", ["0.11.1"], indirect=True)
async def test_who_gives_up_while_the_cache_is_written_has_nothing(ground: Ground) -> None:
    cache = ground.host.cache = SlowCache()
    ground.publish(DEP)
    install = asyncio.ensure_future(ground.install("zdep"))
    await cache.writing.wait()
    assert ground.versions == {"zdep": "1.0"}
    install.cancel()
    await asyncio.wait([install])
    assert install.cancelled()
    assert ground.files() == []
