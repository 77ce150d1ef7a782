"""Two servers over one hostile upstream, and a server beside it that nobody may reach."""

import selectors
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING, cast

from tests.abuse.hostile import HOSTILE, World, project_of
from tests.support.own_server import Serving, serving
from tests.support.server_wire import get
from tests.support.wheels import make_wheel
from tests.zoo.server import LOOPBACK, Request, Response, Server

if TYPE_CHECKING:
    import socket

TIMEOUT = 30.0
"""Seconds after which the servers give up on their upstream: the machine may be busy."""
SOON = 1.0
"""The same for one that is to give up."""
GOOD = make_wheel("good", "1.0", padding=200_000)
PUBLIC = "http://index.example"
BY_PROJECT = {each.project: each for each in HOSTILE}


class _Drip(BaseRequestHandler):
    def handle(self) -> None:
        connection = cast("socket.socket", self.request)
        with suppress(ConnectionError), selectors.DefaultSelector() as selector:
            connection.recv(1 << 16)
            selector.register(connection, selectors.EVENT_READ)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not selector.select(0.2):  # until the other side has left
                connection.sendall(b"x")


class Dripping(ThreadingTCPServer):
    """An upstream that sends a head which never ends."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen at once."""
        super().__init__((LOOPBACK, 0), _Drip)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """End it, and free the port."""
        self.shutdown()
        self.server_close()
        self._thread.join()


class Upstream:
    """A hostile upstream: as itself, and as the proxy behind which it counts as a public host."""

    def __init__(self, decoy: Server, dripping: Dripping) -> None:
        """Start it."""
        self.server = Server(self._answer)
        self._dripping = f"{LOOPBACK}:{dripping.server_address[1]}"
        self.origin = f"http://{LOOPBACK}:{self.server.port}"
        self._decoy = decoy

    def _answer(self, request: Request) -> Response:
        public = request.target.startswith(f"{PUBLIC}/")
        if "://" in request.target and not public:
            return Response(status=418, body=b"the proxy was asked for another host")
        here = PUBLIC if public else self.origin
        if f"/files/{GOOD.name}/" in request.path:
            return Response(body=GOOD.data)
        if f"/simple/{GOOD.name}/" in request.path:
            link = f"{here}/files/good/a#sha256={GOOD.sha256}"
            # More than one, so that the page is worth packing.
            names = [GOOD.filename, *(f"good-0.{n}-py3-none-any.whl" for n in range(20))]
            text = "".join(f'<a href="{link}">{name}</a>' for name in names)
            return Response(headers=(("Content-Type", "text/html"),), body=text.encode())
        hostile = BY_PROJECT.get(project_of(request))
        if hostile is None:
            return Response(status=404)
        made = hostile.file if "/files/" in request.path else hostile.page
        answer = made(World(here, f"{LOOPBACK}:{self._decoy.port}", self._dripping), request)
        port = str(self._decoy.port)
        headers = tuple((name, value.replace("{port}", port)) for name, value in answer.headers)
        body = answer.body.replace(b"{port}", port.encode())
        return replace(answer, headers=headers, body=body)


@dataclass(frozen=True)
class Place:
    """``near`` has the upstream on this machine, ``far`` has it as a public host by a proxy.

    ``soon`` is as near, and soon loses its patience.
    """

    near: Serving
    far: Serving
    soon: Serving
    decoy: Server
    upstream: Upstream

    def check_still_well(self, server: Serving) -> None:
        """Assert that nobody has asked the decoy, and that the server answers others."""
        assert self.decoy.connections == 0, self.decoy.requests
        answer = get(f"{server.index_url}/good/")
        assert answer.status == 200
        assert answer.document["files"][0]["hashes"] == {"sha256": GOOD.sha256}


@contextmanager
def hostile_place() -> Iterator[Place]:
    """Start it all, and end it."""
    with ExitStack() as stack:
        decoy = Server(lambda _: Response(body=b"secret"))
        stack.callback(decoy.close)
        dripping = Dripping()
        stack.callback(dripping.close)
        upstream = Upstream(decoy, dripping)
        stack.callback(upstream.server.close)
        options = ["--timeout", str(TIMEOUT)]
        near = stack.enter_context(serving(None, [f"{upstream.origin}/simple"], options=options))
        proxied = {"http_proxy": upstream.origin, "no_proxy": "", "NO_PROXY": ""}
        far = stack.enter_context(
            serving(None, [f"{PUBLIC}/simple"], options=options, environment=proxied)
        )
        options = ["--timeout", str(SOON)]
        soon = stack.enter_context(serving(None, [f"{upstream.origin}/simple"], options=options))
        while get(f"{soon.index_url}/good/").status != 200:
            pass  # once it has that page, it keeps it
        yield Place(near, far, soon, decoy, upstream)
        for server in (near, far, soon):
            assert "Traceback" not in server.output, server.output
