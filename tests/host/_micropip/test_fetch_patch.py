"""What stands in the place of micropip's pyfetch: what it serves, and what it leaves alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from micropip import wheelinfo

from pyodide_mirror._micropip import FetchPatch, IndexUrls, ServedPage, fetch
from pyodide_mirror._micropip.fetch import CURRENT_INSTALL

INDEX = "https://a.example/simple"
PAGE = f"{INDEX}/demo/"
ELSEWHERE = "https://elsewhere.example/demo/"
DOCUMENT: dict[str, object] = {"name": "demo", "files": []}


class HttpStatusError(Exception):
    """micropip's own, since 0.9."""

    def __init__(self, status: int, message: str, url: str) -> None:
        self.status = status


@dataclass
class Source:
    """An install that has one page, or none that can be read."""

    page_of_demo: ServedPage | OSError
    unknown: list[tuple[str, str]] = field(default_factory=list)
    asking: set[Any] = field(default_factory=set)
    ended: bool = False

    async def page(self, project: str) -> ServedPage:
        assert project == "demo"
        if isinstance(self.page_of_demo, OSError):
            raise self.page_of_demo
        return self.page_of_demo

    def knows(self, url: str) -> bool:
        return url == f"{INDEX}/file"

    async def read(self, url: str) -> bytes:
        return url.encode()

    def unknown_extra(self, distribution: str, extra: str) -> None:
        self.unknown.append((distribution, extra))


SERVED = Source(ServedPage(PAGE, 200, DOCUMENT))
MISSING = Source(ServedPage(PAGE, 404))
DOWN = Source(OSError("no mirror could be read"))


async def own_fetch(url: str, **_: object) -> str:
    return f"micropip's own of {url}"


@pytest.fixture
def micropip(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The module of micropip that fetches, as it is in Pyodide."""
    module = SimpleNamespace(pyfetch=own_fetch, HttpStatusError=HttpStatusError)
    monkeypatch.setattr(fetch, "compat_module", lambda: module)
    return module


@pytest.fixture
def patch() -> Iterator[FetchPatch]:
    index_urls = IndexUrls()
    index_urls.use([INDEX], "lockfile")
    made = FetchPatch(index_urls)
    yield made
    made.remove()
    index_urls.restore()


async def test_our_pages_come_from_the_install_and_all_else_from_where_it_came(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    assert patch.install(SERVED)
    page = await micropip.pyfetch(PAGE)
    assert (page.status, page.ok, await page.string()) == (200, True, DOCUMENT)
    assert page.headers == {"content-type": "application/vnd.pypi.simple.v1+json"}
    assert await micropip.pyfetch(ELSEWHERE) == f"micropip's own of {ELSEWHERE}"


async def test_the_install_that_runs_comes_before_the_standing_one(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    patch.install(DOWN)
    token = CURRENT_INSTALL.set(SERVED)
    try:
        assert (await micropip.pyfetch(PAGE)).ok
        assert await (await micropip.pyfetch(f"{INDEX}/file")).bytes() == f"{INDEX}/file".encode()
    finally:
        CURRENT_INSTALL.reset(token)


async def test_without_any_install_everything_passes_through(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    patch.install(SERVED)
    ours = micropip.pyfetch
    patch.remove()
    assert micropip.pyfetch is own_fetch
    assert await ours(PAGE) == f"micropip's own of {PAGE}"


async def test_what_another_has_put_there_since_stays(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    patch.install(SERVED)
    ours = micropip.pyfetch

    async def theirs(url: str, **options: Any) -> Any:
        return await ours(url, **options)

    micropip.pyfetch = theirs
    patch.remove()
    assert micropip.pyfetch is theirs
    assert await theirs(PAGE) == f"micropip's own of {PAGE}"
    # Ours is still called, and must not be put around itself.
    assert patch.install(SERVED)
    assert micropip.pyfetch is theirs
    assert (await theirs(PAGE)).ok


def test_metadata_are_read_by_the_standards_until_the_patch_is_removed(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    own = wheelinfo.Metadata
    metadata = b"Name: demo\nVersion: 1\nProvides-Extra: A.B\n\nProvides-Extra: no\n"
    standing, running = Source(MISSING.page_of_demo), Source(MISSING.page_of_demo)
    for _ in range(2):  # another has taken the place of our fetch meanwhile
        patch.install(standing)
        read = wheelinfo.Metadata(metadata)
        assert read.requires(["a_b", "no"]) == []
        assert standing.unknown.pop() == ("demo 1", "no")
        token = CURRENT_INSTALL.set(running)
        assert read.requires(["no"]) == []
        CURRENT_INSTALL.reset(token)
        assert (standing.unknown, running.unknown.pop()) == ([], ("demo 1", "no"))
        micropip.pyfetch = None
        patch.remove()
        assert wheelinfo.Metadata is own
    assert read.requires(["no"]) == []


def test_what_another_has_put_in_the_place_of_metadata_stays(
    micropip: SimpleNamespace, patch: FetchPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheelinfo, "Metadata", wheelinfo.Metadata)
    patch.install(SERVED)
    theirs = type("Theirs", (wheelinfo.Metadata,), {})
    wheelinfo.Metadata = theirs  # type: ignore[misc]
    patch.remove()
    assert wheelinfo.Metadata is theirs


@pytest.mark.parametrize("source", [MISSING, DOWN], ids=["404", "no answer"])
async def test_without_a_page_micropip_hears_404_in_its_own_words(
    micropip: SimpleNamespace, patch: FetchPatch, source: Source
) -> None:
    patch.install(source)
    with pytest.raises(HttpStatusError) as raised:
        await micropip.pyfetch(PAGE)
    assert raised.value.status == 404


async def test_where_micropip_has_no_such_words_a_failed_fetch_is_an_oserror(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    del micropip.HttpStatusError
    patch.install(DOWN)
    with pytest.raises(OSError, match="no mirror could be read"):
        await micropip.pyfetch(PAGE)
    patch.install(MISSING)
    response = await micropip.pyfetch(PAGE)
    with pytest.raises(OSError, match="HTTP 404"):
        response.raise_for_status()


def test_a_micropip_that_is_not_known_is_left_alone_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, patch: FetchPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fetch, "compat_module", lambda: None)
    assert not patch.install(SERVED)
    [warning] = caplog.records
    assert warning.levelname == "WARNING"
    assert "micropip" in warning.getMessage()


async def test_an_install_is_served_to_its_end_and_nobody_else_is(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    patch.install(DOWN)
    with patch.serving():
        token = CURRENT_INSTALL.set(SERVED)
        patch.remove()
        assert (await micropip.pyfetch(PAGE)).ok
        CURRENT_INSTALL.reset(token)
        assert await micropip.pyfetch(PAGE) == f"micropip's own of {PAGE}"
    assert micropip.pyfetch is own_fetch


async def test_nothing_is_asked_for_an_install_that_has_ended(
    micropip: SimpleNamespace, patch: FetchPatch
) -> None:
    patch.install(SERVED)
    token = CURRENT_INSTALL.set(Source(ServedPage(PAGE, 200, DOCUMENT), ended=True))
    try:
        for url in (PAGE, ELSEWHERE):
            with pytest.raises(OSError, match="its install has ended"):
                await micropip.pyfetch(url)
    finally:
        CURRENT_INSTALL.reset(token)
