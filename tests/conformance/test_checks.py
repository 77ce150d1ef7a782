from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.conformance.checks import CHECKS, Capabilities, Check, Context, run
from tests.conformance.spoilers import Spoiler, spoiled
from tests.conformance.wrong import SPOILERS
from tests.support.own_server import Served, serving_here
from tests.support.upstreams import KINDS, Kind, upstream

OURS = Capabilities(
    ours=True, metadata_from_wheels=True, verifies_files=True, single_flight=True, patience=8
)
BY_NAME = {check.name: check for check in CHECKS}


class Stands:
    """Our server over each kind of upstream, started when it is first wanted."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._standing: dict[Kind, tuple[Context, Served]] = {}

    def over(self, kind: Kind) -> tuple[Context, Served]:
        if kind not in self._standing:
            index = self._stack.enter_context(upstream(kind))
            folder = index.path if kind == "folder" else None
            urls = [] if folder else [index.url]
            server = self._stack.enter_context(serving_here(folder, urls, timeout=1))
            self._standing[kind] = Context(server.index_url, index, OURS), server
        return self._standing[kind]

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def stands() -> Iterator[Stands]:
    stands = Stands()
    yield stands
    stands.close()


def failed(check: Check, context: Context) -> str:
    try:
        check.run(context)
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


@pytest.mark.parametrize("spoiler", SPOILERS, ids=lambda one: one.name.replace(" ", "-"))
def test_what_is_wrong_is_seen(stands: Stands, spoiler: Spoiler) -> None:
    context, server = stands.over(spoiler.kind)
    index = context.upstream
    can = replace(OURS, **spoiler.capabilities)
    with spoiled(spoiler, server.url, index) as url:
        unseen = [
            name for name in spoiler.breaks if not failed(BY_NAME[name], Context(url, index, can))
        ]
    assert not unseen


def test_every_check_can_fail() -> None:
    broken = {name for spoiler in SPOILERS for name in spoiler.breaks}
    assert broken == BY_NAME.keys()


def test_no_two_checks_have_one_name() -> None:
    assert len(BY_NAME) == len(CHECKS) >= 60


def test_every_check_applies_somewhere_and_says_what_it_means() -> None:
    for check in CHECKS:
        assert check.on <= set(KINDS)
        assert check.on
        assert check.meaning.endswith(".")


def test_a_check_that_cannot_even_connect_fails_and_the_others_go_on() -> None:
    with upstream("refused") as index:
        results = run(index.url, index, replace(OURS, patience=1))
    assert len(results) > 5
    assert not any(result.passed for result in results)
    assert all("ConnectionRefusedError" in result.detail for result in results)


def test_what_is_held_back_comes_when_it_is_released() -> None:
    with upstream("json") as index, index.held(padding=100_000) as held:
        page = Context(index.url, index).json_page(held.wheel.name)
        origin, _, path = page["files"][0]["url"].removeprefix("http://").partition("/")
        with Context(f"http://{origin}", index).connect(30) as connection:
            connection.ask("GET", f"/{path}")
            response = connection.begin()
            half = response.read(len(held.wheel.data) // 2)
            held.release()
            assert half + response.read() == held.wheel.data
