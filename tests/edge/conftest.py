"""What the tests of the worker share: a way to ask it, and all animals of the zoo behind it."""

import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.edge.workerd import Setting, workers
from tests.zoo.zoo import ANIMALS, Zoo

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its whole body; `cut` where that broke off."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    cut: bool = False

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def ask(url: str, headers: Mapping[str, str] = _NOTHING, *, method: str = "GET") -> Answer:
    """Ask for a URL as it stands: nothing in it is changed, and no redirect is followed."""
    parts = urlsplit(url)
    target = url[len(f"{parts.scheme}://{parts.netloc}") :]
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    try:
        connection.request(method, target, headers={"Connection": "close", **headers})
        answer = connection.getresponse()
        try:
            body, cut = answer.read(), False
        except http.client.IncompleteRead as error:
            body, cut = error.partial, True
        return Answer(answer.status, answer.headers, body, cut)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def mirrored(zoo: Zoo) -> Iterator[Mapping[str, str]]:
    """The origin of a worker over each animal of the zoo, by its name."""
    settings = []
    for name in ANIMALS:
        animal = zoo[name]
        # Its second origin, and the one where nobody listens: what is there may be asked for.
        variables: dict[str, Any] = {"TIMEOUT_MS": "1500"}
        hosts = [animal.there, animal.closed] if animal.animal.scheme == "http" else []
        settings.append(Setting(upstream=animal.url, file_hosts=hosts, variables=variables))
    with workers(settings) as running:
        yield {name: one.url for name, one in zip(ANIMALS, running, strict=True)}
