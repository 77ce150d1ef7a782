"""The folder before the upstreams, these in order; a broken one is skipped, and told of."""

import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from pyodide_mirror.model import File, ProjectPage
from pyodide_mirror.server.cache.disk import Disk
from pyodide_mirror.server.cache.download import Download, Downloads, Place
from pyodide_mirror.server.fetching.client import UpstreamClient, UpstreamError
from pyodide_mirror.server.repository import FoundPage, Missing, Repository
from pyodide_mirror.server.source import (
    LocalSource,
    LocalState,
    Stored,
    UnreadableError,
    file_key,
    tag_of,
)
from pyodide_mirror.server.upstreams.upstream import Upstream

DATA = b"the content of a file"
SHA256 = hashlib.sha256(DATA).hexdigest()


def file(filename: str = "x-1.0-py3-none-any.whl", sha256: str = SHA256, host: str = "a") -> File:
    url = f"https://{host}.example/{filename}"
    return File(filename=filename, url=url, hashes={"sha256": sha256} if sha256 else {})


def page(*files: File) -> ProjectPage:
    return ProjectPage(name="x", files=files)


class FakeFolder:
    """A local source with the given pages."""

    immutable = False

    def __init__(self, name: str, pages: dict[str, ProjectPage]) -> None:
        self.name = name
        self.pages = pages
        self.closed = False
        self.asked: list[str] = []

    async def page(self, project: str) -> ProjectPage | None:
        self.asked.append(project)
        return self.pages.get(project)

    async def projects(self) -> Iterable[str]:
        return list(self.pages)

    async def blob(self, project: str, file: File) -> Stored | Download:
        return Stored(Path("/local", file.filename))

    async def metadata(self, project: str, file: File) -> bytes:
        return b"local"

    async def states(self) -> list[LocalState]:
        return [LocalState(self.name, len(self.pages), 0, {})]

    async def close(self) -> None:
        self.closed = True


class FakeUpstream(Upstream):
    """An upstream that answers as it is told."""

    def __init__(self, name: str, downloads: Downloads, answer: object = None) -> None:
        client = UpstreamClient(f"https://{name}.example/simple", login=None, timeout=1)
        super().__init__(client, downloads)
        self.downloads = downloads
        self.answer = answer
        self.asked: list[str] = []
        self.hung = False
        self.places_given: list[Place] = []

    @property
    def rests(self) -> bool:
        return self.hung

    async def page(self, project: str, *, anew: bool = False) -> ProjectPage | None:
        self.asked.append(project)
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is None or isinstance(self.answer, ProjectPage)
        return self.answer if project == "x" else None

    async def projects(self) -> Iterable[str]:
        return ["x"] if isinstance(self.answer, ProjectPage) else []

    async def blob_from(self, file: File, places: AsyncIterator[Place]) -> Stored | Download:
        self.places_given = [place async for place in places]
        return await super().blob_from(file, self.places(file))


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(Disk(tmp_path, 1 << 20))


BROKEN = UpstreamError("it answers 500")
HUNG = UpstreamError("no answer within 1 s", timed_out=True)


def repository(local: Iterable[LocalSource], *upstreams: Upstream) -> Repository:
    return Repository(list(local), upstreams)


async def test_what_is_in_the_folder_is_asked_for_nowhere_else(downloads: Downloads) -> None:
    folder = FakeFolder("folder", {"x": page(file("x-0.1.tar.gz"))})
    upstream = FakeUpstream("a", downloads, page(file("x-9.0-py3-none-any.whl")))
    sources = repository([folder], upstream)
    found = await sources.find("x")
    assert found.source is folder
    assert [each.filename for each in found.page.files] == ["x-0.1.tar.gz"]
    with pytest.raises(Missing):
        await sources.file("x", "x-9.0-py3-none-any.whl")
    assert upstream.asked == []


async def test_a_folder_that_has_it_without_files_is_the_answer(downloads: Downloads) -> None:
    upstream = FakeUpstream("a", downloads, page(file()))
    found = await repository([FakeFolder("folder", {"x": page()})], upstream).find("x")
    assert found.page.files == ()
    assert upstream.asked == []


async def test_a_folder_that_cannot_say_is_an_error_and_nobody_else_is_asked(
    downloads: Downloads,
) -> None:
    class Unreadable(FakeFolder):
        async def page(self, project: str, *, anew: bool = False) -> ProjectPage | None:
            raise UnreadableError("folder wheels: it cannot be read now")

    upstream = FakeUpstream("a", downloads, page(file()))
    with pytest.raises(UnreadableError, match="cannot be read now"):
        await repository([Unreadable("folder", {})], upstream).find("x")
    assert upstream.asked == []


