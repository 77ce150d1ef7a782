"""Spoilers of pages: what is on them, and who gets which."""

import gzip
from dataclasses import replace

from tests.conformance.base import HTML_V1, JSON_V1
from tests.conformance.spoilers import (
    Doc,
    Proxy,
    Spoiler,
    answers,
    document,
    dropping,
    entries,
    having,
    hearing,
    is_page,
    markup,
    masked,
    saying,
    without,
)
from tests.zoo.server import Request, Response

_ELSEWHERE = "https://elsewhere.example/x.whl"


def _twice(doc: Doc) -> None:
    doc["files"].append(doc["files"][0])


def _only_wheels(doc: Doc) -> None:
    doc["files"] = [item for item in doc["files"] if item["filename"].endswith(".whl")]


def _short(doc: Doc) -> None:
    doc["files"] = doc["files"][:1000]


def _shout(item: Doc) -> None:
    item["hashes"]["sha256"] = item["hashes"]["sha256"].upper()


def _relative(item: Doc) -> None:
    item["url"] = f"../../files/{item['filename']}"


def _promise_by_false(item: Doc) -> None:
    item.setdefault("core-metadata", False)


def _lie_about_metadata(item: Doc) -> None:
    item["core-metadata"] = {"sha256": "0" * 64}


def _no_redirects(answer: Response) -> Response:
    return replace(answer, status=404) if answer.status == 301 else answer


def _without_query(request: Request, proxy: Proxy) -> Response:
    return proxy.ask(replace(request, target=request.path))


def _forwarded(request: Request, proxy: Proxy) -> Response:
    host = request.header("X-Forwarded-Host")
    answer = proxy.ask(request)
    if not host or not is_page(request):
        return answer
    own = (request.header("Host") or "").encode()
    return replace(answer, body=answer.body.replace(own, host.encode()))


def _remembering(request: Request, proxy: Proxy) -> Response:
    key = f"{request.method} {request.target}"
    if key not in proxy.memory:
        proxy.memory[key] = proxy.ask(request)
    return proxy.memory[key]


def _is_root(request: Request) -> bool:
    return request.path == "/simple/"


