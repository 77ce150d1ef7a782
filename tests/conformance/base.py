"""What the HTTP checks are made of: a client that normalises nothing, and what they look at."""

import http.client
import json
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from pyodide_mirror.index import PageError, parse_page
from pyodide_mirror.model import File, ProjectPage, normalize
from tests.support.upstreams import EXHIBIT, PROJECTS, Kind, Upstream
from tests.support.wheels import Sdist, Wheel

JSON_V1 = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
ORIGIN = "https://notebook.example"
"""The page in whose name the checks ask, as a browser does; its host does not exist."""

MICROPIP = "application/vnd.pypi.simple.v1+json, */*;q=0.01"
PIP = f"{JSON_V1}, {HTML_V1}; q=0.1, text/html; q=0.01"
UV = f"{JSON_V1}, {HTML_V1};q=0.2, text/html;q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

WORKING: frozenset[Kind] = frozenset({"json", "html", "folder"})
PROXIED: frozenset[Kind] = frozenset({"json", "html"})
DOWN: frozenset[Kind] = frozenset({"failing", "refused", "hanging"})
EVERY: frozenset[Kind] = WORKING | DOWN

Headers = Mapping[str, str]
Pairs = tuple[tuple[str, str], ...]
_NOTHING: Headers = {}


# ---------------------------------------------------------------- the client


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as it came."""

    status: int
    headers: Pairs
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return every header of that name, in any case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        """Return the header of that name; several are joined, none is an empty string."""
        return ", ".join(self.all(name))

    def words(self, name: str) -> set[str]:
        """Return the items of a header that is a list, in lower case."""
        return {word.strip().lower() for word in self.one(name).split(",")} - {""}

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.one("Content-Type").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON; raises AssertionError where it is none."""
        try:
            return json.loads(self.body.decode())
        except ValueError as error:
            raise AssertionError(f"the body is no JSON: {self.body[:80]!r}") from error


class Connection:
    """One connection to a mirror, over which requests go exactly as they are written."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        """Connect; `timeout` is in seconds, for each wait."""
        self._socket = socket.create_connection(address, timeout=timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._authority = f"{address[0]}:{address[1]}"
        # One reader for all answers: a reader for each would swallow what is pipelined after it.
        self._reader = self._socket.makefile("rb")

    def makefile(self, *_args: object, **_options: object) -> "_Unclosed":
        """Give http.client the one reader, which it may not close."""
        return _Unclosed(self._reader)

    def put(self, raw: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(raw)

    def ask(self, method: str, target: str, headers: Headers = _NOTHING) -> None:
        """Send one request."""
        every = {"Host": self._authority, "Origin": ORIGIN} | dict(headers)
        lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {every[key]}" for key in every)]
        self.put(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def begin(self, method: str = "GET") -> http.client.HTTPResponse:
        """Read the head of the next answer; raises OSError or HTTPException."""
        response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]  # enough
        response.begin()
        return response

    def answer(self, method: str = "GET") -> Answer:
        """Read the next answer whole; raises OSError or HTTPException, also when it is cut off."""
        response = self.begin(method)
        body = response.read()
        return Answer(response.status, tuple(response.getheaders()), body)

    def close(self) -> None:
        """End it."""
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> Self:
        """Return the connection itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class _Unclosed:
    """A reader that outlives the answers that are read from it."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def close(self) -> None:
        """Leave it open, for the next answer."""


# ---------------------------------------------------------------- what is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What the mirror under test says it does beyond the least; checks that need more are left out.

    `ours` stands for what our contract promises and no specification asks of an index, and
    `patience` is how many seconds an answer may take while the upstream hangs.
    """

    ours: bool = False
    metadata_from_wheels: bool = False
    keeps_upstream_status: bool = False
    verifies_files: bool = False
    single_flight: bool = False
    pins_file_hosts: bool = False
    serves_itself: bool = False
    watches_bodies: bool = False
    patience: float = 15.0

    def has(self, names: Iterable[str]) -> bool:
        """Whether it has all of these."""
        return all(getattr(self, name) for name in names)