async def test_local_sources_are_asked_in_order(downloads: Downloads) -> None:
    first, second = FakeFolder("1", {"x": page()}), FakeFolder("2", {"x": page(), "y": page()})
    sources = repository([first, second])
    assert (await sources.find("x")).source is first
    assert (await sources.find("y")).source is second


async def test_upstreams_are_asked_in_order(downloads: Downloads) -> None:
    lacks, has, later = (
        FakeUpstream("a", downloads),
        FakeUpstream("b", downloads, page(file())),
        FakeUpstream("c", downloads, page()),
    )
    assert (await repository([], lacks, has, later).find("x")).source is has
    assert lacks.asked == ["x"]
    assert later.asked == []


async def test_a_broken_one_is_skipped_and_told(
    downloads: Downloads, caplog: pytest.LogCaptureFixture
) -> None:
    broken = FakeUpstream("a", downloads, BROKEN)
    has = FakeUpstream("b", downloads, page(file()))
    assert (await repository([], broken, has).find("x")).source is has
    assert "https://a.example/simple: page of x: it answers 500" in caplog.text


async def test_one_that_hung_a_moment_ago_is_asked_last(downloads: Downloads) -> None:
    hung, has = (FakeUpstream(name, downloads, page(file())) for name in "ab")
    hung.hung = True
    assert (await repository([], hung, has).find("x")).source is has
    assert hung.asked == []
    hung.hung = False
    assert (await repository([], hung, has).find("x")).source is hung


async def test_what_nobody_has_is_missing(downloads: Downloads) -> None:
    sources = repository([FakeFolder("folder", {})], FakeUpstream("a", downloads))
    with pytest.raises(Missing, match="no project 'y' here"):
        await sources.find("y")
    with pytest.raises(Missing):
        await sources.file("y", "y-1.0-py3-none-any.whl")


async def test_it_is_not_missing_while_somebody_cannot_say(downloads: Downloads) -> None:
    """A 404 would have a client choose an older version, or another name."""
    sources = repository([], FakeUpstream("a", downloads, BROKEN), FakeUpstream("b", downloads))
    with pytest.raises(
        UpstreamError, match=r"^https://a.example/simple: it answers 500$"
    ) as raised:
        await sources.find("x")
    assert not raised.value.timed_out


REFUSED = UpstreamError("it answers 403", refused=True)


