"""``pyodide-mirror serve``: its arguments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pyodide_mirror.model import check_cdn
from pyodide_mirror.server import (
    ACCESS_LOGS,
    DEFAULT_CACHE_SIZE,
    DEFAULT_TIMEOUT,
    DEFAULT_UPLOAD_LIMIT,
    METRICS,
    PAGE_TTL,
    UPSTREAMS_VARIABLE,
    check_page_ttl,
)

from .options import argument, count, network, port, seconds, size

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:
    """Add ``serve`` to what ``ArgumentParser.add_subparsers`` returned."""
    serve = commands.add_parser(
        "serve",
        help="serve an index for browsers, over a folder of wheels and other indexes",
        description="Serve http://HOST:PORT/simple/ for micropip, pip and uv. A project in a FOLDER"
        " is answered from it alone; any other goes to the upstreams in order. Also serve Pyodide"
        " and its packages, at http://HOST:PORT/pyodide/v{version}/full/.",
        epilog=f"Upstreams that need a password: ~/.netrc, or {UPSTREAMS_VARIABLE} in the"
        " environment, which may hold URLs with user:password@. Needs pyodide-mirror[serve].",
    )
    serve.add_argument(
        "folder",
        nargs="*",
        metavar="FOLDER",
        help="folder of wheels and sdists; of a file name that is in several, the first one's file"
        " is served",
    )
    _add_upstream_options(serve)
    _add_cache_options(serve)
    _add_address_options(serve)
    _add_tls_options(serve)
    _add_client_options(serve)
    _add_login_options(serve)
    _add_name_options(serve)
    _add_upload_options(serve)
    _add_log_options(serve)
    serve.set_defaults(run=_serve, error=serve.error)


def _add_cache_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--cache", metavar="DIR", help="where to keep what was fetched")
    serve.add_argument(
        "--cache-size",
        type=argument(size),
        default=DEFAULT_CACHE_SIZE,
        metavar="SIZE",
        help="limit of the cache, like 500M (default: 2G)",
    )
    serve.add_argument(
        "--page-ttl",
        type=argument(_page_ttl),
        default=PAGE_TTL,
        metavar="SECONDS",
        help="after which an upstream is asked again for a page, or earlier if it says so"
        " (default: %(default)g)",
    )


def _page_ttl(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    return check_page_ttl(number)


def _add_address_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--workers",
        type=argument(count),
        default=1,
        metavar="N",
        help="processes that serve, over one cache (default: %(default)s)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=argument(port), default=8080, help="port (%(default)s)")
    serve.add_argument(
        "--public-url", metavar="URL", help="where clients see the server, behind a proxy"
    )
    serve.add_argument(
        "--trusted-proxy",
        action="append",
        type=argument(network),
        metavar="ADDRESS",
        help="address or network of a proxy whose X-Forwarded-For and the like are believed, may be"
        " repeated (default: none)",
    )


def _add_tls_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--certfile",
        metavar="FILE",
        help="serve by https, with this certificate and those between it and its authority (PEM)",
    )
    serve.add_argument(
        "--keyfile", metavar="FILE", help="its private key (default: in the same file)"
    )


def _add_client_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--allow-origin",
        action="append",
        metavar="ORIGIN",
        help="let only pages of this origin read, may be repeated (default: all)",
    )
    serve.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help="a host name of this server, or * for any, may be repeated (default: IP addresses,"
        " loopback names, and those of --host and --public-url)",
    )


def _add_login_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--auth",
        metavar="FILE",
        help="htpasswd file (`htpasswd -B`): only its users, and tokens that may, can read",
    )
    serve.add_argument(
        "--token-file",
        metavar="FILE",
        help="file of tokens, with lines like `read TOKEN` or `read,upload TOKEN`; if one may read,"
        " reading needs a login",
    )


def _add_name_options(serve: argparse.ArgumentParser) -> None:
    for name, text in (
        ("only-local", "projects that no upstream is ever asked for, like 'acme-*'"),
        ("allow", "what may be taken from upstreams, like numpy or 'numpy>=2' (default: all)"),
        ("deny", "what is not served, wherever it is from, like 'numpy<2'"),
    ):
        serve.add_argument(
            f"--{name}", action="append", metavar="PATTERN", help=f"{text}, may be repeated"
        )
    serve.add_argument(
        "--rules",
        metavar="FILE",
        help="file of such patterns, with lines like `deny numpy<2`; read again when it changes",
    )


def _add_upload_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--upload",
        metavar="FOLDER",
        help="serve this folder, too, and let those upload into it who have a token for it, by"
        " twine, uv publish or Poetry, to http://HOST:PORT/legacy/",
    )
    serve.add_argument(
        "--upload-limit",
        type=argument(size),
        default=DEFAULT_UPLOAD_LIMIT,
        metavar="SIZE",
        help="limit of an uploaded file (default: 1G)",
    )


def _add_log_options(serve: argparse.ArgumentParser) -> None:
    serve.add_argument(
        "--access-log",
        choices=ACCESS_LOGS,
        default="text",
        help="form of the log of requests on standard output (default: %(default)s)",
    )
    serve.add_argument(
        "--metrics",
        choices=METRICS,
        default="local",
        help="who may read /metrics, for Prometheus: this machine and who has a login, or all who"
        " may read (default: %(default)s)",
    )


def _add_upstream_options(serve: argparse.ArgumentParser) -> None:
    which = serve.add_mutually_exclusive_group()
    which.add_argument(
        "--upstream",
        action="append",
        metavar="URL",
        help=f"index URL, may be repeated (default: {UPSTREAMS_VARIABLE}, else PyPI)",
    )
    which.add_argument("--offline", action="store_true", help="ask no upstream and no CDN at all")
    serve.add_argument(
        "--cdn",
        action="append",
        type=argument(check_cdn),
        metavar="URL",
        help="base URL of a CDN with Pyodide's files, {version} standing for its version, may be"
        " repeated (default: the known ones)",
    )
    serve.add_argument(
        "--pyodide",
        action="append",
        metavar="DIR",
        help="unpacked release of Pyodide, served before what CDNs have, may be repeated",
    )
    serve.add_argument(
        "--timeout",
        type=argument(seconds),
        default=DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="in which an upstream must answer (default: %(default)g)",
    )


def _serve(given: argparse.Namespace) -> int:
    if given.offline and given.cdn:
        given.error("argument --cdn: not allowed with argument --offline")
    try:
        from pyodide_mirror.server import run_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("pyodide_mirror"):
            raise
        print(
            f"pyodide-mirror serve needs {error.name}: pip install 'pyodide-mirror[serve]'",
            file=sys.stderr,
        )
        return 2
    return run_server(given)
