"""A fake web of mirrors, and installs through it without a browser."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyodide_mirror._micropip import projects_named_in
from pyodide_mirror.index import JSON_TYPE
from pyodide_mirror.installing import (
    DeferredMirrors,
    Failover,
    MirrorClient,
    MirrorOrder,
    RankedMirror,
)
from pyodide_mirror.installing.failover import ServedPage
from pyodide_mirror.model import Credentials, Mirror, origin
from pyodide_mirror.reporting import Event
from pyodide_mirror.storage import NO_CACHE, Cache
from pyodide_mirror.transport import (
    NO_PROGRESS,
    FailureKind,
    PageFacts,
    Progress,
    Request,
    Response,
    TransportError,
    too_large,
)
from tests.support.wheels import Sdist, Wheel, make_wheel

TIMEOUT = 5.0
A, B, C = (Mirror(f"https://{letter}.example/simple") for letter in "abc")
PRIVATE = Mirror("https://private.example/simple", private=True)
ACME = Mirror("https://acme.example/simple", projects=("acme-*", "demo"))
DEMO = make_wheel("demo", "1.0", requires=["dep"])


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a URL says after so many seconds, or how the request fails.

    ``has_parts``: who asks for a range gets it.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    failure: FailureKind | None = None
    has_parts: bool = False


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
        """Set what a URL answers."""
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
        """Let a mirror have a page with these entries."""
        self.answer(mirror.project_url(project), page_of(project, files))

    @property
    def answers(self) -> dict[str, Answer]:
        """What each URL answers next."""
        return {url: answers[0] for url, answers in self._answers.items()}

    @property
    def asked(self) -> list[str]:
        """The URLs, in the order of the requests."""
        return [request.url for request in self.requests]

    @property
    def hosts(self) -> list[str]:
        """The origins, each once, in the order of the first request."""
        return list(dict.fromkeys(origin(url) for url in self.asked))

    async def fetch(self, request: Request, progress: Progress = NO_PROGRESS) -> Response:
        """See Transport."""
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
        body, status = answer.body, answer.status
        if answer.has_parts and "range" in request.headers:
            first, _, last = request.headers["range"].removeprefix("bytes=").partition("-")
            body, status = body[int(first) : int(last) + 1], 206
        if len(body) > request.max_bytes:
            raise too_large(request.max_bytes)
        progress.headers(status, len(body))
        progress.received(len(body))
        return Response(url=url, status=status, headers=answer.headers, body=body)


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


def order_of(*mirrors: Mirror | RankedMirror, web: Web | None = None) -> MirrorOrder:
    ranked = tuple(one if isinstance(one, RankedMirror) else RankedMirror(one) for one in mirrors)
    return MirrorOrder(ranked, web or Web(), TIMEOUT)


def reading(
    web: Web,
    *mirrors: Mirror | RankedMirror,
    credentials: Credentials | None = None,
    cache: Cache = NO_CACHE,
    **options: Any,
) -> tuple[Failover, list[Event]]:
    """What an install reads through these mirrors, and the list of what it will tell."""
    events: list[Event] = []
    order = order_of(*mirrors, web=web)
    client = MirrorClient(web, TIMEOUT, events.append, cache=cache, credentials=credentials)
    return Failover(DeferredMirrors(order), client, events.append, **options), events


def may_retry(failover: Failover, error: Exception) -> bool:
    """Whether micropip is to run again after this error, as an installation decides it."""
    return failover.pages.retry_without(failover.faults.lost | projects_named_in(error))


def told(events: Sequence[Event]) -> list[tuple[str, str]]:
    """What was told of which mirror, without the progress."""
    mirrors = {one.index_url: one.name for one in (A, B, C, PRIVATE, ACME)}
    return [(event.kind, mirrors[event.mirror]) for event in events if event.kind != "progress"]


def listed(page: ServedPage) -> list[dict[str, Any]]:
    files: list[dict[str, Any]] = (page.document or {})["files"]  # type: ignore[assignment]
    return files


def urls(page: ServedPage) -> list[str]:
    return [file["url"] for file in listed(page)]
