"""The features of the table, and how each is looked for."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from pyodide_mirror.index import parse_page
from pyodide_mirror.model import File
from tests.conformance.base import JSON_V1, ORIGIN, PIP
from tests.conformance.feature_stands import OWN, Running, upload_form
from tests.support import server_wire
from tests.support.provision import PYODIDE_VERSION
from tests.support.server_wire import Answer, connected
from tests.support.upstreams import EXHIBIT, Kind, Upstream, until
from tests.support.wheels import Wheel, make_wheel
from tests.zoo.parts import Visit
from tests.zoo.server import Response

_RATE = 6.0
"""Seconds after which ours, if told so, asks an upstream again."""
_SOON = 5.0
"""Seconds in which what was sent already has to come through."""


class Place:
    """A server that runs in a role, and its upstream.

    All projects are put up before the server starts, because some keep a list of them.
    """

    def __init__(self, index: Upstream, role: str, stack: ExitStack) -> None:
        """Put them up; ``stack`` ends what has to be ended."""
        self.index = index
        self.running: Running
        self.plain = iter([index.fresh(padding=3_000_000) for _ in range(4)])
        self.held, self.shared = (stack.enter_context(index.held()) for _ in range(2))
        self.spoiled = index.fresh(file=_spoil)
        self.published = threading.Event()
        self.news = index.fresh(page=until(self.published, _older)).name
        self.sample = EXHIBIT if role == "proxy" else OWN[0].name
        """A project that it has."""

    def ask(self, path: str, *headers: str, method: str = "GET") -> Answer:
        """Ask for a path below the index, or for a whole URL of this server."""
        url = path if "://" in path else f"{self.running.index_url}{path}"
        return server_wire.get(url, *headers, f"Accept: {PIP}", method=method)

    def files(self, project: str, *headers: str) -> list[File]:
        """The files of a project's page, with whole URLs."""
        url = f"{self.running.index_url}/{project}/"
        answer = self.ask(f"/{project}/", *headers)
        while answer.status in {301, 302, 307, 308}:
            url = urljoin(url, answer.headers["location"])
            answer = self.ask(url, *headers)
        assert answer.status == 200, f"{project}: {answer.status}"
        kind = answer.headers["content-type"]
        return list(parse_page(answer.body, kind, url, project).files)


def _spoil(_: Visit, response: Response) -> Response:
    return replace(response, body=response.body[:-1] + b"?")


def _older(_: Visit, response: Response) -> Response:
    # It is another page, so it has another ETag, or none.
    usual = tuple(pair for pair in response.headers if pair[0] not in {"ETag", "Last-Modified"})
    body = response.body.replace(b"-1.0-py3", b"-0.9-py3")
    return replace(response, headers=usual, body=body)


@dataclass(frozen=True, slots=True)
class Feature:
    """A row of the table. ``of_web_server``: a folder has it by the server that it is served by."""

    name: str
    role: str
    """What the server must be in; several, the first that it has: ``proxy local``."""
    look: Callable[[Place], bool | str] = bool
    over: Kind = "json"
    options: tuple[str, ...] = ()
    of_web_server: bool = False


# ---------------------------------------------------------------- over an upstream


def passes_on(place: Place) -> bool:
    wheel = next(place.plain)
    [file] = place.files(wheel.name)
    return place.ask(file.url).body == wheel.data


def has_json(place: Place) -> bool:
    return JSON_V1 in place.ask(f"/{place.sample}/").headers["content-type"]


def is_readable_from_a_page(place: Place) -> bool:
    origin = f"Origin: {ORIGIN}"
    [file, *_] = place.files(place.sample)
    answers = [place.ask(url, origin) for url in (f"/{place.sample}/", file.url, "/zoo-nowhere/")]
    return all(answer.headers.get("access-control-allow-origin") for answer in answers)


def passes_on_metadata(place: Place) -> bool:
    files = [file for file in place.files(place.sample) if file.metadata is not None]
    return bool(files) and b"Name:" in place.ask(f"{files[-1].url}.metadata").body


def takes_ranges(place: Place) -> bool:
    file = place.files(place.sample)[-1]
    whole = place.ask(file.url).body  # now it may have it
    part = place.ask(file.url, "Range: bytes=2-9")
    return part.status == 206 and part.body == whole[2:10]


