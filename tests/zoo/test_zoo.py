"""The zoo tells the truth: each animal does on the wire what it says."""

import gzip
import hashlib
import http.client
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.support.wheels import CANARY, SMALLEST_THAT_SUITS, STOCK
from tests.zoo.parts import ALLOW_ORIGIN, JSON_V1, REPAIRABLE
from tests.zoo.server import ClosedPort
from tests.zoo.zoo import ANIMALS, Animal, Running, Zoo, table

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
ORIGIN = "http://page.example"
REASONS = {
    *("ok", *REPAIRABLE, "unreachable", "timeout", "cors", "http-status", "not-an-index"),
    *("malformed", "api-version", "files-blocked", "hash-mismatch"),
}
PATIENCE = 0.15
"""Seconds after which silence counts as silence."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def readable(self) -> bool:
        """Whether a browser would let the page at ORIGIN read it."""
        return self.headers.get_all(ALLOW_ORIGIN) in (["*"], [ORIGIN])

    def json(self) -> Any:
        return json.loads(self.body)


def get(
    url: str, method: str = "GET", *, timeout: float = 5.0, headers: Mapping[str, str] = NO_HEADERS
) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        connection.request(method, target, headers={"Origin": ORIGIN, **headers})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def page(zoo: Zoo, name: str, project: str = CANARY, **headers: str) -> Answer:
    """Get a page; the headers' names have underscores for hyphens."""
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return get(f"{zoo.url(name)}/{project}/", headers=given)


def listed(zoo: Zoo, name: str, project: str = CANARY) -> dict[str, Any]:
    """Return the entry of the file that a probe would fetch, or the newest of another project."""
    wanted = SMALLEST_THAT_SUITS.filename if project == CANARY else STOCK[project][-1].filename
    entries = page(zoo, name, project).json()["files"]
    return next(entry for entry in entries if entry["filename"] == wanted)


def file_url(zoo: Zoo, name: str, project: str = CANARY) -> str:
    return urljoin(f"{zoo.url(name)}/{project}/", str(listed(zoo, name, project)["url"]))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def zoo() -> Iterator[Zoo]:
    with Zoo() as shared:
        yield shared


@pytest.fixture
def own() -> Iterator[Zoo]:
    """Yield a zoo whose logs no other test touches."""
    with Zoo() as fresh:
        yield fresh


# ------------------------------------------------------------------------- the table


def test_names_are_unique_and_fit_a_command_line() -> None:
    assert len(ANIMALS) > 60
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in ANIMALS)


@pytest.mark.parametrize("animal", ANIMALS.values(), ids=lambda animal: animal.name)
def test_each_verdict_is_one_of_the_design(animal: Animal) -> None:
    verdicts = [animal.expect(engine) for engine in ("chromium", "firefox", "webkit", "node")]
    for verdict in verdicts:
        assert verdict.reason in REASONS
        assert list(verdict.repairs) == [r for r in REPAIRABLE if r in verdict.repairs]
        assert verdict.repairs[:1] == ((verdict.reason,) if verdict.support == "repaired" else ())
    assert animal.alone <= (animal.support != "none")


def test_the_table_lists_every_animal() -> None:
    shown = table(ANIMALS.values()).splitlines()[1:]
    assert [line.split()[0] for line in shown] == list(ANIMALS)


@pytest.mark.parametrize("name", [name for name, one in ANIMALS.items() if one.port == "open"])
def test_every_animal_answers_or_fails_as_http_can(own: Zoo, name: str) -> None:
    """A handler with a bug of its own would show as an unhandled exception in a thread."""
    running = own.start(name)
    url = f"http://{urlsplit(running.url).netloc}/simple/{CANARY}/"
    try:
        patience = PATIENCE if ANIMALS[name].reason == "timeout" else 5
        assert get(url, timeout=patience).status
    except (OSError, http.client.HTTPException):
        assert ANIMALS[name].reason in {"unreachable", "timeout"}


# ------------------------------------------------------------------------- the healthy one


