"""Who may answer for a project; and the fake web that the other tests of the router share."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pyodide_mirror.cache import NO_CACHE, Cache
from pyodide_mirror.delivery import Delivery, ServedPage
from pyodide_mirror.model import Credentials, FailureKind, Mirror, PageFacts, Request, Response
from pyodide_mirror.report import Event
from pyodide_mirror.router import Ranked, Router
from pyodide_mirror.simple_api import JSON_TYPE
from pyodide_mirror.supply import Supply
from pyodide_mirror.transport import NO_PROGRESS, Progress, TransportError, too_large
from pyodide_mirror.urls import origin
from tests.wheels import Sdist, Wheel, make_wheel

TIMEOUT = 5.0
A, B, C = (Mirror(f"https://{letter}.example/simple") for letter in "abc")
PRIVATE = Mirror("https://private.example/simple", private=True)
ACME = Mirror("https://acme.example/simple", projects=("acme-*", "demo"))
DEMO = make_wheel("demo", "1.0", requires=["dep"])


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a URL says after so many seconds, or how the request fails."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    failure: FailureKind | None = None


OUTAGE = Answer(status=500)
GONE = Answer(status=404)
DOWN = Answer(failure=FailureKind.NETWORK)
SLOW = Answer(delay=2 * TIMEOUT)
LOGIN = Answer(body=b"<html><a href='/login'>Log in</a>", headers={"content-type": "text/html"})
BUSY = Answer(status=503)


class Web:
    """A transport of answers by URL; several are given in turn, the last one again and again.

    All other URLs are 404.
    """

    page = PageFacts()

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.times: list[float] = []
        self.cancelled: list[str] = []
        self._answers: dict[str, list[Answer]] = {}

    def answer(self, url: str, *answers: Answer) -> None:
        self._answers[url] = list(answers)

    def publish(self, mirror: Mirror, *dists: Sdist, **changes: Any) -> None:
        """Let a mirror have the page and the files; ``changes`` are made to each page entry."""
        listed = [entry(mirror, dist, **changes) for dist in dists]
        self.list_files(mirror, dists[0].name, listed)
        for dist, row in zip(dists, listed, strict=True):
            self.answer(row["url"], Answer(body=dist.data))
            if isinstance(dist, Wheel):
                self.answer(f"{row['url']}.metadata", Answer(body=dist.metadata))

    def list_files(
        self, mirror: Mirror, project: str, files: Sequence[Mapping[str, object]]
    ) -> None:
        self.answer(mirror.project_url(project), page_of(project, files))

    @property
    def asked(self) -> list[str]:
        """The URLs, in the order of the requests."""
        return [request.url for request in self.requests]

    @property
    def hosts(self) -> list[str]:
        """The origins, each once, in the order of the first request."""
        return list(dict.fromkeys(origin(url) for url in self.asked))

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        url = request.url
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        answers = self._answers.get(url, [GONE])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            async with asyncio.timeout(request.timeout):
                await asyncio.sleep(answer.delay)
        except TimeoutError:
            raise TransportError(FailureKind.TIMEOUT, "no answer in time") from None
        except asyncio.CancelledError:
            self.cancelled.append(url)
            raise
        if answer.failure is not None:
            raise TransportError(answer.failure, "Failed to fetch")
        if len(answer.body) > request.max_bytes:
            raise too_large(request.max_bytes)
        progress.headers(answer.status, len(answer.body))
        progress.received(len(answer.body))
        return Response(url=url, status=answer.status, headers=answer.headers, body=answer.body)


def page_of(project: str, files: Sequence[Mapping[str, object]], **answer: Any) -> Answer:
    document = {"meta": {"api-version": "1.1"}, "name": project, "files": files}
    body = json.dumps(document).encode()
    return Answer(body=body, headers={"content-type": JSON_TYPE}, **answer)


def file_url(mirror: Mirror, dist: Sdist) -> str:
    return f"{origin(mirror.index_url)}/files/{dist.filename}"


def entry(mirror: Mirror, dist: Sdist, **changes: Any) -> dict[str, Any]:
    """A file as PEP 691 has it; a change to None takes the key away."""
    row = {
        "filename": dist.filename,
        "url": file_url(mirror, dist),
        "hashes": {"sha256": dist.sha256},
        "core_metadata": {"sha256": dist.metadata_sha256} if isinstance(dist, Wheel) else None,
        **changes,
    }
    return {key.replace("_", "-"): value for key, value in row.items() if value is not None}


def route(*mirrors: Mirror | Ranked, web: Web | None = None) -> Router:
    ranked = tuple(one if isinstance(one, Ranked) else Ranked(one) for one in mirrors)
    return Router(ranked, web or Web(), TIMEOUT)


def deliver(
    web: Web,
    *mirrors: Mirror | Ranked,
    credentials: Credentials | None = None,
    cache: Cache = NO_CACHE,
    **options: Any,
) -> tuple[Delivery, list[Event]]:
    """A delivery, and the list of what it will tell."""
    events: list[Event] = []
    router = route(*mirrors, web=web)
    supply = Supply(router, events.append, cache=cache, credentials=credentials)
    return Delivery(router, events.append, supply=supply, **options), events


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What was told of which mirror, without the progress."""
    mirrors = {one.index_url: one.name for one in (A, B, C, PRIVATE, ACME)}
    return [(event.kind, mirrors[event.mirror]) for event in events if event.kind != "progress"]