PAGES = (
    Spoiler(
        "all pages are HTML",
        hearing("Accept", "text/html", is_page),
        (
            *("micropip gets pep 691 json", "pip gets json", "uv gets json"),
            *("whoever takes anything gets json", "media types have no case"),
            *("accept may come in two headers", "quality values count"),
            *("the latest version is understood", "the html type of pep 691 is given"),
            *("what fits nobody is 406", "the etag of json is not known for html"),
        ),
    ),
    Spoiler(
        "the type has a parameter",
        having("Content-Type", f"{JSON_V1}; charset=utf-8", is_page),
        ("the json type has no parameter",),
    ),
    Spoiler(
        "the version of the API is 2",
        document(lambda doc: doc.update(meta={"api-version": "2.0"})),
        ("the api version is 1",),
    ),
    Spoiler(
        "the name is as it was asked for",
        document(lambda doc: doc.update(name="Zoo_Exhibit")),
        ("the name is normalized",),
    ),
    Spoiler(
        "the last file is forgotten",
        document(lambda doc: doc["files"].pop()),
        ("every file of the upstream is there",),
    ),
    Spoiler("one file is listed twice", document(_twice), ("nothing is on the page twice",)),
    Spoiler(
        "there are no versions",
        document(lambda doc: doc.pop("versions", None)),
        ("the versions are listed",),
    ),
    Spoiler("URLs are relative", entries(_relative), ("file urls are absolute",)),
    Spoiler(
        "files are elsewhere",
        entries(lambda item: item.update(url=_ELSEWHERE)),
        ("files come from the mirror", "every file is what it should be"),
    ),
    Spoiler(
        "digests are made up",
        entries(lambda item: item.update(hashes={"sha256": "0" * 64})),
        ("digests are right",),
    ),
    Spoiler("digests are in capitals", entries(_shout), ("json digests are in lower case",)),
    Spoiler(
        "requires-python is lost",
        entries(lambda item: item.pop("requires-python", None)),
        ("requires python is kept",),
    ),
    Spoiler(
        "sizes are wrong",
        entries(lambda item: item.update(size=7)),
        ("sizes are right where given",),
    ),
    Spoiler(
        "sizes are lost",
        entries(lambda item: item.pop("size", None)),
        ("sizes are given where known",),
    ),
    Spoiler(
        "times are lost",
        entries(lambda item: item.pop("upload-time", None)),
        ("upload times are kept",),
    ),
    Spoiler(
        "everything is yanked",
        entries(lambda item: item.update(yanked=True)),
        ("nothing else is yanked", "why a file is yanked is kept"),
    ),
    Spoiler(
        "nothing is yanked",
        entries(lambda item: item.update(yanked=False)),
        ("a file yanked without reason is yanked",),
    ),
    Spoiler("there are only wheels", document(_only_wheels), ("source archives are listed",)),
    Spoiler(
        "false stands for no metadata",
        entries(_promise_by_false),
        ("no metadata is ever promised by false",),
    ),
    Spoiler(
        "no metadata is promised",
        entries(lambda item: item.pop("core-metadata", None)),
        (
            "metadata is promised where the upstream has it",
            "metadata is promised for every wheel",
        ),
    ),
    Spoiler(
        "digests of metadata are made up",
        entries(_lie_about_metadata),
        ("digests of metadata are right",),
    ),
    Spoiler("pages are cut", document(_short), ("a page of 4201 files is complete",)),
    Spoiler(
        "nothing is asked for twice",
        _remembering,
        (
            "a file that failed once can be had afterwards",
            "an outage is over when it is over",
        ),
    ),
    Spoiler(
        "no project is new",
        saying(404, which=lambda request: "zoo-fresh" in request.path),
        ("a project that is new upstream is found",),
    ),
    Spoiler(
        "nothing is redirected",
        answers(_no_redirects),
        (
            "names that are not normalized lead to the page",
            "a missing final slash leads to the page",
            "names are redirected for good with their query",
        ),
    ),
    Spoiler(
        "two slashes are too many",
        saying(404, which=lambda request: "//" in request.path),
        ("an index url with a final slash works",),
    ),
    Spoiler(
        "errors have status 200",
        answers(masked),
        (
            *("an unknown project is 404", "what is no project name is refused"),
            *("what fits nobody is 406", "a 404 may be read", "a 405 may be read"),
            *("a part beyond the end is 416", "a file that is not there is 404"),
            *("a part that does not exist may be read", "dots lead nowhere"),
            *("metadata of a source archive is not made up", "methods nobody knows are refused"),
            *("a file that the upstream lacks is an error", "other methods are refused"),
            *("a file that fails upstream is an error that is not kept",),
            *("files can be neither written nor deleted", "encoded slashes lead nowhere"),
            *("a page that fails upstream is at least 500", "garbage is no project page"),
            *("a login page is no project page", "another major version is refused"),
            *("a page that is cut off is not passed on as whole", "errors are told in words"),
            *("a redirect of the upstream to another host leads nowhere",),
            *("head on what is missing is 404",),
        ),
    ),
    Spoiler(
        "there is no alias",
        saying(404, which=lambda request: request.path.startswith("/pypi/")),
        ("the alias of the public snippet works",),
    ),
    Spoiler(
        "there is no list of projects",
        saying(404, which=_is_root),
        ("the root lists projects",),
    ),
    Spoiler(
        "the list of projects is empty",
        saying(200, b'{"meta": {"api-version": "1.0"}, "projects": []}', _is_root),
        ("the root lists what is in the folder",),
        kind="folder",
    ),
    Spoiler(
        "there is nothing but an index",
        saying(404, which=lambda request: request.path in {"/", "/healthz"}),
        ("the front page and the health check answer",),
    ),
    Spoiler(
        "our own wheel is not there",
        saying(404, which=lambda request: request.path.startswith("/pyodide_mirror-")),
        ("our own wheel can be had",),
        capabilities={"serves_itself": True},
    ),
    Spoiler(
        "X-Forwarded-Host is believed",
        _forwarded,
        ("file urls do not depend on the client",),
    ),
)


