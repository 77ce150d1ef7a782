"""Mirrors that are wrong in one thing each: a right one, behind a proxy that spoils its answers.

They show that a check can fail. Each names the checks that must fail over it.
"""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from tests.conformance.base import JSON_V1
from tests.support.upstreams import Kind, Upstream
from tests.zoo.server import LOOPBACK, Headers, Manner, Request, Response, Server

Doc = dict[str, Any]
_ITS_OWN = {"content-length", "transfer-encoding", "connection"}


class Proxy:
    """Passes requests on to the right mirror, and remembers what a wrong one might."""

    def __init__(self, origin: str, upstream: Upstream) -> None:
        """Stand before the mirror at `origin`."""
        self._address = origin.partition("://")[2]
        self.upstream = upstream
        self.memory: dict[str, Response] = {}
        """Answers that a spoiler keeps."""

    def ask(self, request: Request) -> Response:
        """Pass a request on."""
        with closing(http.client.HTTPConnection(self._address, timeout=20)) as connection:
            connection.putrequest(
                request.method, request.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers:
                if name.lower() not in _ITS_OWN:
                    connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
        if request.method == "HEAD":
            body = b"?" * int(answer.getheader("Content-Length") or 0)
        headers = tuple(pair for pair in answer.getheaders() if pair[0].lower() not in _ITS_OWN)
        return Response(status=answer.status, headers=headers, body=body)

    def elsewhere(self, url: str, headers: Mapping[str, str] | None = None) -> Response:
        """Ask anyone, as a mirror should not."""
        parts = urlsplit(url)
        address = parts.hostname or LOOPBACK, parts.port
        with closing(http.client.HTTPConnection(*address, timeout=5)) as connection:
            connection.request("GET", parts.path or "/", headers=dict(headers or {}))
            body = connection.getresponse().read()
        return Response(body=body, headers=(("Content-Type", "application/octet-stream"),))


Spoil = Callable[[Request, Proxy], Response]


@dataclass(frozen=True)
class Spoiler:
    """One thing that is wrong, and the checks that must see it."""

    name: str
    spoil: Spoil
    breaks: tuple[str, ...]
    kind: Kind = "json"
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    """What the mirror says of itself beyond what the right one can."""


@contextmanager
def spoiled(spoiler: Spoiler, origin: str, upstream: Upstream) -> Iterator[str]:
    """Stand before the right mirror at `origin`; the value is the index URL."""
    proxy = Proxy(origin, upstream)

    def answer(request: Request) -> Response:
        try:
            return spoiler.spoil(request, proxy)
        except (http.client.HTTPException, OSError):
            return Response(manner=Manner.RESET)  # cut off there, cut off here

    server = Server(answer)
    try:
        yield f"http://{LOOPBACK}:{server.port}/simple"
    finally:
        server.close()


# ---------------------------------------------------------------- ways to spoil


def right(request: Request, proxy: Proxy) -> Response:
    """Change nothing."""
    return proxy.ask(request)


def is_page(request: Request) -> bool:
    """Whether a project's page is asked for."""
    return request.path.startswith("/simple/") and len(request.path) > len("/simple/")


def is_file(request: Request) -> bool:
    """Whether a file or its metadata is asked for."""
    return request.path.startswith("/files/")


def anything(_request: Request) -> bool:
    """Whether anything is asked for."""
    return True


Which = Callable[[Request], bool]


def answers(change: Callable[[Response], Response], which: Which = anything) -> Spoil:
    """Change the answers to some requests."""

    def spoil(request: Request, proxy: Proxy) -> Response:
        answer = proxy.ask(request)
        return change(answer) if which(request) else answer

    return spoil


def without(*names: str, which: Which = anything) -> Spoil:
    """Leave headers out."""

    def change(answer: Response) -> Response:
        for name in names:
            answer = answer.without_header(name)
        return answer

    return answers(change, which)


def having(name: str, value: str, which: Which = anything) -> Spoil:
    """Set a header."""
    return answers(lambda answer: answer.with_header(name, value), which)


def saying(status: int, body: bytes = b"no", which: Which = anything) -> Spoil:
    """Give another status and body to some requests."""
    return answers(lambda answer: replace(answer, status=status, body=body), which)


def asking(change: Callable[[Headers], Headers], which: Which = anything) -> Spoil:
    """Change the headers of some requests before they are heard."""

    def spoil(request: Request, proxy: Proxy) -> Response:
        if which(request):
            request = replace(request, headers=change(request.headers))
        return proxy.ask(request)

    return spoil


def dropping(*names: str, which: Which = anything) -> Spoil:
    """Do not hear some headers of a request."""
    lower = {name.lower() for name in names}
    return asking(lambda pairs: tuple(p for p in pairs if p[0].lower() not in lower), which)


def hearing(name: str, value: str, which: Which = anything) -> Spoil:
    """Hear one header as if it had another value."""

    def change(pairs: Headers) -> Headers:
        return (*(pair for pair in pairs if pair[0].lower() != name.lower()), (name, value))

    return asking(change, which)


def document(change: Callable[[Doc], object]) -> Spoil:
    """Change JSON pages; `change` works in place."""

    def spoil(request: Request, proxy: Proxy) -> Response:
        answer = proxy.ask(request)
        kind = answer.status == 200 and dict(answer.headers).get("content-type", "")
        if not is_page(request) or kind != JSON_V1 or request.method == "HEAD":
            return answer
        doc = json.loads(answer.body)
        change(doc)
        return replace(answer, body=json.dumps(doc).encode())

    return spoil


def entries(change: Callable[[Doc], object]) -> Spoil:
    """Change every file's entry of JSON pages in place."""
    return document(lambda doc: [change(item) for item in doc["files"]])


def markup(old: bytes, new: bytes) -> Spoil:
    """Replace something in HTML pages."""

    def change(answer: Response) -> Response:
        if not dict(answer.headers).get("content-type", "").startswith("text/html"):
            return answer
        return replace(answer, body=answer.body.replace(old, new))

    return answers(change, is_page)


def masked(answer: Response) -> Response:
    """Make a success of an error."""
    return replace(answer, status=200, body=b"Sorry") if answer.status >= 400 else answer
