"""`pyodide-mirror serve` as people start it, and the application in servers of their own."""

import hashlib
import html
import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uv

from pyodide_mirror import __version__, cli
from pyodide_mirror.own_wheels import page_wheel
from tests.support.own_server import Serving, clean_environment, serving
from tests.support.processes import OWN_GROUP, end_group
from tests.support.server_wire import connected, everything, get
from tests.support.static_hosts import nginx
from tests.support.upstreams import EXHIBIT, PROJECTS, Upstream
from tests.support.wheels import INSTALLED, ROOT, STOCK, make_wheel

SECRET = "hunter2-is-secret"  # noqa: S105  # of nobody
STOPS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream("json") as index:
        yield index


@pytest.fixture(scope="module")
def server(upstream: Upstream) -> Iterator[Serving]:
    with serving(None, [upstream.url]) as running:
        yield running


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=20)) as connection:
        connection.request("GET", parts.path or "/", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


def files_of(index_url: str, project: str) -> list[dict[str, Any]]:
    status, _, body = fetch(f"{index_url}/{project}/")
    assert status == 200, body
    found: list[dict[str, Any]] = json.loads(body)["files"]
    return found


# --- the start ----------------------------------------------------------------------------------


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says on its way out."""
    try:
        code = cli.main(["serve", *arguments])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert SECRET not in printed.err
    return printed.err.strip().splitlines()[-1]


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = ("--port", str(port), "--cache", str(tmp_path), "--offline")
        said = refused(capsys, *given)
        assert refused(capsys, *given, "--workers", "2") == said
    assert said == (
        f"pyodide-mirror serve: cannot listen on 127.0.0.1 port {port}: Address already in use;"
        " choose another with --port"
    )


def test_where_processes_cannot_be_forked_there_is_one_worker(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")
    said = refused(capsys, "--workers", "2", "--cache", str(tmp_path), "--offline")
    assert said == (
        "pyodide-mirror serve: leave out --workers: this operating system cannot fork processes"
    )


def test_what_is_wrong_is_told_in_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments, sentence in [
        (["/nowhere/wheels"], "the folder '/nowhere/wheels' does not exist"),
        ([__file__], r"the folder '.*' is no folder"),
        (["--upstream", "ftp://a.example"], "does not start with https:// or http://"),
        (["--upstream", "a.example"], "not a usable index URL: 'a.example'"),
        (["--upstream", f"https://u:{SECRET}@a.example"], r"Put them into ~/\.netrc"),
        (["--public-url", "a.example"], "'a.example' is no public URL"),
        (["--workers", "0"], "'0' is no number from 1 to 999"),
        (["--allow-origin", "a.example"], "'a.example' is not an origin"),
        (["--port", "65536"], "'65536' is no port from 0"),
        (["--cache-size", "lots"], "'lots' is not a size like 500M or 2G"),
        (["--timeout", "0"], "timeout must be a positive number"),
        (["--cache", __file__], r"the cache folder '.*' cannot be used"),
        (["--host", "no-such-host.invalid"], r"--host no-such-host\.invalid: .*; give --host"),
        (["--allow-host", "http://a.example"], "'http://a.example' is not a host like packages"),
        (
            ["--host", "192.0.2.1", "--port", "0"],
            "listen on 192.0.2.1 port 0: .*; give --host",
        ),
        (["--offline", "--upstream", "https://a.example"], "not allowed with argument --offline"),
        (["--cdn", "https://a.example/full/"], r"--cdn: '.*' is of one version of Pyodide; write"),
        (["--cdn", f"https://u:{SECRET}@a.example/v{{version}}/"], "--cdn: not a usable base URL"),
        (["--cdn", "https://a.example/v{version}/"], "--cdn: not allowed with argument --offline"),
        (["--pyodide", "/nowhere"], "the folder of Pyodide '/nowhere' does not exist"),
        (["--pyodide", str(tmp_path)], r"has no pyodide-lock\.json, so it is no unpacked release"),
        (["--trusted-proxy", "nginx"], "'nginx' is no IP address or network like 10.0.0.0/8"),
        (["--trusted-proxy", "*"], "is no IP address or network"),
        (["--access-log", "xml"], "--access-log: invalid choice: 'xml'"),
        (["--metrics", "on"], "--metrics: invalid choice: 'on'"),
        ([str(tmp_path), str(tmp_path)], "the folder '.*' is given twice"),
        (["--auth", "/nowhere"], "the file of users '/nowhere' cannot be read: No such file"),
        (["--token-file", __file__], "the file of tokens '.*': line 1 does not begin with `read`"),
        (["--certfile", __file__], "--certfile '.*' must have a certificate"),
        (["--deny", "numpy<"], "'numpy<': '<' are no versions like <2"),
        (["--only-local", "numpy<2"], "'numpy<2': only-local is for whole projects"),
        (
            ["--rules", __file__],
            "the file of rules '.*': line 1: it does not begin with only-local",
        ),
        (["--no-such-option"], "unrecognized arguments"),
    ]:
        known = ["--cache", str(tmp_path)] if "--cache" not in arguments else []
        offline = ["--offline"] if "--upstream" not in arguments else []
        assert re.search(sentence, refused(capsys, *known, *offline, *arguments)), arguments


def test_without_the_extra_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from pyodide_mirror.cli import main\n"
        "raise SystemExit(main(['serve', '--offline']))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "pyodide-mirror serve needs uvicorn: pip install 'pyodide-mirror[serve]'\n"
    )


def test_offline_it_serves_a_release_of_pyodide_from_a_folder(tmp_path: Path) -> None:
    lock = b'{"packages": {}}'
    tmp_path.joinpath("pyodide-lock.json").write_bytes(lock)
    tmp_path.joinpath("package.json").write_text('{"version": "314.0.7"}')
    with serving(options=["--pyodide", str(tmp_path)]) as running:
        base = f"{running.url}/pyodide/v314.0.7/full/"
        status, headers, body = fetch(f"{base}pyodide-lock.json")
        assert (status, body) == (200, lock)
        assert headers["access-control-allow-origin"] == "*"
        assert fetch(f"{base}%2e%2e/full/pyodide-lock.json")[0] == 404
        assert fetch(f"{base}..%2f..%2fpackage.json")[0] == 404
        assert fetch(f"{base}pyodide.mjs")[0] == 404
    assert "there is nothing to serve" not in running.output


def test_it_says_where_it_is_and_logs_a_line_for_each_request(upstream: Upstream) -> None:
    with serving(None, [upstream.url]) as running:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", running.url)
        fetch(f"{running.url}/healthz")
        fetch(f"{running.index_url}/no-such-project/")
    lines = running.output.splitlines()
    assert lines[0] == f"Serving {running.index_url}/ (Ctrl-C ends it)"
    line = r'(\S+) 127\.0\.0\.1 - "GET /healthz HTTP/1\.1" 200 \d+ \d\.\d{3} complete ".*"'
    match = re.fullmatch(line, lines[1])
    assert match is not None
    assert datetime.fromisoformat(match[1]).tzinfo is not None
    assert re.search(r'"GET /simple/no-such-project/ HTTP/1\.1" 404 ', lines[2])
    assert len(lines) == 3


def test_a_trusted_proxy_says_who_asks(tmp_path: Path) -> None:
    """Anybody can send the header: from others it means nothing."""
    said = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.1.2.3", "X-Forwarded-Proto": "https"}
    wheel = make_wheel("local-only", "1.0")
    (tmp_path / wheel.filename).write_bytes(wheel.data)
    for trusted, client, scheme in (
        (["127.0.0.0/8", "10.0.0.0/8"], "203.0.113.9", "https"),
        (["127.0.0.1"], "10.1.2.3", "https"),
        (["10.0.0.0/8"], "127.0.0.1", "http"),
        ([], "127.0.0.1", "http"),
    ):
        options = [word for each in trusted for word in ("--trusted-proxy", each)]
        with serving(tmp_path, options=options) as running:
            url = f"{running.index_url}/local-only/"
            file = json.loads(fetch(url, **said)[2])["files"][0]
            assert file["url"].startswith(f"{scheme}://127.0.0.1:")
            # What the server refuses itself can be read by pages, too, behind its proxy or not.
            with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as broken:
                broken.sendall(b"nonsense\r\n\r\n")
                assert b"access-control-allow-origin: *" in broken.recv(1000)
        assert re.search(rf' {re.escape(client)} - "GET /simple/local', running.output)


_PROXY = """
location / {{
    proxy_pass {url};
    proxy_bind 127.0.0.2;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto https;
}}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address")
def test_behind_nginx_the_log_has_the_clients_own_address(tmp_path: Path) -> None:
    """Whatever the client adds, which nginx passes on."""
    options = ["--trusted-proxy", "127.0.0.2", "--access-log", "json"]
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "X-Forwarded-Host": "localhost:6666",
    }
    conf = tmp_path / "hosting" / "nginx.conf"
    conf.parent.mkdir()
    with serving(options=options) as running:
        conf.write_text(_PROXY.format(url=running.url))
        with nginx(tmp_path, tmp_path / "scratch") as proxy:
            host = proxy.removeprefix("http://")
            client = http.client.HTTPConnection(host, source_address=("127.0.0.5", 0))
            client.request("GET", "/simple/pyodide-mirror/", headers=forged)
            page = json.loads(client.getresponse().read())
            client.close()
            assert page["files"][0]["url"].startswith(f"https://{host}/files/")
    [line] = [json.loads(each) for each in running.log if each.startswith("{")]
    assert (line["client"], line["path"]) == ("127.0.0.5", "/simple/pyodide-mirror/")
    assert "6.6.6.6" not in running.output


