"""Hosts that serve files, each in its own way: Python's http.server, nginx, and a bucket.

with bucket(folder) as url: ...
"""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from tests.support import browsers
from tests.support.processes import OWN_GROUP, end_group

_LOOPBACK: Final = "127.0.0.1"
_PATIENCE: Final = 20.0


class _Plain(SimpleHTTPRequestHandler):
    """Python's own, which says nothing of what it does, and answers at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class _Bucket(_Plain):
    """A bucket with CORS rules: no index documents, and of media types it knows that of pages."""

    def send_head(self) -> Any:
        if self.path.partition("?")[0].endswith("/"):
            self.send_error(404)
            return None
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def guess_type(self, path: Any) -> str:
        return "text/html" if str(path).endswith(".html") else "application/octet-stream"


@contextmanager
def _serving(handler: type[_Plain], folder: Path) -> Iterator[str]:
    made = partial(handler, directory=str(folder))
    with ThreadingHTTPServer((_LOOPBACK, 0), made) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://{_LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def python_server(folder: Path) -> AbstractContextManager[str]:
    """Serve a folder by ``python -m http.server``'s own handler; yields the URL."""
    return _serving(_Plain, folder)


def bucket(folder: Path) -> AbstractContextManager[str]:
    """Serve a folder as a bucket does."""
    return _serving(_Bucket, folder)


_NGINX: Final = """
daemon off;
master_process off;
pid {scratch}/pid;
error_log stderr;
events {{ }}
http {{
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    {block}
}}
"""
_SERVER: Final = """
    access_log off;
    server {{
        listen {host}:{port};
        root {root};
        include {folder}/hosting/nginx.conf;
    }}
"""


def free_port() -> int:
    """A port of this machine on which nobody listens now."""
    with socket.create_server((_LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def nginx(folder: Path, scratch: Path, root: Path | None = None) -> Iterator[str]:
    """Serve a bundle by nginx, with the settings that are in it, or what else is below a root."""
    port = free_port()
    scratch.mkdir()
    place = {"folder": folder, "root": root or folder, "host": _LOOPBACK, "port": port}
    with nginx_with(_SERVER.format(**place), scratch, port):
        yield f"http://{_LOOPBACK}:{port}"


@contextmanager
def nginx_with(
    block: str, scratch: Path, port: int, stderr: IO[bytes] | None = None
) -> Iterator[None]:
    """Run nginx with this in its ``http`` block, which listens on the port, and end it.

    ``scratch``: a folder for its own files. ``stderr``: where its errors go, if not to ours.
    """
    (scratch / "nginx.conf").write_text(_NGINX.format(scratch=scratch, block=block))
    command = [str(browsers.find(browsers.NGINX)), "-c", str(scratch / "nginx.conf")]
    with subprocess.Popen([*command, "-p", str(scratch)], stderr=stderr, **OWN_GROUP) as process:
        try:
            wait_for(port, process)
            yield
        finally:
            end_group(process)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when a process listens; OSError when it has ended, or takes too long."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((_LOOPBACK, port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # it does not tell when it listens
        else:
            return


Host = Callable[[Path, Path], AbstractContextManager[str]]
HOSTS: MappingProxyType[str, Host] = MappingProxyType(
    {
        "http.server": lambda folder, _: python_server(folder),
        "nginx": nginx,
        "bucket": lambda folder, _: bucket(folder),
    }
)
"""Each by its name; takes the folder, and one for files of its own, which is made."""