def listed(page: ServedPage) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = (page.document or {})["files"]  # type: ignore[assignment]
    return files


def urls(page: ServedPage) -> list[str]:
    return [file["url"] for file in listed(page)]


def mirrors_for(project: str, *mirrors: Mirror) -> list[Mirror]:
    return [one.mirror for one in route(*mirrors).candidates(project)]


@pytest.mark.parametrize("project", ["demo", "acme-tools"])
def test_an_index_that_names_a_project_is_the_only_one_to_answer_for_it(project: str) -> None:
    assert mirrors_for(project, A, PRIVATE, ACME) == [ACME]


def test_an_index_that_names_projects_answers_for_no_others() -> None:
    assert mirrors_for("acme", A, ACME, B) == [A, B]


def test_two_indexes_that_name_a_project_keep_their_order() -> None:
    other = Mirror("https://other.example", projects=("*",))
    assert mirrors_for("demo", other, A, ACME) == [other, ACME]
    assert mirrors_for("else", other, A, ACME) == [other]


def test_private_mirrors_come_first_and_the_order_is_kept_otherwise() -> None:
    second = Mirror("https://second.example", private=True)
    assert mirrors_for("demo", B, PRIVATE, A, second, C) == [PRIVATE, second, B, A, C]


def test_a_project_is_claimed_when_an_index_names_it() -> None:
    router = route(A, PRIVATE, ACME)
    claimed = {name for name in ("demo", "acme-x", "acme", "else") if router.is_claimed(name)}
    assert claimed == {"demo", "acme-x"}


@pytest.mark.parametrize(
    ("url", "project"),
    [
        ("https://a.example/simple/demo/", "demo"),
        ("https://a.example/simple/Zope.Interface_X/", "zope-interface-x"),
        ("https://a.example/simple/demo", None),
        ("https://a.example/simple/", None),
        ("https://a.example/simple//", None),
        ("https://a.example/simple/demo//", None),
        ("https://a.example/simple/demo/extra/", None),
        ("https://a.example/simple/demo/?x=/", None),
        ("https://a.example/simple/demo/#/", None),
        ("https://a.example/simple/demo/../other/", None),
        ("https://a.example/simple/%2e%2e/", None),
        ("https://a.example/simple/de\nmo/", None),
        ("https://a.example/simpler/demo/", None),
        ("https://a.example/demo/", None),
        ("http://a.example/simple/demo/", None),
        ("https://a.example.org/simple/demo/", None),
        ("https://b.example/simple/demo/", None),  # micropip knows the first mirror only
    ],
)
def test_a_page_of_ours_is_known_by_its_url(url: str, project: str | None) -> None:
    assert route(A, B).project_of(url) == project


@pytest.mark.parametrize("dots", [".", "..", "-", "_"])
def test_a_url_of_dots_is_no_page(dots: str) -> None:
    assert route(A).project_of(f"https://a.example/simple/{dots}/") is None
