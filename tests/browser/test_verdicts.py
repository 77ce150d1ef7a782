"""Every animal of the zoo gets its verdict, in every engine."""

from collections.abc import Callable

import pytest
from pytest_pyodide import run_in_pyodide

from tests.browser import figures
from tests.support.engines import BROWSERS, Engine
from tests.support.pages import PageServer
from tests.zoo.zoo import ANIMALS, Zoo

# They are large, take a while, and would slow down those that are looked at beside them.
LARGE = ("oversized", "gzip-bomb", "crowded")
SILENT = (
    *("hangs", "hangs-half-page", "drips", "file-hangs", "file-hangs-half", "metadata-hangs"),
)
"""What they are asked for never comes, so that their verdicts take a time-out or two."""
AT_ONCE = 24
PATIENCE = 30.0
"""Seconds that one request may take where all are answered: no slow machine takes that long."""
IMPATIENCE = 5.0
"""The same for silent mirrors, whose verdicts have to be waited for."""
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


def probe(page: Engine, urls: list[str], timeout: float = PATIENCE) -> dict[str, str]:
    """Return the verdict of each mirror, as the zoo writes it, by index URL."""
    found: dict[str, str] = probe_inside(page, urls, timeout)
    note(page, found)
    return found


def note(page: Engine, found: dict[str, str]) -> None:
    """Note which reasons were seen in which engine."""
    figures.VERDICTS[page.name].update(*(verdict.split() for verdict in found.values()))


@run_in_pyodide
async def probe_inside(selenium: Engine, urls: list[str], timeout: float) -> dict[str, str]:
    """Probe in the page."""
    import json

    import pyodide_mirror

    report = await pyodide_mirror.probe(urls, canary="zoo-canary", timeout=timeout)
    json.dumps(report.to_dict())
    return {
        outcome.mirror.index_url: " ".join(outcome.repairs or (outcome.reason,))
        for outcome in report.outcomes
    }


def expected(name: str, engine: str) -> str:
    """Return what the zoo says of an animal, in words."""
    verdict = ANIMALS[name].expect(engine.removesuffix("-worker"))
    return " ".join(verdict.repairs or (verdict.reason,))


@pytest.mark.driver_timeout(60)
def test_every_animal_gets_its_verdict(page: Engine, engine: str, zoo: Zoo) -> None:
    names = [name for name in ANIMALS if name not in (*LARGE, *SILENT)]
    seen = {}
    for start in range(0, len(names), AT_ONCE):
        batch = {zoo.url(name): name for name in names[start : start + AT_ONCE]}
        found = probe(page, list(batch))
        seen |= {batch[url]: verdict for url, verdict in found.items()}
    assert seen == {name: expected(name, engine) for name in names}


@pytest.mark.driver_timeout(60)
def test_silence_gets_its_verdict(page: Engine, engine: str, zoo: Zoo) -> None:
    silent = {zoo.url(name): name for name in SILENT}
    found = probe(page, list(silent), IMPATIENCE)
    seen = {silent[url]: verdict for url, verdict in found.items()}
    assert seen == {name: expected(name, engine) for name in SILENT}


@pytest.mark.driver_timeout(60)
@pytest.mark.parametrize("name", LARGE)
def test_a_large_page_gets_its_verdict(page: Engine, engine: str, zoo: Zoo, name: str) -> None:
    url = zoo.url(name)
    assert probe(page, [url]) == {url: expected(name, engine)}


# --- what the page itself forbids ---------------------------------------------------------------


@pytest.mark.engines(*BROWSERS)
def test_the_pages_own_policy_is_named(
    open_page: Callable[..., Engine], engine: str, zoo: Zoo
) -> None:
    allowed, forbidden = zoo.url("healthy"), zoo.url("redirect")
    allowed_origin = allowed.removesuffix("/simple")
    page = open_page(
        headers={
            "Content-Security-Policy": f"connect-src 'self' {allowed_origin}",
            # A policy that only reports blocks nothing, and must not count.
            "Content-Security-Policy-Report-Only": "connect-src 'self'",
        }
    )
    if engine == "webkit-worker":  # it delivers no event to workers
        assert "Content-Security-Policy" in detail(page, forbidden)
        return
    # Many times, for the event comes later than the rejection.
    for _ in range(5):
        assert probe(page, [forbidden, allowed]) == {forbidden: "csp", allowed: "ok"}


@pytest.mark.engines(*BROWSERS)
def test_a_policy_that_forbids_only_the_files_blocks_them(
    open_page: Callable[..., Engine], zoo: Zoo
) -> None:
    elsewhere = zoo.url("files-elsewhere")
    origin = elsewhere.removesuffix("/simple")
    page = open_page(headers={"Content-Security-Policy": f"connect-src 'self' {origin}"})
    assert probe(page, [elsewhere]) == {elsewhere: "files-blocked"}


