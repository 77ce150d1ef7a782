"""A folder as clients see it through the server, while it changes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import uv

from pyodide_mirror.server import create_app
from tests.support.asgi import (
    ASGI,
    WHEEL,
    Answer,
    Index,
    Origin,
    ask,
    check_readable,
    document,
    entry,
    origin,
    shut,
)
from tests.support.own_server import clean_environment, serving
from tests.support.wheels import Sdist, make_wheel

OLD = make_wheel("zpkg", "1.0")
NEW = make_wheel("zpkg", "1.1")
HERE = {"host": "127.0.0.1:8080"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "wheels"
    made.mkdir()
    return made


@pytest.fixture
async def index() -> AsyncIterator[Origin]:
    """An upstream that has a project x."""
    answers = Index()
    answers.page(document(entry()))
    async with origin(answers) as running:
        yield running


@pytest.fixture
async def app(folder: Path, index: Origin, tmp_path: Path) -> AsyncIterator[ASGI]:
    made: Any = create_app(folder, upstreams=[f"{index.url}/simple"], cache=tmp_path / "cache")
    yield made
    await shut(made)


def drop(folder: Path, *dists: Sdist) -> None:
    for dist in dists:
        (folder / dist.filename).write_bytes(dist.data)


def files(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [file["filename"] for file in json.loads(answer.body)["files"]]


async def test_what_is_dropped_in_is_what_the_next_request_sees(app: ASGI, folder: Path) -> None:
    answer = await ask(app, "/simple/zpkg/", HERE)
    assert (answer.status, answer.headers["cache-control"]) == (404, "no-store")
    for dist, expected in [(OLD, [OLD.filename]), (NEW, [OLD.filename, NEW.filename])]:
        drop(folder, dist)
        answer = await ask(
            app, "/simple/zpkg/", {**HERE, "if-none-match": answer.headers.get("etag", "")}
        )
        assert files(answer) == expected
        assert answer.headers["cache-control"] == "no-cache"


async def test_what_is_dropped_in_takes_the_place_of_an_upstreams_page(
    app: ASGI, folder: Path
) -> None:
    """So no client may take that page from its own cache without asking."""
    answer = await ask(app, "/simple/x/", HERE)
    assert files(answer) == [WHEEL.filename]
    assert answer.headers["cache-control"] == "no-cache"
    unchanged = {**HERE, "if-none-match": answer.headers["etag"]}
    assert (await ask(app, "/simple/x/", unchanged)).status == 304
    newer = make_wheel("x", "9.0")
    drop(folder, newer)
    assert files(await ask(app, "/simple/x/", unchanged)) == [newer.filename]


async def test_without_a_folder_an_upstreams_page_may_be_kept_for_a_minute(
    index: Origin, tmp_path: Path
) -> None:
    made: Any = create_app(upstreams=[f"{index.url}/simple"], cache=tmp_path / "cache")
    answer = await ask(made, "/simple/x/", HERE)
    assert answer.headers["cache-control"] == "public, max-age=60"
    await shut(made)


async def test_what_cannot_be_read_now_is_503_and_asked_for_nowhere(
    app: ASGI, folder: Path, index: Origin, tmp_path: Path
) -> None:
    """Dependency confusion: the upstream has a project of the same name."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    drop(elsewhere, make_wheel("x", "0.1"))
    (folder / "link").symlink_to(elsewhere)
    url = json.loads((await ask(app, "/simple/x/", HERE)).body)["files"][0]["url"]
    elsewhere.rename(tmp_path / "away")
    before = len(index.requests)
    for path in ("/simple/x/", url.partition("8080")[2]):
        answer = await ask(app, path, HERE)
        assert answer.status == 503
        assert answer.text == "503: Folder wheels: link: No such file or directory.\n"
        assert answer.headers["retry-after"] == "10"
        check_readable(answer)
    assert len(index.requests) == before
    names = json.loads((await ask(app, "/simple/", HERE)).body)["projects"]
    assert {"name": "x"} in names
    shown = (await ask(app, "/", HERE)).text
    assert (
        '<th scope="row">link</th><td>folder wheels</td><td>No such file or directory</td>' in shown
    )
    shutil.rmtree(folder)
    answer = await ask(app, "/simple/x/", HERE)
    assert (answer.status, len(index.requests)) == (503, before)
    answer = await ask(app, "/", HERE)
    assert answer.status == 200
    assert "it cannot be read now (No such file or directory)" in answer.text


async def test_the_page_for_people_says_what_is_left_out(app: ASGI, folder: Path) -> None:
    assert "Left out" not in (await ask(app, "/", HERE)).text
    (folder / "<b>.whl").write_bytes(b"")
    text = (await ask(app, "/", HERE)).text
    assert "Left out: 1<" in text
    assert "&lt;b&gt;.whl</th><td>folder wheels</td><td>it is not named like a wheel" in text
    for number in range(60):
        (folder / f"{number}.whl").write_bytes(b"")
    text = (await ask(app, "/", HERE)).text
    assert "Left out: 61<" in text
    assert "and 11 more" in text


def test_uv_sees_at_once_what_is_dropped_in(folder: Path, tmp_path: Path) -> None:
    """With its cache, which keeps pages for as long as they say."""
    upstream = tmp_path / "upstream"
    upstream.mkdir()
    drop(upstream, OLD)
    with serving(upstream) as index, serving(folder, [index.index_url]) as server:
        for version in ("1.0", "1.1"):
            target = tmp_path / version
            command = [uv.find_uv_bin(), "pip", "install", "--target", os.fspath(target)]
            command += ["--cache-dir", os.fspath(tmp_path / "uv"), "--python", sys.executable]
            done = subprocess.run(
                [*command, "--default-index", server.index_url, f"zpkg=={version}"],
                check=False,
                capture_output=True,
                text=True,
                env=clean_environment(),
            )
            assert done.returncode == 0, done.stderr
            assert (target / f"zpkg-{version}.dist-info").is_dir()
            drop(folder, OLD, NEW)
