"""What comes from the network may be anything: properties of what is made of it.

On a CI machine (``CI`` is set) the examples are the same in each run; elsewhere they are new ones.
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta, timezone
from html import escape
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mousebender.simple import from_project_details_html

from pyodide_mirror.index import JSON_TYPE, PageError, parse_page, to_json
from pyodide_mirror.model import (
    File,
    Finding,
    Mirror,
    ProjectPage,
    Reason,
    check_index_url,
    printable,
    split_http_url,
)
from pyodide_mirror.storage import Choice

settings.register_profile(
    "fuzz",
    max_examples=60,
    deadline=None,
    # How fast the machine is says nothing about the package.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("fuzz-ci", settings.get_profile("fuzz"), derandomize=True)
USUAL = settings.get_profile("fuzz-ci" if os.environ.get("CI") else "fuzz")
THOROUGH = settings(USUAL, max_examples=150)

URL = "https://mirror.example/simple/demo/"
WHEEL = "demo-1.0-py3-none-any.whl"
SHA = "0123456789abcdef" * 4
REFUSALS = {Reason.NOT_AN_INDEX, Reason.MALFORMED, Reason.API_VERSION}
REPAIRS = [
    (),
    (Reason.HTML_ONLY,),
    (Reason.RELATIVE_URLS,),
    (Reason.WRONG_CONTENT_TYPE,),
    (Reason.RELATIVE_URLS, Reason.WRONG_CONTENT_TYPE),
]

# --- what has to hold of all that comes out -----------------------------------------------------

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]*")
NETLOC = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")
DIGESTS = re.compile(r"([a-z0-9_]+=[0-9a-f]{32,128} )*")


def look(
    body: bytes, content_type: str, url: str = URL, project: str = "demo"
) -> ProjectPage | None:
    """The page, if it is one, after all that must be true of it was looked at; else None."""
    try:
        page = parse_page(body, content_type, url, project)
    except PageError as error:
        check_refusal(error.finding)
        return None
    assert page.name == project
    assert page.repairs in REPAIRS
    assert page.files
    for file in page.files:
        check_file(file)
    check_round_trip(page)
    return page


def check_refusal(finding: Finding) -> None:
    assert finding.reason in REFUSALS
    assert isinstance(finding.detail, str)


def check_file(file: File) -> None:
    assert SAFE_NAME.fullmatch(file.filename)
    # The rules for mixed content look at the scheme as it is spelled here.
    assert file.url.startswith(("https://", "http://"))
    assert NETLOC.fullmatch(urlsplit(file.url).netloc)
    assert not re.search(r"[\x00-\x20\x7f-\x9f\\#]", file.url)
    file.url.encode()  # a lone surrogate cannot be asked for
    for digests in (file.hashes, file.metadata or {}):
        assert DIGESTS.fullmatch("".join(f"{name}={value} " for name, value in digests.items()))
        assert len(digests.get("sha256", SHA)) == 64
    assert file.size is None or (type(file.size) is int and file.size >= 0)
    assert isinstance(file.yanked, (str, bool))
    assert isinstance(file.requires_python, str)
    assert isinstance(file.upload_time, str)


def check_round_trip(page: ProjectPage) -> None:
    """What micropip is given is PEP 691 to the letter, says the same, and needs no repair."""
    body = to_json(page)
    document = json.loads(body)
    assert document["meta"]["api-version"] in {"1.0", "1.1"}
    assert document["name"] == page.name
    for file in document["files"]:
        assert {"filename", "url", "hashes"} <= set(file)
        assert file.get("core-metadata", True)
    again = parse_page(body, JSON_TYPE, "https://elsewhere.example/", page.name)
    assert again == replace(page, repairs=(), unusable=())
    assert to_json(again) == body


# --- odd values ---------------------------------------------------------------------------------

wild_text = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates, too
URL_PIECES = [
    *("https:", "http:", "HTTP:", "HtTpS:", "javascript:", "data:", "ftp:", "//", "/", "\\", "@"),
    *(":", "?", "#", ";", "[", "]", "::1", "v1.x", "..", ".", "%2e", "%40", "%", "user", "mirror"),
    *("files.example", "127.1", ":80", ":0", ":99999", "\t", "\n", "\x00", " ", "\x80", "{p}"),
    *("\u00e9", "\u212a", "\uff0f", "\uff20", "\u3002", "\ud800", WHEEL, f"sha256={SHA}"),
]
odd_urls = st.lists(st.sampled_from(URL_PIECES), max_size=8).map("".join)
likely_urls = st.builds(
    "{}//{}/{}".format,
    st.sampled_from(["https:", "http:", "HTTP:"]),
    st.sampled_from(URL_PIECES) | odd_urls,
    odd_urls,
)
odd_texts = wild_text | odd_urls | likely_urls
scalars = st.sampled_from(
    [SHA, SHA.upper(), SHA[:40], WHEEL, "1.0", "2.0", "demo", int("1" * 64), 10**4299, -1, 0, True]
) | (st.none() | st.booleans() | st.integers() | st.floats() | odd_texts)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(wild_text | st.sampled_from(["sha256", "SHA256", "md5"]), inner)
    ),
    max_leaves=8,
)
content_types = (
    st.sampled_from([JSON_TYPE, f"{JSON_TYPE}; charset=utf-8", "text/html", "application/json", ""])
    | st.from_regex(r"application/vnd\.pypi\.simple\.v\d+\+(json|html)", fullmatch=True)
    | wild_text
)
page_urls = st.sampled_from([URL, "http://[::1]:8000/demo", "https://h.example?x=1", f"{URL}#x"])


@st.composite
def dumped(draw: st.DrawFn, values: st.SearchStrategy[object]) -> bytes:
    """JSON as bytes, with escapes or without; lone surrogates without are no UTF-8."""
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
    mark = draw(st.sampled_from(["", "\ufeff", " \n"]))
    return (mark + text).encode("utf-8", "surrogatepass")


@st.composite
def bent_documents(draw: st.DrawFn) -> object:
    """A right project page in which some fields are odd, or gone."""
    file = {
        "filename": WHEEL,
        "url": f"https://files.example/{WHEEL}",
        "hashes": {"sha256": SHA},
        "size": 1234,
        "requires-python": ">=3.8",
        "core-metadata": {"sha256": SHA},
        "dist-info-metadata": {"sha256": SHA},
        "upload-time": "2026-01-02T03:04:05Z",
        "yanked": False,
    }
    document = {
        "meta": {"api-version": "1.1"},
        "name": "demo",
        "versions": ["1.0"],
        "files": [file, dict(file)],
    }
    places: list[tuple[Any, object]] = [(file, name) for name in file]
    places += [(file["hashes"], "sha256"), (file["core-metadata"], "sha256")]
    places += [(document, name) for name in document]
    places += [(document["meta"], "api-version"), (document["versions"], 0), (document["files"], 1)]
    for holder, key in draw(st.lists(st.sampled_from(places), min_size=1, max_size=4)):
        if isinstance(holder, dict) and draw(st.integers(0, 9)) == 0:
            holder.pop(key, None)
        else:
            holder[key] = draw(odd_texts if key in {"url", "filename"} else scalars | json_values)
    return document


HTML_PIECES = [
    *("<a ", "<A HREF=", " href=", "href", "=", "'", '"', ">", "/>", "</a>", "</a", "<", "</", "&"),
    *("<base href=", "<base href='../f/'>", "<base href='//['>", "<base href='javascript:'>"),
    *('<meta name="pypi:repository-version" content="', "1.0", "2.0", "<title>", "<textarea>"),
    *("<script>", "</script>", "<style>", "<plaintext>", "<!--", "-->", "--!>", "<!", "<!>", "<?"),
    *("<![", "<![CDATA[", "]]>", "<![if x]>", "<![x[", "<!DOCTYPE html>", "<!DOCTYPE [", "<svg>"),
    *("&lt;", "&#0;", "&#xd800;", "&#x110000;", "&#99999999999;", "&amp", "&#", "&NotAThing;"),
    *(" data-yanked", " data-yanked=", " data-core-metadata=", " data-dist-info-metadata='false'"),
    *(" data-requires-python=", "true", f"sha256={SHA}", f"#sha256={SHA}", "#sha256=", "\f", "\r"),
    *(WHEEL, "demo-2.0.tar.gz", "demo-/.whl", "demo-%2f.whl", "\ufeff", f"<a href={WHEEL}>"),
    *(f"<a href='/{WHEEL}#sha256={SHA}'>", f"<a href='{WHEEL}'>{WHEEL}</a>"),
]
html_soup = st.lists(
    st.sampled_from(HTML_PIECES) | st.sampled_from(URL_PIECES) | wild_text, max_size=25
).map("".join)
odd_anchors = st.builds(
    "<a {0}={1}{2}{1} {3}={1}{4}{1}>{5}</a>".format,
    st.sampled_from(["href", "HREF", "href=x href", "data-x"]),
    st.sampled_from(['"', "'", "", "`"]),
    likely_urls | odd_urls.map(lambda url: f"{url}/{WHEEL}"),
    st.sampled_from(
        ["href", "data-yanked", "data-core-metadata", "data-requires-python", "data-\ud800"]
    ),
    odd_texts,
    st.sampled_from([WHEEL, f"\n {WHEEL} ", f"demo-1{'0' * 300}.whl", ""]) | odd_texts,
)
odd_html = (
    st.lists(odd_anchors | html_soup, max_size=6)
    .map("".join)
    .map(lambda text: text.encode("utf-8", "surrogatepass"))
)

# --- 1 and 2: anything --------------------------------------------------------------------------


@USUAL
@given(st.binary(max_size=200), content_types, page_urls)
def test_any_bytes_are_a_page_or_refused(body: bytes, content_type: str, url: str) -> None:
    look(body, content_type, url)


@USUAL
@given(dumped(json_values), content_types)
def test_any_json_is_a_page_or_refused(body: bytes, content_type: str) -> None:
    look(body, content_type)


def one_file(**fields: object) -> bytes:
    file = {"filename": WHEEL, "url": f"https://files.example/{WHEEL}", "hashes": {}} | fields
    document = {"meta": {"api-version": "1.0"}, "name": "demo", "files": [file]}
    return json.dumps(document).encode()


@THOROUGH
@given(dumped(bent_documents()), content_types, page_urls)
@example(one_file(size=-1), JSON_TYPE, URL)
@example(one_file(size=True), JSON_TYPE, URL)
@example(one_file(hashes={"sha256": SHA[:40]}), JSON_TYPE, URL)
def test_a_page_with_odd_fields_is_a_page_or_refused(
    body: bytes, content_type: str, url: str
) -> None:
    look(body, content_type, url)


@THOROUGH
@given(odd_html, content_types, page_urls)
@example(b"<![x[", "text/html", URL)
@example(b"<![ ", "text/html", URL)
def test_any_markup_is_a_page_or_refused(body: bytes, content_type: str, url: str) -> None:
    look(body, content_type, url)


@pytest.mark.parametrize(
    "url",
    [
        "HTTP://files.example/demo.whl",
        "https://files.example/\ud800.whl",
        "https://good.example[::1]/demo.whl",
        "https://[::1]good.example/demo.whl",
        "https://[v1.example]/demo.whl",
    ],
)
def test_urls_that_were_found_odd(url: str) -> None:
    look(one_file(url=url), JSON_TYPE)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("unit", "end"),
    [
        ("<a ", ""),
        ("<a href='", ""),
        ("<a href='", "'>"),
        ('<a x="', ""),
        ('<b x="y" z=">', ""),
        ('<b x="y" z=">', ">"),
        ("<!--", ""),
        ("<!-- --", ">"),
        ("<![if x", ""),
        ("</", ""),
        ("<", ">"),
        ("&#", ""),
        ("<a><b x=", ">"),
    ],
)
def test_markup_that_never_ends_is_read_in_no_time(unit: str, end: str) -> None:
    """For :class:`html.parser.HTMLParser` each of the beginnings may be a search to the end."""
    look((unit * 25_000 + end).encode(), "text/html")


@pytest.mark.timeout(20)
def test_very_many_attributes_are_read() -> None:
    many = " ".join(f"x{number}='{number}'" for number in range(150))
    assert look(f"<a {many} href='{WHEEL}' {many}>{WHEEL}</a>".encode(), "text/html")


# --- 7: depth -----------------------------------------------------------------------------------

NESTS = [*"[]{}", '{"a":', '"', "\\", '\\"', '"[[",', '"\\\\",', '"\\u005b"', ",", "0", " ", "\n"]


@USUAL
@given(
    st.sampled_from(['{"files":', "", '"', '["\\', '{"meta":{"api-version":"1.0"},"name":"demo",']),
    st.lists(st.sampled_from(NESTS), min_size=1, max_size=6).map("".join),
    st.sampled_from([90, 101, 1100, 12_000]),
    st.lists(st.sampled_from(NESTS), max_size=3).map("".join),
    content_types,
)
def test_depth_of_any_shape_is_a_page_or_refused(
    start: str, unit: str, times: int, end: str, content_type: str
) -> None:
    look((start + unit * times + end * times).encode(), content_type)


@USUAL
@given(
    st.integers(1, 2000),
    st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"]\\"}":', "}]"), ('["\\\\",', "]")]),
)
def test_only_what_is_deep_is_refused(times: int, brackets: tuple[str, str]) -> None:
    opening, closing = brackets
    nested = opening * times + "0" + closing * times
    file = json.dumps({"filename": WHEEL, "url": "https://files.example/demo.whl", "hashes": {}})
    head = '{"meta":{"api-version":"1.0"},"name":"demo"'
    page = look(f'{head},"x":{nested},"files":[{file}]}}'.encode(), JSON_TYPE)
    depth = 1 + times * sum(brackets[1].count(bracket) for bracket in "]}")
    assert (page is not None) is (depth <= 100)


# --- 3 and 4: right pages ------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """A project with its files, and how the page spells the URL of each."""

    project: str
    files: tuple[File, ...]
    spelled: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"https://mirror.example/simple/{self.project}/"


projects = st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
versions = st.from_regex(
    r"([1-9]!)?[0-9]{1,3}(\.[0-9]{1,2}){0,3}(rc1|\.post2)?(\+[a-z0-9]{1,5})?", fullmatch=True
)
endings = st.sampled_from(["-py3-none-any.whl", "-1-cp312-abi3-linux_x86_64.whl", ".tar.gz"])
sha256s = st.integers(0, 2**256 - 1).map("{:064x}".format)
reasons = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
sites = st.sampled_from(["https://files.example/p/", "http://10.0.0.1:81/"])
hashes = (
    st.fixed_dictionaries({"sha256": sha256s}, optional={"blake2b_256": sha256s})
    | st.just({"md5": SHA[:32]})
    | st.just({})
)


@st.composite
def right_files(draw: st.DrawFn, filename: str) -> tuple[File, str]:
    """A file of this name, and how its URL is written."""
    path = quote(filename, safe=draw(st.sampled_from(["", "+!"])))
    path += draw(st.sampled_from(["", "", "?sig=a%2Fb&x=1"]))
    here = ["https://mirror.example/f/", "//mirror.example/f/", "/f/", "../../f/"]
    start = draw(sites | st.sampled_from(here))
    site = here[0] if start in here else start
    file = File(
        filename=filename,
        url=site + path,
        hashes=draw(hashes),
        requires_python=draw(st.sampled_from(["", ">=3.8", "<4,>=3.9", "!=3.10.*,~=3.7"])),
        metadata=draw(st.none() | st.just({}) | st.fixed_dictionaries({"sha256": sha256s})),
        yanked=draw(st.booleans() | reasons),
        size=draw(st.none() | st.integers(0, 2**40)),
        upload_time=draw(st.sampled_from(["", "2026-01-02T03:04:05.678901Z"])),
    )
    return file, start + path


@st.composite
def listings(draw: st.DrawFn) -> Listing:
    """What a right page may list."""
    project = draw(projects)
    tails = draw(st.lists(st.tuples(versions, endings), min_size=1, max_size=4, unique=True))
    stem = draw(st.sampled_from([project, project.replace("-", "_"), project.replace("-", ".")]))
    made = [draw(right_files(f"{stem}-{version}{ending}")) for version, ending in tails]
    files, spelled = zip(*made, strict=True)
    return Listing(project, files, spelled)


def json_page(listing: Listing, metadata_names: Sequence[str]) -> bytes:
    """The project page as PEP 691 and PEP 700 describe it, with keys that no one has to know."""
    entries = []
    for file, url in zip(listing.files, listing.spelled, strict=True):
        optional = {
            "requires-python": file.requires_python or None,
            "size": file.size,
            "upload-time": file.upload_time or None,
            **dict.fromkeys(metadata_names, file.metadata or file.metadata is not None),
        }
        entry = {"filename": file.filename, "url": url, "hashes": file.hashes, "gpg-sig": False}
        entry |= {"yanked": file.yanked, "provenance": None}
        entries.append(entry | {name: it for name, it in optional.items() if it is not None})
    document = {"meta": {"api-version": "1.4", "_last-serial": 7}, "name": listing.project}
    return json.dumps(document | {"versions": ["1.0"], "files": entries}).encode()


def html_page(listing: Listing, metadata_names: Sequence[str], mark: str, base: str) -> str:
    """The project page as PEP 503, 592, 629, 658 and 714 describe it."""
    anchors = []
    for file, url in zip(listing.files, listing.spelled, strict=True):
        fragment = "".join(f"#{name}={digest}" for name, digest in [*file.hashes.items()][:1])
        attributes: dict[str, str] = {"href": url + fragment}
        if file.requires_python:
            attributes["data-requires-python"] = file.requires_python
        if file.metadata is not None:
            promise = f"sha256={file.metadata['sha256']}" if file.metadata else "true"
            attributes |= dict.fromkeys([f"data-{name}" for name in metadata_names], promise)
        if file.yanked:
            attributes["data-yanked"] = "" if file.yanked is True else file.yanked
        written = "\n ".join(
            f"{name}={mark}{escape(value)}{mark}" for name, value in attributes.items()
        )
        anchors.append(f"<a {written}>{file.filename}</a><br/>")
    head = '<meta name="pypi:repository-version" content="1.0">'
    head += f'<base href="{base}">' if base else ""
    body = "\n<!-- <a href='x'>not this</a> -->\n".join(anchors)
    return f"<!DOCTYPE html><html><head>{head}</head><body><h1>Links</h1>{body}</body></html>"


def as_html_tells(file: File) -> File:
    """HTML has one digest, neither size nor time."""
    return replace(file, hashes=dict([*file.hashes.items()][:1]), size=None, upload_time="")


metadata_keys = st.sampled_from(
    [
        ("core-metadata",),
        ("dist-info-metadata",),
        ("core-metadata", "dist-info-metadata"),
        ("dist-info-metadata", "core-metadata"),
    ]
)
marks = st.sampled_from(['"', "'"])
bases = st.sampled_from(["", "https://mirror.example/a/b/", "/a/b/c"])


@USUAL
@given(listings(), metadata_keys)
def test_each_file_of_a_right_json_page_comes_back(listing: Listing, keys: Sequence[str]) -> None:
    page = look(json_page(listing, keys), JSON_TYPE, listing.url, listing.project)
    relative = any(not url.startswith("http") for url in listing.spelled)
    assert page == ProjectPage(
        name=listing.project,
        files=listing.files,
        versions=("1.0",),
        repairs=(Reason.RELATIVE_URLS,) if relative else (),
    )


@USUAL
@given(listings(), metadata_keys, marks, bases)
def test_each_file_of_a_right_html_page_comes_back(
    listing: Listing, keys: Sequence[str], mark: str, base: str
) -> None:
    body = html_page(listing, keys, mark, base).encode()
    page = look(body, "text/html", listing.url, listing.project)
    files = tuple(as_html_tells(file) for file in listing.files)
    assert page == ProjectPage(name=listing.project, files=files, repairs=(Reason.HTML_ONLY,))


@USUAL
@given(listings(), metadata_keys, marks, bases)
def test_mousebender_reads_the_same(
    listing: Listing, keys: Sequence[str], mark: str, base: str
) -> None:
    text = html_page(listing, keys, mark, base)
    page = look(text.encode(), "text/html", listing.url, listing.project)
    assert page is not None
    theirs = from_project_details_html(text, listing.project)
    assert theirs["name"] == page.name
    start = urljoin(listing.url, base)  # mousebender resolves nothing, and knows no <base>
    for file, other in zip(page.files, theirs["files"], strict=True):
        assert file.filename == other["filename"]
        assert file.url == urljoin(start, other["url"])
        assert file.hashes == other["hashes"]
        assert file.requires_python == other.get("requires-python", "")
        assert file.yanked == other.get("yanked", False)
        promised = other.get("core-metadata")
        assert file.metadata == ({} if promised is True else promised)


# --- 5: URLs ------------------------------------------------------------------------------------

PASSWORD = "sesame"  # noqa: S105 - of nobody
index_urls = odd_texts | odd_urls.map("https://mirror.example/{}".format)
odd_bits = st.lists(st.sampled_from(URL_PIECES), max_size=2).map("".join)
with_password = st.builds(
    "{0}{1}{2}{3}{4}@{5}{6}".format,
    st.sampled_from(
        [
            "https://",
            "http:\\\\",
            " https://",
            "https:/",
            "https:",
            "https:///",
            "HTTP://",
            "//",
            "",
        ]
    ),
    st.sampled_from(["user:", ":", "", "[", "a@b.example:"]),
    odd_bits,
    st.just(PASSWORD),
    odd_bits,
    st.sampled_from(["mirror.example", "mirror.example:port", "[::1", ""]),
    odd_urls,
)


def refusal(check: Callable[[str], object], text: str) -> str:
    """What the error says, or nothing."""
    try:
        check(text)
    except ValueError as error:
        return str(error)
    return ""


@THOROUGH
@given(index_urls)
@example("https://[v1.example]/simple")
@example("https://good.example[::1]/simple")
@example("https://\u212a.example/simple")
@example("https://mirror.example/\ud800")
def test_an_index_url_is_refused_or_kept_in_one_spelling(text: str) -> None:
    try:
        kept = check_index_url(text)
    except ValueError:
        return
    assert check_index_url(kept) == kept
    assert re.match(r"https?://[a-z0-9_.\[:\]-]+(/|$)", kept)
    assert not kept.endswith("/")
    assert not re.search(r"[?#\\\x00-\x20]", kept)
    # Nothing but letter case and port may be spelled in another way.
    assert NETLOC.fullmatch(urlsplit(text).netloc)
    assert urlsplit(text).hostname == urlsplit(kept).hostname
    kept.encode()


@THOROUGH
@given(index_urls)
def test_a_url_is_split_or_refused(text: str) -> None:
    try:
        parts = split_http_url(text)
    except ValueError:
        return
    assert parts.scheme in {"http", "https"}
    assert NETLOC.fullmatch(parts.netloc)
    assert split_http_url(parts.geturl()) == parts


@THOROUGH
@given(with_password)
@example(f"user:{PASSWORD}@mirror.example/simple")
@example(f"https:/user:{PASSWORD}@mirror.example/simple")
@example(f"https:\\\\user:{PASSWORD}@mirror.example/simple")
@example(f"https://user:{PASSWORD}\n@mirror.example/simple")
@example(f"https://user:{PASSWORD}/@mirror.example/simple")
@example(f"https://user:[{PASSWORD}]@mirror.example/simple")
@example(f"https://user:{PASSWORD}@mirror.example\uff0fsimple")
def test_a_password_is_in_no_error_and_no_mirror(text: str) -> None:
    assert PASSWORD not in refusal(split_http_url, text).lower()
    problem = refusal(check_index_url, text)
    assert PASSWORD not in problem.lower()
    if problem:
        mirror = Mirror.from_untrusted(text)
        assert mirror.problem == problem
        assert PASSWORD not in f"{mirror!r} {mirror.index_url} {mirror.name}".lower()


# --- 6: what others wrote -----------------------------------------------------------------------

zones = st.timedeltas(-timedelta(hours=23, minutes=59), timedelta(hours=23, minutes=59))
dates = st.datetimes(timezones=st.none() | zones.map(timezone))
records = st.fixed_dictionaries(
    {"index_url": json_values, "date": dates.map(lambda date: date.isoformat()) | json_values}
).map(json.dumps)


@USUAL
@given(index_urls)
@example("")
def test_any_text_is_a_mirror_that_can_be_shown(text: str) -> None:
    mirror = Mirror.from_untrusted(text)
    assert mirror.name
    if not mirror.problem:
        assert Mirror(text) == mirror
        assert check_index_url(mirror.index_url) == mirror.index_url


@USUAL
@given(records | wild_text | json_values.map(json.dumps) | json_values)
@example('{"index_url": "https://mirror.example", "date": "0001-01-01T00:00:00+01:00"}')
@example('{"index_url": "https://mirror.example", "date": "9999-12-31T23:59:59-01:00"}')
@example("[" * 4096)
def test_any_text_is_a_choice_or_none(text: object) -> None:
    choice = Choice.from_json(text)
    if choice is not None:
        assert choice.date.tzinfo is UTC
        assert isinstance(choice.index_url, str)
        assert Choice.from_json(choice.to_json()) == choice


@USUAL
@given(st.text(st.characters(exclude_categories=())))
@example("".join(chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Cc"))
@example("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
@example("\ud83d" * 400)
def test_what_is_printed_is_a_plain_line(text: str) -> None:
    shown = printable(text)
    assert shown.encode().decode() == shown
    assert len(shown) <= 300
    assert len(shown.splitlines()) <= 1
    assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(character) for character in shown}
    # Bidi_Control, https://www.unicode.org/reports/tr9/
    assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
    assert printable(shown) == shown