@pytest.mark.engines(*BROWSERS)
def test_http_on_https_is_refused_without_a_request(
    open_page: Callable[..., Engine], zoo: Zoo
) -> None:
    page = open_page(https=True)
    urls = ["http://mirror.example/simple", "http://10.255.255.1/simple"]
    assert probe(page, urls) == dict.fromkeys(urls, "mixed-content")


@pytest.mark.engines("chromium", "chromium-worker", "firefox", "firefox-worker")
def test_loopback_is_no_mixed_content(open_page: Callable[..., Engine], zoo: Zoo) -> None:
    url = zoo.url("healthy")
    assert probe(open_page(https=True), [url]) == {url: "ok"}


@pytest.mark.engines(*BROWSERS)
def test_an_isolated_page_probes_as_any_other(open_page: Callable[..., Engine], zoo: Zoo) -> None:
    page = open_page(headers=ISOLATED)
    healthy, no_cors, closed = (zoo.url(name) for name in ("healthy", "no-cors", "closed-port"))
    seen = probe(page, [healthy, no_cors, closed])
    assert seen[healthy] == "ok"
    assert seen[closed] == "unreachable"
    # Chromium reports what its embedder policy withheld; elsewhere the detail has the caveat.
    if seen[no_cors] != "cors":
        assert seen[no_cors] == "unreachable"
        assert "may be CORS" in detail(page, no_cors)


@run_in_pyodide
async def detail(selenium: Engine, url: str) -> str:
    """Return what was seen of one mirror."""
    import pyodide_mirror

    report = await pyodide_mirror.probe(url, canary="zoo-canary", timeout=30)
    return report.outcomes[0].detail


@pytest.mark.engines("chromium", "chromium-worker")
def test_chromium_tells_cors_even_where_opaque_requests_are_withheld(
    open_page: Callable[..., Engine], zoo: Zoo
) -> None:
    page = open_page(headers=ISOLATED)
    url = zoo.url("no-cors")
    assert probe(page, [url]) == {url: "cors"}


# --- where hosts are ----------------------------------------------------------------------------


@run_in_pyodide
async def probe_unnamed(selenium: Engine, url: str) -> dict[str, str]:
    """Probe a mirror that only the built-in table names."""
    import pyodide_mirror
    from pyodide_mirror import mirrors

    table = mirrors.MIRRORS
    mirrors.MIRRORS = (pyodide_mirror.Mirror(url),)
    try:
        report = await pyodide_mirror.probe(canary="zoo-canary", timeout=30)
    finally:
        mirrors.MIRRORS = table
    return {outcome.mirror.index_url: str(outcome.reason) for outcome in report.outcomes}


def test_a_private_address_that_nobody_named_is_not_asked(page: Engine, zoo: Zoo) -> None:
    running = zoo.start("healthy")
    found = probe_unnamed(page, running.url)
    note(page, found)
    assert found == {running.url: "local-network"}
    assert running.requests == ()


@run_in_pyodide
async def probe_environment(selenium: Engine, value: str) -> dict[str, str]:
    """Probe what the environment names."""
    import os

    import pyodide_mirror

    os.environ["PYODIDE_MIRROR_URLS"] = value
    try:
        report = await pyodide_mirror.probe(canary="zoo-canary", timeout=30)
    finally:
        del os.environ["PYODIDE_MIRROR_URLS"]
    return {outcome.mirror.index_url: str(outcome.reason) for outcome in report.outcomes}


def test_the_environment_names_mirrors_and_its_bad_ones_are_verdicts(
    page: Engine, zoo: Zoo
) -> None:
    url = zoo.url("healthy")
    found = probe_environment(page, f"{url}, not-a-url")
    note(page, found)
    assert found == {url: "ok", "not-a-url": "bad-url"}


@pytest.mark.engines("chromium")
def test_a_denied_permission_for_the_local_network_is_named(
    page_server: PageServer, start_engine: Callable[..., Engine], zoo: Zoo
) -> None:
    flags = (f"--ip-address-space-overrides=127.0.0.1:{page_server.https_port}=public",)
    page = start_engine("chromium", *flags)
    page.open(https=True, host="page.test")
    running = zoo.start("healthy")
    page.set_permission("loopback-network", "denied")
    assert probe(page, [running.url]) == {running.url: "local-network"}
    assert running.requests == ()
    page.set_permission("loopback-network", "granted")
    assert probe(page, [running.url]) == {running.url: "ok"}


@pytest.mark.engines("chromium", "firefox")
def test_an_offline_browser_says_so_of_hosts_that_are_elsewhere(
    open_page: Callable[..., Engine], zoo: Zoo
) -> None:
    page = open_page()
    elsewhere, here = "http://mirror.test:9/simple", zoo.url("closed-port")
    assert probe(page, [elsewhere]) == {elsewhere: "unreachable"}
    page.set_offline(True)
    try:
        assert probe(page, [elsewhere, here]) == {elsewhere: "offline", here: "unreachable"}
    finally:
        page.set_offline(False)
