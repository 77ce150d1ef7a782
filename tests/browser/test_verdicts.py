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
# A probe of the network: a response, readable or not, is `reached`.
FETCH = """
    try {
        await fetch(%r, { mode: "no-cors", cache: "no-store" });
        return "reached";
    } catch (error) {
        return "blocked";
    }
"""


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
@pytest.mark.engines(ci=("chromium", "chromium-worker", "firefox", "webkit"))  # Node takes long
@pytest.mark.parametrize("name", LARGE)
def test_a_large_page_gets_its_verdict(page: Engine, engine: str, zoo: Zoo, name: str) -> None:
    url = zoo.url(name)
    assert probe(page, [url]) == {url: expected(name, engine)}


# --- what the page itself forbids ---------------------------------------------------------------


@pytest.mark.engines(*BROWSERS, ci=("chromium", "webkit"))
def test_the_pages_own_policy_is_named(
    page: Engine, open_page: Callable[..., Engine], engine: str, page_server: PageServer, zoo: Zoo
) -> None:
    allowed, forbidden, elsewhere = map(zoo.url, ("healthy", "redirect", "files-elsewhere"))
    origins = [url.removesuffix("/simple") for url in (allowed, elsewhere)]
    other = f"{page_server.base_url(host='localhost')}/package.json"
    assert page.run_js(FETCH % other) == "reached"
    page = open_page(
        headers={
            "Content-Security-Policy": f"connect-src 'self' {' '.join(origins)}",
            # A policy that only reports blocks nothing, and must not count.
            "Content-Security-Policy-Report-Only": "connect-src 'self'",
        }
    )
    assert page.run_js(FETCH % other) == "blocked"
    assert page.run_js(FETCH % f"{page.base_url}/package.json") == "reached"
    # It forbids only the files.
    assert probe(page, [elsewhere]) == {elsewhere: "files-blocked"}
    if engine == "webkit-worker":  # it delivers no event to workers
        assert "Content-Security-Policy" in detail(page, forbidden)
        return
    # Many times, for the event comes later than the rejection.
    for _ in range(5):
        assert probe(page, [forbidden, allowed]) == {forbidden: "csp", allowed: "ok"}


@pytest.mark.engines(*BROWSERS, ci=("chromium", "webkit"))
def test_an_https_page_may_ask_http_of_this_machine_alone(
    open_page: Callable[..., Engine], engine: str, zoo: Zoo
) -> None:
    page = open_page(https=True)
    assert page.run_js("return [location.protocol, self.isSecureContext]") == ["https:", True]
    # Mixed content is refused without a request.
    urls = ["http://mirror.example/simple", "http://10.255.255.1/simple"]
    assert probe(page, urls) == dict.fromkeys(urls, "mixed-content")
    if not engine.startswith("webkit"):  # to which loopback is mixed content as well
        url = zoo.url("healthy")
        assert probe(page, [url]) == {url: "ok"}


@pytest.mark.engines(*BROWSERS, ci=("chromium", "firefox"))
def test_an_isolated_page_probes_as_any_other(
    page: Engine, open_page: Callable[..., Engine], engine: str, zoo: Zoo
) -> None:
    assert page.run_js("return self.crossOriginIsolated") is False
    page = open_page(headers=ISOLATED)
    assert page.run_js("return self.crossOriginIsolated") is True
    healthy, no_cors, closed = (zoo.url(name) for name in ("healthy", "no-cors", "closed-port"))
    seen = probe(page, [healthy, no_cors, closed])
    assert seen[healthy] == "ok"
    assert seen[closed] == "unreachable"
    # Chromium reports what its embedder policy withheld; elsewhere the detail has the caveat.
    if seen[no_cors] != "cors":
        assert seen[no_cors] == "unreachable"
        assert "may be CORS" in detail(page, no_cors)
    if engine.startswith("chromium"):
        assert probe(page, [no_cors]) == {no_cors: "cors"}


@run_in_pyodide
async def detail(selenium: Engine, url: str) -> str:
    """Return what was seen of one mirror."""
    import pyodide_mirror

    report = await pyodide_mirror.probe(url, canary="zoo-canary", timeout=30)
    return report.outcomes[0].detail


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


@pytest.mark.nightly
@pytest.mark.engines("chromium")
def test_a_denied_permission_for_the_local_network_is_named(
    page_server: PageServer, start_engine: Callable[..., Engine], zoo: Zoo
) -> None:
    flags = (f"--ip-address-space-overrides=127.0.0.1:{page_server.https_port}=public",)
    page = start_engine("chromium", *flags)
    page.open(https=True, host="page.test")
    running = zoo.start("healthy")
    other = f"{page_server.base_url()}/package.json"
    page.set_permission("loopback-network", "denied")
    assert page.run_js(FETCH % other) == "blocked"
    assert probe(page, [running.url]) == {running.url: "local-network"}
    assert running.requests == ()
    page.set_permission("loopback-network", "granted")
    assert page.run_js(FETCH % other) == "reached"
    assert probe(page, [running.url]) == {running.url: "ok"}
