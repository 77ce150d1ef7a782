"""Pages that the browser has cut down say the same as whole ones, to us and to micropip."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pytest_pyodide import run_in_pyodide

from tests.support.engines import PAGES, Engine
from tests.zoo.server import LOOPBACK, Request, Response, Server

pytestmark = pytest.mark.engines(*PAGES)

JSON_V1 = "application/vnd.pypi.simple.v1+json"
SHA = "0123456789abcdef" * 4
EXAMPLES = 300
PADDING = b" " * 20_000
"""Space at the end of each page: small ones are not worth cutting down."""

# --- pages, from usual to odd -------------------------------------------------------------------

ABSENT = object()
TAGS = (
    *("py3-none-any", "py2.py3-none-any", "py3-none-any", "py2-none-any", "py3.py4-none-any"),
    *(
        "cp312-cp312-win_amd64",
        "cp314-cp314-manylinux_2_28_x86_64",
        "cp313-cp313-macosx_11_0_arm64",
    ),
    *("cp314-cp314-pyemscripten_2026_0_wasm32", "cp314-abi3-pyodide_2025_0_wasm32"),
    *(
        "cp314-cp314-emscripten_4_0_9_wasm32",
        "py3-none-pyodide_2024_0_wasm32",
        "cp39.cp310-abi3-any",
    ),
    *("py3-none-linux_x86_64.any", "py3-none-wasi_0_0_0_wasm32", "py3-any", "cp313-cp313-wasm32"),
)
VERSIONS = (
    "1.0",
    "1.0",
    "2.0",
    "3.1",
    "2.0rc1",
    "1!1",
    "1.0.post1",
    "1.0+local.1",
    "1.0-7",
    "dev-version",
    "v3",
    "",
)
STEMS = (
    "demo",
    "demo",
    "demo",
    "demo",
    "Demo",
    "DEMO",
    "d.e_m-o",
    "other",
    "démo",
    "emscripten_demo",
    "",
)
wheels = st.builds("{}-{}-{}.whl".format, *map(st.sampled_from, (STEMS, VERSIONS, TAGS)))
others = st.sampled_from(
    [
        *("demo-1.0.tar.gz", "demo-1.0.zip", "demo-1.0-py2.7.egg", "demo-1.0.whl.asc", "any.whl"),
        *("../demo-1.0-py3-none-any.whl", "demo 1.0-py3-none-any.whl", "", ".whl", "-any.whl"),
        *("demo-1.0-py3-none-any.whl\n", "demo-1.0-py3-none-any.whl.metadata", "demo-1.0"),
        *("demo-1.0-py3-none-any.WHL", "<b>-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl "),
        *(
            "\u0434\u0435\u043c\u043e-1.0-py3-none-any.whl",
            "\ud800-any.whl",
            "x" * 300 + "-any.whl",
        ),
    ]
)
absolute = st.builds(
    "{}://files.example{}/{}".format,
    st.sampled_from(["https", "https", "http", "HTTPS", "HtTp"]),
    st.sampled_from(["", ":8443", ":99999", "."]),
    st.sampled_from(
        ["demo.whl", "a/../b", "p?q=1", "p#sha256=1", "\u00e9", "%2e", "a b", "", "//"]
    ),
)
relative = st.sampled_from(
    [
        *("demo.whl", "../../files/demo.whl", "/files/demo.whl", "//files.example/demo.whl", "?x"),
        *("", "#", "./", "//[bad/demo.whl", "//", "http:", "http:demo.whl", "https:///demo.whl"),
        *(
            "javascript:alert(1)",
            "data:,x",
            "ftp://files.example/x",
            "\\\\x",
            " https://f.example/x",
        ),
        *(
            "\u017fhttps://f.example/",
            "http\u017f://f.example/x",
            "https://\nf.example/x",
            "{name}",
        ),
    ]
)
odd = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        12,
        "",
        "12",
        "true",
        [],
        [1],
        {},
        {"sha256": SHA},
        "\ud83d\ude00",
    ]
)
digests = st.sampled_from(
    [
        *({"sha256": SHA}, {"sha256": SHA}, {"sha256": SHA.upper()}, {"SHA256": SHA}, {}),
        *({"md5": SHA[:32]}, {"sha256": SHA, "md5": SHA[:32]}, {"sha256": SHA[:63]}),
        *({"sha256": None}, {"sha256": 1}, {"\u017fha256": SHA}, {"sha256": "\uff41" * 64}),
        *({"": ""}, {"__proto__": SHA, "sha256": SHA}, {"toString": SHA, "sha256": [SHA]}),
    ]
)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value that is usual, or, one time in ten, odd or missing."""
    return st.integers(0, 9).flatmap(lambda dice: odd | st.just(ABSENT) if dice == 7 else usual)


