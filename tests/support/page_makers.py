"""Odd project pages, made by hypothesis: the same ones in every run."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pyodide_mirror.index import JSON_TYPE
from tests.support.page_cases import GOOD, SHA, Page

EXAMPLES = 300
"""How many pages there are."""

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


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """The document of a page: in three of four pages only the files are odd."""
    files = draw(st.lists(entries | plain_entries | entries, min_size=1, max_size=6))
    files += draw(st.sampled_from([[], [GOOD], [GOOD, GOOD]]))
    document: dict[str, Any] = {"meta": {"api-version": "1.1"}, "name": "demo"}
    document |= {"versions": ["1.0"], "files": files}
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


@cache
def generated() -> tuple[Page, ...]:
    """Return the same pages in every run."""
    found: list[Page] = []
    types = st.sampled_from([JSON_TYPE] * 8 + ["application/json", "text/html", ""])

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