@pytest.mark.parametrize("project", STOCK)
def test_the_healthy_one_serves_all_of_its_stock(zoo: Zoo, project: str) -> None:
    answer = page(zoo, "healthy", project)
    assert (answer.status, answer.headers["Content-Type"]) == (200, JSON_V1)
    document = answer.json()
    assert document["meta"]["api-version"] == "1.1"
    assert document["name"] == project
    assert [entry["filename"] for entry in document["files"]] == [
        dist.filename for dist in STOCK[project]
    ]
    for entry in document["files"]:
        got = get(entry["url"])
        assert got.readable
        assert (sha256(got.body), len(got.body)) == (entry["hashes"]["sha256"], entry["size"])
        if "core-metadata" in entry:
            metadata = get(f"{entry['url']}.metadata")
            assert metadata.readable
            assert sha256(metadata.body) == entry["core-metadata"]["sha256"]


def test_the_healthy_one_lets_everything_be_read(zoo: Zoo) -> None:
    index = zoo.url("healthy")
    missing = get(f"{index}/no-such-project/")
    assert (missing.status, missing.readable) == (404, True)
    asked = get(f"{index}/{CANARY}/", "OPTIONS")
    assert (asked.status, asked.readable) == (200, True)
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    head = get(f"{index}/{CANARY}/", "HEAD")
    assert (head.status, head.readable, head.body) == (200, True, b"")
    assert int(head.headers["Content-Length"]) == len(page(zoo, "healthy").body)
    assert get(f"{index}/{CANARY}/", "POST").status == 405
    slash = get(f"{index}/{CANARY}")
    assert (slash.status, slash.headers["Location"]) == (301, f"{index}/{CANARY}/")


# ------------------------------------------------------------------------- pages

USUAL_PAGES: dict[str, Callable[[Answer], Any]] = {
    "charset-parameter": lambda a: "; charset=" in a.headers["Content-Type"],
    "upper-case-digests": lambda a: a.json()["files"][0]["hashes"]["sha256"].isupper(),
    "chunked": lambda a: a.headers["Transfer-Encoding"] == "chunked" and a.json()["files"],
    "http-1.0": lambda a: a.headers["Content-Length"] is None and a.json()["files"],
    "greater-minor": lambda a: a.json()["meta"]["api-version"] == "1.4",
    "yanked-newest": lambda a: a.json()["files"][-1]["yanked"] == "broken",
    "python-excluded-newest": lambda a: a.json()["files"][-1]["requires-python"] == ">=99",
    "no-metadata": lambda a: a.json()["files"][-1]["core-metadata"] is False,
    "crowded": lambda a: len(a.json()["files"]) > 4200,
    "html": lambda a: (
        b'<a href="http://' in a.body and a.headers["Content-Type"][:9] == "text/html"
    ),
    "html-relative": lambda a: b'<a href="../../files/' in a.body,
    "html-base": lambda a: b"<base href=" in a.body and b'<a href="files/' in a.body,
    "html-metadata": lambda a: a.body.count(b"data-core-metadata=") > 3,
    "html-no-hashes": lambda a: b"#" not in a.body,
    "html-md5": lambda a: b"#md5=" in a.body and b"sha256" not in a.body,
    "html-shouting": lambda a: b"<A\n HREF=" in a.body and b"</a>" not in a.body,
    "relative-urls": lambda a: a.json()["files"][0]["url"].startswith("../../files/"),
    "rooted-urls": lambda a: a.json()["files"][0]["url"].startswith("/files/"),
    "schemeless-urls": lambda a: a.json()["files"][0]["url"].startswith("//127.0.0.1:"),
    "plain-json-type": lambda a: a.headers["Content-Type"] == "application/json",
    "no-type": lambda a: "Content-Type" not in a.headers and a.json()["files"],
    "no-hashes": lambda a: all(f["hashes"] == {} for f in a.json()["files"]),
    "md5-only": lambda a: all(set(f["hashes"]) == {"md5"} for f in a.json()["files"]),
    "no-cors": lambda a: ALLOW_ORIGIN not in a.headers and a.json()["files"],
    "cors-twice": lambda a: a.headers.get_all(ALLOW_ORIGIN) == ["*", "*"],
    "404-no-cors": lambda a: a.status == 404 and not a.readable,
    "503": lambda a: a.status == 503 and a.readable and a.headers["Retry-After"],
    "login-page": lambda a: a.status == 200 and b"<form" in a.body,
    "empty-json": lambda a: a.json()["files"] == [],
    "empty-html": lambda a: b"<a " not in a.body,
    "other-project": lambda a: a.json()["name"] == "zoo-other",
    "legacy-json": lambda a: set(a.json()) == {"info", "last_serial", "releases", "urls"},
    "sdists-only": lambda a: [f["filename"][-7:] for f in a.json()["files"]] == [".tar.gz"],
    "foreign-wheels-only": lambda a: len(a.json()["files"]) == 1,
    "no-urls": lambda a: all("url" not in f for f in a.json()["files"]),
    "no-hashes-key": lambda a: all("hashes" not in f for f in a.json()["files"]),
    "no-meta": lambda a: "meta" not in a.json(),
    "json-array": lambda a: isinstance(a.json(), list),
    "api-version-2": lambda a: a.json()["meta"]["api-version"] == "2.0",
    "script-urls": lambda a: all(f["url"].startswith("javascript:") for f in a.json()["files"]),
    "password-urls": lambda a: all("user:secret@" in f["url"] for f in a.json()["files"]),
    "hostile-error": lambda a: a.status == 500 and b"\x1b[" in a.body,
    "oversized": lambda a: len(a.body) > 64 << 20 and a.json()["name"] == CANARY,
    "gzip-bomb": lambda a: len(gzip.decompress(a.body)) > 64 << 20 > 512 * len(a.body),
}