@dataclass
class Context:
    """One mirror over one upstream, and what the checks have seen of it so far."""

    mirror_url: str
    """The mirror's index URL."""
    upstream: Upstream
    can: Capabilities = field(default_factory=Capabilities)
    timeout: float = 20.0
    _seen: dict[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """The mirror's origin."""
        parts = urlsplit(self.mirror_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def index(self) -> str:
        """The path of the index, without a slash at its end."""
        return urlsplit(self.mirror_url).path.rstrip("/")

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.mirror_url)
        return parts.hostname or "", parts.port or 80

    def connect(self, timeout: float | None = None) -> Connection:
        """Open a connection."""
        return Connection(self.address, timeout or self.timeout)

    def ask(
        self,
        target: str,
        headers: Headers = _NOTHING,
        *,
        method: str = "GET",
        timeout: float | None = None,
    ) -> Answer:
        """Make one request on a connection of its own."""
        with self.connect(timeout) as connection:
            connection.ask(method, target, {"Connection": "close"} | dict(headers))
            return connection.answer(method)

    def path_of(self, project: str) -> str:
        """Return the path of a project's page."""
        return f"{self.index}/{project}/"

    def page(self, project: str = EXHIBIT, accept: str = MICROPIP, **more: str) -> Answer:
        """Fetch a project's page; `more` are further headers, with underscores for hyphens."""
        headers = {"Accept": accept} | {key.replace("_", "-"): more[key] for key in more}
        return self.ask(self.path_of(project), headers)

    def json_page(self, project: str = EXHIBIT) -> dict[str, Any]:
        """Return a project's page as PEP 691 JSON, or fail."""
        answer = self.page(project)
        assert answer.status == 200, f"the page has status {answer.status}"
        assert answer.media_type == JSON_V1, f"the page is {answer.media_type}, not PEP 691 JSON"
        doc = answer.json()
        assert isinstance(doc, dict), "the page is JSON, but no object"
        return doc

    def entries(self, project: str = EXHIBIT) -> dict[str, dict[str, Any]]:
        """Return the entries of a JSON page by file name."""
        return {item["filename"]: item for item in self.json_page(project)["files"]}

    def read(self, project: str = EXHIBIT, accept: str = MICROPIP) -> ProjectPage:
        """Return a project's page, in whatever dialect it comes."""
        answer = self.page(project, accept)
        assert answer.status == 200, f"the page has status {answer.status}"
        url = f"{self.origin}{self.path_of(project)}"
        try:
            return parse_page(answer.body, answer.one("Content-Type"), url, normalize(project))
        except PageError as error:
            raise AssertionError(f"unreadable page: {error.finding.detail}") from error

    def file(self, dist: Sdist) -> File:
        """Find a distribution on its project's page."""
        found = {file.filename: file for file in self.read(dist.name).files}
        assert dist.filename in found, f"{dist.filename} is not on its page"
        return found[dist.filename]

    def target_of(self, dist: Sdist) -> str:
        """Return the path and query at which the mirror serves a distribution."""
        key = f"target of {dist.filename}"
        if key not in self._seen:
            self._seen[key] = self.inside(self.file(dist).url)
        return str(self._seen[key])

    def inside(self, url: str) -> str:
        """Return path and query of a URL of the mirror; fails for one of another origin."""
        parts = urlsplit(urljoin(self.mirror_url, url))
        where = f"{parts.scheme}://{parts.netloc}"
        assert where == self.origin, f"the file is at {where}, not at the mirror"
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def fetch(self, dist: Sdist, headers: Headers = _NOTHING, *, method: str = "GET") -> Answer:
        """Fetch a distribution from where the page says it is."""
        return self.ask(self.target_of(dist), headers, method=method)

    def once(self, key: str, make: Callable[[], Answer]) -> Answer:
        """Make a request for all checks that look at its answer."""
        if key not in self._seen:
            try:
                self._seen[key] = make()
            except (http.client.HTTPException, OSError) as error:
                self._seen[key] = error  # to wait for it once is enough
        found: Answer | Exception = self._seen[key]
        if isinstance(found, Exception):
            raise found
        return found

    def down(self) -> Answer:
        """Return the page's answer while the upstream is down."""
        return self.once(
            "down",
            lambda: self.ask(
                self.path_of(EXHIBIT), {"Accept": MICROPIP}, timeout=self.can.patience
            ),
        )


def exhibit(suffix: str = "-1.1-py3-none-any.whl") -> Sdist:
    """Return the exhibit's file whose name ends so."""
    (dist,) = (dist for dist in PROJECTS[EXHIBIT] if dist.filename.endswith(suffix))
    return dist


def requires_python_is_right(ctx: Context, page: ProjectPage) -> None:
    """Fail unless the exhibit's page has it as the upstream has it, in whatever order.

    Of a folder wheels alone: an sdist tells it for sure only when it is built.
    """
    found = {file.filename: file.requires_python for file in page.files}
    for dist in PROJECTS[EXHIBIT]:
        if isinstance(dist, Wheel) or ctx.upstream.kind != "folder":
            got, wanted = found.get(dist.filename, ""), dist.requires_python or ""
            assert set(got.split(",")) == set(wanted.split(",")), f"{dist.filename} has {got!r}"


def names_of(filenames: Iterable[str]) -> str:
    """List file names for a sentence."""
    return ", ".join(sorted(filenames)) or "none"


def readable(answer: Answer) -> None:
    """Fail unless a page of `ORIGIN` may read the answer (Fetch standard, CORS check)."""
    allowed = answer.all("Access-Control-Allow-Origin")
    assert allowed, f"no Access-Control-Allow-Origin on status {answer.status}"
    assert len(allowed) == 1, f"{len(allowed)} headers Access-Control-Allow-Origin: browsers refuse"
    assert allowed[0] in {"*", ORIGIN}, f"Access-Control-Allow-Origin is {allowed[0]!r}"


def status_is(answer: Answer, *wanted: int) -> None:
    """Fail unless the status is one of these."""
    assert answer.status in wanted, f"status {answer.status}, not {' or '.join(map(str, wanted))}"


def is_not_kept(answer: Answer) -> None:
    """Fail when a cache may keep an error: RFC 9111, 4.2.2 lets it guess for some statuses."""
    words = answer.words("Cache-Control")
    if words & {"no-store", "no-cache", "max-age=0"}:
        return
    lasts = [word for word in words if word.startswith(("max-age", "s-maxage"))]
    assert not lasts, f"status {answer.status} may be kept: {', '.join(lasts)}"
    guessed = answer.status in {404, 405, 410, 414, 501} and answer.one("Last-Modified")
    assert not guessed, f"status {answer.status} with Last-Modified may be kept"


def is_sentence(answer: Answer) -> None:
    """Fail unless the body tells a person something, and nothing about the program's inside."""
    text = answer.body.decode(errors="replace")
    assert re.search(r"[A-Za-z]{3}", text), "the body says nothing"
    assert "Traceback" not in text, "the body is a traceback"
    assert len(text) < 20_000, f"the body has {len(text)} characters"


# ---------------------------------------------------------------- the table's rows


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table."""

    group: str
    name: str
    """What must hold, as a sentence."""
    meaning: str
    """What it means for a browser's client, pip or uv."""
    run: Callable[[Context], None]
    on: frozenset[Kind]
    needs: tuple[str, ...]

    def applies(self, kind: Kind, can: Capabilities) -> bool:
        """Whether it is to be run on such a mirror."""
        return kind in self.on and can.has(self.needs)


class Group:
    """The checks of one group, in the order in which they are written."""

    def __init__(self, name: str, on: frozenset[Kind]) -> None:
        """Begin a group; `on`: the kinds of upstream where its checks apply by default."""
        self.name = name
        self._on = on
        self._checks: list[Check] = []

    def __call__(
        self, *needs: str, on: frozenset[Kind] | None = None
    ) -> Callable[[Callable[[Context], None]], Callable[[Context], None]]:
        """Add a function: its name is the check's, its docstring the meaning.

        `needs` names the capabilities without which the check is left out.
        """

        def add(run: Callable[[Context], None]) -> Callable[[Context], None]:
            name = run.__name__.replace("_", " ")
            assert run.__doc__, f"{name} must say what it means"
            meaning = " ".join(run.__doc__.split())
            self._checks.append(Check(self.name, name, meaning, run, on or self._on, needs))
            return run

        return add

    def __iter__(self) -> Iterator[Check]:
        """Go through the checks."""
        return iter(self._checks)
