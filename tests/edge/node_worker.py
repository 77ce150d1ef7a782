"""Run the worker in plain Node, over an upstream whose every chunk the test decides."""

import atexit
import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.edge.driver import Driver
from tests.edge.workerd import WORKER
from tests.zoo.parts import JSON_V1

ORIGIN = "https://mirror.example"
UPSTREAM = "https://index.example/simple"
FILES = "https://files.example"
_ENV = {"UPSTREAM": UPSTREAM, "FILE_HOSTS": FILES}
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the worker answered; `broken` where its body broke off."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    broken: bool
    asked: list[dict[str, Any]]
    """The requests that it made: url, method, headers, redirect."""
    left: int
    """How many of the upstream's chunks it did not read."""


def ask(
    path: str,
    chunks: Iterable[bytes],
    *,
    status: int = 200,
    upstream_headers: Mapping[str, str] | None = None,
    breaks: bool = False,
    headers: Mapping[str, str] = _NOTHING,
    method: str = "GET",
    env: Mapping[str, str] = _NOTHING,
) -> Answer:
    """Ask the worker; the upstream answers whatever it is asked with these chunks."""
    found = _driver().call(
        env=_ENV | dict(env),
        path=path,
        headers=dict(headers),
        method=method,
        upstream={
            "status": status,
            "headers": dict(upstream_headers or {"Content-Type": JSON_V1}),
            "chunks": [_base64(chunk) for chunk in chunks],
            "breaks": breaks,
        },
    )
    return Answer(
        found["status"],
        found["headers"],
        base64.b64decode(found["body"]),
        found["broken"],
        found["asked"],
        found["left"],
    )


def differing_splits(path: str, page: bytes, env: Mapping[str, str]) -> tuple[list[int], str]:
    """Cut a page in two at each place; returns the cuts that change its meaning, and that."""
    found = _driver().call(env=_ENV | dict(env), path=path, splits=_base64(page))
    return found["differing"], found["whole"]


def cpu_milliseconds(path: str, page: bytes, *, times: int, chunk: int = 32_768) -> list[float]:
    """CPU time that each of several answers takes in Node, garbage collection included."""
    found = _driver().call(env=_ENV, path=path, measure=_base64(page), chunk=chunk, times=times)
    milliseconds: list[float] = found["milliseconds"]
    return milliseconds


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@cache
def _driver() -> Driver:
    driver = Driver(Path(__file__).with_name("node_driver.mjs"), str(WORKER))
    atexit.register(driver.close)
    return driver