@pytest.mark.parametrize(
    ("answers", "is_missing"),
    [
        ((REFUSED, None), True),
        ((None, REFUSED, REFUSED), True),
        ((REFUSED,), False),
        ((REFUSED, REFUSED), False),
        ((REFUSED, None, BROKEN), False),
        ((REFUSED, None, HUNG), False),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else f"{len(value)} answers",
)
async def test_one_that_refuses_does_not_have_it_where_another_says_so(
    downloads: Downloads,
    caplog: pytest.LogCaptureFixture,
    answers: tuple[object, ...],
    is_missing: bool,
) -> None:
    upstreams = [FakeUpstream(f"u{n}", downloads, one) for n, one in enumerate(answers)]
    with pytest.raises(Missing if is_missing else UpstreamError):
        await repository([], *upstreams).find("x")
    assert "page of x: it answers 403" in caplog.text


async def test_when_all_are_broken_the_error_names_each(downloads: Downloads) -> None:
    upstreams = [FakeUpstream("a", downloads, BROKEN), FakeUpstream("b", downloads, HUNG)]
    with pytest.raises(UpstreamError) as raised:
        await repository([], *upstreams).find("x")
    assert str(raised.value) == (
        "https://a.example/simple: it answers 500; https://b.example/simple: no answer within 1 s"
    )
    assert not raised.value.timed_out


async def test_it_timed_out_only_when_all_did(downloads: Downloads) -> None:
    upstreams = [FakeUpstream(name, downloads, HUNG) for name in "ab"]
    with pytest.raises(UpstreamError) as raised:
        await repository([], *upstreams).find("x")
    assert raised.value.timed_out


# --- files --------------------------------------------------------------------------------------


async def test_a_file_is_found_by_name_and_digest(downloads: Downloads) -> None:
    sources = repository([], FakeUpstream("a", downloads, page(file("x-1.tar.gz"), file())))
    found, got = await sources.file("x", file().filename, tag_of(file()))
    assert got.filename == file().filename
    assert found.source is sources.upstreams[0]


async def test_a_file_with_another_digest_has_changed(downloads: Downloads) -> None:
    sources = repository([], FakeUpstream("a", downloads, page(file())))
    for tag in ("0" * 16, "unverified"):
        with pytest.raises(Missing, match="has changed since its page was read"):
            await sources.file("x", file().filename, tag)
    with pytest.raises(Missing, match=r"has no file 'x-2.0-py3-none-any.whl' here"):
        await sources.file("x", "x-2.0-py3-none-any.whl", tag_of(file()))


async def test_a_file_without_a_digest_has_a_tag_too(downloads: Downloads) -> None:
    sources = repository([], FakeUpstream("a", downloads, page(file(sha256=""))))
    assert (await sources.file("x", file().filename, "unverified"))[1].sha256 == ""


async def test_a_file_is_found_where_its_page_came_from_though_another_is_first_by_now(
    downloads: Downloads,
) -> None:
    """The first one was asked for the page; then it hung for another, and rests."""
    first = FakeUpstream("a", downloads, page(file("x-1.0-py3-none-any.whl")))
    second = FakeUpstream("b", downloads, page(file("x-2.0-py3-none-any.whl", host="b")))
    sources = repository([], first, second)
    assert (await sources.find("x")).source is first
    first.hung = True
    found, _ = await sources.file("x", "x-1.0-py3-none-any.whl", tag_of(file()))
    assert found.source is first


async def test_a_file_of_a_page_that_stood_in_is_found_when_the_first_is_back(
    downloads: Downloads,
) -> None:
    first = FakeUpstream("a", downloads, BROKEN)
    second = FakeUpstream("b", downloads, page(file(host="b")))
    sources = repository([], first, second)
    assert (await sources.find("x")).source is second
    first.answer = page(file(sha256="0" * 64))
    found, got = await sources.file("x", file().filename, tag_of(file()))
    assert (found.source, got.sha256) == (second, SHA256)


async def test_a_file_is_not_missing_while_somebody_cannot_say(downloads: Downloads) -> None:
    first = FakeUpstream("a", downloads, BROKEN)
    second = FakeUpstream("b", downloads, page(file("x-2.0-py3-none-any.whl")))
    with pytest.raises(UpstreamError, match="it answers 500"):
        await repository([], first, second).file("x", file().filename, tag_of(file()))


async def places(sources: Repository, upstream: FakeUpstream, wanted: File) -> list[Place]:
    """Where the repository lets an upstream look for a file."""
    upstream.downloads.disk.put(file_key(wanted), DATA)  # so that nothing is fetched
    await sources.blob("x", FoundPage(page(wanted), upstream), wanted)
    return upstream.places_given


async def test_another_upstream_stands_in_with_the_same_name_and_digest_only(
    downloads: Downloads,
) -> None:
    wanted = file(host="files-a")
    same = file(host="files-b")
    first = FakeUpstream("a", downloads, page(wanted))
    twin = FakeUpstream("b", downloads, page(file("x-2.0-py3-none-any.whl"), same))
    rebuilt = FakeUpstream("c", downloads, page(file(sha256="0" * 64)))
    renamed = FakeUpstream("d", downloads, page(file("x-1.0-py2-none-any.whl")))
    unsure = FakeUpstream("e", downloads, page(file(sha256="")))
    broken, lacks = FakeUpstream("f", downloads, BROKEN), FakeUpstream("g", downloads)
    sources = repository([], twin, first, rebuilt, renamed, unsure, broken, lacks)
    found = await places(sources, first, wanted)
    assert [(place.url, place.client) for place in found] == [
        (wanted.url, first.client),
        (wanted.url, first.client),
        (same.url, twin.client),
        (same.url, twin.client),
    ]


async def test_nobody_stands_in_for_a_file_without_a_digest(downloads: Downloads) -> None:
    wanted = file(sha256="")
    first = FakeUpstream("a", downloads, page(wanted))
    other = FakeUpstream("b", downloads, page(wanted))
    found = await places(repository([], first, other), first, wanted)
    assert {place.client for place in found} == {first.client}
    assert other.asked == []


async def test_a_file_that_is_stored_needs_no_upstream(downloads: Downloads) -> None:
    downloads.disk.put(f"file-{SHA256}", DATA)
    upstream = FakeUpstream("a", downloads, page(file()))
    sources = repository([], upstream)
    found, got = await sources.file("x", file().filename)
    blob = await sources.blob("x", found, got)
    assert isinstance(blob, Stored)
    assert blob.path.read_bytes() == DATA


async def test_a_file_of_the_folder_comes_from_the_folder(downloads: Downloads) -> None:
    sources = repository([FakeFolder("folder", {"x": page(file())})])
    found, got = await sources.file("x", file().filename)
    assert await sources.blob("x", found, got) == Stored(Path("/local", got.filename))


# --- all of it ----------------------------------------------------------------------------------


async def test_the_list_of_projects_names_each_once_in_order(downloads: Downloads) -> None:
    local = FakeFolder("1", {"y": page(), "x": page()})
    sources = repository(
        [local, FakeFolder("2", {"b": page()})], FakeUpstream("a", downloads, page())
    )
    assert await sources.projects() == ["b", "x", "y"]


async def test_closing_closes_all(downloads: Downloads) -> None:
    local = FakeFolder("1", {})
    sources = repository([local], FakeUpstream("a", downloads))
    await sources.close()
    assert local.closed