@pytest.mark.parametrize("name", USUAL_PAGES)
def test_a_page_is_as_its_animal_says(zoo: Zoo, name: str) -> None:
    assert USUAL_PAGES[name](page(zoo, name))


@pytest.mark.parametrize(
    "name", ["broken-json", "deep-json", "deep-value", "bad-utf8", "html-as-json"]
)
def test_broken_pages_are_no_json_for_python(zoo: Zoo, name: str) -> None:
    with pytest.raises((ValueError, RecursionError)):
        page(zoo, name).json()


def test_negotiation_depends_on_what_is_accepted(zoo: Zoo) -> None:
    assert (
        page(zoo, "negotiates", Accept=f"{JSON_V1}, */*;q=0.01").headers["Content-Type"] == JSON_V1
    )
    assert page(zoo, "negotiates").headers["Content-Type"].startswith("text/html")


def test_the_allowed_origin_is_the_one_that_asks(zoo: Zoo) -> None:
    answer = page(zoo, "echoed-origin", Origin="http://one.example")
    assert (answer.headers[ALLOW_ORIGIN], answer.headers["Vary"]) == (
        "http://one.example",
        "Origin",
    )


@pytest.mark.parametrize(
    ("name", "hop_readable", "end_readable"),
    [
        ("redirect", True, True),
        ("redirect-elsewhere", True, True),
        ("html-redirect", True, True),
        ("relative-redirect", True, True),
        ("redirect-no-cors", False, True),
        ("redirect-null-origin", True, False),
        ("login-redirect", False, False),
    ],
)
def test_a_redirect_leads_to_its_end(
    zoo: Zoo, name: str, *, hop_readable: bool, end_readable: bool
) -> None:
    hop = page(zoo, name)
    assert (hop.status, hop.readable) == (302, hop_readable)
    end = get(hop.headers["Location"], headers={"Origin": "null"})
    assert (end.status, end.readable) == (200, end_readable)


def test_a_loop_leads_nowhere(zoo: Zoo) -> None:
    url = f"{zoo.url('redirect-loop')}/{CANARY}/"
    assert get(url).headers["Location"] == url


@pytest.mark.parametrize("name", ["relative-redirect", "html-redirect"])
def test_relative_urls_behind_a_redirect_lead_to_files_from_its_end_only(
    zoo: Zoo, name: str
) -> None:
    asked = f"{zoo.url(name)}/{CANARY}/"
    arrived = get(asked).headers["Location"]
    relative = f"../../files/{SMALLEST_THAT_SUITS.filename}"
    assert relative.encode() in get(arrived).body
    assert get(urljoin(arrived, relative)).body == SMALLEST_THAT_SUITS.data
    assert get(urljoin(asked, relative)).status == 404


# ------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "name",
    [
        "relative-urls",
        "rooted-urls",
        "schemeless-urls",
        "files-elsewhere",
        "signed-urls",
        "rebuilt",
    ],
)
def test_files_are_what_the_page_says(zoo: Zoo, name: str) -> None:
    entry = listed(zoo, name)
    got = get(file_url(zoo, name))
    assert got.readable
    assert sha256(got.body) == entry["hashes"]["sha256"]