optional = st.just(ABSENT)
FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    "filename": mostly(st.integers(0, 5).flatmap(lambda dice: others if dice == 4 else wheels)),
    "url": mostly(st.integers(0, 5).flatmap(lambda dice: relative if dice == 4 else absolute)),
    "hashes": mostly(digests),
    "requires-python": mostly(
        st.sampled_from([ABSENT, "", ">=3.8", ">= 3.14", "<3", ">=99", "!=3.14.*", "nonsense"])
    ),
    "core-metadata": mostly(digests),
    "dist-info-metadata": mostly(digests | optional),
    "data-dist-info-metadata": optional | odd,
    "yanked": mostly(st.sampled_from([ABSENT, False, False, True, "why", "\u00fc\u2028<b>"])),
    "size": mostly(st.integers(0, 2**53 - 1)),
    "upload-time": mostly(st.just("2026-01-02T03:04:05Z")),
    "provenance": optional | odd,
    "__proto__": optional | optional | odd,
}
entries = st.fixed_dictionaries(FIELDS).map(
    lambda fields: {name: value for name, value in fields.items() if value is not ABSENT}
)
plain_entries = st.builds(
    lambda name: {
        "filename": name,
        "url": f"https://files.example/{name}",
        "hashes": {"sha256": SHA},
    },
    wheels,
)


GOOD = {
    "filename": "demo-3.0-py3-none-any.whl",
    "url": "https://files.example/demo-3.0-py3-none-any.whl",
    "hashes": {"sha256": SHA},
    "core-metadata": {"sha256": SHA},
    "requires-python": ">=3.9",
    "size": 1234,
    "yanked": False,
}


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """The document of a page: in three of four pages only the files are odd."""
    files = draw(st.lists(entries | plain_entries | entries, min_size=1, max_size=6))
    files += draw(st.sampled_from([[], [GOOD], [GOOD, GOOD]]))
    document = {"meta": {"api-version": "1.1"}, "name": "demo", "versions": ["1.0"], "files": files}
    if draw(st.integers(0, 3)) != 2:
        return document
    changes = {
        "meta": draw(
            st.sampled_from(["1.0", "1.4", "1.999999", "1.9999999", "2.0", "1", "", 1.0, None]).map(
                lambda version: {"api-version": version, "x": [version]}
            )
            | odd
        ),
        "name": draw(st.sampled_from(["demo", "Demo", "DE.MO", "other", "\u212aemo"]) | odd),
        "files": draw(st.lists(odd | entries, max_size=5)) if draw(st.booleans()) else draw(odd),
        "versions": draw(odd),
        "releases": {},
    }
    names = draw(st.sets(st.sampled_from(sorted(changes)), max_size=2))
    document |= {name: changes[name] for name in names}
    gone = draw(st.sampled_from([None, None, None, *document]))
    return {name: value for name, value in document.items() if name != gone}


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A page's body: nearly always JSON, in one spelling or another."""
    document = draw(st.integers(0, 19).flatmap(lambda dice: odd if dice == 13 else documents()))
    text = json.dumps(
        document, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1]))
    )
    body = text.encode("utf-8", "surrogatepass")  # raw ones are no UTF-8, and no JSON
    broken = (
        *(body[:-1], body + b"]", body.replace(b'"1.1"', b"NaN", 1), body.replace(b":", b"=", 1)),
        *(b"\xef\xbb\xbf" + body, b"\xef\xbb\xbf" * 2 + body, b" \n\t" + body, b"\xff" + body),
        *(
            body.replace(b"demo", b"d\xe9mo", 1),
            body.replace(b"{", b'{"name": "x", "files": 1,', 1),
        ),
        body.replace(b'"files"', b'"\\u0066iles"', 1),
    )
    return draw(st.sampled_from(broken)) if draw(st.integers(0, 9)) == 7 else body


@dataclass(frozen=True)
class Page:
    """One page as a server has it."""

    body: bytes
    content_type: str = JSON_V1


@cache
def generated() -> tuple[Page, ...]:
    """Return the same pages in every run."""
    found: list[Page] = []
    types = st.sampled_from([JSON_V1] * 8 + ["application/json", "text/html", ""])

    # Nothing to shrink: what fails is shown as it is.
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.builds(Page, bodies(), types))
    def collect(page: Page) -> None:
        found.append(page)

    collect()
    return tuple(found)


# --- what a page says ---------------------------------------------------------------------------


