"""A page, and a server that needs a login."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.support.engines import Engine
from tests.support.logins import PASSWORD, READER, USER, write_login_files
from tests.support.own_server import Serving, serving
from tests.support.pages import PAGE, authority
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.engines("chromium")

TOP = make_wheel("acme-top", "1.0", requires=["acme-base"])
BASE = make_wheel("acme-base", "2.0")

INSTALL = """
import json
import pyodide_mirror
from pyodide_mirror import Mirror

async def tried(**login):
    mirror = Mirror({index_url!r}, **login)
    try:
        report = await pyodide_mirror.install(
            "acme-top", mirrors=mirror, canary="acme-top", remember=False, cache=False
        )
    except pyodide_mirror.NoUsableMirror as error:
        return f"{{error.report.outcomes[0].reason}}: {{error.report.outcomes[0].detail}}"
    finally:
        pyodide_mirror.reset()
        for name in ("acme-top", "acme-base"):
            __import__("micropip").uninstall(name)
    return sorted(each.name for each in report.installed)

json.dumps([
    {tries}
])
"""


READ = """
    const base = "%s", headers = { Authorization: "Bearer %s" };
    const page = await (await fetch(`${base}/simple/acme-top/`, { headers })).json();
    const wheel = await (await fetch(page.files[0].url, { headers })).arrayBuffer();
    return wheel.byteLength;
"""


@pytest.fixture
def server(page: Engine, tmp_path: Path) -> Iterator[Serving]:
    """It allows the page's own origin only."""
    for wheel in (TOP, BASE):
        (tmp_path / wheel.filename).write_bytes(wheel.data)
    (tmp_path / "logins").mkdir()
    options = write_login_files(tmp_path / "logins").options
    here = urlsplit(page.base_url)
    with serving(
        tmp_path, options=[*options, "--allow-origin", f"http://{here.netloc}"]
    ) as running:
        yield running


def tried(page: Engine, server: Serving, *logins: str) -> list[object]:
    """What an install with each of these arguments of `Mirror` comes to."""
    tries = ",\n    ".join(f"await tried({login})" for login in logins)
    code = INSTALL.format(index_url=server.index_url, tries=tries)
    found: list[object] = json.loads(page.run_async(code))
    return found


def test_a_page_reads_with_a_token_and_with_what_the_browser_has_stored(
    page: Engine, server: Serving
) -> None:
    installed = ["acme-base", "acme-top"]
    token = f"headers={{'Authorization': 'Bearer {READER}'}}"
    assert tried(page, server, token) == [installed]
    refused = tried(page, server, "", "headers={'Authorization': 'Bearer wrong'}")
    assert refused == ["http-status: HTTP 401"] * 2
    # Without this, the browser would ask its user at the first request.
    with page.bare_tab():
        login = f"{USER}:{quote(PASSWORD)}"
        page.goto(f"{server.url.replace('//', f'//{login}@')}/")
    assert tried(page, server, "credentials='include'") == [installed]


@pytest.mark.nightly
def test_an_https_page_reads_from_a_server_with_a_certificate(page: Engine, tmp_path: Path) -> None:
    """Which it would not do from plain http in the network."""
    (tmp_path / TOP.filename).write_bytes(TOP.data)
    certificate = tmp_path / "certificate.pem"
    authority().issue_cert("mirror.test").private_key_and_cert_chain_pem.write_to_path(certificate)
    here = page.pages.base_url(https=True, host="page.test")
    options = [
        "--certfile",
        str(certificate),
        "--allow-origin",
        here,
        "--allow-host",
        "mirror.test",
    ]
    options += write_login_files(tmp_path).options
    with serving(tmp_path, options=options) as running, page.bare_tab():
        page.goto(f"{here}/{PAGE}")
        base = f"https://mirror.test:{urlsplit(running.url).port}"
        code = READ % (base, READER)
        assert page.run_js(code, pyodide_checks=False) == len(TOP.data)
