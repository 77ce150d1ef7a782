"""A server that needs a login: who is let in, and what the others are told."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.own_wheels import page_wheel
from pyodide_mirror.server import create_app
from tests.support.asgi import WHEEL, Answer, Index, ask, document, entry, origin, shut
from tests.support.logins import (
    BOTH,
    HASHED,
    READER,
    UPLOADER,
    USER,
    LoginFiles,
    basic,
    bearer,
    write_login_files,
)
from tests.support.wheels import make_wheel

LOCAL = make_wheel("local-only", "1.0")
LAB = "https://lab.example"
FILE = f"/files/{LOCAL.sha256[:16]}/local-only/{LOCAL.filename}"
ALL = ("/", "/simple/", "/simple/local-only/", "/simple/x/", "/pypi/simple/x/", FILE)
ALL += (f"{FILE}.metadata", "/simple/Local_Only/", "/simple/local-only", "/nothing")


@pytest.fixture
def files(tmp_path: Path) -> LoginFiles:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / LOCAL.filename).write_bytes(LOCAL.data)
    return write_login_files(tmp_path)


@pytest.fixture
async def app(tmp_path: Path, files: LoginFiles) -> AsyncIterator[Any]:
    index = Index()
    index.page(document(entry()))
    index.file(WHEEL.filename, WHEEL.data)
    async with origin(index) as upstream:
        made = create_app(
            tmp_path / "wheels",
            upstreams=[f"{upstream.url}/simple"],
            cache=tmp_path / "cache",
            allow_origins=[LAB],
            cdns=[],
            auth=files.auth,
            token_file=files.tokens,
        )
        yield made
        for request in upstream.requests:
            assert "authorization" not in request.headers
        await shut(made)


def check_refused(answer: Answer, status: int = 401) -> None:
    """A refusal that a page of the allowed origin can read, and no cache keeps."""
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == LAB
    assert answer.headers["cache-control"] == "no-store"
    assert {"Origin", "Authorization"} <= set(answer.headers["vary"].split(", "))
    if status == 401:
        assert answer.headers["www-authenticate"] == (
            'Basic realm="pyodide-mirror", charset="UTF-8", Bearer realm="pyodide-mirror"'
        )
        assert "WWW-Authenticate" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_without_a_login_nothing_is_told(app: Any, method: str) -> None:
    for path in ALL:
        answer = await ask(app, path, {"origin": LAB}, method=method)
        check_refused(answer)
        told = b"401: This server needs a login: a user and a password (Basic), or a token (Bearer)"
        assert answer.body == (told + b".\n" if method == "GET" else b"")


@pytest.mark.parametrize(
    "login",
    [
        basic(),
        basic(encoding="latin-1"),
        basic("__token__", READER),
        bearer(READER),
        bearer(BOTH),
    ],
    ids=["password", "password of pip", "token as password", "token", "token that may both"],
)
async def test_with_one_all_is_read(app: Any, login: dict[str, str]) -> None:
    for path in ALL:
        answer = await ask(app, path, login)
        assert answer.status == (
            404 if path == "/nothing" else 301 if "Only" in path or path.endswith("only") else 200
        ), path
        assert "www-authenticate" not in answer.headers
        caching = answer.headers["cache-control"]
        assert caching.startswith("private") or caching == "no-store", (path, caching)
        assert "Authorization" in answer.headers["vary"].split(", ")


async def test_caching_stays_as_it_was_but_for_shared_caches(app: Any) -> None:
    page = json.loads((await ask(app, "/simple/x/", bearer())).body)
    path = page["files"][0]["url"].removeprefix("http://mirror.localhost")
    for target, caching in [
        ("/simple/x/", "private, no-cache"),
        (path, "private, max-age=31536000, immutable"),
        (FILE, "private, no-cache"),
    ]:
        answer = await ask(app, target, bearer())
        assert answer.headers["cache-control"] == caching
        unchanged = {**bearer(), "if-none-match": answer.headers["etag"]}
        answer = await ask(app, target, unchanged)
        assert (answer.status, answer.headers["cache-control"]) == (304, caching)
    answer = await ask(app, path, {**bearer(), "range": "bytes=0-9"})
    assert (answer.status, answer.body) == (206, WHEEL.data[:10])


@pytest.mark.parametrize(
    ("login", "status", "sentence"),
    [
        (basic(USER, "wrong"), 401, "No such user with this password, or no such token, is known"),
        (basic("bob"), 401, "No such user"),
        (basic(USER, HASHED), 401, "No such user"),
        (basic(USER, READER), 401, "No such user"),
        (bearer("wrong"), 401, "No such user"),
        (bearer(READER[:-1]), 401, "No such user"),
        (basic("__token__", "wrong"), 401, "No such user"),
        (bearer(UPLOADER), 403, "This login may not read"),
        (basic("__token__", UPLOADER), 403, "This login may not read"),
        ({"authorization": "Basic !"}, 401, "has no proper base64"),
        ({"authorization": "Digest x"}, 401, "neither Basic nor Bearer"),
    ],
)
async def test_a_wrong_one_is_refused_and_told_why(
    app: Any,
    login: dict[str, str],
    status: int,
    sentence: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await ask(app, "/simple/local-only/", {**login, "origin": LAB})
    check_refused(answer, status)
    assert sentence in answer.text
    secret = login["authorization"].split()[1]
    assert secret not in answer.text + caplog.text or len(secret) < 8


async def test_a_preflight_needs_none_and_allows_one_to_pages_that_may_read(app: Any) -> None:
    asked = {
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,accept",
    }
    answer = await ask(app, "/simple/x/", {**asked, "origin": LAB}, method="OPTIONS")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == LAB
    assert answer.headers["access-control-allow-headers"] == "authorization,accept"
    assert answer.headers["access-control-allow-credentials"] == "true"
    other = {**asked, "origin": "https://other.example"}
    answer = await ask(app, "/simple/x/", other, method="OPTIONS")
    assert answer.status == 204
    assert not [name for name in answer.headers if name.startswith("access-control-allow")]


async def test_another_origin_cannot_read_even_with_a_login(app: Any) -> None:
    answer = await ask(app, "/simple/x/", {**bearer(), "origin": "https://other.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers


async def test_where_all_origins_may_read_none_may_with_what_the_browser_has_stored(
    tmp_path: Path, files: LoginFiles
) -> None:
    app = create_app(upstreams=[], cache=tmp_path / "cache", auth=files.auth)
    answer = await ask(app, "/simple/", {**basic(), "origin": LAB})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in answer.headers


# --- what everybody may read --------------------------------------------------------------------


async def test_our_own_wheel_and_pyodide_as_released_are_for_all(app: Any) -> None:
    """A page that has nothing yet cannot send a login with what it imports."""
    name, content = page_wheel()
    answer = await ask(app, f"/{name}")
    assert (answer.status, answer.body) == (200, content)
    page = await ask(app, "/simple/pyodide-mirror/")
    assert (page.status, page.headers["cache-control"]) == (200, "no-cache")
    for file in json.loads(page.body)["files"]:
        path = file["url"].removeprefix("http://mirror.localhost")
        assert (await ask(app, path)).status == 200
        assert (await ask(app, f"{path}.metadata")).status == 200
    # There is no CDN here from which to get it.
    answer = await ask(app, "/pyodide/v314.0.7/full/pyodide.mjs")
    assert (answer.status, "this server asks no CDN" in answer.text) == (404, True)
    for path in (
        "/pyodide/v0.0.0/full/pyodide.mjs",
        "/files/x/local-only/pyodide-mirror/",
        "/pyodide_mirror-9-py3-none-any.whl",
    ):
        assert (await ask(app, path)).status == 401


async def test_what_a_folder_has_under_our_name_is_not(
    tmp_path: Path, files: LoginFiles, app: Any
) -> None:
    other = make_wheel("pyodide-mirror", "9.0")
    (tmp_path / "wheels" / other.filename).write_bytes(other.data)
    assert (await ask(app, "/simple/pyodide-mirror/")).status == 401
    path = f"/files/{other.sha256[:16]}/pyodide-mirror/{other.filename}"
    assert (await ask(app, path)).status == 401
    assert (await ask(app, path, bearer())).body == other.data


async def test_a_release_of_ones_own_is_not(tmp_path: Path, files: LoginFiles) -> None:
    release = tmp_path / "release"
    release.mkdir()
    (release / "pyodide-lock.json").write_text('{"packages": {}}')
    (release / "package.json").write_text('{"version": "314.0.7"}')
    app = create_app(upstreams=[], cache=tmp_path / "c", pyodide=[release], auth=files.auth)
    path = "/pyodide/v314.0.7/full/pyodide-lock.json"
    assert (await ask(app, path)).status == 401
    assert (await ask(app, path, basic())).status == 200


async def test_a_health_check_without_a_login_learns_that_all_is_well(app: Any) -> None:
    assert json.loads((await ask(app, "/healthz")).body) == {"status": "ok"}
    assert "upstreams" in json.loads((await ask(app, "/healthz", bearer())).body)


# --- the files ----------------------------------------------------------------------------------


async def test_where_tokens_may_only_upload_reading_is_for_all(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"upload {UPLOADER}\n")
    app = create_app(upstreams=[], cache=tmp_path / "c", token_file=tokens)
    answer = await ask(app, "/simple/")
    assert answer.status == 200
    assert "Authorization" not in answer.headers["vary"]
    tokens.write_text(f"read {READER}\n")
    assert (await ask(app, "/simple/")).status == 401
    tokens.write_text(f"upload {UPLOADER}\n")  # once closed, it stays so
    assert (await ask(app, "/simple/")).status == 401


async def test_a_file_that_cannot_be_read_closes_the_server(
    app: Any, files: LoginFiles, caplog: pytest.LogCaptureFixture
) -> None:
    files.tokens.write_text("read a-slip-of-the pen\n")
    for login in ({}, basic(), bearer()):
        answer = await ask(app, "/simple/local-only/", {**login, "origin": LAB})
        check_refused(answer, 503)
        assert answer.headers["retry-after"] == "5"
        assert "slip" not in answer.text
    assert len(caplog.records) == 1


def test_a_file_that_cannot_be_read_at_the_start_is_an_error(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("ann:hunter2\n")
    for option, sentence in [
        ({"auth": tmp_path / "no"}, "the file of users '.*' cannot be read: No such file"),
        ({"auth": tmp_path}, "the file of users '.*' cannot be read: Is a directory"),
        ({"auth": wrong}, "the file of users '.*': line 1: the password is not hashed"),
        ({"token_file": wrong}, "the file of tokens '.*': line 1 does not begin with `read`"),
    ]:
        with pytest.raises(ValueError, match=sentence) as caught:
            create_app(upstreams=[], cache=tmp_path / "c", **option)
        assert "hunter2" not in str(caught.value)
