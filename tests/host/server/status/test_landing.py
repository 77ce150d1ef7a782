"""The page for people: languages, what is served, the box to look a project up, and its safety."""

import base64
import hashlib
import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.server import create_app
from pyodide_mirror.server.status.landing import Landing
from pyodide_mirror.server.status.state import CacheState, RemoteState, State
from pyodide_mirror.server.status.words import LANGUAGES, Words, best_language
from tests.support.asgi import ASGI, Answer, Index, Origin, ask, document, entry, origin, shut
from tests.support.logins import READER, bearer, write_login_files
from tests.support.wheels import make_wheel

BASE = "http://mirror.localhost"
WORDS = json.loads(Path("pyodide_mirror/server/status/words.json").read_text("utf-8"))
LOCAL = make_wheel("acme-tool", "1.0")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


class _Outline(HTMLParser):
    """Elements in the order of their tags, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(page: str) -> list[tuple[str, dict[str, str | None]]]:
    found = _Outline()
    found.feed(page)
    assert found.open == []
    return found.tags


def text_of(page: str) -> str:
    """What a reader sees, on one line."""
    body = page.partition("<body>")[2]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


@dataclass
class World:
    """A server over a folder and an index."""

    app: ASGI
    folder: Path
    index: Index
    origin: Origin

    async def get(self, target: str = "/", **headers: str) -> Answer:
        """Ask for a page."""
        answer = await ask(self.app, target, headers)
        assert answer.status == 200, answer.text
        outline(answer.text)
        return answer

    async def seen(self, project: str, language: str = "en") -> str:
        """What the page says of a project, as text."""
        shown = (await self.get(f"/?project={project}&lang={language}")).text
        return text_of(
            shown.partition("</form>")[2].partition("</section>")[0].join(["<body>", ""])
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / LOCAL.filename).write_bytes(LOCAL.data)
    index = Index()
    index.page(document(entry()))
    async with origin(index) as running:
        app: Any = create_app(
            folder,
            upstreams=[f"{running.url}/simple"],
            cache=tmp_path / "cache",
            only_local=["acme-*"],
            deny=["evil-*", "x<0.5"],
        )
        yield World(app, folder, index, running)
        await shut(app)


# --- languages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepted", "wanted", "language"),
    [
        ("", None, "en"),
        ("es-AR,es;q=0.9,en;q=0.8", None, "es"),
        ("zh-Hans-CN", None, "zh-CN"),
        ("zh-TW, en", None, "zh-CN"),
        ("fr, de;q=0.9", None, "en"),
        ("fr, es;q=0.5", None, "es"),
        ("en;q=0.1, es;q=0.2", None, "es"),
        ("es;q=0, zh", None, "zh-CN"),
        ("*", None, "en"),
        ("es", "zh", "zh-CN"),
        ("es", "zh-CN", "zh-CN"),
        ("es", "<script>", "es"),
        ("es;q=nonsense", None, "es"),
        ("," * 60_000, None, "en"),
    ],
)
def test_the_language_is_the_best_of_those_that_are_wanted(
    accepted: str, wanted: str | None, language: str
) -> None:
    assert best_language(accepted, wanted) == language


def test_every_language_has_every_text_with_the_same_blanks() -> None:
    assert WORDS.keys() == LANGUAGES.keys()
    for language, words in WORDS.items():
        assert words.keys() == WORDS["en"].keys(), language
        for key, text in words.items():
            assert text.strip() == text != "", (language, key)
            blanks = [sorted(re.findall(r"\{\w+\}", each)) for each in (text, WORDS["en"][key])]
            assert blanks[0] == blanks[1], (language, key)
            assert bool(CHINESE.search(text)) is (language == "zh-CN" and key != "python"), key


def test_every_text_is_used() -> None:
    room = Path("pyodide_mirror/server/status")
    code = "".join((room / f"{name}.py").read_text() for name in ("landing", "recipes", "lookup"))
    assert WORDS["en"].keys() - set(re.findall(r"""["']([a-z.]+)["']""", code)) == set()


async def test_the_page_speaks_the_readers_language(world: World) -> None:
    for accepted, tag in (("es", "es"), ("zh-CN,en;q=0.5", "zh-CN"), ("fr", "en")):
        answer = await world.get(**{"accept-language": accepted})
        assert f'<html lang="{tag}">' in answer.text
        assert f"<title>{WORDS[tag]['title']}</title>" in answer.text
        assert answer.headers["content-language"] == tag
        assert "Accept-Language" in answer.headers["vary"]
        shown = text_of(answer.text)
        assert WORDS[tag]["find.button"] in shown
        for other, name in LANGUAGES.items():
            assert name in shown
            assert (f'<a href="?lang={other}"' in answer.text) is (other != tag)
    assert '<html lang="es">' in (await world.get("/?lang=es", **{"accept-language": "zh"})).text


def test_numbers_are_written_as_the_language_has_it() -> None:
    for language, expected in (
        ("en", ("12,345", "1.2 kB", "2.0 GB", "999 B", "345 MB")),
        ("es", ("12.345", "1,2 kB", "2,0 GB", "999 B", "345 MB")),
        ("zh-CN", ("12,345", "1.2 kB", "2.0 GB", "999 B", "345 MB")),
    ):
        words = Words(language)
        sizes = (1_234, 2_000_000_000, 999, 345_000_000)
        assert (words.shown(12_345), *map(words.size, sizes)) == expected


# --- what is served -----------------------------------------------------------------------------


async def test_it_says_what_is_served_and_from_where(world: World) -> None:
    await ask(world.app, "/simple/x/")
    (world.folder / "nonsense.whl").write_bytes(b"")
    shown = text_of((await world.get()).text)
    assert "folder wheels served first 1 1 " in shown
    assert f"{world.origin.url}/simple asked in turn 1 " in shown
    assert re.search(r"The cache has \d+ B of 2\.0 GB\. Downloads that are running: 0\.", shown)
    assert "Left out: 1" in shown
    assert "nonsense.whl folder wheels it is not named like a wheel" in shown


async def test_nobody_is_asked_for_the_page(world: World) -> None:
    for target in ("/", "/?lang=es", "/?project=", "/?project=%20", "/?project=not+a+name!"):
        await world.get(target)
    assert world.origin.requests == []


async def test_a_copy_that_is_still_right_is_304(world: World) -> None:
    first = await world.get()
    unchanged = await ask(world.app, "/", {"if-none-match": first.headers["etag"]})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.headers["vary"] == first.headers["vary"]
    (world.folder / "nonsense.whl").write_bytes(b"")
    assert (await world.get()).headers["etag"] != first.headers["etag"]


def test_what_has_not_changed_is_not_made_anew() -> None:
    landing = Landing()
    state = state_with("")
    first = landing.page(BASE, state, "en")
    assert landing.page(BASE, state_with(""), "en") is first
    changed = landing.page(BASE, state_with("it answers 503"), "en")
    assert changed != first
    for n in range(50):  # anybody may ask by many addresses
        landing.page(f"http://10.0.0.{n}", state, "en")
        assert len(landing._kept) <= 12


def state_with(problem: str) -> State:
    remote = (RemoteState("https://a.example/simple", problem),)
    return State((), remote, (), (), CacheState(0, 0, 0, problem), 0, None)


def test_a_problem_is_in_english_and_says_so() -> None:
    page = Landing().page(BASE, state_with("it answers <503>"), "es")
    assert page.count('<span lang="en">it answers &lt;503&gt;</span>') == 2


# --- the box ------------------------------------------------------------------------------------


async def test_a_project_of_an_upstream_is_found_by_any_spelling(world: World) -> None:
    wheels = [make_wheel("x", version) for version in ("0.9", "1.10", "1.9", "0.4")]
    files = [entry(wheel, size=1_500) for wheel in wheels]
    files[0]["yanked"] = "a <b>bad</b> one"
    files[1] |= {"requires-python": ">=3.8", "upload-time": "2026-01-02T03:04:05.678Z"}
    world.index.page(document(*files))
    shown = (await world.get("/?project=%20X%20")).text
    text = await world.seen("X")
    assert f"From {world.origin.url}/simple. Versions: 3. Files: 3." in text
    assert "Rules about it: deny x<0.5" in text
    order = [text.index(f"x-{version}-") for version in ("1.10", "1.9", "0.9")]
    assert order == sorted(order)
    assert "x-1.10-py3-none-any.whl 1.10 1.5 kB >=3.8 2026-01-02" in text
    assert "(withdrawn: a <b>bad</b> one)" in text
    assert "x-0.4" not in text, "denied"
    for link in re.findall(r'href="(http[^"]*/files/[^"]*)"', shown):
        assert link.startswith(f"{BASE}/files/")
    assert f'href="{BASE}/simple/x/"' in shown
    assert 'value="x"' in shown
    assert 'href="?lang=es&amp;project=x"' in shown


async def test_a_project_of_the_folder_is_found_there_alone(world: World) -> None:
    text = await world.seen("Acme.Tool")
    assert "From folder wheels. Versions: 1. Files: 1." in text
    assert "No other index is asked for it (only-local acme-*)." in text
    assert world.origin.requests == []
    path = re.search(rf'href="{BASE}(/files/[^"]*)"', (await world.get("/?project=acme-tool")).text)
    assert path is not None
    assert (await ask(world.app, path[1])).body == LOCAL.data


async def test_what_is_not_found_says_why(world: World, tmp_path: Path) -> None:
    world.index.page(b"", status=403)
    for project, said in (
        ("nothing", "No such project here"),
        ("acme-none", "Only served from this server, which does not have it"),
        ("evil-one", "Not served, by a rule: project 'evil-one' is denied here (deny evil-*)"),
        (
            "x",
            f"No usable answer from the other indexes: {world.origin.url}/simple: it answers 403",
        ),
        ("not+a+name!", "That is not the name of a project"),
        ("a" * 201, "That is not the name of a project"),
    ):
        assert said in await world.seen(project), project
    assert not [path for path in world.origin.paths if "acme" in path or "evil" in path]
    world.folder.rename(tmp_path / "away")
    said = "It cannot be read now: folder wheels: it cannot be read now (No such file"
    assert said in await world.seen("acme-tool")
    assert "No tal proyecto" not in await world.seen("nothing", "es")


async def test_names_that_are_alike_are_offered(world: World) -> None:
    await ask(world.app, "/simple/x/")
    text = await world.seen("acme")
    assert "Known projects with such a name" in text
    shown = (await world.get("/?project=acme&lang=es")).text
    assert '<a href="?lang=es&amp;project=acme-tool">acme-tool</a>' in shown
    assert "pyodide-mirror" in await world.seen("mirror")
    for n in range(50):
        (world.folder / make_wheel(f"many-{n}", "1.0").filename).write_bytes(LOCAL.data)
    shown = (await world.get("/?project=many")).text
    assert shown.count("project=many-") == 20


async def test_a_large_project_is_shown_in_part(world: World) -> None:
    files = [entry(make_wheel("x", f"1.{n}")) for n in range(150)]
    world.index.page(document(*files))
    shown = (await world.get("/?project=x")).text
    assert shown.count("/files/") == 100
    text = await world.seen("x")
    assert "Files: 150." in text
    assert "The newest 100 are shown; all are on its page" in text
    assert "x-1.149-" in shown
    assert "x-1.49-" not in shown


# --- safety, and for everybody ------------------------------------------------------------------


async def test_nothing_of_others_becomes_part_of_the_page(world: World) -> None:
    hostile = "<script>alert(1)</script>"
    wheel = make_wheel("x", "1.0")
    world.index.page(
        document(
            entry(wheel, **{"requires-python": hostile, "yanked": f'">{hostile}'}),
            **{"project-status": {"status": "archived", "reason": hostile}},
        )
    )
    for target in (
        "/?project=x",
        f"/?project={hostile}",
        '/?project=x"><img src=y>&lang="><img src=y>',
        f"/?lang={hostile}",
    ):
        answer = await world.get(target)
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        tags = {tag for tag, _ in outline(answer.text)}
        assert not tags & {"script", "img", "iframe", "object", "link", "base"}


async def test_its_policy_allows_its_own_style_and_form_alone(world: World) -> None:
    answer = await world.get()
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    )
    for tag, attributes in outline(answer.text):
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")], tag