def test_without_a_log_of_requests_there_is_none(tmp_path: Path) -> None:
    with serving(tmp_path, options=["--access-log", "off", "--metrics", "off"]) as running:
        fetch(f"{running.url}/healthz")
        assert fetch(f"{running.url}/metrics")[0] == 404
    assert running.log == [f"Serving {running.index_url}/ (Ctrl-C ends it)\n"]


def test_without_a_folder_and_without_upstreams_it_says_that_there_is_nothing() -> None:
    with serving() as running:
        fetch(f"{running.url}/healthz")
    assert running.output.startswith(
        "pyodide-mirror serve: with --offline and without a FOLDER there is nothing to serve but"
        " pyodide_mirror itself\nServing "
    )


def test_what_an_upstream_did_wrong_is_logged_and_the_folder_is_served(tmp_path: Path) -> None:
    wheel = make_wheel("local-only", "1.0")
    with Upstream("failing") as broken, serving(tmp_path, [broken.url]) as running:
        (tmp_path / wheel.filename).write_bytes(wheel.data)
        [file] = files_of(running.index_url, "local-only")
        assert fetch(file["url"])[2] == wheel.data
        status, _, body = fetch(f"{running.index_url}/{ROOT}/")
        assert status == 502
        assert b"it answers 503" in body
        found = json.loads(fetch(f"{running.url}/healthz")[2])
        assert found["upstreams"] == [{"index_url": broken.url, "problem": "it answers 503"}]
    assert f"{broken.url}: page of {ROOT}: it answers 503" in running.output


