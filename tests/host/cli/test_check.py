"""The command: its exit codes, what it prints, and what it refuses before any request."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror import MIRRORS, Reason, __version__, cli
from pyodide_mirror.api import ENVIRONMENT_VARIABLE
from pyodide_mirror.model import Mirror, Outcome
from tests.support.wheels import CANARY
from tests.zoo.cdns import KINDS, CDNZoo
from tests.zoo.server import Request, Response, Server
from tests.zoo.zoo import Zoo

ROOT = Path(__file__).parents[3]


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoo]:
    """A zoo, and an environment that names no mirrors."""
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    with Zoo() as opened:
        yield opened


def check(*arguments: str) -> int:
    return cli.main(["check", "--canary", CANARY, *arguments])


def test_it_ends_with_0_when_all_mirrors_are_usable(
    zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(zoo.url("healthy"), zoo.url("no-hashes")) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    lines = shown.out.splitlines()
    assert lines[0].split() == ["mirror", "verdict", "ms", "what", "was", "seen"]
    assert lines[1].split()[:3] == ["*", zoo.url("healthy").split("/")[2], "ok"]
    assert lines[2].split()[1] == "no-hashes"


def test_it_ends_with_1_when_some_are_not(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(zoo.url("healthy"), zoo.url("no-cors")) == 1
    assert "cors" in capsys.readouterr().out


def test_json(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    healthy, blocked = zoo.url("healthy"), zoo.url("no-cors")
    assert check("--json", "--origin", "http://LOCALHOST:80", blocked, healthy) == 1
    shown = capsys.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert list(found) == ["origin", "canary", "chosen", "outcomes", "pending", "cdns"]
    assert (found["origin"], found["canary"]) == ("http://localhost", CANARY)
    assert (found["chosen"], found["pending"]) == (healthy, [])
    assert [one["reason"] for one in found["outcomes"]] == ["ok", "cors"]
    outcome = found["outcomes"][1]
    assert outcome["mirror"]["index_url"] == blocked
    assert outcome["detail"] == "the answer has no Access-Control-Allow-Origin"
    assert set(outcome) == {
        *("mirror", "reason", "support", "repairs", "elapsed_ms", "detail", "hint"),
    }


def test_the_origin_decides(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    picky = zoo.url("cors-for-another")
    assert check(picky) == 1
    assert "not '*' or 'https://app.example'" in capsys.readouterr().out
    assert check(picky, "--origin", "https://elsewhere.example") == 0
    # The mirror's own pages need no CORS.
    assert check(zoo.url("no-cors"), "--origin", zoo["no-cors"].here) == 0


def test_an_https_page_may_not_ask_plain_http(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("http://192.168.1.7/simple") == 1
    assert "mixed-content" in capsys.readouterr().out


def test_the_timeout_is_kept(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(zoo.url("drips"), "--timeout", "0.3") == 1
    assert "within 0.3 s" in capsys.readouterr().out


BAD_USAGE = [
    (["ftp://mirror.test/simple"], "URL"),
    (["mirror.test"], "URL"),
    (["https://me:secret@mirror.test/simple"], "URL"),
    (["--timeout", "0"], "--timeout"),
    (["--timeout", "-1"], "--timeout"),
    (["--timeout", "nan"], "--timeout"),
    (["--timeout", "soon"], "--timeout"),
    (["--canary", "../x"], "--canary"),
    (["--origin", "https://app.example?x"], "--origin"),
    (["--origin", "https://me:secret@app.example"], "--origin"),
    (["--origin", "null"], "--origin"),
    (["--origin", "file:///x"], "--origin"),
    (["--nonsense"], "--nonsense"),
    (["--cdns", "ftp://cdn.test/"], "--cdns"),
    (["--cdns", "https://{version}.cdn.test/"], "--cdns"),
    (["--cdns", "--pyodide", "../x"], "--pyodide"),
    (["--pyodide", "314.0.7"], "--pyodide"),
]


def test_bad_usage_ends_with_2_and_without_a_request(
    zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    healthy = zoo["healthy"]
    for arguments, named in BAD_USAGE:
        with pytest.raises(SystemExit) as ended:
            cli.main(["check", healthy.url, *arguments])
        shown = capsys.readouterr()
        assert (ended.value.code, shown.out) == (2, ""), arguments
        assert named in shown.err.splitlines()[-1], arguments
        assert "secret" not in shown.err, arguments
    assert not healthy.requests


def test_without_a_command_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_what_it_says_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    usage = "usage: pyodide-mirror"
    for arguments, said in [
        (["--version"], __version__),
        *(([*command, "--help"], usage) for command in ([], ["check"], ["serve"], ["edge"])),
    ]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == 0, arguments
        assert said in capsys.readouterr().out, arguments


def test_the_environment_names_mirrors(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = "https://me:secret@mirror.test/simple"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, f"{zoo.url('healthy')}, {bad} nonsense")
    assert check("--json") == 1
    shown = capsys.readouterr().out
    assert [one["reason"] for one in json.loads(shown)["outcomes"]] == ["ok", "bad-url", "bad-url"]
    assert "secret" not in shown


def test_without_urls_it_looks_at_the_known_mirrors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Mirror] = []

    async def look(mirror: Mirror, *_: object, **__: object) -> Outcome:
        asked.append(mirror)
        return Outcome(mirror=mirror, reason=Reason.OK)

    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr("pyodide_mirror.probing.probe_mirror", look)
    assert cli.main(["check"]) == 0
    assert tuple(asked) == MIRRORS
    assert MIRRORS[0].name in capsys.readouterr().out


def test_a_terminal_sees_each_verdict_as_it_arrives(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert check(zoo.url("healthy"), zoo.url("no-cors")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split()[1] for line in lines) == ["cors", "ok"]
    assert check(zoo.url("healthy"), "--json") == 0
    assert capsys.readouterr().err == ""


def run(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "pyodide_mirror", *arguments]
    return subprocess.Popen(command, cwd=ROOT, text=True, **given)  # our own command


def test_it_runs_as_a_module_even_where_little_can_be_printed(zoo: Zoo) -> None:
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with run("check", zoo.url("file-tampered"), "--canary", CANARY, env=ascii_only) as running:
        out, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (1, "")
    assert "hash-mismatch" in out


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGPIPE either")
def test_a_reader_that_leaves_ends_it_without_a_traceback(zoo: Zoo, tmp_path: Path) -> None:
    """As ``pyodide-mirror … | head`` does: the exit code is that of SIGPIPE."""
    mirror = zoo.url("healthy")
    edge = [
        "edge",
        str(tmp_path / "edge"),
        "--upstream",
        mirror,
        "--file-host",
        "https://a.example",
    ]
    for arguments in (
        ["check", mirror, "--canary", CANARY],
        ["check", mirror, "--canary", CANARY, "--json"],
        edge,
        ["serve", "--help"],
    ):
        assert left_alone(*arguments, PYTHONUNBUFFERED="") == (141, ""), arguments
    assert left_alone("check", mirror, "--canary", CANARY, PYTHONUNBUFFERED="1") == (141, "")
    assert (tmp_path / "edge" / "worker.js").exists()


def left_alone(*arguments: str, **environment: str) -> tuple[int, str]:
    """The exit code and stderr of a command that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    options: dict[str, Any] = {"env": {**os.environ, **environment}}
    with os.fdopen(writer, "wb") as nobody, run(*arguments, stdout=nobody, **options) as running:
        _, said = running.communicate(timeout=60)
    return running.returncode, said