def _packed(answer: Response) -> Response:
    if answer.status != 200 or not answer.body:
        return answer
    return replace(answer, body=gzip.compress(answer.body)).with_header("Content-Encoding", "gzip")


def _new_etags(request: Request, proxy: Proxy) -> Response:
    count = len(proxy.memory)
    proxy.memory[str(count)] = Response()
    return proxy.ask(request).with_header("ETag", f'"{count}"')


def _always_304(request: Request, proxy: Proxy) -> Response:
    answer = proxy.ask(request)
    known = request.header("If-None-Match")
    return replace(answer, status=304, body=b"") if known else answer


def _strong_only(request: Request, proxy: Proxy) -> Response:
    known = request.header("If-None-Match") or ""
    plain = known.startswith('"') and "," not in known
    return proxy.ask(request) if plain else dropping("If-None-Match")(request, proxy)


def _bare_304(answer: Response) -> Response:
    return answer.without_header("Vary") if answer.status == 304 else answer


def _no_206_without_etag(answer: Response) -> Response:
    return answer.without_header("ETag").without_header("Last-Modified")


NEGOTIATION = (
    Spoiler(
        "all pages are JSON",
        hearing("Accept", JSON_V1, is_page),
        (
            *("a browser gets html", "old pips get html", "what has quality zero is not sent"),
            *("json and html have different etags",),
        ),
    ),
    Spoiler(
        "digests are lost in HTML",
        markup(b"#sha256=", b"#md5="),
        ("the html page is as complete as the json page",),
    ),
    Spoiler(
        "HTML is not escaped",
        markup(b"&lt;script&gt;alert", b"<script>alert"),
        ("the html page escapes what it shows",),
    ),
    Spoiler(
        "HTML has no charset",
        having("Content-Type", "text/html", is_page),
        ("the html page says how it is encoded",),
    ),
    Spoiler(
        "PEP 691's HTML type is not known",
        having("Content-Type", "text/html", lambda r: r.header("Accept") == HTML_V1),
        ("the html type of pep 691 is given",),
    ),
    Spoiler(
        "Accept is a must",
        saying(406, which=lambda r: is_page(r) and r.header("Accept") is None),
        ("no accept header gets a page",),
    ),
    Spoiler(
        "queries are not heard",
        _without_query,
        ("the format parameter overrules accept", "names are redirected for good with their query"),
    ),
    Spoiler(
        "queries are refused",
        saying(400, which=lambda request: bool(request.query)),
        ("other parameters are ignored",),
    ),
    Spoiler("Vary is missing", without("Vary"), ("pages vary by accept",)),
    Spoiler(
        "pages keep for a year",
        having("Cache-Control", "max-age=31536000", is_page),
        ("pages say how long they keep",),
    ),
    Spoiler(
        "everything is compressed",
        answers(_packed, is_page),
        ("pages are compressed only for who accepts it",),
    ),
    Spoiler(
        "there are no ETags",
        answers(_no_206_without_etag),
        (
            *("pages have an etag", "a known file is 304", "a known page is 304 without body"),
            *("if range gives the part of the same file", "what has not changed may be read"),
        ),
    ),
    Spoiler("each answer has a new ETag", _new_etags, ("the etag of a page stays",)),
    Spoiler(
        "all pages have one ETag",
        having("ETag", '"one"', is_page),
        ("json and html have different etags",),
    ),
    Spoiler(
        "If-None-Match is not heard",
        dropping("If-None-Match"),
        ("a known page is 304 without body", "head is conditional too", "a known file is 304"),
    ),
    Spoiler(
        "If-None-Match is compared as a text",
        _strong_only,
        (
            "if none match compares weakly",
            "if none match may be a list",
            "if none match may be an asterisk",
        ),
    ),
    Spoiler(
        "nothing ever changes",
        _always_304,
        ("a page that changed is sent", "the etag of json is not known for html"),
    ),
    Spoiler("a 304 says little", answers(_bare_304), ("a 304 says what a cache needs",)),
)
