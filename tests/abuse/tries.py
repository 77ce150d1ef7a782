"""What hostile clients send: a table of tries, each with what must hold."""

from dataclasses import dataclass

LONGEST_HEAD = 64 * 1024
REFUSED = frozenset({400, 404})
BAD = frozenset({400})


@dataclass(frozen=True, slots=True)
class Try:
    """A name, the bytes, and the answers: for each of them the statuses that will do.

    ``{decoy}`` stands for the host and port of a server that nobody has any business with,
    ``{path}`` for the path of a file that exists, ``{host}`` for the server itself.
    """

    name: str
    sent: str
    answers: tuple[frozenset[int], ...]
    peak: int = 60
    """MB that the server may need for it beyond what it had."""

    def __str__(self) -> str:
        """The name, for pytest."""
        return self.name


def _get(name: str, target: str, statuses: frozenset[int] = REFUSED, headers: str = "") -> Try:
    head = f"GET {target} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n{headers}\r\n"
    return Try(name, head, (statuses,))


def _is(*statuses: int) -> frozenset[int]:
    return frozenset(statuses)


# What has another host in it, and would make an open proxy of a server that asks it.
_OTHER_HOSTS = (
    _get("a host in a file's path", "/files/{decoy}/x/x-1.0-py3-none-any.whl"),
    _get("a URL in a file's path", "/files/http://{decoy}/x-1.0-py3-none-any.whl"),
    _get("a URL after simple", "/simple/http://{decoy}/"),
    _get("an escaped URL after simple", "/simple/http%3A%2F%2F{decoy}%2F/"),
    _get("a host with user info after simple", "/simple/evil@{decoy}/"),
    _get("two slashes and a host", "//{decoy}/simple/x/"),
    _get("a host and a query", "/simple/?url=http://{decoy}/", _is(200)),
    _get("a file at a host behind a digest", "/files/0123456789abcdef/http:%2F%2F{decoy}/x.whl"),
    _get("a backslash and a host", "/simple/\\\\{decoy}/", REFUSED),
    _get("the worker's form of a file's path", "/files/{decoy}/packages/x-1.0-py3-none-any.whl"),
    _get("a host for a version of Pyodide", "/pyodide/v{decoy}/full/pyodide.mjs"),
    _get("a URL for a file of Pyodide", "/pyodide/v314.0.7/full/http:%2F%2F{decoy}%2Fx.whl"),
    _get("a host for a file of Pyodide", "/pyodide/v314.0.7/full/@{decoy}"),
    _get("absolute-form of another host", "http://{decoy}/simple/nothing/", _is(404)),
    _get("absolute-form with user info", "http://u:p@{decoy}/simple/nothing/", _is(400, 404)),
    _get("absolute-form by ftp", "ftp://{decoy}/simple/nothing/", _is(400, 404)),
    _get("absolute-form by file", "file:///etc/passwd", _is(400, 404)),
    Try("authority-form", "CONNECT {decoy} HTTP/1.1\r\nHost: {decoy}\r\n\r\n", (_is(400, 405),)),
    Try(
        "CONNECT and then bytes for the tunnel",
        "CONNECT {decoy} HTTP/1.1\r\nHost: {decoy}\r\n\r\nGET /secret HTTP/1.1\r\n\r\n",
        (_is(400, 405),),
    ),
)