def test_a_password_of_the_environment_is_used_and_shown_nowhere(tmp_path: Path) -> None:
    with Upstream("json") as index:
        url = index.url.replace("://", f"://me:{SECRET}@")
        program = ("-c", "import sys; sys.argv.remove('--offline');" + MAIN)
        with serving(
            tmp_path, [], environment={"PYODIDE_MIRROR_UPSTREAMS": url}, program=program
        ) as running:
            shown = b""
            for path in ("/", "/healthz", f"/simple/{ROOT}/", "/simple/nothing/"):
                shown += fetch(running.url + path)[2]
            [page, *_] = index.requests_of(ROOT)
        assert page.header("Authorization") is not None
        assert SECRET.encode() not in shown
        assert SECRET not in running.output


MAIN = "from pyodide_mirror.cli import main; raise SystemExit(main(sys.argv[1:]))"


def test_options_reach_the_application(tmp_path: Path) -> None:
    """The public URL is shown and used; only the chosen origins may read; its names are known."""
    allowed = ("https://a.example", "http://localhost:8888")
    options = ["--public-url", "https://packages.example/index/", "--allow-host", "nas.example"]
    options += [word for origin in allowed for word in ("--allow-origin", origin)]
    with serving(tmp_path, options=options, program=KNOWN_PORT) as running:
        assert running.url == "https://packages.example/index"
        url = f"http://127.0.0.1:{int(running.log[0].split()[-1])}"
        file = files_of(f"{url}/simple", "pyodide-mirror")[0]
        assert file["url"].startswith("https://packages.example/index/files/")
        for origin in allowed:
            _, headers, _ = fetch(url, Origin=origin)
            assert headers["access-control-allow-origin"] == origin
        _, headers, _ = fetch(url, Origin="https://b.example")
        assert "access-control-allow-origin" not in headers
        for host, expected in (("nas.example:1", 200), ("packages.example", 200), ("a.b", 421)):
            assert fetch(url, Host=host)[0] == expected


