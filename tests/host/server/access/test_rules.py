"""Which projects are served: patterns, and that what is only local never goes upstream."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pyodide_mirror.server import create_app
from pyodide_mirror.server.access.rules import Pattern, make_rules, read_rules
from tests.support.asgi import JSON_TYPE, Answer, Index, Origin, ask, document, entry, origin, shut
from tests.support.wheels import Wheel, make_sdist, make_wheel

OLD, NEW, NEXT = (make_wheel("x", version) for version in ("1.9", "2.0", "2.1rc1"))
LOCAL = make_wheel("acme-tool", "1.0")
LOCAL_NEW = make_wheel("acme-tool", "2.0")
BASE = "http://mirror.localhost"


@dataclass
class World:
    """A server over a folder with ``acme-tool`` and an index that has every project."""

    app: Any
    origin: Origin
    rules: Path

    async def get(self, target: str, **options: Any) -> Answer:
        return await ask(self.app, target, **options)

    async def page(self, project: str) -> dict[str, Any]:
        answer = await self.get(f"/simple/{project}/")
        assert answer.status == 200, answer.text
        page: dict[str, Any] = json.loads(answer.body)
        return page

    async def names(self, project: str) -> list[str]:
        return [file["filename"] for file in (await self.page(project))["files"]]


Make = Callable[..., World]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """A function that makes the world, with rules."""
    folder, rules = tmp_path / "wheels", tmp_path / "rules"
    folder.mkdir()
    for wheel in (LOCAL, LOCAL_NEW):
        (folder / wheel.filename).write_bytes(wheel.data)
    index, made = Index(), []

    async def any_project(request: web.BaseRequest) -> web.StreamResponse:
        if request.path in index.answers:
            return await index(request)
        name = request.path.split("/")[2]
        body = document(entry(make_wheel(name, "9.9")), name=name)
        return web.Response(body=body, headers={"content-type": JSON_TYPE})

    index.page(document(entry(OLD), entry(NEW), entry(NEXT), entry(make_sdist("x", "2.0"))))  # type: ignore[arg-type]
    for wheel in (OLD, NEW, NEXT):
        index.file(wheel.filename, wheel.data)
    async with origin(any_project) as upstream:

        def build(**settings: Any) -> World:
            urls = [f"{upstream.url}/simple"]
            app: Any = create_app(
                folder, upstreams=urls, cache=tmp_path / "cache", cdns=[], **settings
            )
            made.append(app)
            return World(app, upstream, rules)

        yield build
        for app in made:
            await shut(app)


def path_of(wheel: Wheel) -> str:
    return f"/files/{wheel.sha256[:16]}/{wheel.name}/{wheel.filename}"


# --- only local ---------------------------------------------------------------------------------


async def follow(world: World, target: str, **options: Any) -> Answer:
    """The answer, after redirects."""
    for _ in range(3):
        answer = await world.get(target, **options)
        if answer.status != 301:
            break
        target = answer.headers["location"].removeprefix(BASE)
    return answer


SPELLINGS = ("acme-secret", "ACME-Secret", "acme_secret", "acme.secret", "Acme-._-sEcret")


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_what_is_only_local_is_never_asked_upstream(make: Make, spelling: str) -> None:
    world = make(only_local=["Acme_*"])
    file = f"{spelling}-1.0-py3-none-any.whl"
    paths = [
        f"/simple/{spelling}/",
        f"/simple/{spelling}",
        f"/simple//{spelling}/",
        f"/pypi/simple/{spelling}/",
        f"/simple/{spelling}/?format=text/html",
        f"/files/unverified/{spelling}/{file}",
        f"/files/{'0' * 16}/{spelling}/{file}.metadata",
        f"/files/{'0' * 16}/{spelling}/{file.replace('.whl', '.tar.gz')}",
    ]
    requests: list[dict[str, Any]] = [
        {},
        {"method": "HEAD"},
        {"headers": {"range": "bytes=0-9"}},
        {"headers": {"accept": "text/html", "cache-control": "no-cache"}},
    ]
    for path in paths:
        for options in requests:
            answer = await follow(world, path, **options)
            assert answer.status == 404, (path, options)
            if options.get("method") != "HEAD":
                assert "project 'acme-secret' is not on this server" in answer.text.lower()
                assert "no other index is asked for it (only-local Acme_*)" in answer.text
    assert world.origin.requests == []
    assert (await world.get("/simple/acmes-secret/")).status == 200  # and the index would have it


async def test_what_is_only_local_is_served_from_the_folder(make: Make) -> None:
    world = make(only_local=["acme-*"])
    assert await world.names("acme-tool") == [LOCAL.filename, LOCAL_NEW.filename]
    assert (await world.get(path_of(LOCAL))).body == LOCAL.data
    assert world.origin.requests == []


async def test_a_page_of_the_cache_is_not_used_for_it_either(make: Make) -> None:
    world = make()
    await world.page("x")
    await world.page("y")
    world = make(only_local=["x"])
    assert (await world.get("/simple/x/")).status == 404
    [file] = (await world.page("y"))["files"]
    assert file["filename"] == "y-9.9-py3-none-any.whl"


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True), st.data())
def test_a_pattern_means_a_name_however_it_is_spelt(name: str, data: st.DataObject) -> None:
    normalized = canonicalize_name(name)
    assert Pattern(name).names(normalized)
    assert Pattern("*").names(normalized)
    cut = data.draw(st.integers(0, len(name)))
    if not name[:cut] or name[cut - 1] not in "-_.":
        assert Pattern(f"{name[:cut]}*").names(normalized)
    assert not Pattern(f"{name}x").names(normalized)
    spelt = "".join(data.draw(st.sampled_from("-_.")) if one in "-_." else one for one in name)
    assert Pattern(spelt.swapcase()).names(normalized)


@given(st.text())
def test_whatever_is_given_is_a_pattern_or_an_error(text: str) -> None:
    try:
        pattern = Pattern(text)
    except ValueError as error:
        assert repr(text)[:20] in str(error)  # noqa: PT017  # it has a text of ours
    else:
        assert pattern.text == text.strip()


# --- allow and deny -----------------------------------------------------------------------------


async def test_a_denied_project_is_403_and_says_by_which_rule(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    world = make(deny=["Evil_*", "acme-tool"])
    for project in ("evil-one", "acme-tool"):
        for path in (f"/simple/{project}/", f"/files/unverified/{project}/a.whl"):
            caplog.clear()
            answer = await world.get(path)
            rule = "Evil_*" if "evil" in project else project
            said = f"roject '{project}' is denied here (deny {rule})"
            assert (answer.status, answer.text) == (403, f"403: P{said}.\n")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert [each.message for each in caplog.records] == [f"p{said}"]
    assert world.origin.requests == []


async def test_versions_are_denied_on_the_page_and_by_their_files(make: Make) -> None:
    world = make(deny=["x<2"])
    page = await world.page("x")
    names = [NEW.filename, NEXT.filename, "x-2.0.tar.gz"]
    assert [file["filename"] for file in page["files"]] == names
    assert page["versions"] == ["2.0", "2.1rc1"]
    html = await world.get("/simple/x/", headers={"accept": "text/html"})
    assert OLD.filename not in html.text
    for path in (path_of(OLD), f"{path_of(OLD)}.metadata"):
        for method in ("GET", "HEAD"):
            answer = await world.get(path, method=method)
            assert answer.status == 403
        assert "X-1.9-py3-none-any.whl is denied here (deny x<2)" in (await world.get(path)).text
    assert (await world.get(path_of(NEW))).body == NEW.data


async def test_what_is_denied_is_denied_in_the_folder_too(make: Make) -> None:
    world = make(deny=["acme-*>1"])
    assert await world.names("acme-tool") == [LOCAL.filename]
    assert (await world.get(path_of(LOCAL_NEW))).status == 403


async def test_where_all_versions_are_denied_the_page_says_so(make: Make) -> None:
    world = make(deny=["x<2", "x>=2"])
    answer = await world.get("/simple/x/")
    assert answer.status == 403
    assert "No file of project 'x' may be served: x-1.9-py3-none-any.whl is denied" in answer.text


async def test_only_what_is_allowed_comes_from_upstreams(make: Make) -> None:
    world = make(allow=["x>=2,<3", "y"])
    assert await world.names("x") == [NEW.filename, NEXT.filename, "x-2.0.tar.gz"]
    answer = await world.get(path_of(OLD))
    assert (answer.status, "is not allowed here (allow x>=2,<3)" in answer.text) == (403, True)
    assert len(await world.names("y")) == 1
    asked = len(world.origin.requests)
    answer = await world.get("/simple/z/")
    assert answer.status == 403
    assert answer.text == "403: Project 'z' is not among those that are allowed here (allow).\n"
    assert len(world.origin.requests) == asked
    assert len(await world.names("acme-tool")) == 2  # what is in the folder is put there on purpose
    assert (await world.get("/simple/pyodide-mirror/")).status == 200


async def test_deny_counts_more_than_allow(make: Make) -> None:
    world = make(allow=["x"], deny=["x==2.0"])
    assert await world.names("x") == [OLD.filename, NEXT.filename]


async def test_the_list_of_projects_has_no_denied_ones(make: Make) -> None:
    world = make()
    for project in ("x", "y", "z"):
        await world.page(project)
    world.rules.write_text("deny y\nonly-local z\ndeny acme-tool\n")
    world = make(rules=world.rules)
    await world.page("x")
    listed = json.loads((await world.get("/simple/")).body)["projects"]
    assert [each["name"] for each in listed] == ["pyodide-mirror", "x"]


async def test_a_package_of_pyodide_is_denied_too(make: Make) -> None:
    world = make(deny=["numpy<2"], allow=["x"])
    path = "/pyodide/v314.0.7/full/numpy-{}-cp314-cp314-pyemscripten_2026_0_wasm32.whl"
    assert (await world.get(path.format("1.26"))).status == 403
    assert (await world.get(path.format("2.4"))).status == 404  # there is no CDN here


async def test_the_same_page_is_made_once(make: Make) -> None:
    world = make(deny=["x<2"])
    routes = {route.path: route for route in world.app.app._app.routes}
    repository = routes["/simple/"].endpoint.__self__.repository
    first = await repository.find("x")
    assert (await repository.find("x")).page is first.page


# --- the file of rules --------------------------------------------------------------------------


async def test_a_file_of_rules_is_read_again(make: Make, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("# ours\nonly-local acme-*\n\ndeny x<2\n")
    world = make(rules=rules, deny=["w"])
    assert (await world.get("/simple/acme-secret/")).status == 404
    assert len(await world.names("x")) == 3
    rules.write_text("allow x == 2.0\n")
    assert await world.names("x") == [NEW.filename, "x-2.0.tar.gz"]
    assert (await world.get("/simple/w/")).status == 403
    assert (await world.get("/simple/y/")).status == 403
    asked = len(world.origin.requests)
    for wrong in ("", "deny\n", "forbid x\n", "deny x<2\nonly-local acme<2\n"):
        rules.write_text(wrong)
        answer = await world.get("/simple/x/")
        assert answer.status == 503
        assert "The file of rules cannot be used now" in answer.text
        assert (await world.get("/simple/acme-secret/")).status == 503
    assert len(world.origin.requests) == asked


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it has no rule"),
        ("deny", "line 1: '' does not begin with a project's name"),
        ("forbid x", "line 1: it does not begin with only-local, allow or deny"),
        ("only_local x", "line 1: it does not begin with only-local, allow or deny"),
        ("#\ndeny x<", "line 2: 'x<': '<' are no versions like <2"),
        ("deny x\nonly-local acme-*<2", "line 2: 'acme-.*<2': only-local is for whole projects"),
        ("deny -x", "line 1: '-x' does not begin with a project's name"),
        ("deny x[all]<2", "line 1: .* are no versions"),
        ("deny https://a.example/x", "line 1: .* are no versions"),
    ],
)
def test_what_is_wrong_with_rules_is_said(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_rules(text)


@given(
    st.sampled_from(["<2", ">=1.4,!=1.5", "==2.*", "~=1.4", "!=2", ">1", "===2.0"]),
    st.sampled_from(["1.3", "1.4", "1.5", "2", "2.0", "2.0rc1", "2.0+cpu", "2.1.dev3", "1!0"]),
)
def test_versions_mean_what_packaging_says(versions: str, version: str) -> None:
    rules = make_rules({"deny": [f"X{versions}"]})
    name = f"x-{version}-py3-none-any.whl"
    denied = bool(rules.against_file("x", name, from_upstream=False))
    assert denied == SpecifierSet(versions).contains(version, prereleases=True)
    assert not rules.against_file("y", name, from_upstream=False)


def test_a_version_that_cannot_be_told_is_denied_and_not_allowed() -> None:
    for name in ("x.exe", f"x-{quote('ü')}-py3-none-any.whl"):
        assert make_rules({"deny": ["x<2"]}).against_file("x", name, from_upstream=True)
        assert make_rules({"allow": ["x<2"]}).against_file("x", name, from_upstream=True)
        assert not make_rules({"allow": ["x"]}).against_file("x", name, from_upstream=True)


def test_one_string_is_not_several_patterns() -> None:
    with pytest.raises(TypeError, match="deny must be several patterns, not one string"):
        create_app(upstreams=[], deny="numpy")
