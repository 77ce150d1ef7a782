"""Pyodide's releases through the worker, and through the snippet, in workerd."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyodide_mirror.edge import worker_source
from pyodide_mirror.edge.folder import snippet
from tests.edge.conftest import ask
from tests.edge.workerd import Setting, worker, workers
from tests.zoo.cdns import ARRAYS, CORE, FRAMES, KINDS, PACKAGES, CDNZoo, RunningCDN
from tests.zoo.server import Request, Response, Server

UPSTREAM = "https://index.example/simple"
BASE = "/pyodide/v314.0.7/full/"
FILES = {**CORE, **PACKAGES}
REFUSED = {
    "403": (403, "answered with status 403"),
    "451": (451, "answered with status 451"),
    "503": (503, "answered with status 503"),
    "closed": (502, "cannot be reached, or broke off"),
    "hanging": (504, "was silent for 1500 ms"),
    "core-only": (404, "answered with status 404"),
    "html": (502, "answered with a page in place of the file"),
}


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A CDN, and the origin of the worker over it."""

    cdn: RunningCDN
    url: str


@pytest.fixture(scope="module")
def mirrored() -> Iterator[Mapping[str, Mirrored]]:
    """A worker over each CDN of the zoo, by its name."""
    with CDNZoo() as zoo:
        names = ("good", "cut-off", *REFUSED)
        settings = [
            Setting(upstream=UPSTREAM, variables={"CDN": zoo.url(name), "TIMEOUT_MS": "1500"})
            for name in names
        ]
        with workers(settings) as running:
            yield {
                name: Mirrored(zoo.start(name), one.url)
                for name, one in zip(names, running, strict=True)
            }


def test_files_pass_as_they_are(mirrored: Mapping[str, Mirrored]) -> None:
    good = mirrored["good"]
    for name, content in FILES.items():
        before = len(good.cdn.asked)
        answer = ask(f"{good.url}{BASE}{name}?x=1", {"Cookie": "a=b", "Authorization": "Basic x"})
        assert (answer.status, answer.body) == (200, content), name
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Length"] == str(len(content))
        assert good.cdn.targets[before:] == [BASE + name]  # one request, without the query
        again = ask(f"{good.url}{BASE}{name}")
        assert again.body == content
        assert len(good.cdn.asked) == before + 1  # the edge has kept it
        head = ask(f"{good.url}{BASE}{name}", method="HEAD")
        assert (head.status, head.body) == (200, b"")


def test_files_have_the_media_types_that_browsers_demand(
    mirrored: Mapping[str, Mirrored],
) -> None:
    types = {
        name: ask(f"{mirrored['good'].url}{BASE}{name}").headers["Content-Type"] for name in FILES
    }
    assert types == {
        "pyodide.mjs": "text/javascript; charset=utf-8",
        "pyodide-lock.json": "application/json",
        **dict.fromkeys(PACKAGES, "application/octet-stream"),
    }


def test_what_is_wrong_with_the_cdn_is_said_and_never_kept(
    mirrored: Mapping[str, Mirrored],
) -> None:
    for name, (status, sentence) in REFUSED.items():
        answer = ask(f"{mirrored[name].url}{BASE}{FRAMES.filename}")
        assert answer.status == status, name
        assert sentence in answer.text, name
        assert answer.headers["Cache-Control"] == "no-store", name
        assert answer.headers["Access-Control-Allow-Origin"] == "*", name


def test_what_is_cut_off_stays_cut_off(mirrored: Mapping[str, Mirrored]) -> None:
    assert ask(f"{mirrored['cut-off'].url}{BASE}{ARRAYS.filename}").cut


@pytest.mark.parametrize(
    "path",
    [
        BASE,
        "/pyodide/",
        f"{BASE}console.html",
        f"{BASE}sub/pyodide.mjs",
        f"{BASE}%2e%2e/pyodide.mjs",
        f"{BASE}..%2fpyodide.mjs",
        f"{BASE}..%5cpyodide.mjs",
        f"{BASE}pyodide%00.mjs",
        f"{BASE}.pyodide.mjs",
        "/pyodide/v../full/pyodide.mjs",
        "/pyodide/v1/full/pyodide.mjs",
        "/pyodide/v1.2.3%2f/full/pyodide.mjs",
        "/pyodide/v314.0.7/debug/pyodide.mjs",
        "/pyodide/vlatest/full/pyodide.mjs",
    ],
)
def test_no_other_path_is_passed_on(mirrored: Mapping[str, Mirrored], path: str) -> None:
    good = mirrored["good"]
    before = len(good.cdn.asked)
    assert ask(good.url + path).status == 404
    assert len(good.cdn.asked) == before


def test_a_redirect_is_followed_within_the_cdn_only() -> None:
    with closing(Server(lambda _: Response(body=b"secret"))) as other:

        def answer(request: Request) -> Response:
            name = request.path.rpartition("/")[2]
            if name.startswith("moved"):
                return Response(body=b"moved")
            to = "moved.mjs" if name == "near.mjs" else f"http://127.0.0.1:{other.port}/x.mjs"
            return Response(status=302, headers=(("Location", to),))

        with closing(Server(answer)) as cdn:
            base = f"http://127.0.0.1:{cdn.port}/v{{version}}/"
            with worker(UPSTREAM, CDN=base) as running:
                assert ask(f"{running.url}{BASE}near.mjs").body == b"moved"
                far = ask(f"{running.url}{BASE}far.mjs")
        assert far.status == 502
        assert "not one of the CDN's own hosts" in far.text
        assert not other.requests


def test_a_part_of_a_file_passes() -> None:
    def answer(request: Request) -> Response:
        assert request.header("Range") == "bytes=0-1"
        return Response(status=206, headers=(("Content-Range", "bytes 0-1/9"),), body=b"ab")

    with closing(Server(answer)) as cdn:
        base = f"http://127.0.0.1:{cdn.port}/v{{version}}/"
        with worker(UPSTREAM, CDN=base) as running:
            part = ask(f"{running.url}{BASE}x.wasm", {"Range": "bytes=0-1"})
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"ab", "bytes 0-1/9")
    assert part.headers["Content-Type"] == "application/wasm"


def test_without_a_cdn_nothing_is_there() -> None:
    with worker(UPSTREAM) as running:
        answer = ask(f"{running.url}{BASE}pyodide.mjs")
        assert answer.status == 404
        assert "CDN is not set" in answer.text
        assert "cdns=" not in ask(running.url).text


@pytest.mark.parametrize("fits", [True, False], ids=["it fits", "it does not fit"])
def test_the_snippet_does_the_same_or_has_nothing_of_it(tmp_path: Path, fits: bool) -> None:
    with CDNZoo() as zoo:
        cdn = zoo.start("good")
        hosts = "" if fits else " ".join(f"https://host-{number}.example" for number in range(40))
        fixed = {"UPSTREAM": UPSTREAM, "FILE_HOSTS": hosts, "CDN": cdn.url}
        script = tmp_path / "snippet.js"
        script.write_text(snippet(worker_source(), fixed))
        with worker(None, script=script) as running:
            answer = ask(f"{running.url}{BASE}{ARRAYS.filename}")
            assert answer.status == (200 if fits else 404)
            assert bool(cdn.asked) == fits
            people = ask(running.url).text
            assert (f"cdns=&#34;{running.url}/pyodide/v{{version}}/full/&#34;" in people) == fits


def test_the_kinds_are_those_of_the_zoo() -> None:
    assert {*REFUSED} <= {*KINDS}