@run_in_pyodide
async def compare(selenium: Engine, origin: str, count: int) -> dict[str, Any]:
    """Read each page cut down and whole; return how many were cut down, and where they differ."""
    import asyncio

    from micropip.package_index import ProjectInfo

    from pyodide_mirror.api.host import this_host
    from pyodide_mirror.index import ACCEPT, PageError, parse_page, smallest_wheel
    from pyodide_mirror.installing import Failover, MirrorOrder, RankedMirror
    from pyodide_mirror.model import Mirror, ProjectPage
    from pyodide_mirror.transport import Request, Response

    transport = await this_host().transport()

    class Parsed:
        """A supply that has one page."""

        def __init__(self, page: ProjectPage) -> None:
            self.parsed = page

        async def page(self, ranked: RankedMirror, project: str) -> ProjectPage:
            return self.parsed

    def wheel(info: object) -> dict[str, str]:
        fields = ("filename", "url", "sha256", "size", "core_metadata", "yanked_reason")
        return {name: repr(getattr(info, name)) for name in fields}

    async def to_micropip(page: ProjectPage, mirror: Mirror) -> list[list[dict[str, str]]]:
        """All wheels that micropip could choose, as it reads what it is handed."""
        router = MirrorOrder((RankedMirror(mirror),), transport, 5.0)
        delivery = Failover(router, lambda _: None, supply=Parsed(page))
        served = await delivery.page("demo")
        releases = ProjectInfo.from_simple_json_api(served.document).releases
        found = [[wheel(info) for info in infos] for infos in releases.values()]
        return [infos for infos in found if infos]

    async def says(response: Response, mirror: Mirror) -> dict[str, object]:
        try:
            kind = response.headers.get("content-type", "")
            page = parse_page(response.body, kind, response.url, "demo", checked=response.checked)
        except PageError as error:
            return {"refused": str(error.finding.reason)}
        smallest = smallest_wheel(page)
        return {
            "repairs": [str(repair) for repair in page.repairs],
            "of the probe": None if smallest is None else smallest.filename,
            "for micropip": await to_micropip(page, mirror),
        }

    async def one(number: int) -> tuple[object, ...]:
        mirror = Mirror(f"{origin}/{number}/simple")
        options = {"url": mirror.project_url("demo"), "timeout": 20.0, "max_bytes": 1 << 20}
        options["headers"] = {"accept": ACCEPT}
        lean, whole = [
            await transport.fetch(Request(**options, lean=lean)) for lean in (True, False)
        ]
        told = [await says(response, mirror) for response in (lean, whole)]
        return len(lean.body) < len(whole.body), whole.body.rstrip(b" "), *told

    async def some(start: int) -> list[tuple[object, ...]]:
        return [(number, *await one(number)) for number in range(start, count, 6)]

    found = [each for part in await asyncio.gather(*map(some, range(6))) for each in part]
    return {
        "cut down": sum(cut for _, cut, *_ in found),
        "refused": sum("refused" in whole for *_, whole in found),
        "usable": sum(bool(whole.get("for micropip")) for *_, whole in found),
        "different": [
            {"page": number, "body": body.decode("latin-1"), "lean": lean, "whole": whole}
            for number, _, body, lean, whole in sorted(found, key=lambda each: each[0])
            if lean != whole
        ],
    }


def serve(pages: Sequence[Page]) -> Server:
    """Serve each page from an index of its own."""

    def answer(request: Request) -> Response:
        page = pages[int(request.path.split("/")[1])]
        headers = (("Access-Control-Allow-Origin", "*"), ("Content-Type", page.content_type))
        return Response(headers=headers, body=page.body + PADDING)

    return Server(answer)


_FOUND: dict[str, dict[str, Any]] = {}


def comparison(engine: Engine) -> dict[str, Any]:
    """Compare all generated pages, once in each engine."""
    if engine.name not in _FOUND:
        pages = generated()
        server = serve(pages)
        try:
            url = f"http://{LOOPBACK}:{server.port}"
            _FOUND[engine.name] = compare(engine, url, len(pages))
        finally:
            server.close()
    return _FOUND[engine.name]


def usable(says: dict[str, Any]) -> tuple[object, object]:
    """Return what there is for micropip, and what had to be repaired for it."""
    wheels = says.get("for micropip")
    return (wheels, says["repairs"]) if wheels else (None, None)


def test_javascript_and_python_agree_on_what_micropip_can_use(page: Engine) -> None:
    found = comparison(page)
    assert [one for one in found["different"] if usable(one["lean"]) != usable(one["whole"])] == []
    # Otherwise there was nothing to compare.
    assert found["cut down"] > EXAMPLES / 3
    assert found["usable"] > EXAMPLES / 3
    assert found["refused"] > EXAMPLES / 10


def test_javascript_and_python_agree_on_the_verdict(page: Engine) -> None:
    assert comparison(page)["different"] == []