# The port is nowhere to be seen then: the one line names the public URL.
KNOWN_PORT = (
    "-c",
    "import sys; from pyodide_mirror.server.running import run; real = run.listen\n"
    "def listen(host, port):\n"
    "    found = real(host, port)\n"
    "    print('port', found.getsockname()[1], flush=True)\n"
    "    return found\n"
    "run.listen = listen\n" + MAIN,
)


def test_our_own_wheel_can_be_fetched_from_it(server: Serving) -> None:
    files = {file["filename"]: file for file in files_of(server.index_url, "pyodide-mirror")}
    name, _ = page_wheel()
    content = fetch(f"{server.url}/{name}")[2]
    assert hashlib.sha256(content).hexdigest() == files[name]["hashes"]["sha256"]
    assert fetch(files[name]["url"])[2] == content
    assert json.loads(fetch(f"{server.url}/healthz")[2])["version"] == __version__


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_until_open(port: int, process: subprocess.Popen[str]) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "it has ended"
            time.sleep(0.02)
        else:
            return


# --- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", STOPS)
def test_it_ends_when_it_is_asked_to(stop: signal.Signals, tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        idle = socket.create_connection(("127.0.0.1", urlsplit(running.url).port or 0))
        fetch(f"{running.url}/healthz")
        running.process.send_signal(stop)
        assert running.process.wait(30) == 0
        idle.close()
    assert "Traceback" not in running.output
    assert "Error" not in running.output


def test_a_download_under_way_may_end_first(upstream: Upstream, tmp_path: Path) -> None:
    with upstream.held() as held, serving(None, [upstream.url], cache=tmp_path) as running:
        with begun(running, held.wheel.name) as answer:
            first = answer.read(1000)
            running.process.send_signal(signal.SIGTERM)
            wait_until_closed(running)
            held.release()
            assert first + answer.read() == held.wheel.data
        assert running.process.wait(30) == 0
    assert unfinished(tmp_path) == []
    assert "Traceback" not in running.output


def test_a_download_that_does_not_end_is_cut_off(upstream: Upstream, tmp_path: Path) -> None:
    quick = "import sys; from pyodide_mirror.server.running import run; run.GRACE = 0.3\n"
    hasty = ("-c", quick + MAIN)
    with (
        upstream.held() as held,
        serving(None, [upstream.url], cache=tmp_path, program=hasty) as running,
    ):
        with begun(running, held.wheel.name) as answer:
            answer.read(1000)
            running.process.send_signal(signal.SIGINT)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
        assert running.process.wait(30) == 0
    assert unfinished(tmp_path) == []
    assert "never retrieved" not in running.output
    assert "was destroyed" not in running.output


@contextmanager
def begun(running: Serving, project: str) -> Iterator[http.client.HTTPResponse]:
    """Ask for a project's wheel, and get the head of the answer."""
    [file] = files_of(running.index_url, project)
    parts = urlsplit(file["url"])
    with closing(http.client.HTTPConnection(parts.netloc, timeout=20)) as connection:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status == 200
        yield answer


def wait_until_closed(running: Serving) -> None:
    """Wait until the server takes no more connections."""
    address = ("127.0.0.1", urlsplit(running.url).port or 0)
    while True:
        try:
            with socket.create_connection(address, timeout=30) as probe:
                probe.settimeout(30)
                probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                probe.recv(100)
        except ConnectionError:
            return


def unfinished(cache: Path) -> list[Path]:
    return list((cache / "unfinished").iterdir())


def test_it_serves_on_when_nobody_reads_its_log(tmp_path: Path) -> None:
    """As in ``pyodide-mirror serve | head -1``: what it logs is lost, without an error for each."""
    port = free_port()
    command = [sys.executable, "-m", "pyodide_mirror", "serve", "--offline", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--cache", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **OWN_GROUP,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert process.stdout.readline().startswith("Serving ")
        process.stdout.close()
        for _ in range(3):
            assert fetch(f"http://127.0.0.1:{port}/healthz")[0] == 200
        process.send_signal(signal.SIGTERM)
        assert process.stderr.read() == ""
        assert process.wait(30) in {0, 141}  # something was left to print at the end, or not
    finally:
        end_group(process)
        process.stderr.close()


# --- pip and uv ---------------------------------------------------------------------------------


def recipes(url: str, host: str | None = None) -> dict[str, str]:
    """The lines that the page for people shows, by their titles."""
    _, _, body = fetch(f"{url}/", **({"Host": host} if host else {}))
    found = re.findall(r"<h3>(.*?)</h3>\n<pre[^>]*>(.*?)</pre>", body.decode(), re.DOTALL)
    return {html.unescape(title): html.unescape(lines) for title, lines in found}


def run(line: str, target: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a line of the page, for the zoo's tree, into a folder of its own."""
    words = shlex.split(line.replace("cowsay", ROOT))
    if words[0] == "pip":
        tool = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
        more = ["--retries", "0", "--timeout", "10", "--target", str(target)]
        command = [*tool, *words[1:], *more]
    else:
        more = ["--no-cache", "--target", str(target), "--python", sys.executable]
        command = [uv.find_uv_bin(), *words[1:], *more]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=60
    )


def is_installed(target: Path) -> bool:
    found = {path.name for path in target.glob("*.dist-info")}
    wanted = {f"{name.replace('-', '_')}-{v}.dist-info" for name, v in INSTALLED.items()}
    return found == wanted


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_the_lines_for_this_machine_install(server: Serving, tmp_path: Path, tool: str) -> None:
    done = run(recipes(server.url)[tool], tmp_path, clean_environment())
    assert done.returncode == 0, done.stderr
    assert is_installed(tmp_path)


def run_with_file(
    shown: dict[str, str], tool: str, folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Install with nothing but the configuration file of the page."""
    file = folder / "config"
    file.write_text(shown["pip.conf" if tool == "pip" else "uv.toml"])
    found = clean_environment(**environment)
    if tool == "uv":
        del found["UV_NO_CONFIG"]
    found["PIP_CONFIG_FILE" if tool == "pip" else "UV_CONFIG_FILE"] = str(file)
    line = "pip install cowsay" if tool == "pip" else "uv pip install cowsay"
    return run(line, folder / "target", found)


LAN = "10.99.1.2:8080"


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_the_lines_for_plain_http_in_a_network_install(
    server: Serving, tmp_path: Path, tool: str
) -> None:
    """And the files do. The server is its own proxy, so that another host's name leads to it."""
    shown = recipes(server.url, LAN)
    proxy = clean_environment(http_proxy=server.url)
    done = run(shown[tool], tmp_path / "line", proxy)
    assert done.returncode == 0, done.stderr
    assert is_installed(tmp_path / "line")
    done = run_with_file(shown, tool, tmp_path, {"http_proxy": server.url})
    assert done.returncode == 0, done.stderr
    assert is_installed(tmp_path / "target")


def test_without_its_option_pip_takes_nothing_from_there(server: Serving, tmp_path: Path) -> None:
    line = re.sub(r"--trusted-host \S+ ", "", recipes(server.url, LAN)["pip"])
    assert "trusted" not in line
    done = run(line, tmp_path, clean_environment(http_proxy=server.url))
    assert done.returncode != 0
    assert "not a trusted or secure host" in done.stderr


def test_through_an_html_index_without_anything_uv_installs(tmp_path: Path) -> None:
    with Upstream("html") as index, serving(None, [index.url]) as running:
        done = run(recipes(running.url)["uv"], tmp_path, clean_environment())
    assert done.returncode == 0, done.stderr
    assert is_installed(tmp_path)


# --- servers of one's own -----------------------------------------------------------------------


UVICORN = ("uvicorn", "--port", "{port}")


@contextmanager
def uvicorn(
    *options: str, folder: Path, command: tuple[str, ...] = UVICORN, **environment: str
) -> Iterator[tuple[str, Any]]:
    """Plain uvicorn, or another ASGI server, on a port that was free a moment ago."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", *(word.format(port=port) for word in command), *options],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **OWN_GROUP,
    )
    assert process.stdout is not None
    try:
        wait_until_open(port, process)  # it says that it runs a little before it listens
        yield f"http://127.0.0.1:{port}", process
    finally:
        end_group(process)
        process.stdout.close()


def check_all(url: str) -> None:
    """A page, its file whole and in part, its metadata, and what is not there."""
    file = files_of(f"{url}/simple", EXHIBIT)[-1]
    wheel = next(each for each in PROJECTS[EXHIBIT] if each.filename == file["filename"])
    assert file["url"].startswith(f"{url}/files/")
    for _ in range(2):
        status, headers, body = fetch(file["url"])
        assert (status, body) == (200, wheel.data)
        assert headers["access-control-allow-origin"] == "*"
        assert headers["content-length"] == str(len(wheel.data))
        status, headers, body = fetch(file["url"], Range="bytes=10-19")
        assert (status, body) == (206, wheel.data[10:20])
    metadata = fetch(f"{file['url']}.metadata")[2]
    assert hashlib.sha256(metadata).hexdigest() == file["core-metadata"]["sha256"]
    status, headers, body = fetch(f"{url}/simple/no-such-project/")
    assert (status, headers["access-control-allow-origin"]) == (404, "*")
    parts = urlsplit(file["url"])
    with closing(http.client.HTTPConnection(parts.netloc, timeout=20)) as connection:
        for target in (f"{urlsplit(url).path}/simple/{EXHIBIT}/", parts.path):
            connection.request("HEAD", target)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"")


def test_plain_uvicorn_makes_the_application_itself(upstream: Upstream, tmp_path: Path) -> None:
    with uvicorn(
        "--factory",
        "pyodide_mirror.server:create_app",
        folder=tmp_path,
        PYODIDE_MIRROR_UPSTREAMS=upstream.url,
    ) as (url, process):
        check_all(url)
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "command",
    [("hypercorn", "--bind", "127.0.0.1:{port}"), ("granian", "--interface=asgi", "--port={port}")],
    ids=lambda command: command[0],
)
def test_other_asgi_servers_run_the_application(
    upstream: Upstream, tmp_path: Path, command: tuple[str, ...]
) -> None:
    pytest.importorskip(command[0])
    (tmp_path / "packages.py").write_text(
        "from pyodide_mirror.server import create_app\n"
        f"app = create_app(upstreams=[{upstream.url!r}], cache={str(tmp_path / 'c')!r})\n"
    )
    with uvicorn("packages:app", folder=tmp_path, command=command) as (url, _):
        check_all(url)


def test_below_a_prefix_the_urls_have_it(upstream: Upstream, tmp_path: Path) -> None:
    app = f"app = create_app(upstreams=[{upstream.url!r}], cache={str(tmp_path / 'c')!r})\n"
    mount = (
        "from starlette.applications import Starlette\nfrom starlette.routing import Mount\n"
        "app = Starlette(routes=[Mount('/mounted', app)])\n"
    )
    (tmp_path / "packages.py").write_text(
        f"from pyodide_mirror.server import create_app\n{app}{mount}"
    )
    with uvicorn("packages:app", folder=tmp_path) as (url, _):
        check_all(f"{url}/mounted")


def test_several_processes_share_a_cache(upstream: Upstream, tmp_path: Path) -> None:
    wheels = [upstream.fresh(padding=200_000) for _ in range(4)]
    (tmp_path / "packages.py").write_text(
        "from pyodide_mirror.server import create_app\n"
        f"app = create_app(upstreams=[{upstream.url!r}], cache={str(tmp_path / 'c')!r})\n"
    )
    with uvicorn("packages:app", "--workers", "2", folder=tmp_path) as (url, process):

        def get(number: int) -> bool:
            wheel = wheels[number % len(wheels)]
            [file] = files_of(f"{url}/simple", wheel.name)
            return fetch(file["url"])[2] == wheel.data

        with ThreadPoolExecutor(16) as pool:
            assert all(pool.map(get, range(64)))
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    for wheel in wheels:
        files = [one for one in upstream.requests_of(wheel.name) if one.path.endswith(".whl")]
        assert len(files) == 1, "once for all processes"
    assert unfinished(tmp_path / "c") == []


WSGI = """
from wsgiref.simple_server import make_server
from a2wsgi import ASGIMiddleware
from pyodide_mirror.server import create_app

with make_server("127.0.0.1", 0, ASGIMiddleware(create_app(cache="cache"))) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


def test_a_wsgi_server_takes_it_over_a_bridge(upstream: Upstream, tmp_path: Path) -> None:
    """A bridge knows neither start-up nor end, and sends what it is given."""
    process = subprocess.Popen(
        [sys.executable, "-c", WSGI],
        cwd=tmp_path,
        env={**os.environ, "PYODIDE_MIRROR_UPSTREAMS": upstream.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # its access log
        text=True,
        **OWN_GROUP,
    )
    assert process.stdout is not None
    try:
        check_all(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        end_group(process)
        process.stdout.close()


def test_the_stock_is_what_it_should_be(server: Serving) -> None:
    for project in STOCK:
        names = [file["filename"] for file in files_of(server.index_url, project)]
        assert names == [dist.filename for dist in STOCK[project]]


_HURRIED = """
import sys
from pyodide_mirror.server.running import run
run.GRACE = 0
from pyodide_mirror.cli import main
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("source", ["upstream", "folder"])
def test_ending_it_in_the_middle_of_a_file_prints_no_traceback(
    tmp_path: Path, upstream: Upstream, source: str
) -> None:
    big = make_wheel("zbig", "1.0", padding=30_000_000)
    (tmp_path / big.filename).write_bytes(big.data)
    with (
        upstream.held() as held,
        serving(tmp_path, [upstream.url], program=["-c", _HURRIED]) as running,
    ):
        name = held.wheel.name if source == "upstream" else "zbig"
        [file] = json.loads(get(f"{running.index_url}/{name}/").body)["files"]
        with connected(running.url, receive_buffer=4096) as client:
            target = urlsplit(file["url"]).path
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(1)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(30) == 0
    assert "Traceback" not in running.output
    assert "ASGI" not in running.output


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be cut there")
def test_a_file_that_is_cut_while_it_is_sent_is_one_line_in_the_log(tmp_path: Path) -> None:
    big = make_wheel("zbig", "1.0", padding=30_000_000)
    (tmp_path / big.filename).write_bytes(big.data)
    with serving(tmp_path) as running:
        [file] = json.loads(get(f"{running.index_url}/zbig/").body)["files"]
        with connected(running.url, receive_buffer=4096) as client:
            target = urlsplit(file["url"]).path
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(1)
            os.truncate(tmp_path / big.filename, 1000)
            assert len(everything(client)) < len(big.data)
    assert "a file became shorter while it was sent" in running.output
    assert "Traceback" not in running.output
    assert "ASGI" not in running.output
