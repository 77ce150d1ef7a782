"""The table of HTTP checks holds for both mirrors one can run: our server and the edge's worker."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyodide_mirror import cli
from tests.conformance.checks import Capabilities, Check, Context, case_id, cases
from tests.edge.workerd import worker
from tests.support.own_server import serving
from tests.support.upstreams import Kind, Upstream
from tests.support.wheels import CANARY, INSTALLED

SERVER = Capabilities(
    ours=True,
    metadata_from_wheels=True,
    verifies_files=True,
    single_flight=True,
    serves_itself=True,
    watches_bodies=True,
    patience=6.0,
)
WORKER = Capabilities(ours=True, keeps_upstream_status=True, pins_file_hosts=True, patience=6.0)
KINDS: dict[str, tuple[Kind, ...]] = {
    "server": ("json", "html", "folder", "failing", "refused", "hanging"),
    "worker": ("json", "html", "failing", "refused", "hanging"),
}
CASES = [
    pytest.param((mirror, kind), check, id=f"{mirror}-{kind}-{case_id(check)}")
    for mirror, can in (("server", SERVER), ("worker", WORKER))
    for kind, check in cases(can, KINDS[mirror])
]

Start = Callable[[str, Kind], Context]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """A function that starts a mirror over an upstream, once for all of their checks."""
    contexts: dict[tuple[str, Kind], Context] = {}
    with ExitStack() as stack:

        def started(mirror: str, kind: Kind) -> Context:
            if (mirror, kind) not in contexts:
                index = stack.enter_context(Upstream(kind))
                begin = _server if mirror == "server" else _worker
                contexts[mirror, kind] = begin(stack, index)
            return contexts[mirror, kind]

        yield started


@pytest.mark.parametrize(("place", "check"), CASES)
def test_the_table_holds(place: tuple[str, Kind], check: Check, start: Start) -> None:
    check.run(start(*place))


def _server(stack: ExitStack, index: Upstream) -> Context:
    options = ["--timeout", "2"]
    if index.kind == "folder":
        running = stack.enter_context(serving(index.path, options=options))
    else:
        running = stack.enter_context(serving(upstreams=[index.url], options=options))
    return Context(running.index_url, index, SERVER)


def _worker(stack: ExitStack, index: Upstream) -> Context:
    running = stack.enter_context(worker(index.url, file_hosts=index.file_hosts, TIMEOUT_MS="2000"))
    return Context(f"{running.url}/simple", index, WORKER)


@pytest.mark.parametrize("kind", ["json", "html"])
@pytest.mark.parametrize("mirror", ["server", "worker"])
def test_our_check_calls_it_full(
    start: Start, mirror: str, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    url = start(mirror, kind).mirror_url
    assert cli.main(["check", "--canary", CANARY, "--json", url]) == 0
    (outcome,) = json.loads(capsys.readouterr().out)["outcomes"]
    assert (outcome["reason"], outcome["support"]) == ("ok", "full")


@pytest.mark.parametrize("kind", ["json", "html", "folder"])
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_pip_and_uv_install_a_tree_through_the_server(
    start: Start, kind: Kind, installer: str, tmp_path: Path
) -> None:
    url = f"{start('server', kind).mirror_url}/"
    options = ["--no-cache-dir", "--target", str(tmp_path / "there"), "zoo-root"]
    if installer == "pip":
        command = [sys.executable, "-m", "pip", "--isolated", "install", "-i", url, *options]
    else:
        command = [sys.executable, "-m", "uv", "--no-config", "pip", "install", "--index-url", url]
        command += [option for option in options if option != "--no-cache-dir"]
        command += ["--no-cache"]
    # Nothing but the server: no index, and no folder of wheels, of the environment.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    there = {path.name.split("-")[0] for path in (tmp_path / "there").glob("*.dist-info")}
    assert there == {name.replace("-", "_") for name in INSTALLED}
