"""How an install finds its mirrors: on a virtual clock, by a micropip that only asks for pages."""

import asyncio
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import micropip
import pytest
from micropip import package_index

from pyodide_mirror import InstallReport, NoUsableMirror
from pyodide_mirror.api import Session
from pyodide_mirror.model import Mirror
from pyodide_mirror.storage import Choice
from tests.support.fake_host import FakeHost
from tests.support.fake_web import DOWN, GONE, SLOW, A, B, Web, file_url
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

WHEEL = make_wheel("packaging", "99.0")
"""Of a project that is installed here, so that the closure check finds nothing missing."""
URLS = [A.index_url, B.index_url]
PAGES = [mirror.project_url("packaging") for mirror in (A, B)]


class FakeMicropip:
    """Asks below its index URL for the page of each requirement, and installs nothing.

    ``wait SECONDS`` in place of a requirement lets so much time pass.
    """

    def __init__(self) -> None:
        self.index_urls = list(package_index.DEFAULT_INDEX_URLS)
        self.module = SimpleNamespace(pyfetch=self.fetch)
        self.asked: list[str] = []
        """The requests that nobody has served."""

    def set_index_urls(self, urls: list[str]) -> None:
        self.index_urls = list(urls)

    async def fetch(self, url: str, **_: object) -> None:
        self.asked.append(url)
        raise OSError("nothing is here")

    async def install(
        self, requirements: list[str], index_urls: list[str] | None = None, **_: object
    ) -> None:
        index_url = self.index_urls[0]
        for requirement in requirements:
            word, _, seconds = requirement.partition(" ")
            if seconds:
                await asyncio.sleep(float(seconds))
            else:
                await self.module.pyfetch(f"{index_url}/{word}/")


class Ground:
    """A session, the web it asks, and the micropip that it has patched."""

    def __init__(self) -> None:
        self.web = Web()
        self.host = FakeHost(self.web)
        self.micropip = FakeMicropip()
        for mirror in (A, B):
            self.web.publish(mirror, WHEEL)
        self.session = Session(self.host)

    async def install(self, *requirements: str, mirrors: object = None) -> InstallReport:
        wanted = [A, B] if mirrors is None else mirrors
        return await self.session.install(list(requirements), mirrors=wanted)  # type: ignore[arg-type]

    def is_as_before(self) -> bool:
        own = self.micropip
        return own.index_urls == list(package_index.DEFAULT_INDEX_URLS) and (
            own.module.pyfetch == own.fetch and self.session.status() is None
        )

    @property
    def pages(self) -> list[str]:
        """The pages that were asked for."""
        return [url for url in self.web.asked if url.endswith("/")]


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ground]:
    fake = FakeMicropip()
    monkeypatch.setattr(micropip, "install", fake.install)
    monkeypatch.setattr(micropip, "set_index_urls", fake.set_index_urls)
    monkeypatch.setitem(sys.modules, "micropip._compat._compat_in_pyodide", fake.module)  # type: ignore[arg-type]
    made = Ground()
    made.micropip = fake
    yield made
    made.session.reset()


def kinds(report: InstallReport) -> list[str]:
    return [event.kind for event in report.events]


def remember(ground: Ground, mirror: Mirror) -> None:
    ground.host.store.save(Choice(mirror.index_url, datetime.now(UTC)))


async def test_an_install_that_asks_for_no_page_needs_no_mirror(ground: Ground) -> None:
    report = await ground.install()
    assert ground.web.asked == []
    assert ground.is_as_before()
    assert (report.report.chosen, report.report.pending) == (None, (A, B))


async def test_the_first_page_starts_the_race_and_the_next_does_not(ground: Ground) -> None:
    ground.web.publish(A, make_wheel("micropip", "99.0"))
    report = await ground.install("packaging", "micropip")
    assert report.report.chosen == A
    assert [event.text for event in report.events if event.kind == "chosen"] == [
        "installs through a.example"
    ]
    assert ground.pages == [PAGES[0], A.project_url("micropip")]
    assert ground.micropip.asked == []
    assert ground.micropip.index_urls == URLS[:1]
    status = ground.session.status()
    assert status is not None
    assert status.chosen == A


async def test_what_the_probe_has_fetched_is_not_fetched_again(ground: Ground) -> None:
    await ground.install("packaging")
    assert ground.web.asked == [PAGES[0], file_url(A, WHEEL)]