async def test_readers_of_all_kinds_find_their_way(world: World) -> None:
    (world.folder / "nonsense.whl").write_bytes(b"")
    tags = outline((await world.get("/?project=acme-tool")).text)
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    names = [tag for tag, _ in tags]
    assert names.count("main") == names.count("form") == names.count("label") == 1
    assert names.count("table") == names.count("caption") == names.count("thead") == 4
    [label] = [attributes for tag, attributes in tags if tag == "label"]
    assert label["for"] in [attributes.get("id") for tag, attributes in tags if tag == "input"]
    assert all(attributes.get("scope") for tag, attributes in tags if tag == "th")
    regions = [attributes for _, attributes in tags if attributes.get("role") == "region"]
    assert all(each.get("aria-label") for each in regions)


async def test_below_a_prefix_and_by_a_public_url_the_links_are_right(tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / LOCAL.filename).write_bytes(LOCAL.data)
    app: Any = create_app(folder, upstreams=[], cache=tmp_path / "cache")
    shown = (await ask(app, "/?project=acme-tool", root_path="/some/where")).text
    assert f'href="{BASE}/some/where/simple/acme-tool/"' in shown
    await shut(app)


async def test_without_a_login_nothing_is_told(tmp_path: Path) -> None:
    files = write_login_files(tmp_path)
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / LOCAL.filename).write_bytes(LOCAL.data)
    app: Any = create_app(
        folder,
        upstreams=[],
        cache=tmp_path / "cache",
        auth=files.auth,
        token_file=files.tokens,
    )
    for target in ("/", "/?project=acme-tool"):
        answer = await ask(app, target)
        assert answer.status == 401
        assert "wheels" not in answer.text
        answer = await ask(app, target, bearer(READER))
        assert answer.status == 200
        assert "folder wheels" in answer.text
        assert answer.headers["cache-control"].startswith("private")
    await shut(app)
