"""The main job: probe, choose, configure, install."""

from collections.abc import Iterator

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser import figures
from tests.support.engines import BROWSERS, Engine
from tests.support.wheels import INSTALLED, make_wheel
from tests.zoo.zoo import ANIMALS, Zoo

FIVE = ("closed-port", "no-cors", "html-no-cors", "hangs", "healthy")


@run_in_pyodide
async def clean(selenium: Engine) -> None:
    """Leave nothing of a test: no configuration, no choice, no package of the zoo."""
    import importlib
    import sys

    import micropip

    import pyodide_mirror
    from pyodide_mirror.api import SESSION
    from pyodide_mirror.installing.site_packages import installed

    pyodide_mirror.reset()
    await SESSION.settled()
    await pyodide_mirror.clear_cache()
    resolution = sys.modules.get("pyodide_mirror.resolving.resolution")
    if resolution is not None:
        resolution._LOADED.clear()  # what one mirror had, another may not have
    names = [name for name in installed() if name.startswith("zoo-")]
    if names:
        micropip.uninstall(names)
    for name in [name for name in sys.modules if name.startswith("zoo_")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    clean(page)
    yield
    clean(page)


@run_in_pyodide
async def install(selenium: Engine, urls: list[str], **options: object) -> dict:
    """Install zoo-root, and return the report as JSON types with the seconds it took."""
    import time

    import pyodide_mirror

    events = []
    options = {"canary": "zoo-canary", "timeout": 2, "mirrors": urls} | options
    started = time.perf_counter()
    report = await pyodide_mirror.install("zoo-root", on_event=events.append, **options)
    seconds = time.perf_counter() - started

    import zoo_dep_a
    import zoo_dep_b
    import zoo_root

    assert zoo_root.__version__
    assert zoo_dep_a.__version__
    assert zoo_dep_b.__version__
    kept = tuple(event for event in events if event.kind != "progress")
    assert kept == report.events
    assert len(kept) < len(events)
    assert pyodide_mirror.status() is report.report
    return report.to_dict() | {"seconds": seconds, "text": str(report)}


def test_installs_through_the_one_of_five_that_works(page: Engine, engine: str, zoo: Zoo) -> None:
    urls = [zoo.url(name) for name in FIVE]
    result = install(page, urls)
    figures.SECONDS[engine]["install through five mirrors"] = result["seconds"]
    found = {one["name"]: one["version"] for one in result["installed"]}
    assert found == INSTALLED
    assert {one["source"] for one in result["installed"]} == {"mirror"}
    assert all(one["size"] and len(one["sha256"]) == 64 for one in result["installed"])
    reasons = {o["mirror"]["index_url"]: o["reason"] for o in result["report"]["outcomes"]}
    reasons |= {one["index_url"]: "unknown" for one in result["report"]["pending"]}
    chosen = result["report"]["chosen"]
    assert {one["mirror"] for one in result["installed"]} == {chosen}
    if engine == "node":  # it knows no CORS: the second one is as good as the last
        assert chosen in (urls[1], urls[-1])
        assert reasons[urls[0]] in ("unreachable", "unknown")
    else:
        assert chosen == urls[-1]
        assert reasons[urls[-1]] == "ok"
        # Which of the others have a verdict when it wins, depends on who is faster.
        for url, reason in zip(urls, ["unreachable", "cors", "cors", "timeout"], strict=False):
            assert reasons[url] in (reason, "unknown")
    assert "zoo-dep-a" in result["text"]


def test_one_that_hangs_is_not_waited_for(page: Engine, zoo: Zoo) -> None:
    urls = [zoo.url("hangs"), zoo.url("healthy")]
    result = install(page, urls, timeout=300)  # the driver itself waits for a minute
    assert [one["index_url"] for one in result["report"]["pending"]] == urls[:1]


@run_in_pyodide
async def fail_to_install(selenium: Engine, urls: list[str]) -> tuple[str, list[str], bool]:
    """Return the error's text, the reasons in it, and whether micropip is as it was."""
    import micropip
    from micropip import package_index
    from micropip._compat import _compat_in_pyodide

    import pyodide_mirror
    from pyodide_mirror.installing.site_packages import installed

    def state() -> tuple[object, ...]:
        return (
            list(micropip.set_index_urls.__self__.index_urls),
            list(package_index.DEFAULT_INDEX_URLS),
            _compat_in_pyodide.pyfetch,
            sorted(installed()),
        )

    before = state()
    try:
        await pyodide_mirror.install("zoo-root", mirrors=urls, canary="zoo-canary", timeout=1)
    except pyodide_mirror.NoUsableMirror as error:
        reasons = [str(outcome.reason) for outcome in error.report.outcomes]
        assert pyodide_mirror.status() is None
        return str(error), sorted(reasons), state() == before
    raise AssertionError("it installed")


@pytest.mark.engines(*BROWSERS)
def test_without_a_usable_mirror_the_error_is_the_table_and_nothing_changed(
    page: Engine, zoo: Zoo
) -> None:
    urls = [zoo.url(name) for name in ("no-cors", "closed-port", "hangs", "404", "login-page")]
    text, reasons, unchanged = fail_to_install(page, urls)
    assert reasons == ["cors", "http-status", "not-an-index", "timeout", "unreachable"]
    assert unchanged
    assert "Access-Control-Allow-Origin" in text
    assert "none of the 5 mirrors can be used" in text


# --- what needs no mirror -------------------------------------------------------------------------


@run_in_pyodide
async def install_without_a_mirror(
    selenium: Engine, url: str, name: str, wheel: bytes
) -> dict[str, list]:
    """Install what comes from no index; return the new distributions and what was found out."""
    import tempfile

    import micropip
    from micropip import package_index

    import pyodide_mirror

    def state() -> tuple:
        urls = list(micropip.set_index_urls.__self__.index_urls)
        return urls, list(package_index.DEFAULT_INDEX_URLS), micropip.install.__name__

    folder = tempfile.gettempdir()
    with open(f"{folder}/{name}", "wb") as file:  # noqa: ASYNC230, PTH123  # in memory
        file.write(wheel)
    micropip.uninstall("tblib")
    before, found = state(), {}
    for what in (
        "packaging",
        f"emfs:{folder}/{name}",
        [],
        "zoo-nowhere; sys_platform == 'win32'",
        "tblib",
    ):
        report = await pyodide_mirror.install(what, mirrors=url, timeout=1)
        assert report.report.chosen is None
        assert [mirror.index_url for mirror in report.report.pending] == [url]
        assert not report.report.outcomes
        found[str(what)] = [f"{each.name}: {each.source}" for each in report.installed]
    assert pyodide_mirror.status() is None
    assert state() == before
    return found


def test_what_comes_from_no_index_is_installed_although_all_mirrors_are_dead(
    page: Engine, zoo: Zoo
) -> None:
    local = make_wheel("zoo-local", "1.0")
    url = zoo.url("closed-port")
    assert install_without_a_mirror(page, url, local.filename, local.data) == {
        "packaging": [],
        f"emfs:/tmp/{local.filename}": ["zoo-local: url"],
        "[]": [],
        "zoo-nowhere; sys_platform == 'win32'": [],
        "tblib": ["tblib: lockfile"],
    }


@run_in_pyodide
async def configure_and_reset(selenium: Engine, url: str, prefer: str) -> dict:
    """Configure, look at micropip, install with it, and reset."""
    import micropip
    from micropip import package_index
    from micropip._compat import _compat_in_pyodide

    import pyodide_mirror

    def state() -> dict:
        urls = list(micropip.set_index_urls.__self__.index_urls)
        defaults = list(package_index.DEFAULT_INDEX_URLS)
        return {"urls": urls, "lockfile first": urls == defaults, "defaults": defaults}

    module = _compat_in_pyodide
    before, fetch = state(), module.pyfetch
    report = await pyodide_mirror.configure(url, canary="zoo-canary", timeout=2, prefer=prefer)
    assert pyodide_mirror.status() is report
    configured = state()
    await micropip.install("zoo-root")
    import zoo_root

    pyodide_mirror.reset()
    pyodide_mirror.reset()
    assert pyodide_mirror.status() is None
    assert module.pyfetch is fetch
    return {"before": before, "configured": configured, "after": state(), "v": zoo_root.__version__}


@pytest.mark.parametrize("prefer", ["lockfile", "index"])
def test_plain_micropip_uses_the_configured_mirror_until_reset(
    page: Engine, zoo: Zoo, prefer: str
) -> None:
    running = zoo.start("healthy")
    seen = configure_and_reset(page, running.url + "/", prefer)
    assert seen["configured"]["urls"] == [running.url]
    assert seen["configured"]["lockfile first"] == (prefer == "lockfile")
    assert seen["after"] == seen["before"]
    assert seen["v"] == INSTALLED["zoo-root"]
    pages = [request.target for request in running.requests if "/simple/" in request.target]
    assert "/simple/zoo-root/" in pages
    assert not any("//" in target for target in pages)


@run_in_pyodide
async def prefers_the_default_mirror(selenium: Engine, url: str) -> tuple[bool, bool]:
    """Configure the very mirror that is micropip's default; tell when the lock file is first."""
    import micropip
    from micropip import package_index

    import pyodide_mirror

    original = list(package_index.DEFAULT_INDEX_URLS)
    package_index.DEFAULT_INDEX_URLS[:] = [url]
    micropip.set_index_urls([url])
    first = []
    try:
        for prefer in ("lockfile", "index"):
            await pyodide_mirror.configure(url, canary="zoo-canary", prefer=prefer)
            urls = micropip.set_index_urls.__self__.index_urls
            first.append(urls == package_index.DEFAULT_INDEX_URLS)
            pyodide_mirror.reset()
            assert [url] == package_index.DEFAULT_INDEX_URLS
    finally:
        package_index.DEFAULT_INDEX_URLS[:] = original
        micropip.set_index_urls(original)
    return first[0], first[1]


def test_the_index_can_be_preferred_even_where_it_is_micropips_default(
    page: Engine, zoo: Zoo
) -> None:
    assert prefers_the_default_mirror(page, zoo.url("healthy")) == (True, False)


@run_in_pyodide
async def reset_after_own_urls(selenium: Engine, url: str) -> list[str]:
    """What a user sets after us stays."""
    import micropip

    import pyodide_mirror

    manager = micropip.set_index_urls.__self__
    before = list(manager.index_urls)
    await pyodide_mirror.configure(url, canary="zoo-canary")
    micropip.set_index_urls(["https://own.example/simple"])
    pyodide_mirror.reset()
    kept = list(manager.index_urls)
    micropip.set_index_urls(before)
    return kept


def test_reset_respects_index_urls_that_were_set_since(page: Engine, zoo: Zoo) -> None:
    assert reset_after_own_urls(page, zoo.url("healthy")) == ["https://own.example/simple"]


@run_in_pyodide
async def install_twice(selenium: Engine, url: str) -> tuple[int, int]:
    """Install two things with the same mirrors; return how many verdicts each took."""
    import pyodide_mirror

    counts = []
    for requirement, timeout in (("zoo-dep-a", 2), ("zoo-root", 3)):
        report = await pyodide_mirror.install(
            requirement, mirrors=url, canary="zoo-canary", timeout=timeout
        )
        counts.append(sum(event.kind == "outcome" for event in report.events))
        if requirement == "zoo-root":
            assert [one.name for one in report.installed] == ["zoo-dep-b", "zoo-root"]
    return counts[0], counts[1]


def test_a_standing_configuration_is_used_without_a_new_probe(page: Engine, zoo: Zoo) -> None:
    running = zoo.start("healthy")
    assert install_twice(page, running.url) == (1, 0)
    canary = [one for one in running.requests if one.target == "/simple/zoo-canary/"]
    assert len(canary) == 1


# --- imperfect mirrors ----------------------------------------------------------------------------

REPAIRED = [animal.name for animal in ANIMALS.values() if animal.support == "repaired"]


@run_in_pyodide
async def install_from_each(selenium: Engine, urls: dict[str, str]) -> dict[str, list[str] | str]:
    """Install zoo-root from each mirror alone; return what was installed, or the error."""
    import micropip

    import pyodide_mirror

    found: dict[str, list[str] | str] = {}
    for name, url in urls.items():
        try:
            report = await pyodide_mirror.install(
                "zoo-root", mirrors=url, canary="zoo-canary", timeout=2, remember=False
            )
        except Exception as error:
            found[name] = repr(error)
        else:
            found[name] = [one.name for one in report.installed]
            assert {one.mirror for one in report.installed} == {url}
            micropip.uninstall(found[name])
    return found


# Chromium and Firefox do so in test_zoo_installs.
@pytest.mark.engines(ci=("node",))
@pytest.mark.driver_timeout(60)
def test_every_mirror_that_is_repaired_installs_alone(page: Engine, engine: str, zoo: Zoo) -> None:
    kind = engine.removesuffix("-worker")
    names = [name for name in REPAIRED if ANIMALS[name].alone_in(kind)]
    found = install_from_each(page, {name: zoo.url(name) for name in names})
    assert found == dict.fromkeys(names, sorted(INSTALLED))


@run_in_pyodide
async def failed_install(selenium: Engine, url: str, requirement: str) -> tuple[str, list[str]]:
    """Return the notes of the error, and the kinds of events."""
    import pyodide_mirror

    events = []
    try:
        await pyodide_mirror.install(
            requirement, mirrors=url, canary="zoo-canary", timeout=1, on_event=events.append
        )
    except ValueError as error:
        return "; ".join(getattr(error, "__notes__", [])), [event.kind for event in events]
    raise AssertionError("it installed")


@pytest.mark.parametrize(
    ("name", "requirement", "note"),
    [
        ("healthy", "zoo-missing", "HTTP 404 for project 'zoo-missing'"),
        ("dep-page-hangs", "zoo-root", "no answer within 1 s"),
        ("dep-page-welcome", "zoo-root", "has no usable page of 'zoo-dep-"),
    ],
)
def test_micropips_error_gets_a_note_of_what_the_mirror_said(
    page: Engine, zoo: Zoo, name: str, requirement: str, note: str
) -> None:
    notes, kinds = failed_install(page, zoo.url(name), requirement)
    assert note in notes
    assert "problem" in kinds


# --- headers and credentials ----------------------------------------------------------------------


@run_in_pyodide
async def install_with_headers(selenium: Engine, url: str) -> str:
    """Install through an index that wants a header."""
    import pyodide_mirror

    mirror = pyodide_mirror.Mirror(url, headers={"Authorization": "Bearer sesame"})
    report = await pyodide_mirror.install("zoo-root", mirrors=mirror, canary="zoo-canary")
    return repr(report) + str(report) + str(report.to_dict())


def test_headers_of_a_mirror_are_sent_by_probe_and_install_and_never_shown(
    page: Engine, zoo: Zoo
) -> None:
    running = zoo.start("healthy")
    shown = install_with_headers(page, running.url)
    assert "sesame" not in shown
    gets = [one for one in running.requests if one.method == "GET"]
    assert {one.header("authorization") for one in gets} == {"Bearer sesame"}
    assert any(one.target.endswith("zoo_root-1.0-py3-none-any.whl") for one in gets)


def test_headers_stay_with_the_mirrors_own_origin(page: Engine, zoo: Zoo) -> None:
    running = zoo.start("files-elsewhere")
    install_with_headers(page, running.url)
    files = [one for one in running.requests if one.target.endswith(".whl")]
    assert files
    assert {one.header("authorization") for one in files} == {None}


@run_in_pyodide
async def install_with_cookies(selenium: Engine, url: str, credentials: str) -> str:
    """Install through an index that may want cookies; return the verdict on it."""
    import pyodide_mirror

    mirror = pyodide_mirror.Mirror(url, credentials=credentials)
    report = await pyodide_mirror.install("zoo-root", mirrors=mirror, canary="zoo-canary")
    return str(report.report.outcomes[0].reason)


@pytest.mark.engines("chromium", "firefox", "webkit")
@pytest.mark.parametrize("credentials", ["include", "omit"])
def test_cookies_are_sent_where_the_mirror_says_so(
    page: Engine, zoo: Zoo, credentials: str
) -> None:
    running = zoo.start("wants-credentials")
    page.run_js("document.cookie = 'sesame=open'")  # cookies know no ports: the mirror gets it too
    try:
        assert install_with_cookies(page, running.url, credentials) == "ok"
    finally:
        page.run_js("document.cookie = 'sesame=; max-age=0'")
    gets = [one for one in running.requests if one.method == "GET"]
    sent = {"sesame=open"} if credentials == "include" else {None}
    assert {one.header("cookie") for one in gets} == sent


@pytest.mark.engines(*BROWSERS)
def test_a_mirror_for_all_origins_cannot_be_read_with_cookies(page: Engine, zoo: Zoo) -> None:
    assert "cors" in no_install_with_cookies(page, zoo.url("healthy"))


@run_in_pyodide
async def no_install_with_cookies(selenium: Engine, url: str) -> str:
    """Fail to configure a mirror with cookies that allows all origins."""
    import pyodide_mirror

    mirror = pyodide_mirror.Mirror(url, credentials="include")
    try:
        await pyodide_mirror.configure(mirror, canary="zoo-canary", timeout=2)
    except pyodide_mirror.NoUsableMirror as error:
        return str(error.report.outcomes[0].reason)
    return "ok"


# --- the choice is remembered; see also test_second_page ------------------------------------------


@run_in_pyodide
async def chosen_by(selenium: Engine, urls: list[str], remember: bool) -> str:
    """Configure, and return the mirror chosen."""
    import pyodide_mirror

    report = await pyodide_mirror.configure(
        urls, canary="zoo-canary", timeout=30, remember=remember
    )
    return report.chosen.index_url


@run_in_pyodide
async def reset(selenium: Engine) -> tuple[str, bool]:
    """Return what is remembered, and whether anything is after a reset."""
    import pyodide_mirror
    from pyodide_mirror.api import SESSION
    from pyodide_mirror.browser import open_store

    store = open_store()
    remembered = (await store.load()).index_url
    pyodide_mirror.reset()
    await SESSION.settled()
    return remembered, await store.load() is None


@run_in_pyodide
async def write_choice(selenium: Engine, text: str) -> str:
    """Write what a hostile page of the same origin could; return what is made of it."""
    from pyodide_mirror.browser import database, storage

    js_database = await database.open_database("pyodide_mirror", ["choice"])
    js_transaction = js_database.transaction("choice", "readwrite")
    js_transaction.objectStore("choice").put(text, "choice")
    await database.wait_for_event(js_transaction, "complete", "error")
    js_database.close()
    return repr(await storage.IndexedDBStore().load())


@pytest.mark.engines(*BROWSERS)
def test_a_foreign_entry_in_the_store_is_not_believed(page: Engine, zoo: Zoo) -> None:
    assert write_choice(page, '{"index_url": 7}') == "None"
    assert write_choice(page, "nonsense") == "None"
    evil = '{"index_url": "http://evil.example/simple", "date": "2026-11-20T00:00:00+00:00"}'
    assert "evil" in write_choice(page, evil)
    url = zoo.url("healthy")
    assert chosen_by(page, [url], True) == url


# --- bad arguments --------------------------------------------------------------------------------


@run_in_pyodide
async def refused(selenium: Engine, call: str, options: dict) -> str:
    """Return the error that a call raises."""
    import pyodide_mirror

    try:
        await getattr(pyodide_mirror, call)(**options)
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


@pytest.mark.parametrize(
    ("call", "options", "error"),
    [
        ("probe", {"mirrors": []}, "ValueError: mirrors"),
        ("probe", {"mirrors": "nonsense"}, "ValueError: mirrors"),
        ("probe", {"mirrors": "https://u:secret@m.example/simple"}, "ValueError: mirrors"),
        ("probe", {"timeout": 0}, "ValueError: timeout"),
        ("probe", {"canary": ""}, "ValueError: canary"),
        ("configure", {"prefer": "mirror"}, "ValueError: prefer"),
        ("configure", {"remember": "yes"}, "TypeError: remember"),
        ("install", {"requirements": "x", "colour": "blue"}, "'colour'"),
        ("install", {"requirements": 7}, "TypeError: requirements"),
        ("install", {"requirements": "x", "verify": "no"}, "ValueError: verify"),
        ("install", {"requirements": "x", "cache": 1}, "TypeError: cache"),
        ("install", {"requirements": "x", "on_event": 1}, "TypeError: on_event"),
        ("install", {"requirements": "x", "mirrors": "a", "index_urls": "b"}, "index_urls"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    page: Engine, zoo: Zoo, call: str, options: dict, error: str
) -> None:
    running = zoo.start("healthy")
    message = refused(page, call, {"mirrors": running.url} | options)
    assert error in message
    assert "secret" not in message
    assert running.requests == ()


# --- crowds ---------------------------------------------------------------------------------------


@run_in_pyodide
async def install_from_a_crowd(selenium: Engine, urls: list[str]) -> tuple[str, int]:
    """Configure with many mirrors."""
    import pyodide_mirror

    report = await pyodide_mirror.configure(urls, canary="zoo-canary", timeout=30)
    return report.chosen.index_url, len(report.pending)


@pytest.mark.engines("chromium", "firefox", "webkit")
def test_a_hundred_mirrors_do_not_open_a_hundred_connections(page: Engine, zoo: Zoo) -> None:
    crowd = [zoo.start("hangs") for _ in range(99)]
    healthy = zoo.start("healthy")
    urls = [one.url for one in crowd]
    chosen, pending = install_from_a_crowd(page, [*urls[:7], healthy.url, *urls[7:]])
    assert chosen == healthy.url
    assert pending == 99
    asked = [one for one in crowd if one.connections]
    assert len(asked) <= 7
