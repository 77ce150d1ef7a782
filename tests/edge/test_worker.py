"""The worker in workerd: settings, files, redirects, the cache, and whom it asks what."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pyodide_mirror.edge import worker_source
from pyodide_mirror.index import EmptyPageError, parse_page
from tests.edge.conftest import Answer, ask
from tests.edge.node_worker import FILES, ORIGIN, UPSTREAM, cpu_milliseconds
from tests.edge.node_worker import ask as ask_in_node
from tests.edge.workerd import Setting, worker, workers
from tests.support.own_server import clean_environment
from tests.support.wheels import ROOT
from tests.zoo.parts import BY_FILENAME, HTML_V1, JSON_V1
from tests.zoo.zoo import Running, Zoo

WHEEL = "zoo_root-1.0-py3-none-any.whl"


def test_it_is_one_file_of_standard_javascript() -> None:
    source = worker_source()
    assert "HTMLRewriter" not in source
    assert "import " not in source.replace("import pyodide_mirror", "")
    assert "require(" not in source


def test_any_platform_with_a_fetch_handler_runs_it() -> None:
    page = {
        "meta": {"api-version": "1.0"},
        "name": "Zoo_Root",
        "files": [{"filename": WHEEL, "url": f"{FILES}/{WHEEL}", "hashes": {}}],
    }
    found = ask_in_node("/simple/zoo-root/", [json.dumps(page).encode()])
    assert found.status == 200
    assert found.headers["access-control-allow-origin"] == "*"
    made = json.loads(found.body)
    assert made["name"] == "zoo-root"
    assert made["files"][0]["url"] == f"{ORIGIN}/files/files.example/{WHEEL}"
    (request,) = found.asked
    assert request["url"] == f"{UPSTREAM}/zoo-root/"
    assert request["redirect"] == "manual"
    assert request["headers"].keys() == {"Accept", "User-Agent"}


# --- settings -----------------------------------------------------------------------------------

BAD_SETTINGS: dict[str, tuple[Mapping[str, Any], str]] = {
    "nothing": ({}, "UPSTREAM, an index URL, is missing"),
    "no URL": ({"UPSTREAM": "pypi"}, "UPSTREAM must start with http(s)://"),
    "another scheme": ({"UPSTREAM": "ftp://index.example/"}, "UPSTREAM must start with"),
    "a password": ({"UPSTREAM": "https://u:secret@index.example/simple"}, "have no user"),
    "a query": ({"UPSTREAM": "https://index.example/simple?x"}, "query"),
    "a bad file host": (
        {"UPSTREAM": "https://index.example/simple", "FILE_HOSTS": "files.example"},
        "each of FILE_HOSTS must start with http(s)://",
    ),
    "a CDN of one version": (
        {"UPSTREAM": "https://index.example/simple", "CDN": "https://cdn.example/full/"},
        "CDN must have {version} in its path, and / at its end",
    ),
    "a CDN without a slash": (
        {"UPSTREAM": "https://index.example/simple", "CDN": "https://cdn.example/v{version}"},
        "CDN must have {version} in its path, and / at its end",
    ),
    "a bad CDN": (
        {"UPSTREAM": "https://index.example/simple", "CDN": "cdn.example/v{version}/"},
        "CDN must start with http(s)://",
    ),
    "a bad choice": (
        {"UPSTREAM": "https://index.example/simple", "FILES": "both"},
        "FILES must be proxy or direct",
    ),
}


def test_what_is_wrong_with_the_settings_is_said() -> None:
    settings = [Setting(upstream=None, variables=each) for each, _ in BAD_SETTINGS.values()]
    with workers(settings) as running:
        for (name, (_, sentence)), one in zip(BAD_SETTINGS.items(), running, strict=True):
            for path in ("/", "/healthz", "/simple/zoo-root/", f"/files/files.example/{WHEEL}"):
                answer = ask(one.url + path)
                assert answer.status == 500, name
                assert answer.headers["Access-Control-Allow-Origin"] == "*", name
                assert answer.headers["Cache-Control"] == "no-store", name
                assert "This mirror is not set up: " in answer.text, name
                assert sentence in answer.text, name
                assert "secret" not in answer.text, name


def test_only_named_origins_may_read_if_some_are_named(zoo: Zoo) -> None:
    allowed = "https://a.example https://b.example"
    with worker(zoo.url("healthy"), ALLOW_ORIGIN=allowed) as running:
        url = f"{running.url}/simple/{ROOT}/"
        for origin in allowed.split():
            answer = ask(url, {"Origin": origin})
            assert answer.headers.get_all("Access-Control-Allow-Origin") == [origin]
            assert "Origin" in ", ".join(answer.headers.get_all("Vary") or [])
        for headers in ({"Origin": "https://c.example"}, {"Origin": "null"}, {}):
            answer = ask(url, headers)
            assert answer.headers.get_all("Access-Control-Allow-Origin") is None
            assert "Origin" in ", ".join(answer.headers.get_all("Vary") or [])


@pytest.mark.parametrize(("allowed", "others"), [("*", True), ("https://a.example", False)])
def test_a_private_network_is_opened_to_allowed_origins_only(allowed: str, others: bool) -> None:
    opens = "access-control-allow-private-network"

    def opened(**headers: str) -> bool:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        env = {"ALLOW_ORIGIN": allowed}
        found = ask_in_node("/simple/zoo-root/", [], headers=sent, method="OPTIONS", env=env)
        assert found.status == 204
        return found.headers.get(opens) == "true"

    asked = {"Access_Control_Request_Private_Network": "true"}
    assert opened(Origin="https://a.example", **asked)
    assert opened(Origin="https://b.example", **asked) is others
    assert opened(**asked) is others
    assert not opened(Origin="https://a.example")


def test_files_stay_where_they_are_if_that_is_wanted(zoo: Zoo) -> None:
    animal = zoo["html-relative"]
    with worker(animal.url, files="direct") as running:
        (file,) = files_of(running.url, WHEEL)
        assert file["url"] == f"{animal.here}/files/{WHEEL}"
        answer = ask(f"{running.url}/files/{animal.here.removeprefix('http://')}/files/{WHEEL}")
        assert answer.status == 404


def test_our_own_wheels_are_a_project_of_the_index(zoo: Zoo, tmp_path: Path) -> None:
    contents = {
        f"pyodide_mirror-9.8.7-0x1-py3-none-{platform}.whl": platform.encode()
        for platform in ("any", "pyemscripten_2026_0_wasm32")
    }
    own = []
    for name, content in contents.items():
        tmp_path.joinpath(name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        own.append({"filename": name, "hashes": {"sha256": sha256}, "size": len(content)})
    with worker(zoo.url("healthy"), assets=tmp_path, OWN_WHEELS=own) as running:
        page = json.loads(ask(f"{running.url}/simple/pyodide-mirror/").body)
        html = ask(f"{running.url}/simple/pyodide-mirror/", {"Accept": "text/html"}).text
        assert page["files"] == [
            each | {"url": f"{running.url}/{each['filename']}", "yanked": False} for each in own
        ]
        for file in page["files"]:
            answer = ask(file["url"], {"Origin": "https://notebook.example"})
            assert (answer.status, answer.body) == (200, contents[file["filename"]])
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert f'href="{file["url"]}#sha256={file["hashes"]["sha256"]}"' in html
        home = ask(f"{running.url}/").text
        assert page["files"][-1]["url"] in home  # the one for pages
        assert page["files"][0]["url"] not in home


def test_a_token_in_the_path_of_the_index_url_is_shown_nowhere() -> None:
    env = {"UPSTREAM": "https://index.example/s3cret/simple"}
    moved = {"Location": "https://elsewhere.example/s3cret/"}
    shown = [
        *(ask_in_node(path, [], env=env) for path in ("/", "/healthz")),
        *(
            ask_in_node(path, [b"<"], env=env, status=status, upstream_headers=moved)
            for path in ("/simple/", "/simple/zoo-root/", f"/files/index.example/s3cret/{WHEEL}")
            for status in (200, 302, 403, 503)
        ),
    ]
    assert shown[0].status == 200
    for answer in shown:
        assert b"s3cret" not in answer.body.replace(f"/s3cret/{WHEEL}".encode(), b"")
        assert "s3cret" not in str(answer.headers)


# --- whom it asks, and what ---------------------------------------------------------------------


@pytest.fixture
def animal(zoo: Zoo) -> Running:
    """A healthy mirror with an empty log, whose files are at its second origin."""
    return zoo.start("files-elsewhere")


@pytest.fixture
def mirror(animal: Running) -> Iterator[str]:
    """The origin of a worker over it."""
    with worker(animal.url, file_hosts=[animal.there]) as running:
        yield running.url


def files_of(mirror: str, filename: str, project: str = ROOT) -> list[dict[str, Any]]:
    answer = ask(f"{mirror}/simple/{project}/")
    assert answer.status == 200, answer.body
    page = json.loads(answer.body)
    return [file for file in page["files"] if file["filename"] == filename]


def test_a_page_and_a_file_cost_one_request_each_and_the_second_time_none(
    animal: Running, mirror: str
) -> None:
    for times in range(2):
        (file,) = files_of(mirror, WHEEL)
        answer = ask(file["url"])
        assert answer.body == BY_FILENAME[WHEEL].data
        assert len(animal.requests) == 2, times


def test_each_format_is_kept_by_itself(animal: Running, mirror: str) -> None:
    for accept in (JSON_V1, "text/html", HTML_V1) * 2:
        answer = ask(f"{mirror}/simple/{ROOT}/", {"Accept": accept})
        assert answer.headers.get_content_type() == accept
    assert len(animal.requests) == 3


def test_what_is_kept_is_304_for_who_knows_it(animal: Running, mirror: str) -> None:
    url = f"{mirror}/simple/{ROOT}/"
    etag = ask(url).headers["ETag"]
    again = ask(url, {"If-None-Match": f'"other", W/{etag}'})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == etag
    assert ask(url, {"If-None-Match": '"other"'}).status == 200
    assert len(animal.requests) == 1


def test_a_part_is_never_kept_as_the_whole(animal: Running, mirror: str) -> None:
    (file,) = files_of(mirror, WHEEL)
    for _ in range(2):
        part = ask(file["url"], {"Range": "bytes=0-9"})
        assert part.status in {200, 206}
    assert ask(file["url"]).body == BY_FILENAME[WHEEL].data


def test_head_keeps_nothing_and_sends_nothing(animal: Running, mirror: str) -> None:
    (file,) = files_of(mirror, WHEEL)
    for url in (f"{mirror}/simple/{ROOT}/", file["url"]):
        answer = ask(url, method="HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0
    assert ask(file["url"]).body == BY_FILENAME[WHEEL].data


def test_errors_are_not_kept(zoo: Zoo) -> None:
    animal = zoo.start("dep-busy-once")
    with worker(animal.url) as running:
        url = f"{running.url}/simple/zoo-dep-b/"
        first = ask(url)
        assert (first.status, first.headers["Cache-Control"]) == (503, "no-store")
        assert ask(url).status == 200


def test_neither_cookies_nor_credentials_go_upstream(animal: Running, mirror: str) -> None:
    private = {"Cookie": "a=1", "Authorization": "Basic c2VjcmV0", "X-Token": "t", "Referer": "r"}
    (file,) = files_of(mirror, WHEEL)
    ask(f"{mirror}/simple/zoo-dep-a/", private)
    ask(file["url"], private)
    assert len(animal.requests) == 3
    for request in animal.requests:
        for name in private:
            assert request.header(name) is None


@pytest.mark.parametrize(
    ("name", "hosts", "status"),
    [
        ("redirect", False, 200),
        ("redirect-elsewhere", True, 200),
        ("redirect-elsewhere", False, 502),
        ("redirect-loop", True, 502),
        ("login-redirect", False, 502),
    ],
)
def test_a_redirect_is_followed_once_and_to_named_hosts_only(
    zoo: Zoo, name: str, hosts: bool, status: int
) -> None:
    animal = zoo.start(name)
    elsewhere = animal.there
    with worker(animal.url, file_hosts=[elsewhere] if hosts else []) as running:
        answer = ask(f"{running.url}/simple/{ROOT}/")
    assert answer.status == status
    assert len(animal.requests) <= 2
    if status == 502 and not hosts:
        assert elsewhere in answer.text
        assert not [one for one in animal.requests if f":{one.port}" in elsewhere]


def test_clients_may_encode_the_colon_of_a_file_host(animal: Running) -> None:
    """As pip does; RFC 3986 allows both. It is one file, which is kept once."""
    with worker(animal.url, file_hosts=[animal.there]) as running:
        (file,) = files_of(running.url, WHEEL)
        there = animal.there.removeprefix("http://")
        assert f"/files/{there}/" in file["url"]
        for encoded in (there.replace(":", "%3A"), there.replace(":", "%3a"), f"%31{there[1:]}"):
            assert ask(file["url"].replace(there, encoded)).body == BY_FILENAME[WHEEL].data
    assert len([one for one in animal.requests if one.path.endswith(WHEEL)]) == 1


def test_pip_installs_from_a_file_host_with_a_port(mirror: str, tmp_path: Path) -> None:
    tool = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
    index = ["--index-url", f"{mirror}/simple/"]
    done = subprocess.run(
        [*tool, "install", "--retries", "0", "--target", str(tmp_path), *index, ROOT],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("zoo_root-*.dist-info"))


def test_a_redirected_file_comes_from_where_it_is(zoo: Zoo) -> None:
    animal = zoo.start("file-redirect")
    with worker(animal.url, file_hosts=[animal.there]) as running:
        (file,) = files_of(running.url, WHEEL)
        assert ask(file["url"]).body == BY_FILENAME[WHEEL].data


# --- abuse --------------------------------------------------------------------------------------

HERE, THERE = "{here}", "{there}"
ABUSE = [
    # Other hosts, in every spelling.
    f"/files/{THERE}/files/{WHEEL}",
    f"/files/169.254.169.254/{WHEEL}",
    f"/files/localhost/{WHEEL}",
    f"/files/[::1]/{WHEEL}",
    f"/files/http://{THERE}/files/{WHEEL}",
    f"/files/http:/{THERE}/files/{WHEEL}",
    f"/files//{THERE}/files/{WHEEL}",
    f"/files/http%3A%2F%2F{THERE}/files/{WHEEL}",
    f"/files/user:pass@{HERE}/files/{WHEEL}",
    f"/files/{HERE}@{THERE}/files/{WHEEL}",
    f"/files/{HERE}:80/files/{WHEEL}",
    f"/files/{HERE}.evil.example/files/{WHEEL}",
    f"/files/{HERE}%00.evil.example/files/{WHEEL}",
    f"/files/{HERE}%2e/files/{WHEEL}",
    f"/files/{HERE}%2F/files/{WHEEL}",
    f"/files/{HERE}%/files/{WHEEL}",
    f"/files/{HERE}%253A80/files/{WHEEL}",
    f"/files/127.0.0.1%253A80/files/{WHEEL}",
    f"/files/user%3Apass%40{HERE}/files/{WHEEL}",
    f"/files/{HERE}%40{THERE}/files/{WHEEL}",
    f"/files/%5B%3A%3A1%5D/files/{WHEEL}",
    f"/files/{HERE}%2f..%2f{THERE}/files/{WHEEL}",
    f"/files/%3127.0.0.1/files/{WHEEL}",
    f"/https://{THERE}/files/{WHEEL}",
    f"/simple/{THERE}/",
    f"/simple/..%2f..%2ffiles%2f{WHEEL}/",
    "/simple/zoo-root%00/",
    # Paths that would be read twice, or are no distribution's.
    f"/files/{HERE}//files/{WHEEL}",
    f"/files/{HERE}/files/..%2f..%2fetc/{WHEEL}",
    f"/files/{HERE}/files/%2e%2e%2f{WHEEL}",
    f"/files/{HERE}/files/%252e%252e/{WHEEL}",
    f"/files/{HERE}/files/..%5c{WHEEL}",
    f"/files/{HERE}/files%2f{WHEEL}",
    f"/files/{HERE}/files/%0d%0aX-Zoo:%20yes/{WHEEL}",
    f"/files/{HERE}/files/{WHEEL}%0d%0aX-Zoo:%20yes",
    f"/files/{HERE}/files/{WHEEL}%00.txt",
    f"/files/{HERE}/files/{WHEEL}%7f",
    f"/files/{HERE}/files/%25/{WHEEL}",
    f"/files/{HERE}/files/{WHEEL}.metadata.metadata",
    f"/files/{HERE}/files/.metadata",
    f"/files/{HERE}/files/.whl",
    f"/files/{HERE}/files/-x.whl",
    f"/files/{HERE}/files/<script>.whl".replace("<", "%3C").replace(">", "%3E"),
    f"/files/{HERE}/files/secret.txt",
    f"/files/{HERE}/files/",
    f"/files/{HERE}/simple/zoo-root/",
    f"/files/{HERE}",
    "/files/",
    "/files",
    f"/files/{HERE}/files/{'a' * 2000}/{WHEEL}",
    f"/files/{HERE}/files/{'a' * 300}.whl",
    f"/files/{HERE}/files/x.php?file={WHEEL}",
    "/etc/passwd",
    "/cdn-cgi/x",
]


def test_abuse_is_refused_and_asks_nobody(zoo: Zoo) -> None:
    assert len(ABUSE) >= 40
    animal, other = zoo.start("healthy"), zoo.start("healthy")
    with worker(animal.url) as running:
        here, there = urlsplit(animal.here).netloc, urlsplit(other.here).netloc
        for path in ABUSE:
            answer = ask(running.url + path.replace(HERE, here).replace(THERE, there))
            assert_refused(answer, path)
    assert not animal.requests
    assert not other.requests


def assert_refused(answer: Answer, path: str) -> None:
    assert answer.status in {400, 404}, (path, answer)
    assert answer.headers["X-Zoo"] is None, path
    assert answer.headers["Access-Control-Allow-Origin"] == "*", path
    assert answer.headers["Cache-Control"] == "no-store", path


def test_markup_that_never_ends_costs_little() -> None:
    upstream = {"Content-Type": "text/html"}
    for markup in ('<a href="', "<a ", "<!--", "<script>", "<a href='x' ", "<a b=" * 3, "&#x" * 9):
        body = (markup * (400_000 // len(markup))).encode()
        found = ask_in_node("/simple/zoo-root/", [body], upstream_headers=upstream)
        assert found.status == 502


def test_tags_that_are_named_like_parts_of_javascript_are_tags() -> None:
    names = ("constructor", "__proto__", "toString", "valueOf", "hasOwnProperty")
    tags = "".join(f"<{name}></{name}>" for name in names)
    body = f'{tags}<a href="{FILES}/{WHEEL}" constructor=1 __proto__=2>{WHEEL}</a>'.encode()
    found = ask_in_node("/simple/zoo-root/", [body], upstream_headers={"Content-Type": "text/html"})
    assert [file["filename"] for file in json.loads(found.body)["files"]] == [WHEEL]


def test_only_the_first_base_of_a_page_counts() -> None:
    body = f'<base href="{FILES}/a/"><base href="{FILES}/b/"><a href="{WHEEL}">{WHEEL}</a>'.encode()
    found = ask_in_node("/simple/zoo-root/", [body], upstream_headers={"Content-Type": "text/html"})
    (file,) = json.loads(found.body)["files"]
    assert file["url"] == f"{ORIGIN}/files/files.example/a/{WHEEL}"


def test_a_file_is_called_as_its_link_says() -> None:
    """As pip and uv read it, which look at the link only; the text counts where that has none."""
    local, encoded = ("zoo_root-1.0+cpu-py3-none-any.whl", "zoo_root-1.0%2Bcpu-py3-none-any.whl")
    for href, text, filename in [
        (encoded, encoded, local),
        (encoded, local, local),
        (WHEEL, f"cpu/{WHEEL}", WHEEL),
        (WHEEL, f"other-{WHEEL}", WHEEL),
        (f"{WHEEL}?x=zoo_root-2.0.zip", "", WHEEL),
    ]:
        body = f'<a href="{FILES}/a/{href}#sha256={"a" * 64}">{text}</a>'.encode()
        html = {"Content-Type": "text/html"}
        found = ask_in_node("/simple/zoo-root/", [body], upstream_headers=html)
        assert found.status == 200, (href, text, found.body)
        (file,) = json.loads(found.body)["files"]
        assert file["filename"] == filename
        assert file["url"] == f"{ORIGIN}/files/files.example/a/{href}"
    linked = f'<a href="{FILES}/get/7">{WHEEL}</a>'.encode()
    found = ask_in_node(
        "/simple/zoo-root/", [linked], upstream_headers=html, env={"FILES": "direct"}
    )
    (file,) = json.loads(found.body)["files"]
    assert (file["filename"], file["url"]) == (WHEEL, f"{FILES}/get/7")


@pytest.mark.parametrize("files", [0, 1, 60])
@pytest.mark.parametrize("kind", [JSON_V1, "text/html"])
def test_the_status_of_a_project_is_passed_on(kind: str, files: int) -> None:
    """PEP 792: of a project in quarantine there may be no files at all."""
    status = {"status": "quarantined", "reason": 'see <"zother">'}
    entries = [{"filename": WHEEL, "url": f"{FILES}/{WHEEL}", "hashes": {}}] * files
    json_page = {"meta": {"api-version": "1.4"}, "name": "zoo-root", "files": entries}
    html_page = (
        '<meta name="pypi:repository-version" content="1.4">'
        '<meta name="pypi:project-status" content="quarantined">'
        '<meta name="pypi:project-status-reason" content="see &lt;&quot;zother&quot;&gt;">'
        + f'<a href="{FILES}/{WHEEL}">{WHEEL}</a>'
        * files
    )
    text = json.dumps({**json_page, "project-status": status}) if kind == JSON_V1 else html_page
    chunks = [text[at : at + 1000].encode() for at in range(0, len(text), 1000)]
    for accept in (JSON_V1, "text/html"):
        found = ask_in_node(
            "/simple/zoo-root/",
            chunks,
            upstream_headers={"Content-Type": kind},
            headers={"Accept": accept},
            env={"HOLD_BYTES": "1"},
        )
        assert (found.status, found.broken) == (200, False), found.body
        try:
            page = parse_page(found.body, accept, f"{ORIGIN}/simple/zoo-root/", "zoo-root")
        except EmptyPageError as error:
            page = error.page
        assert (page.status, page.status_reason) == ("quarantined", status["reason"])
        assert len(page.files) == files
        assert b"1.4" in found.body


def test_a_status_that_is_none_is_left_out() -> None:
    for status in ("archived", 7, None, [], {}, {"status": 7}, {"reason": "x"}):
        page = {"meta": {"api-version": "1.4"}, "name": "zoo-root", "project-status": status}
        page["files"] = [{"filename": WHEEL, "url": f"{FILES}/{WHEEL}", "hashes": {}}]
        found = ask_in_node("/simple/zoo-root/", [json.dumps(page).encode()])
        assert "project-status" not in json.loads(found.body), status
        page["files"] = []
        assert ask_in_node("/simple/zoo-root/", [json.dumps(page).encode()]).status == 404


@pytest.mark.parametrize("length", [2_500, 15_000])
def test_signed_urls_may_be_long(length: int) -> None:
    query = f"X-Amz-Security-Token={'a' * length}"
    url, here = f"{FILES}/a/{WHEEL}?{query}", f"/files/files.example/a/{WHEEL}?{query}"
    entries = [{"filename": WHEEL, "url": url, "hashes": {"sha256": "a" * 64}}] * 5
    page = {"meta": {"api-version": "1.0"}, "name": "zoo-root", "files": entries}
    body = json.dumps(page).encode()
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    html = f'<a data-yanked="" href="{url}#sha256={"a" * 64}">{WHEEL}</a>'.encode()
    for chunks, kind in (([body], JSON_V1), (pieces, JSON_V1), ([html], "text/html")):
        found = ask_in_node(
            "/simple/zoo-root/",
            chunks,
            upstream_headers={"Content-Type": kind},
            env={"HOLD_BYTES": "1"},
        )
        assert {file["url"] for file in json.loads(found.body)["files"]} == {ORIGIN + here}, kind
    (asked,) = ask_in_node(here, [b"wheel"]).asked
    assert asked["url"] == url
    moved = ask_in_node(
        f"/files/files.example/{WHEEL}", [], status=302, upstream_headers={"Location": url}
    )
    assert [one["url"] for one in moved.asked] == [f"{FILES}/{WHEEL}", url]


def test_urls_longer_than_any_signed_one_are_left_out() -> None:
    body = json.dumps(
        {
            "meta": {"api-version": "1.0"},
            "name": "zoo-root",
            "files": [
                {"filename": WHEEL, "url": f"{FILES}/{WHEEL}?{'a' * length}", "hashes": {}}
                for length in (20_000, 3)
            ],
        }
    )
    (file,) = json.loads(ask_in_node("/simple/zoo-root/", [body.encode()]).body)["files"]
    assert file["url"].endswith("?aaa")


def test_a_page_larger_than_any_may_be_is_refused() -> None:
    chunk = b" " * (1 << 20)
    found = ask_in_node(
        "/simple/zoo-root/", [chunk] * 40, upstream_headers={"Content-Type": "text/html"}
    )
    assert found.status == 502
    assert b"larger than this mirror can rewrite" in found.body


# --- large pages --------------------------------------------------------------------------------


@pytest.mark.parametrize(("kept", "requests"), [("all", 1), ("small", 2)])
def test_a_large_page_is_kept_once_it_was_whole(zoo: Zoo, kept: str, requests: int) -> None:
    animal = zoo.start("crowded")
    with worker(animal.url, CACHE=kept) as running:
        first, second = (ask(f"{running.url}/simple/{ROOT}/") for _ in range(2))
    assert len(json.loads(first.body)["files"]) > 4200
    assert first.body == second.body
    assert len(animal.requests) == requests


def test_the_cost_of_a_page_grows_no_faster_than_the_page() -> None:
    small, large = 200, 4200
    costs = {
        number: min(cpu_milliseconds("/simple/zoo-root/", crowd(number), times=15))
        for number in (small, large)
    }
    print(f"CPU time in ms, by the number of files: {costs}")
    # By its square it would be 441 times; the small page's own share makes it less than 21 times.
    assert costs[large] / costs[small] < 3 * large / small


def crowd(number: int) -> bytes:
    """A page as PyPI writes it."""

    def entry(index: int) -> dict[str, Any]:
        digest = hashlib.sha256(str(index).encode()).hexdigest()
        filename = f"zoo_root-1.{index}-cp313-cp313-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
        return {
            "core-metadata": {"sha256": digest} if index % 4 else False,
            "data-dist-info-metadata": {"sha256": digest} if index % 4 else False,
            "filename": filename,
            "hashes": {"sha256": digest},
            "provenance": None,
            "requires-python": ">=3.8",
            "size": 1_000_000 + index,
            "upload-time": "2023-10-19T12:00:00.123456Z",
            "url": f"{FILES}/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}",
            "yanked": False,
        }

    page = {
        "alternate-locations": [],
        "files": [entry(index) for index in range(number)],
        "meta": {"_last-serial": 1, "api-version": "1.4"},
        "name": "zoo-root",
        "versions": [f"1.{index}" for index in range(number)],
    }
    return json.dumps(page, separators=(",", ":")).encode()
