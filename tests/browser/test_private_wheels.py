"""Who can read private wheels from `pyodide-mirror serve`: the table of docs/security.md."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.tables import read as read_document
from tests.support.engines import LAN_ADDRESS, Engine
from tests.support.own_server import Serving, serving
from tests.support.pages import PAGE
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.engines("chromium", "firefox", ci=("chromium",))

SECRET = make_wheel("acme-secret", "1.0", requires=["acme-other"])

# What a page can read of a server: all of it, a status, or why not. A page may ask in many ways.
READ = """
    const [base, paths, size] = ARGUMENTS;
    const ways = [{}, { credentials: "include" }, { headers: { "X-Any": "1" } },
        { headers: { Range: "bytes=0-9" } }, { cache: "reload" }, { redirect: "manual" }];
    const statuses = [];
    for (const path of paths) {
        for (const way of ways) {
            const answer = await fetch(base + path, way).catch(() => undefined);
            const text = await answer?.text();
            statuses.push(answer?.status ?? 0);
            if (answer && !answer.ok && /acme/i.test(text)) return `leaked ${text}`;
        }
    }
    // Where all origins may read, none may with its cookies (Fetch standard, "CORS check").
    const seen = new Set(statuses.filter(Boolean).map((one) => (one < 300 ? 200 : one)));
    if (seen.size > 1) return `mixed: ${statuses}`;
    if (seen.has(200)) {
        const page = await (await fetch(`${base}/simple/acme-secret/`)).json();
        const wheel = await (await fetch(page.files[0].url)).arrayBuffer();
        const metadata = await (await fetch(`${page.files[0].url}.metadata`)).text();
        const all = wheel.byteLength === size && metadata.includes("Requires-Dist: acme-other");
        return all ? "everything" : "something else";
    }
    if (seen.size) return `nothing: status ${[...seen]}`;
    const opaque = await fetch(base + paths[0], { mode: "no-cors" }).catch(() => undefined);
    if (!opaque) return "nothing: no connection";
    if (opaque.type !== "opaque" || await opaque.text()) return "read without CORS";
    const frame = document.createElement("iframe");
    frame.src = base + paths[0];
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    document.body.append(frame);
    await loaded;
    return frame.contentDocument ? "read in a frame" : "nothing: blocked by CORS";
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheels")
    (made / SECRET.filename).write_bytes(SECRET.data)
    return made


@pytest.fixture
def servers(page: Engine, folder: Path) -> Iterator[list[Serving]]:
    """One that allows all origins, and one that allows our page's."""
    lab = page.pages.base_url(host="page.test")
    with ExitStack() as stack:
        options: list[list[str]] = [[], ["--allow-origin", lab]]
        yield [stack.enter_context(serving(folder, options=each)) for each in options]


def read(page: Engine, base: str) -> str:
    """What the current page can read of the server at this address."""
    file = f"/files/{SECRET.sha256[:16]}/acme-secret/{SECRET.filename}"
    paths = ["/simple/acme-secret/", file, f"{file}.metadata", "/simple/", "/healthz", "/"]
    arguments = [base, paths, len(SECRET.data)]
    code = READ.replace("ARGUMENTS", str(arguments))
    found: str = page.run_js(code, pyodide_checks=False)
    return found


def asked_by(page: Engine, who: str, servers: list[Serving]) -> list[str]:
    """What somebody of the table can read of each server, from a page that is loaded for it."""
    here = f"{page.pages.base_url(host='other.test' if who == 'other' else 'page.test')}/{PAGE}"
    found = []
    with page.bare_tab():
        for server in servers:
            port = urlsplit(server.url).port
            address, base = {
                "lab": (here, server.url),
                "other": (here, server.url),
                # The address is of the page's own origin: the browser allows it to read all.
                "rebound": (f"http://mirror.test:{port}/", f"http://mirror.test:{port}"),
                # The server listens on 127.0.0.1 only, as it does without --host.
                "far, not listening": (here, f"http://127.0.0.2:{port}"),
                # Not the page for people: its own policy (CSP) forbids it to ask for anything.
                "far, listening": (
                    f"http://{LAN_ADDRESS}:{port}/healthz",
                    f"http://{LAN_ADDRESS}:{port}",
                ),
            }[who]
            page.goto(address)
            found.append(read(page, base))
    return found


def table_of(title: str) -> list[list[str]]:
    """The cells of the table in a section of the document, without its head."""
    section = read_document("docs/security.md").partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


ROWS = ("lab", "other", "rebound", "far, not listening", "far, listening")


def test_it_is_as_the_table_says(page: Engine, servers: list[Serving]) -> None:
    table = table_of("Who can read private wheels")
    assert len(table) == len(ROWS)
    # Only Chromium can be told that an address of the network is this machine.
    rows = [who for who in ROWS if page.name == "chromium" or who != "far, listening"]
    found = {who: asked_by(page, who, servers) for who in rows}
    told = dict(zip(ROWS, [cells[1:] for cells in table], strict=True))
    assert found == {who: told[who] for who in rows}