async def test_the_mirror_of_the_last_time_proves_itself_by_the_wanted_page(
    ground: Ground,
) -> None:
    remember(ground, B)
    report = await ground.install("packaging")
    assert report.report.chosen == B
    assert "installs through b.example, as last time" in [event.text for event in report.events]
    assert ground.pages == PAGES[1:]
    assert "outcome" not in kinds(report)


@pytest.mark.parametrize("answer", [GONE, DOWN, SLOW])
async def test_where_it_has_not_the_page_the_mirrors_race(ground: Ground, answer: object) -> None:
    remember(ground, B)
    ground.web.answer(PAGES[1], answer)  # type: ignore[arg-type]
    report = await ground.install("packaging")
    assert report.report.chosen == A
    assert "outcome" in kinds(report)


async def test_a_configuration_in_force_is_not_found_again(ground: Ground) -> None:
    await ground.install("packaging")
    ground.web.requests.clear()
    report = await ground.install("packaging")
    assert ground.pages == PAGES[:1]
    assert "outcome" not in kinds(report)


async def test_without_a_usable_mirror_all_is_as_before(ground: Ground) -> None:
    for page in PAGES:
        ground.web.answer(page, DOWN)
    with pytest.raises(NoUsableMirror, match="none of the 2 mirrors"):
        await ground.install("packaging")
    assert ground.is_as_before()


async def test_with_nothing_but_unusable_urls_what_needs_no_mirror_is_installed(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYODIDE_MIRROR_URLS", "nonsense ftp://mirror.example")
    await ground.session.install(["wait 0"])
    assert ground.is_as_before()
    with pytest.raises(NoUsableMirror, match="bad-url"):
        await ground.session.install(["packaging"])
    assert ground.micropip.asked == []


async def test_two_installs_at_once_have_one_race(ground: Ground) -> None:
    both = await asyncio.gather(ground.install("packaging"), ground.install("packaging"))
    assert [report.report.chosen for report in both] == [A, A]
    assert ground.web.asked.count(PAGES[0]) == 2  # each install has its own view of the index
    assert ground.web.asked.count(file_url(A, WHEEL)) == 1
    assert ground.micropip.asked == []


async def test_an_install_that_ends_without_a_mirror_leaves_the_others_theirs(
    ground: Ground,
) -> None:
    slow = asyncio.ensure_future(ground.install("wait 2", "packaging"))
    await asyncio.sleep(1)
    await ground.install("wait 0")
    assert (await slow).report.chosen == A
    assert ground.micropip.asked == []
    # The other way round: the one that began first ends first.
    ground.session.release()
    first = asyncio.ensure_future(ground.install("wait 1"))
    second = asyncio.ensure_future(ground.install("wait 2", "packaging"))
    await first
    assert (await second).report.chosen == A
    assert ground.micropip.asked == []
    ground.session.release()
    assert ground.is_as_before()


async def test_two_installs_with_mirrors_of_their_own_are_served_from_them(
    ground: Ground,
) -> None:
    one, two = await asyncio.gather(
        ground.install("wait 1", "packaging", mirrors=A), ground.install("packaging", mirrors=B)
    )
    assert (one.report.chosen, two.report.chosen) == (A, B)
    assert ground.micropip.asked == []


async def test_plain_installs_use_what_is_put_off_and_leave_a_users_index_urls_alone(
    ground: Ground,
) -> None:
    ground.session.configure_later([A, B])
    assert ground.web.asked == []
    await micropip.install(["packaging"])
    assert ground.pages == PAGES[:1]
    ground.session.reset()
    await ground.session.settled()
    ground.session.configure_later([A, B])
    micropip.set_index_urls(["https://own.example/simple"])
    with pytest.raises(OSError, match="nothing is here"):
        await micropip.install(["packaging"])
    assert ground.micropip.asked == ["https://own.example/simple/packaging/"]
    micropip.set_index_urls(list(package_index.DEFAULT_INDEX_URLS))


async def test_a_micropip_that_cannot_be_served_is_told_of_the_mirrors_at_once(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "micropip._compat._compat_in_pyodide")
    ground.web.publish(A, make_wheel("iniconfig", "1.0"))
    ground.web.answer(B.project_url("iniconfig"), SLOW)
    await ground.install("wait 0")
    assert ground.micropip.index_urls == URLS
    assert "is not supported" in caplog.text