# What would leave a folder, if paths were paths of files.
_PATHS = (
    _get("dots", "/files/../../../../etc/passwd"),
    _get("dots below simple", "/simple/../../etc/passwd"),
    _get("escaped dots", "/files/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    _get("escaped slashes", "/files/0123456789abcdef/x/..%2f..%2f..%2fetc%2fpasswd"),
    _get("escaped backslashes", "/files/0123456789abcdef/x/..%5c..%5cetc%5cpasswd"),
    _get("dots escaped twice", "/files/0123456789abcdef/x/%252e%252e%252fetc%252fpasswd"),
    _get("dots in overlong UTF-8", "/files/0123456789abcdef/x/%c0%ae%c0%ae%c0%afetc"),
    _get("dots for a version of Pyodide", "/pyodide/v%2e%2e/full/pyodide.mjs"),
    _get("dots for a file of Pyodide", "/pyodide/v314.0.7/full/%2e%2e"),
    _get("a path for a file of Pyodide", "/pyodide/v314.0.7/full/..%2f..%2fetc%2fpasswd"),
    _get("a NUL for a file of Pyodide", "/pyodide/v314.0.7/full/pyodide.mjs%00"),
    _get("a NUL", "/files/0123456789abcdef/x/x-1.0-py3-none-any.whl%00.txt"),
    _get("a raw NUL", "/simple/x\0/", BAD),
    _get("a raw high byte", "/simple/\xff/", BAD),
    _get("half an escape", "/simple/%e/"),
    _get("dots for a project", "/simple/%2e%2e/"),
    _get("an absolute path for a project", "/simple/%2Fetc%2Fpasswd/"),
    _get("a name that ends in a dash", "/simple/x-/"),
    _get("control characters in a name", "/simple/x%0d%0aset-cookie:%20a=b/"),
    _get("a line break that is to become a header", "/simple/nothing%0d%0aX-Evil:%201"),
    _get(
        "a line break in the query of a redirect",
        "/simple/Nothing/?%0d%0aset-cookie:%20a=b",
        _is(301),
    ),
    _get("markup in a name", "/simple/%3Cscript%3Ealert(1)%3C%2Fscript%3E/"),
    _get("a very long name", f"/simple/{'x' * 20_000}/"),
    _get("very many segments", f"/simple/{'x/' * 10_000}"),
    _get("a long query", f"/simple/?{'x=y&' * 10_000}", _is(200)),
    _get("another digest", "/files/0000000000000000/good/good-1.0-py3-none-any.whl"),
    _get("metadata of what is no wheel", "/files/0000000000000000/good/x.tar.gz.metadata"),
    _get("no digest", "/files//good/good-1.0-py3-none-any.whl"),
    _get("unverified, but it is not", "/files/unverified/good/good-1.0-py3-none-any.whl"),
)

_HOSTS = (
    _get("no fault at all", "{path}", _is(200)),
    *(
        Try(
            f"a Host header of {what}",
            f"GET /simple/good/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
            (_is(200, 400),),
        )
        for what, host in (
            ("markup", '"><script>alert(1)</script>'),
            ("a path", "{decoy}/evil"),
            ("user info", "user:password@{decoy}"),
            ("spaces", "a b"),
            ("a backslash", "a\\b"),
            ("a port that is none", "a:99999"),
            ("a bracket", "[::1"),
            ("a high byte", "\xe9vil"),
        )
    ),
    Try("no Host header", "GET /simple/good/ HTTP/1.0\r\n\r\n", (_is(200),)),
)

_LONG = "x" * (LONGEST_HEAD + 10)
_HEADERS = (
    _get("a long header", "/simple/good/", _is(200), f"X-Long: {'x' * 60_000}\r\n"),
    _get("a header that is too long", "/simple/good/", _is(431), f"X-Long: {_LONG}\r\n"),
    _get("a URL that is too long", f"/simple/{_LONG}/", _is(431)),
    _get("too many headers", "/simple/good/", _is(431), "X: y\r\n" * 20_000),
    _get("very many headers", "/simple/good/", _is(200), "X: y\r\n" * 9_000),
    Try(
        "a header of 40 MB",
        f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {'x' * 40_000_000}\r\n\r\n",
        (_is(431),),
    ),
    Try(
        "a header of 40 MB behind a request",
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX: {'x' * 40_000_000}",
        (_is(200),),
    ),
    _get(
        "spaces that a careless expression takes long for",
        "/simple/good/",
        _is(200),
        f"Accept-Encoding: gzip{' ' * 60_000}x\r\n",
    ),
    _get(
        "media types without end",
        "/simple/good/",
        _is(200, 406),
        f"Accept: {'a/b;q=0.1,' * 6_000}\r\n",
    ),
    _get(
        "parameters without end",
        "/simple/good/",
        _is(200, 406),
        f"Accept: text/html{';' * 60_000}\r\n",
    ),
    _get("a quality that is none", "/simple/good/", _is(200), "Accept: text/html;q=1e999\r\n"),
    _get("quotes without end", "{path}", _is(200), f"If-None-Match: {chr(34) * 60_001}\r\n"),
    _get(
        "ranges without end",
        "{path}",
        _is(200, 206, 400, 416),
        f"Range: bytes={','.join(f'{n}-{n}' for n in range(0, 9_000, 2))}\r\n",
    ),
    _get(
        "ranges that overlap",
        "{path}",
        _is(200, 206, 400, 416),
        f"Range: bytes={','.join(['0-'] * 15_000)}\r\n",
    ),
    _get(
        "a range of many digits",
        "{path}",
        _is(200, 400, 416),
        f"Range: bytes=0-{'9' * 6_000}\r\n",
    ),
    _get("a range that is none", "{path}", _is(200, 400, 416), "Range: bytes=\u00b2-\u00b3,-\r\n"),
    _get("a header with a NUL", "/simple/good/", BAD, "X: a\0b\r\n"),
    _get("a header with a bare CR", "/simple/good/", BAD, "X: a\rb\r\n"),
    _get("a folded header", "/simple/good/", BAD, " folded: yes\r\n"),
    _get("a header with a space in its name", "/simple/good/", BAD, "X : y\r\n"),
    _get("a date that is none", "{path}", _is(200), "If-Modified-Since: \u00e9\r\n"),
    _get("a wish to upgrade to WebSocket", "/simple/good/", _is(200), "Upgrade: websocket\r\n"),
    Try(
        "a whole WebSocket handshake",
        "GET /simple/good/ HTTP/1.1\r\nHost: {host}\r\nConnection: close, Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n",
        (_is(200),),
    ),
    Try("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (BAD,)),
    Try("HTTP/0.9", "GET /simple/good/\r\n\r\n", (_is(200, 400),)),
    Try("HTTP/9.9", "GET / HTTP/9.9\r\nHost: {host}\r\n\r\n", (BAD,)),
    Try("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\xaa" * 500, (BAD,)),
    Try("noise", "".join(chr(n * 7 % 256) for n in range(4_000)), (BAD,)),
    Try(
        "a preflight for what is no header",
        "OPTIONS /simple/good/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nOrigin: null\r\n"
        f"Access-Control-Request-Headers: {'a,' * 20_000}<script>\r\n\r\n",
        (_is(204),),
    ),
)

_CLOSE = "Host: {host}\r\nConnection: close\r\n"
_KEEP = "Host: {host}\r\n"
_HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
_BODIES = (
    Try("another method", f"POST /simple/good/ HTTP/1.1\r\n{_CLOSE}\r\n", (_is(405),)),
    Try("a method that is none", f"EVIL /simple/good/ HTTP/1.1\r\n{_CLOSE}\r\n", (BAD,)),
    Try(
        "an upload that is not read",
        f"PUT /simple/good/ HTTP/1.1\r\n{_CLOSE}Content-Length: 3000000\r\n\r\n{'x' * 3_000_000}",
        (_is(405),),
    ),
    Try(
        "a chunked body on GET, and the next request after it",
        f"GET /healthz HTTP/1.1\r\n{_KEEP}Transfer-Encoding: chunked\r\n\r\n"
        f"5\r\nhello\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n{_CLOSE}\r\n",
        (_is(200), _is(200)),
    ),
    Try(
        "both lengths, by which a request is smuggled in",
        f"GET /healthz HTTP/1.1\r\n{_KEEP}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"0\r\n\r\n{_HIDDEN}",
        (BAD,),
    ),
    Try(
        "two lengths that differ",
        f"GET /healthz HTTP/1.1\r\n{_KEEP}Content-Length: 0\r\nContent-Length: 60\r\n\r\n{_HIDDEN}",
        (BAD,),
    ),
    Try(
        "a coding that is nearly chunked",
        f"GET /healthz HTTP/1.1\r\n{_KEEP}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{_HIDDEN}",
        (_is(200, 400),),
    ),
    Try(
        "a length below nothing",
        f"GET /healthz HTTP/1.1\r\n{_CLOSE}Content-Length: -1\r\n\r\n",
        (BAD,),
    ),
    Try(
        "a chunk of a size that is none",
        f"POST /healthz HTTP/1.1\r\n{_KEEP}Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        (_is(400, 405),),
    ),
    Try(
        "a body that hides a request is not read as one",
        f"GET /healthz HTTP/1.1\r\n{_CLOSE}Content-Length: {len(_HIDDEN) + 9}\r\n\r\n{_HIDDEN}",
        (_is(200),),
    ),
    Try(
        "requests in a row",
        f"GET {{path}} HTTP/1.1\r\n{_KEEP}\r\n" * 20
        + f"GET /simple/nothing/ HTTP/1.1\r\n{_CLOSE}\r\n",
        (*[_is(200)] * 20, _is(404)),
    ),
)

TRIES = (*_OTHER_HOSTS, *_PATHS, *_HOSTS, *_HEADERS, *_BODIES)
