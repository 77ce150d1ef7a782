"""A small index of a few wheels, readable from every page, one page of which can be held back."""

import json
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.support.upstreams import part_of
from tests.support.wheels import Wheel
from tests.zoo.server import Request, Response, Server

_CORS = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-headers", "authorization"),
)
_JSON = ("content-type", "application/vnd.pypi.simple.v1+json")


class SmallIndex:
    """An index with these wheels; ``sizes``: its pages have them.

    ``/asked`` answers as soon as somebody has asked for the page of ``zoo-nowhere``, which is a 404
    that is only given after a request of ``/release``.
    """

    def __init__(self, *wheels: Wheel, sizes: bool = False) -> None:
        self._sizes = sizes
        self._wheels = {wheel.filename: wheel for wheel in wheels}
        self._asked, self._released = threading.Event(), threading.Event()
        self.paths: list[str] = []
        """What was asked for, in its order."""
        self.parts: list[str] = []
        """The Range headers of the requests for files."""
        self._server = Server(self._answer)
        self.origin = f"http://127.0.0.1:{self._server.port}"
        self.url = f"{self.origin}/simple"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._asked.set()
        self._released.set()
        self._server.close()

    def _answer(self, request: Request) -> Response:
        self.paths.append(request.path)
        *_, folder, name = request.path.rstrip("/").split("/")
        if name == "asked":
            self._asked.wait(30)
        elif name == "release":
            self._released.set()
        elif folder == "files" and name in self._wheels:
            self.parts.append(request.header("Range") or "")
            return part_of(request, Response(headers=_CORS, body=self._wheels[name].data))
        elif folder == "simple":
            found = [wheel for wheel in self._wheels.values() if wheel.name == name]
            if found:
                return self._page(name, found)
            if name == "zoo-nowhere":
                self._asked.set()
                self._released.wait(30)
            return Response(status=404, headers=_CORS)
        else:
            return Response(status=404, headers=_CORS)
        return Response(headers=_CORS)

    def _page(self, name: str, wheels: Sequence[Wheel]) -> Response:
        files = [
            {
                "filename": wheel.filename,
                "url": f"{self.origin}/files/{wheel.filename}",
                "hashes": {"sha256": wheel.sha256},
                **({"size": len(wheel.data)} if self._sizes else {}),
            }
            for wheel in wheels
        ]
        page = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
        return Response(headers=(*_CORS, _JSON), body=json.dumps(page).encode())
