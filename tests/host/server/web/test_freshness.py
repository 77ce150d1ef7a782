"""How old a page may be: by the server's option, by the upstream, and by a client."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from pyodide_mirror.server import create_app
from pyodide_mirror.server.upstreams.upstream import FRESH_MISSING
from pyodide_mirror.server.web.freshness import ASK_EVERY, PAGE_TTL, fresh_for, lifetime, wants_anew
from tests.support.asgi import WHEEL, Index, ask, document, entry, origin, shut
from tests.support.logins import BOTH, READER, UPLOADER, basic, bearer, write_login_files
from tests.support.upstream_world import World, a_world
from tests.support.wheels import make_wheel


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "public"}, None),
        ({"cache-control": "max-age=600, public"}, 600),
        ({"cache-control": "Max-Age=60"}, 60),
        ({"cache-control": "max-age=60, s-maxage=10"}, 10),
        ({"cache-control": "max-age=60", "age": "50"}, 10),
        ({"cache-control": "max-age=60", "age": "500"}, 0),
        ({"cache-control": "max-age=60, no-cache"}, 0),
        ({"cache-control": "private, no-store"}, 0),
        ({"cache-control": "max-age=-1"}, None),
        ({"cache-control": "max-age=inf"}, None),
        ({"cache-control": 'max-age="60"', "age": "x"}, 60),
    ],
)
def test_what_an_upstream_says(headers: dict[str, str], seconds: float | None) -> None:
    assert lifetime(headers) == seconds


@given(st.text(), st.text())
def test_whatever_it_says_is_a_time_or_nothing(told: str, age: str) -> None:
    found = lifetime({"cache-control": told, "age": age})
    assert found is None or 0 <= found < 1e9


def test_the_shorter_time_counts_but_none_under_five_seconds() -> None:
    assert fresh_for(PAGE_TTL, None) == PAGE_TTL
    assert fresh_for(PAGE_TTL, 60) == 60
    assert fresh_for(60, 600) == 60
    assert fresh_for(PAGE_TTL, 0) == ASK_EVERY
    assert fresh_for(1, 0) == 1
    assert fresh_for(0, 600) == 0


@pytest.mark.parametrize(
    ("headers", "anew"),
    [
        ({}, False),
        ({"cache-control": "max-age=0"}, False),  # pip's
        ({"cache-control": "no-cache"}, True),
        ({"cache-control": "max-age=0, No-Cache"}, True),
        ({"pragma": "no-cache"}, True),
        ({"cache-control": "max-age=9", "pragma": "no-cache"}, False),
    ],
)
def test_what_a_client_wants(headers: dict[str, str], anew: bool) -> None:
    assert wants_anew(Headers(headers)) is anew


async def test_an_upstream_is_asked_when_its_own_time_is_over(world: World) -> None:
    world.index.page(document(), headers={"cache-control": "max-age=60", "etag": '"1"'})
    await world.upstream.page("x")
    world.later(60)
    async with world.restarted() as again:  # it is kept with the page
        await again.page("x")
        assert world.pages_asked == 1
        world.later(1)
        await again.page("x")
        assert world.pages_asked == 2


async def test_one_that_wants_no_caching_is_asked_every_five_seconds(world: World) -> None:
    world.index.page(document(), headers={"cache-control": "no-store"})
    for asked in (1, 1, 2):
        await world.upstream.page("x")
        assert world.pages_asked == asked
        world.later(ASK_EVERY * 0.6)


async def test_who_wants_it_anew_gets_it_unless_it_was_just_asked_for(world: World) -> None:
    await world.upstream.page("x")
    world.index.page(document(entry(), entry(make_wheel("x", "2.0"))))
    page = await world.upstream.page("x", anew=True)
    assert page is not None
    assert page.versions == ("1.0",)
    world.later(ASK_EVERY + 1)
    page = await world.upstream.page("x", anew=True)
    assert page is not None
    assert page.versions == ("1.0", "2.0")
    assert world.pages_asked == 2


async def test_a_project_that_was_missing_is_asked_for_anew_too(world: World) -> None:
    assert await world.upstream.page("y") is None
    world.later(ASK_EVERY + 1)
    assert ASK_EVERY + 1 < FRESH_MISSING
    await world.upstream.page("y", anew=True)
    assert world.origin.paths.count("/simple/y/") == 2


async def test_what_was_forgotten_is_asked_for_also_after_a_restart(world: World) -> None:
    await world.upstream.page("x")
    async with world.restarted() as again:
        await again.forget("x")  # read from the disk
        await again.page("x")
        assert world.pages_asked == 2
        await again.forget("x")
        await again.forget("no-such-project")
    async with world.restarted() as again:
        await again.page("x")
    assert world.pages_asked == 3


async def test_a_file_without_a_digest_is_forgotten_with_its_page(world: World) -> None:
    world.index.page(document(entry(hashes={})))
    for count in (1, 2):
        page = await world.upstream.page("x")
        assert page is not None
        blob: Any = await world.upstream.blob("x", page.files[0])
        await blob.whole()
        assert world.origin.paths.count(f"/files/{WHEEL.filename}") >= count
        await world.upstream.forget("x")


async def test_the_option_a_client_and_delete_reach_the_upstream(tmp_path: Path) -> None:
    index = Index()
    index.page(document())
    files = write_login_files(tmp_path)
    async with origin(index) as upstream:
        urls, cache = [f"{upstream.url}/simple"], tmp_path / "cache"
        app: Any = create_app(
            upstreams=urls, cache=cache, cdns=[], page_ttl=30, token_file=files.tokens
        )

        async def asked() -> int:
            answer = await ask(app, "/simple/x/", bearer(READER))
            assert answer.status == 200
            return upstream.paths.count("/simple/x/")

        assert [await asked(), await asked()] == [1, 1]
        for method, login, status in [
            ("DELETE", {}, 401),
            ("DELETE", bearer(READER), 403),
            ("DELETE", basic(), 401),
            ("DELETE", {**bearer(UPLOADER), "origin": "https://lab.example"}, 403),
            ("POST", bearer(UPLOADER), 405),
            ("GET", bearer(READER), 405),
        ]:
            answer = await ask(app, "/cache/x", login, method=method)
            assert answer.status == status, (method, login)
        assert await asked() == 1
        for login in (bearer(UPLOADER), bearer(BOTH), basic("__token__", UPLOADER)):
            answer = await ask(app, "/cache/X", login, method="DELETE")
            assert (answer.status, answer.body) == (204, b"")
            await asked()
        assert upstream.paths.count("/simple/x/") == 4
        assert (await ask(app, "/cache/-", bearer(BOTH), method="DELETE")).status == 404
        answer = await ask(app, "/simple/x/", bearer(READER), method="DELETE")
        assert answer.status == 405
        await shut(app)
        app = create_app(upstreams=urls, cache=cache, cdns=[], page_ttl=0)
        before = upstream.paths.count("/simple/x/")
        for _ in range(2):
            answer = await ask(app, "/simple/x/", {"cache-control": "no-cache"})
            assert answer.headers["cache-control"] == "public, max-age=0"
        assert upstream.paths.count("/simple/x/") == before + 2
        assert len(json.loads(answer.body)["files"]) == 1
        assert (await ask(app, "/cache/x", bearer(UPLOADER), method="DELETE")).status == 405
        await shut(app)


@pytest.mark.parametrize("ttl", [-1, float("inf"), float("nan"), "60", True])
def test_what_is_no_time_is_refused(ttl: Any) -> None:
    with pytest.raises(ValueError, match="page_ttl must be a number of seconds, 0 or more"):
        create_app(upstreams=[], page_ttl=ttl)


@pytest.mark.parametrize(
    ("has_logins", "allowed"), [(True, "DELETE, OPTIONS"), (False, "OPTIONS")], ids=["logins", ""]
)
async def test_what_a_page_to_forget_allows_is_said(
    tmp_path: Path, has_logins: bool, allowed: str
) -> None:
    tokens = write_login_files(tmp_path).tokens if has_logins else None
    app = create_app(upstreams=[], token_file=tokens)
    methods = ["OPTIONS", "GET", "HEAD", "POST", "PUT", *([] if has_logins else ["DELETE"])]
    for method in methods:
        answer = await ask(app, "/cache/x", bearer(BOTH), method=method)
        status = 204 if method == "OPTIONS" else 405
        assert (answer.status, answer.headers["allow"]) == (status, allowed), method
        said = "forgotten" in answer.text
        assert said == (method not in {"OPTIONS", "HEAD"}), answer.text
