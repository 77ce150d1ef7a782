"""Several folders: which file is served, and what happens while one cannot be read."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
from tests.support.wheels import Sdist, make_wheel

BASE = "http://mirror.localhost"
OLD = make_wheel("acme", "1.0")
NEW = make_wheel("acme", "2.0")
OTHER = make_wheel("acme", "1.0", padding=10)
BETA = make_wheel("beta", "1.0")


def drop(folder: Path, *dists: Sdist) -> None:
    for dist in dists:
        (folder / dist.filename).write_bytes(dist.data)


@dataclass
class World:
    """A server over two folders and an index that has all of it, too."""

    app: ASGI
    first: Path
    second: Path
    upstream: Origin

    async def get(self, target: str, **headers: str) -> Answer:
        """Ask the server."""
        return await ask(self.app, target, headers)

    async def digests(self, project: str) -> dict[str, str]:
        """What the page of a project lists."""
        answer = await self.get(f"/simple/{project}/")
        assert answer.status == 200, answer.text
        return {
            file["filename"]: file["hashes"]["sha256"] for file in json.loads(answer.body)["files"]
        }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    index = Index()
    for name in ("x", "acme", "beta"):
        index.answers[f"/simple/{name}/"] = index.answers.get("/simple/x/") or _page(index)
    async with origin(index) as running:
        app: Any = create_app(
            [first, second], upstreams=[f"{running.url}/simple"], cache=tmp_path / "cache"
        )
        yield World(app, first, second, running)
        await shut(app)


def _page(index: Index) -> Any:
    index.page(document(entry()))
    return index.answers["/simple/x/"]


async def test_a_project_may_be_in_both(world: World) -> None:
    drop(world.first, OLD)
    drop(world.second, NEW, BETA)
    answer = await world.get("/simple/acme/")
    page = json.loads(answer.body)
    assert page["versions"] == ["1.0", "2.0"]
    for file, wheel in zip(page["files"], (OLD, NEW), strict=True):
        path = file["url"].removeprefix(BASE)
        assert (await world.get(path)).body == wheel.data
        assert (await world.get(f"{path}.metadata")).body == wheel.metadata
    unchanged = {"if-none-match": answer.headers["etag"]}
    assert (await world.get("/simple/acme/", **unchanged)).status == 304
    assert await world.digests("beta") == {BETA.filename: BETA.sha256}
    assert world.upstream.requests == []
    assert await world.digests("x") == {WHEEL.filename: WHEEL.sha256}
    names = [each["name"] for each in json.loads((await world.get("/simple/")).body)["projects"]]
    assert names == ["acme", "beta", "pyodide-mirror", "x"]


async def test_of_one_name_the_first_folders_file_is_served(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    drop(world.first, OLD)
    drop(world.second, OTHER, NEW)
    for _ in range(2):
        found = await world.digests("acme")
        assert found == {OLD.filename: OLD.sha256, NEW.filename: NEW.sha256}
    said = f"left out for now: folder second: {OLD.filename}: folder first has another file of"
    assert caplog.text.count(said) == 1
    shown = (await world.get("/")).text
    told = "folder first has another file of this name"
    assert f"{OLD.filename}</th><td>folder second</td><td>{told}</td>" in shown
    assert "Left out: 1<" in shown
    (world.first / OLD.filename).unlink()
    assert (await world.digests("acme"))[OTHER.filename] == OTHER.sha256
    assert "Left out" not in (await world.get("/")).text


async def test_the_same_file_in_both_is_no_warning(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    drop(world.first, OLD)
    drop(world.second, OLD)
    assert await world.digests("acme") == {OLD.filename: OLD.sha256}
    assert "left out" not in caplog.text
    shown = (await world.get("/")).text
    assert "<td>folder first has the same name</td>" in shown


async def test_what_was_in_a_folder_that_cannot_be_read_is_503_and_asked_for_nowhere(
    world: World,
) -> None:
    drop(world.first, OLD)
    drop(world.second, NEW, BETA)
    path = json.loads((await world.get("/simple/beta/")).body)["files"][0]["url"]
    world.second.rename(world.second.with_name("away"))
    for target in ("/simple/beta/", "/simple/acme/", path.removeprefix(BASE)):
        answer = await world.get(target)
        assert answer.status == 503, target
        assert "Folder second: it cannot be read now (No such file" in answer.text
        assert answer.headers["retry-after"] == "10"
        check_readable(answer)
    assert world.upstream.requests == []
    # What it never had is where it was.
    assert await world.digests("x") == {WHEEL.filename: WHEEL.sha256}
    drop(world.first, make_wheel("gamma", "1.0"))
    assert len(await world.digests("gamma")) == 1
    names = [each["name"] for each in json.loads((await world.get("/simple/")).body)["projects"]]
    assert {"acme", "beta", "gamma"} <= set(names)
    shown = (await world.get("/")).text
    assert "it cannot be read now (No such file or directory)" in shown
    world.second.with_name("away").rename(world.second)
    assert await world.digests("beta") == {BETA.filename: BETA.sha256}


async def test_of_a_folder_that_was_never_read_nothing_is_known(world: World) -> None:
    """Any project may be in it, so no upstream is asked for one."""
    drop(world.first, OLD)
    world.second.rmdir()
    for project in ("x", "acme", "nothing"):
        assert (await world.get(f"/simple/{project}/")).status == 503
    assert (await world.get("/simple/")).status == 503
    assert (await world.get("/")).status == 200
    assert world.upstream.requests == []


async def test_a_file_that_is_gone_since_its_page_was_read_is_no_other(world: World) -> None:
    drop(world.first, OLD)
    drop(world.second, OTHER)
    path = json.loads((await world.get("/simple/acme/")).body)["files"][0]["url"]
    (world.first / OLD.filename).unlink()
    answer = await world.get(path.removeprefix(BASE))
    assert answer.status == 404
    assert "read the page again" in answer.text


async def test_many_at_once_get_the_same(world: World) -> None:
    drop(world.first, OLD)
    drop(world.second, NEW)
    pages = await asyncio.gather(*(world.get("/simple/acme/") for _ in range(20)))
    assert len({page.body for page in pages}) == 1


def test_a_folder_is_given_once(tmp_path: Path) -> None:
    inner = tmp_path / "wheels" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "link").symlink_to(inner)
    outer, link = inner.parent, tmp_path / "link"
    for given, said in (
        ([outer, inner], "inner' is in '.*/wheels', which is served with all that is in it"),
        ([inner, outer], "inner' is in '.*/wheels', which is served with all that is in it"),
        ([outer, link], "link' is in '.*/wheels', which is served"),
        ([inner, link], "the folder '.*' is given twice"),
        ([inner, inner], "the folder '.*inner' is given twice"),
        ([inner, tmp_path / "no"], "the folder '.*no' does not exist"),
    ):
        with pytest.raises(ValueError, match=said):
            create_app(given, upstreams=[], cache=tmp_path / "cache")


async def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "a" / "wheels", tmp_path / "b" / "wheels", tmp_path / "c"]
    for folder in folders:
        folder.mkdir(parents=True)
    app: Any = create_app(folders, upstreams=[], cache=tmp_path / "cache")
    shown = (await ask(app, "/")).text
    for name in ("folder a/wheels", "folder b/wheels", "folder c"):
        assert f'<th scope="row">{name}</th>' in shown
    assert str(tmp_path) not in shown
    await shut(app)


async def test_one_folder_in_a_list_is_that_folder(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    drop(folder, OLD)
    app: Any = create_app([str(folder)], upstreams=[], cache=tmp_path / "cache")
    assert (await ask(app, "/simple/acme/")).status == 200
    await shut(app)