@pytest.fixture
def heard_ctrl_c() -> Iterator[None]:
    """Programs hear Ctrl-C, also where a script has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
@pytest.mark.usefixtures("heard_ctrl_c")
def test_ctrl_c_ends_it_at_once() -> None:
    asked, over = threading.Event(), threading.Event()

    def hang(_: Request) -> Response:
        asked.set()
        over.wait()
        return Response()

    with closing(Server(hang)) as server:
        url = f"http://127.0.0.1:{server.port}/simple"
        try:
            with run("check", url, "--timeout", "600") as running:
                assert asked.wait(60)
                running.send_signal(signal.SIGINT)
                try:
                    out, err = running.communicate(timeout=60)  # long before the time-out
                finally:
                    running.kill()
        finally:
            over.set()
    assert (running.returncode, out, err) == (130, "", "")


# --- CDNs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cdns() -> Iterator[CDNZoo]:
    with CDNZoo() as zoo:
        yield zoo


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_cdn_gets_its_verdict(
    name: str, cdns: CDNZoo, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = check("--cdns", cdns.url(name), "--json", "--timeout", "1")
    found = json.loads(capsys.readouterr().out)
    assert found["outcomes"] == []
    [outcome] = found["cdns"]
    assert outcome["cdn"]["base_url"] == cdns.url(name)
    assert outcome["reason"] == KINDS[name].verdict, outcome
    assert outcome["hint"]
    assert exit_code == (KINDS[name].verdict != "ok")


def test_cdns_are_shown_in_a_table_beside_mirrors(
    zoo: Zoo, cdns: CDNZoo, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = cdns.url("good"), cdns.url("core-only")
    assert check(zoo.url("healthy"), "--cdns", *urls, "--pyodide", "0.28.3") == 1
    printed = capsys.readouterr().out
    assert "  mirror " in printed
    assert "it has pyodide.mjs, but not the packages" in printed
    assert any(request.startswith("/pyodide/v0.28.3/") for request in cdns.start("good").targets)


def test_without_urls_the_environment_names_the_cdns(
    cdns: CDNZoo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYODIDE_MIRROR_CDNS", f"{cdns.url('good')}, not a URL")
    assert check("--cdns", "--json") == 1
    found = [one["reason"] for one in json.loads(capsys.readouterr().out)["cdns"]]
    assert found == ["ok", "bad-url", "bad-url", "bad-url"]