def streams(place: Place) -> bool:
    [file] = place.files(place.held.wheel.name)
    parts = urlsplit(file.url)
    head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    received = b""
    with connected(file.url) as connection:
        connection.settimeout(_SOON)
        connection.sendall(head.encode())
        try:
            while len(received.partition(b"\r\n\r\n")[2]) < 1000:
                piece = connection.recv(1 << 16)
                if not piece:
                    return False
                received += piece
        except TimeoutError:
            return False
        finally:
            place.held.release()
    return True


def notices_a_wrong_digest(place: Place) -> bool:
    [file] = place.files(place.spoiled.name)
    answers = [place.ask(file.url) for _ in range(2)]
    return not any(answer.whole and answer.status == 200 for answer in answers)


def fetches_once(place: Place) -> bool:
    """Four ask for a file while the upstream still sends it, and get it from the server."""
    [file] = place.files(place.shared.wheel.name)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(place.ask, file.url) for _ in range(4)]
        time.sleep(_SOON)  # by then each has asked the upstream, if it does so at all
        place.shared.release()
        statuses = {answer.result().status for answer in asked}
    return place.index.asked_for(place.shared.wheel) == 1 and statuses == {200}


def sees_news(place: Place) -> str | bool:
    """How a client sees at once what the upstream has just published."""
    name = place.news

    def is_seen(*headers: str) -> bool:
        return any("-1.0-" in file.filename for file in place.files(name, *headers))

    assert not is_seen()
    place.published.set()
    time.sleep(_RATE)
    if is_seen():
        return "at each request"
    if is_seen("Cache-Control: no-cache"):
        return "`no-cache`"
    for method, path in (
        ("DELETE", f"/cache/{name}"),  # of proxpi
        ("POST", f"/root/mirror/+simple/{name}/refresh"),  # of devpi
    ):
        request = Request(place.running.url + path, method=method)  # noqa: S310
        try:
            urlopen(request, timeout=30).close()  # noqa: S310
        except OSError:
            continue
        if is_seen():
            return f"`{method} …/{path.rpartition('/')[2].replace(name, 'PROJECT')}`"
    return False


def works_alone(place: Place) -> bool:
    """The last one: the upstream is closed by it."""
    wheel = next(place.plain)
    [file] = place.files(wheel.name)
    place.ask(file.url)
    place.index.close()
    [again] = place.files(wheel.name)
    return place.ask(again.url).body == wheel.data


def makes_metadata(place: Place) -> bool:
    """Over an upstream that has none."""
    return passes_on_metadata(place)


# ---------------------------------------------------------------- for people


def has_a_page(place: Place) -> bool:
    answer = server_wire.get(f"{place.running.url}/", "Accept: text/html")
    return answer.status == 200 and "html" in answer.headers["content-type"]


def has_metrics(place: Place) -> str | bool:
    for path in ("/metrics", "/+status"):
        answer = server_wire.get(place.running.url + path)
        if answer.status == 200 and "html" not in answer.headers["content-type"]:
            return f"`{path}`"
    return False


def has_an_access_log(place: Place) -> bool:
    place.ask("/zoo-nowhere/")
    return "/zoo-nowhere/" in place.running.output


# ---------------------------------------------------------------- files of its own


def serves_its_own(place: Place) -> bool:
    [file] = place.files(OWN[0].name)
    return place.ask(file.url).body == OWN[0].data


def keeps_names(place: Place) -> str | bool:
    """Whether a project that the upstream has is not asked for, because it is called so."""
    name = next(place.plain).name
    status = place.ask(f"/{name}/").status
    if status == 200 or place.index.requests_of(name):
        return False
    place.ask(f"/{EXHIBIT}/")
    return True if place.index.requests_of(EXHIBIT) else "it asks nobody"


def denies(place: Place) -> bool:
    return place.ask("/zoo-dep-a/").status == 403


def has_pyodide(place: Place) -> bool:
    path = f"/pyodide/v{PYODIDE_VERSION}/full/pyodide-lock.json"
    return server_wire.get(place.running.url + path).status == 200


def has_both(place: Place) -> bool:
    return all(place.files(wheel.name) for wheel in OWN)


# ---------------------------------------------------------------- logins


