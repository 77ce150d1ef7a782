"""Spoilers of files, and of what a page may read."""

import http.client
from dataclasses import replace

from tests.conformance.base import ORIGIN
from tests.conformance.spoilers import (
    Proxy,
    Spoiler,
    answers,
    dropping,
    having,
    hearing,
    is_file,
    right,
    saying,
    without,
)
from tests.zoo.server import Manner, Request, Response

_ALLOW_ORIGIN = "Access-Control-Allow-Origin"


def _cors_on_200(answer: Response) -> Response:
    return answer if answer.status == 200 else answer.without_header(_ALLOW_ORIGIN)


def _echo(request: Request, proxy: Proxy) -> Response:
    answer = proxy.ask(request).without_header(_ALLOW_ORIGIN)
    origin = request.header("Origin")
    return answer.with_header(_ALLOW_ORIGIN, origin) if origin else answer


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS"


def _passed_on(request: Request, proxy: Proxy) -> Response:
    if _is_preflight(request):
        proxy.elsewhere(f"{proxy.upstream.url}/zoo-root/")
    return proxy.ask(request)


CORS = (
    Spoiler(
        "no answer has CORS headers",
        without(_ALLOW_ORIGIN),
        (
            *("a page may be read", "a file may be read", "metadata may be read"),
            *("the list of projects may be read", "head may be read"),
            *("a page may be asked for anew", "parts of files may be asked for"),
            *("unforeseen headers are allowed", "get and head are allowed"),
            *("a path that is not there is preflighted too", "a preflight asks nobody else"),
        ),
    ),
    Spoiler(
        "only 200 has CORS headers",
        answers(_cors_on_200),
        (
            *("a part of a file may be read", "a part that does not exist may be read"),
            *("what has not changed may be read", "redirects may be followed"),
            *("a 404 may be read", "a 405 may be read", "a 406 may be read"),
        ),
    ),
    Spoiler(
        "errors have no CORS headers",
        answers(_cors_on_200),
        ("an error may be read",),
        kind="failing",
    ),
    Spoiler(
        "one origin alone is allowed",
        having(_ALLOW_ORIGIN, ORIGIN),
        ("a page of no origin may read it",),
    ),
    Spoiler(
        "the origin is repeated, and Vary does not say so",
        _echo,
        ("an answer that is kept suits every page",),
    ),
    Spoiler(
        "CORS comes twice",
        answers(lambda answer: replace(answer, headers=(*answer.headers, (_ALLOW_ORIGIN, "*")))),
        ("a page may be read", "a file may be read"),
    ),
    Spoiler(
        "nothing is exposed",
        without("Access-Control-Expose-Headers"),
        ("headers that clients need are exposed",),
    ),
    Spoiler(
        "errors expose nothing",
        without("Access-Control-Expose-Headers"),
        ("an error exposes headers too",),
        kind="failing",
    ),
    Spoiler(
        "credentials are allowed",
        having("Access-Control-Allow-Credentials", "true"),
        ("credentials are never allowed",),
    ),
    Spoiler("timings are hidden", without("Timing-Allow-Origin"), ("timings may be read",)),
    Spoiler(
        "CORP is missing",
        without("Cross-Origin-Resource-Policy"),
        ("isolated pages may load it",),
    ),
    Spoiler(
        "OPTIONS is refused",
        saying(405, which=_is_preflight),
        ("a page may be asked for anew", "a preflight asks nobody else"),
    ),
    Spoiler(
        "all headers but Authorization are allowed",
        having("Access-Control-Allow-Headers", "*", _is_preflight),
        ("a token may be sent",),
    ),
    Spoiler(
        "Max-Age is missing",
        without("Access-Control-Max-Age"),
        ("a preflight need not be repeated soon",),
    ),
    Spoiler(
        "a private network is not allowed",
        without("Access-Control-Allow-Private-Network"),
        ("a private network is allowed when asked for",),
    ),
    Spoiler("preflights go upstream", _passed_on, ("a preflight asks nobody else",)),
)


def _other_end(answer: Response) -> Response:
    return replace(answer, body=answer.body[:-1] + b"?") if answer.body else answer


def _no_files(request: Request, proxy: Proxy) -> Response:
    return Response(status=404) if is_file(request) else proxy.ask(request)


def _second_is_short(request: Request, proxy: Proxy) -> Response:
    answer = proxy.ask(request)
    if is_file(request) and request.target in proxy.memory:
        return _other_end(answer)
    proxy.memory[request.target] = answer
    return answer


def _first_range_only(request: Request, proxy: Proxy) -> Response:
    wanted = (request.header("Range") or "").partition(",")[0]
    return (hearing("Range", wanted) if wanted else right)(request, proxy)