def test_files_elsewhere_are_on_another_port(zoo: Zoo) -> None:
    index, file = urlsplit(zoo.url("files-elsewhere")), urlsplit(file_url(zoo, "files-elsewhere"))
    assert (index.hostname, index.port) != (file.hostname, file.port)
    assert urlsplit(file_url(zoo, "files-on-another-host")).hostname == "localhost"


@pytest.mark.parametrize("name", ["html-base", "html-rooted-base"])
def test_the_files_of_an_html_page_lie_below_its_base(zoo: Zoo, name: str) -> None:
    index = f"{zoo.url(name)}/{CANARY}/"
    base = urljoin(index, "/inner/")
    relative = f"files/{SMALLEST_THAT_SUITS.filename}"
    assert get(urljoin(base, relative)).body == SMALLEST_THAT_SUITS.data
    assert get(urljoin(index, "/" + relative)).status == 404


def test_signed_files_need_their_query(zoo: Zoo) -> None:
    url = file_url(zoo, "signed-urls-with-metadata")
    path, _, query = url.partition("?")
    assert get(path).status == 403
    assert get(f"{url}.metadata").status == 403
    assert get(f"{path}.metadata?{query}").status == 200


def test_compressed_pages_are_so_for_whoever_accepts_it(zoo: Zoo) -> None:
    packed = page(zoo, "gzip", Accept_Encoding="br, gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == page(zoo, "gzip").body


def test_compressed_files_are_longer_than_they_are(zoo: Zoo) -> None:
    got = get(file_url(zoo, "gzip-files"), headers={"Accept-Encoding": "gzip"})
    assert int(got.headers["Content-Length"]) > len(SMALLEST_THAT_SUITS.data)
    assert gzip.decompress(got.body) == SMALLEST_THAT_SUITS.data


@pytest.mark.parametrize(
    ("name", "status", "readable", "right"),
    [
        ("file-no-cors", 200, False, True),
        ("file-404", 404, True, False),
        ("file-404-no-cors", 404, False, False),
        ("file-403", 403, True, False),
        ("file-tampered", 200, True, False),
        ("file-empty", 200, True, False),
        ("file-login", 200, True, False),
        ("other-digests", 200, True, False),
    ],
)
def test_bad_files_are_bad_as_said(
    zoo: Zoo, name: str, status: int, *, readable: bool, right: bool
) -> None:
    got = get(file_url(zoo, name))
    assert (got.status, got.readable) == (status, readable)
    assert (sha256(got.body) == listed(zoo, name)["hashes"]["sha256"]) is right


def test_a_tampered_file_keeps_its_length(zoo: Zoo) -> None:
    assert len(get(file_url(zoo, "file-tampered")).body) == len(SMALLEST_THAT_SUITS.data)


@pytest.mark.parametrize(
    ("name", "status", "readable"),
    [
        ("metadata-missing", 404, True),
        ("metadata-no-cors", 200, False),
        ("metadata-wrong-digest", 200, True),
        ("metadata-welcome", 200, True),
    ],
)
def test_bad_metadata_is_promised(zoo: Zoo, name: str, status: int, *, readable: bool) -> None:
    promise = listed(zoo, name)["core-metadata"]
    got = get(f"{file_url(zoo, name)}.metadata")
    assert (got.status, got.readable) == (status, readable)
    assert (
        promise is True
        or got.status != 200
        or not got.readable
        or (promise["sha256"] != sha256(got.body))
    )


def test_lying_metadata_fits_its_digest_and_forgets_the_dependencies(zoo: Zoo) -> None:
    entry = listed(zoo, "metadata-lies", "zoo-root")
    got = get(f"{entry['url']}.metadata")
    assert sha256(got.body) == entry["core-metadata"]["sha256"]
    assert b"Requires-Dist" not in got.body
    assert b"Requires-Dist: zoo-dep-a" in get(entry["url"]).body


# ------------------------------------------------------------------------- turning


@pytest.mark.parametrize("name", [name for name in ANIMALS if name.startswith("dep-page-")])
def test_an_animal_that_turns_is_fine_until_the_dependency(own: Zoo, name: str) -> None:
    for project in (CANARY, "zoo-root", "zoo-dep-a"):
        assert page(own, name, project).json()["name"] == project
    url = f"{own.url(name)}/zoo-dep-b/"
    try:
        answer = get(url, timeout=PATIENCE)
    except TimeoutError:
        assert name == "dep-page-hangs"
    else:
        welcome = b"It works" in answer.body
        assert answer.status != 200 or not answer.readable or welcome


def test_busy_once_is_busy_once(own: Zoo) -> None:
    answers = [page(own, "dep-busy-once", "zoo-dep-b").status for _ in range(3)]
    assert answers == [503, 200, 200]


def test_a_masked_404_is_a_welcome_page(zoo: Zoo) -> None:
    answer = page(zoo, "masked-404", "no-such-project")
    assert (answer.status, b"It works" in answer.body) == (200, True)


def test_what_dies_after_the_probe_resets(zoo: Zoo) -> None:
    assert page(zoo, "dies-after-probe").status == 200
    assert get(file_url(zoo, "dies-after-probe")).body == SMALLEST_THAT_SUITS.data
    with pytest.raises(ConnectionResetError):
        page(zoo, "dies-after-probe", "zoo-root")


# ------------------------------------------------------------------------- connections


def ask(running: Running, path: str = f"/simple/{CANARY}/") -> socket.socket:
    """Send a request, and return the socket to read the answer from."""
    parts = urlsplit(running.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=5)
    try:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    except OSError:  # a reset may be here before the request has left
        connection.close()
        raise
    return connection


def read_all(connection: socket.socket) -> bytes:
    with connection, connection.makefile("rb") as reader:
        return reader.read()


def test_a_closed_port_refuses(own: Zoo) -> None:
    with pytest.raises(ConnectionRefusedError):
        ask(own["closed-port"])
    with pytest.raises(ConnectionRefusedError):
        get(file_url(own, "file-closed-port"))
    assert own["closed-port"].requests == ()


@pytest.mark.parametrize("name", ["reset-on-connect", "reset-on-request"])
def test_a_reset_is_a_reset(own: Zoo, name: str) -> None:
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        read_all(ask(own[name]))


@pytest.mark.parametrize(
    ("name", "start"),
    [("garbage", b"\x00\x01\x02 what?"), ("speaks-tls", b"\x15\x03\x03"), ("empty-answer", b"")],
)
def test_garbage_is_no_http(own: Zoo, name: str, start: bytes) -> None:
    got = read_all(ask(own[name]))
    assert got.startswith(start)
    assert b"HTTP/" not in got


def test_a_tls_handshake_with_a_plain_port_is_turned_down_at_once(own: Zoo) -> None:
    assert own.url("speaks-no-tls").startswith("https://127.0.0.1:")
    parts = urlsplit(own.url("speaks-no-tls"))
    connection = socket.create_connection((parts.hostname, parts.port), timeout=5)
    connection.sendall(b"\x16\x03\x01\x00\x2e")
    assert read_all(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name", ["page-cut", "page-chunks-cut"])
def test_a_page_that_is_cut_is_short(own: Zoo, name: str) -> None:
    with pytest.raises(http.client.IncompleteRead):
        page(own, name)


@pytest.mark.parametrize("name", ["file-cut", "file-chunks-cut"])
def test_a_file_that_is_cut_is_short(own: Zoo, name: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(file_url(own, name))
    # http.client gives only whole chunks, and half of the file is one.
    assert caught.value.partial in (b"", SMALLEST_THAT_SUITS.data[: len(caught.value.partial)])
    assert len(caught.value.partial) < len(SMALLEST_THAT_SUITS.data)


def test_a_huge_header_is_huge(own: Zoo) -> None:
    assert len(read_all_with_close(own["huge-header"])) > 1 << 20


def read_all_with_close(running: Running) -> bytes:
    connection = ask(running)
    connection.shutdown(socket.SHUT_WR)
    return read_all(connection)


# ------------------------------------------------------------------------- patience


def received(connection: socket.socket) -> Iterator[bytes]:
    """Yield what comes until nothing comes; the end of the connection is a failure."""
    with suppress(TimeoutError):
        while piece := connection.recv(65_536):
            yield piece
        pytest.fail("it ended, where it should hang")


@pytest.mark.parametrize(
    ("name", "some"), [("hangs", False), ("hangs-half-page", True), ("drips", True)]
)
def test_what_hangs_hangs_until_it_is_closed(own: Zoo, name: str, *, some: bool) -> None:
    running = own.start(name)
    connection = ask(running)
    connection.settimeout(PATIENCE)
    got = b"".join(received(connection))
    assert got.startswith(b"HTTP/1.1 200 OK") is some
    running.close()
    connection.settimeout(30)
    read_all(connection)  # ends, where it would hang


def test_a_hanging_connection_ends_when_its_peer_goes(own: Zoo) -> None:
    running = own.start("hangs")
    connection = ask(running)
    await_until(lambda: running.open_connections == 1)
    connection.close()
    await_until(lambda: running.open_connections == 0)


def await_until(condition: Callable[[], bool]) -> None:
    ended = threading.Event()
    for _ in range(500):
        if condition():
            return
        ended.wait(0.01)
    pytest.fail("it never came")


def test_latency_is_added_to_each_response(own: Zoo) -> None:
    running = own.start("healthy", latency=0.1)
    started = time.monotonic()
    get(f"{running.url}/{CANARY}/")
    assert time.monotonic() - started >= 0.1


# ------------------------------------------------------------------------- the log


def test_the_log_has_every_request_in_order(own: Zoo) -> None:
    running = own.start("healthy")
    assert list(running.requests) == []
    get(f"{running.url}/{CANARY}/", headers={"Accept": "text/zoo"})
    get(f"{running.url}/zoo-root/?x=1", "HEAD")
    first, second = running.requests
    assert (first.method, first.path, first.header("accept")) == (
        "GET",
        f"/simple/{CANARY}/",
        "text/zoo",
    )
    assert (second.method, second.path, second.query) == ("HEAD", "/simple/zoo-root/", "x=1")
    running.forget()
    assert list(running.requests) == []


def test_the_log_has_requests_to_the_second_origin(own: Zoo) -> None:
    running = own["files-elsewhere"]
    get(file_url(own, "files-elsewhere"))
    assert [urlsplit(running.here).port == one.port for one in running.requests] == [True, False]


def test_one_connection_serves_many_requests(own: Zoo) -> None:
    running = own.start("healthy")
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc)
    for _ in range(3):
        connection.request("GET", f"/simple/{CANARY}/")
        assert connection.getresponse().read()
    connection.close()
    assert (len(running.requests), running.connections) == (3, 1)


def test_the_peak_is_what_was_open_at_once(own: Zoo) -> None:
    running = own.start("hangs")
    connections = [ask(running) for _ in range(4)]
    await_until(lambda: len(running.requests) == 4)
    for connection in connections:
        connection.close()
    await_until(lambda: running.open_connections == 0)
    ask(running).close()
    await_until(lambda: running.connections == 5)
    assert running.peak_connections == 4


def test_no_request_is_lost_or_mixed_up_under_load(own: Zoo) -> None:
    running = own.start("chunked")
    with ThreadPoolExecutor(16) as pool:
        pages = list(pool.map(lambda _: get(f"{running.url}/{CANARY}/").body, range(200)))
    assert len(set(pages)) == 1
    assert len(running.requests) == 200
    assert 1 < running.peak_connections <= 200


# ------------------------------------------------------------------------- the zoo itself


def test_an_animal_starts_when_it_is_first_wanted_and_is_shared(own: Zoo) -> None:
    assert own.url("healthy") == own.url("healthy")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/simple", own.url("healthy"))
    assert own.start("healthy").url != own.url("healthy")
    with pytest.raises(KeyError):
        own.url("unicorn")


def test_closing_ends_all_threads_and_frees_all_ports() -> None:
    before, handles = set(threading.enumerate()), open_handles()
    with Zoo() as zoo:
        for name in ANIMALS:
            zoo.url(name)
        open_ends = [ask(zoo[name]) for name in ("hangs", "hangs-half-page", "drips", "healthy")]
        assert open_handles() >= handles + len(ANIMALS)
    assert set(threading.enumerate()) <= before
    for connection in open_ends:
        connection.close()
    # Not by a connection to each port, which another process may have by now.
    assert open_handles() == handles


def open_handles() -> int:
    """Return how many files and sockets this process has open."""
    return len(os.listdir("/dev/fd"))  # noqa: PTH208  # of the system, not of a folder


def test_a_reserved_port_stays_reserved() -> None:
    reserved = ClosedPort()
    with socket.socket() as other, pytest.raises(OSError, match=r"[Aa]ddress already in use"):
        other.bind(("127.0.0.1", reserved.port))
    reserved.close()


def test_closing_twice_is_closing_once(own: Zoo) -> None:
    running = own.start("healthy")
    running.close()
    running.close()
    with pytest.raises(ConnectionRefusedError):
        ask(running)