def _lines(headers: Mapping[str, str]) -> list[str]:
    return [f"{name}: {value}" for name, value in headers.items()]


def reading_needs_a_login(place: Place) -> bool:
    page = f"/{OWN[0].name}/"
    allowed = place.ask(page, *_lines(place.running.reader))
    return place.ask(page).status == 401 and allowed.status == 200


def a_page_can_log_in(place: Place) -> bool:
    """The browser asks first whether it may send a login, and must be able to read a 401."""
    page = f"/{OWN[0].name}/"
    asked = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization")
    before = place.ask(page, f"Origin: {ORIGIN}", *asked, method="OPTIONS")
    allowed = before.headers.get("access-control-allow-headers", "").lower()
    refused = place.ask(page, f"Origin: {ORIGIN}")
    return (
        before.status < 300
        and "authorization" in allowed
        and refused.status == 401
        and "access-control-allow-origin" in refused.headers
    )


def _upload(place: Place, wheel: Wheel, headers: Mapping[str, str]) -> int:
    body, content_type = upload_form(wheel)
    parts = urlsplit(place.running.upload_url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
    lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *_lines(headers)]
    sent = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    [answer] = server_wire.exchange(place.running.upload_url, sent, "POST")
    return answer.status


def takes_uploads(place: Place) -> bool:
    new = make_wheel("acme-new", "1.0")
    status = _upload(place, new, place.running.uploader)
    assert status < 300, status
    return bool(place.files(new.name, *_lines(place.running.reader)))


def needs_a_login_to_upload(place: Place) -> bool:
    return takes(place, "acme-first") and _upload(place, make_wheel("acme-x", "1.0"), {}) in _NO


def has_readers_only(place: Place) -> bool:
    assert place.running.reader, "it has no such login"
    refused = _upload(place, make_wheel("acme-other", "1.0"), place.running.reader)
    return takes(place, "acme-second") and refused in _NO


def refuses_to_overwrite(place: Place) -> bool:
    other = make_wheel("acme-third", "1.0", padding=100)
    return takes(place, "acme-third") and _upload(place, other, place.running.uploader) in _NO


def takes(place: Place, name: str) -> bool:
    """Whether it takes a file of a project at all."""
    return _upload(place, make_wheel(name, "1.0"), place.running.uploader) < 300


_NO = frozenset({400, 401, 403, 409})


FEATURES: tuple[Feature, ...] = (
    Feature("files of its own", "local", serves_its_own, of_web_server=True),
    Feature("several folders", "several", has_both),
    Feature("upload (twine, uv, Poetry)", "closed", takes_uploads),
    Feature("uploads need a login", "closed", needs_a_login_to_upload),
    Feature("… that is another one than that for reading", "closed", has_readers_only),
    Feature("a file is never overwritten", "closed", refuses_to_overwrite),
    Feature("reading needs a login", "closed", reading_needs_a_login, of_web_server=True),
    Feature("a page can log in", "closed", a_page_can_log_in),
    Feature("passes on another index", "proxy", passes_on),
    Feature("names that are never asked upstream", "local", keeps_names),
    Feature("only some projects or versions", "local", denies),
    Feature("a file streams while it arrives", "proxy", streams),
    Feature("four clients, one download", "proxy", fetches_once),
    Feature("a wrong digest is noticed", "proxy", notices_a_wrong_digest),
    Feature("a new release is seen at once", "proxy", sees_news),
    Feature("PEP 691 pages", "proxy local", has_json),
    Feature("PEP 658 metadata", "proxy local", passes_on_metadata),
    Feature("… even if the upstream has none", "proxy", makes_metadata, over="html"),
    Feature("Range requests", "proxy local", takes_ranges, of_web_server=True),
    Feature("pages of any origin can read it (CORS)", "proxy local", is_readable_from_a_page),
    Feature("Pyodide and its packages", "proxy local", has_pyodide),
    Feature("a page for people at `/`", "proxy local", has_a_page),
    Feature("metrics", "proxy local", has_metrics),
    Feature("access log", "proxy local", has_an_access_log, of_web_server=True),
    Feature("works without the upstream", "proxy", works_alone),
    Feature(
        "TLS in the command", "help", options=("--certfile", "--ssl-certfile"), of_web_server=True
    ),
    Feature("several processes", "help", options=("--workers",), of_web_server=True),
)