def _first_part_is_wrong(request: Request, proxy: Proxy) -> Response:
    answer = proxy.ask(request)
    known = request.target in proxy.memory
    proxy.memory[request.target] = answer
    return _other_end(answer) if request.header("Range") and not known else answer


def _fetched_twice(request: Request, proxy: Proxy) -> Response:
    if is_file(request):
        filename = request.path.rpartition("/")[2]
        proxy.elsewhere(f"{proxy.upstream.file_hosts[0]}/files/{filename}")
    return proxy.ask(request)


def _unverified(request: Request, proxy: Proxy) -> Response:
    if not is_file(request):
        return proxy.ask(request)
    filename = request.path.rpartition("/")[2]
    try:
        return proxy.elsewhere(f"{proxy.upstream.file_hosts[0]}/files/{filename}")
    except http.client.IncompleteRead as error:
        return Response(body=error.partial)


def _anonymous(answer: Response) -> Response:
    whole = answer.status != 206
    return answer if whole else answer.without_header("ETag").without_header("Last-Modified")


def _is_metadata(request: Request) -> bool:
    return request.path.endswith(".metadata")


def _chunked(answer: Response) -> Response:
    return replace(answer, manner=Manner.CHUNKED)


FILES = (
    Spoiler(
        "the last byte is another",
        answers(_other_end, is_file),
        (
            *("every file is what it should be", "the first bytes can be had"),
            *("the last bytes can be had", "the rest can be had", "files are sent as they are"),
            *("two clients at once get the same file",),
            *("twenty clients at once are served",),
            *("metadata is there where it is promised", "metadata is made of wheels"),
        ),
    ),
    Spoiler(
        "files are not there",
        _no_files,
        ("a client that leaves spoils nothing", "the second time it is the same"),
    ),
    Spoiler("the second time it is another", _second_is_short, ("the second time it is the same",)),
    Spoiler("files have no length", answers(_chunked, is_file), ("the length is given",)),
    Spoiler(
        "an archive is called compressed",
        having("Content-Encoding", "gzip", lambda request: request.path.endswith(".tar.gz")),
        ("files are sent as they are",),
    ),
    Spoiler(
        "files are web pages",
        having("Content-Type", "text/html", is_file),
        ("files are no web pages",),
    ),
    Spoiler("files do not keep", without("Cache-Control", which=is_file), ("files keep for long",)),
    Spoiler(
        "HEAD is refused",
        saying(405, which=lambda request: request.method == "HEAD"),
        (
            *("head tells of a file without sending it", "head on what is missing is 404"),
            *("head on a page is get without the body", "head is conditional too"),
        ),
    ),
    Spoiler("ranges are a secret", without("Accept-Ranges"), ("ranges are announced",)),
    Spoiler(
        "Range is not heard",
        dropping("Range"),
        (
            *("the first bytes can be had", "the last bytes can be had", "the rest can be had"),
            *("a part beyond the end is 416", "if range gives the part of the same file"),
            *("a part of a file may be read",),
        ),
    ),
    Spoiler("If-Range is not heard", dropping("If-Range"), ("if range gives another file whole",)),
    Spoiler(
        "other units are refused",
        saying(416, which=lambda request: "rows" in (request.header("Range") or "")),
        ("a range of another unit is ignored",),
    ),
    Spoiler(
        "of two ranges the first is sent",
        _first_range_only,
        ("two ranges are two parts or the whole",),
    ),
    Spoiler(
        "the first part is wrong",
        _first_part_is_wrong,
        ("a part of a file that nobody had yet is right",),
    ),
    Spoiler(
        "all metadata is empty",
        saying(200, b"", _is_metadata),
        (
            *("metadata is there where it is promised", "metadata is made of wheels"),
            *("metadata of a source archive is not made up",),
        ),
    ),
    Spoiler(
        "everything is stored before it is sent",
        right,
        (
            "the first byte comes before the last has arrived",
            "the length comes before the file",
        ),
    ),
    Spoiler(
        "a part says nothing of the whole",
        answers(_anonymous),
        ("a part says which file it is of",),
    ),
    Spoiler(
        "files are waited for",
        answers(lambda answer: replace(answer, manner=Manner.HALF), is_file),
        ("a file that never comes is given up", "a file that stops half way is given up"),
        capabilities={"watches_bodies": True, "patience": 1},
    ),
    Spoiler(
        "files are fetched twice",
        _fetched_twice,
        ("two clients at once cost the upstream one request",),
    ),
    Spoiler(
        "files are not verified",
        _unverified,
        (
            "a file that was tampered with does not arrive whole",
            "a file that is too long does not arrive whole",
            "a file that is cut off looks cut off",
            "what a redirect leads to must be the same file",
        ),
    ),
)
