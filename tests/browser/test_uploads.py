"""A page, and a server that takes uploads."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.engines import Engine
from tests.support.logins import BOTH, bearer
from tests.support.own_server import Serving, serving
from tests.support.uploads import CONTENT_TYPE, fields_of, form_of
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.engines("chromium"), pytest.mark.nightly]

WHEEL = make_wheel("acme-fresh", "1.0")
NEWER = make_wheel("acme-fresh", "2.0")
INSTALL = """
import pyodide_mirror
mirror = pyodide_mirror.Mirror({index_url!r}, credentials="include")
await pyodide_mirror.install(
    "acme-fresh", mirrors=mirror, canary="acme-fresh", remember=False, cache=False
)
pyodide_mirror.reset()
import acme_fresh
acme_fresh.VALUE
"""
# In all the ways in which a page can send a form; what it may read of the answers does not matter.
SEND = """
    const [url, name, fields, content] = ARGUMENTS;
    const form = new FormData();
    for (const [key, value] of Object.entries(fields)) form.append(key, value);
    form.append("content", new Blob([Uint8Array.from(content)]), name);
    for (const mode of ["cors", "no-cors"]) {
        const options = { method: "POST", body: form, credentials: "include", mode };
        await fetch(url, options).catch(() => undefined);
    }
    const frame = document.createElement("iframe");
    frame.name = "target";
    const sender = document.createElement("form");
    Object.assign(sender, { action: url, method: "POST", target: "target",
        enctype: "multipart/form-data" });
    for (const [key, value] of Object.entries(fields)) {
        const input = document.createElement("input");
        Object.assign(input, { name: key, value });
        sender.append(input);
    }
    const input = document.createElement("input");
    const chosen = new DataTransfer();
    chosen.items.add(new File([Uint8Array.from(content)], name));
    Object.assign(input, { type: "file", name: "content", files: chosen.files });
    sender.append(input);
    document.body.append(frame, sender);
    const loaded = new Promise((resolve) => { frame.onload = resolve; });
    sender.submit();
    await loaded;
    return "sent";
"""


@pytest.fixture
def server(page: Engine, tmp_path: Path) -> Iterator[Serving]:
    """It allows the page's own origin to read."""
    (tmp_path / "tokens").write_text(f"read,upload {BOTH}\n")
    (tmp_path / "uploaded").mkdir()
    options = ["--upload", str(tmp_path / "uploaded"), "--token-file", str(tmp_path / "tokens")]
    options += ["--allow-origin", f"http://{urlsplit(page.base_url).netloc}"]
    with serving(options=options) as running:
        yield running


def test_a_page_installs_what_was_just_uploaded_and_can_upload_nothing(
    page: Engine, server: Serving, tmp_path: Path
) -> None:
    sent = urllib.request.Request(  # noqa: S310  # of this machine
        f"{server.url}/legacy/", form_of(WHEEL), {**CONTENT_TYPE, **bearer(BOTH)}
    )
    with urllib.request.urlopen(sent) as answer:  # noqa: S310
        assert answer.status == 200
    # The browser learns a token, and sends it with whatever a page asks for.
    with page.bare_tab():
        page.goto(server.url.replace("//", f"//__token__:{BOTH}@") + "/")
    assert page.run_async(INSTALL.format(index_url=server.index_url)) == "acme-fresh 1.0"
    arguments = [f"{server.url}/legacy/", NEWER.filename, fields_of(NEWER), [*NEWER.data]]
    code = SEND.replace("ARGUMENTS", json.dumps(arguments))
    assert page.run_js(code, pyodide_checks=False) == "sent"
    assert [path.name for path in (tmp_path / "uploaded").glob("*.whl")] == [WHEEL.filename]
    refused = [line for line in server.log if '"POST /legacy/ HTTP/1.1" 403' in line]
    assert len(refused) == 3
