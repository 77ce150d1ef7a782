"""A server that is killed, a cache that is shared or damaged, a disk that is full."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.own_server import Served, Serving, serving, serving_here
from tests.support.server_stock import Stock, stock, stocked
from tests.support.server_wire import PATIENCE, Answer, assert_readable, connected, files_of, get
from tests.support.wheels import make_wheel

resource = pytest.importorskip("resource", reason="limits are set the Unix way")

CLIENTS = 25
SIZE = 1024 * 1024
FILES = stock(CLIENTS, SIZE)
NAMES = tuple(FILES)
HELD_AT = (None, 0, 1, 65_536, SIZE - 1)
"""The byte after which the upstream stops: of the files in turn; the first of five is not held."""
_HEAD_END = b"\r\n\r\n"


class _Client(threading.Thread):
    """Downloads a file, and says when it has so many bytes of it; a server that dies ends it."""

    def __init__(self, url: str, enough: int, reached: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._enough = enough
        self._reached = reached
        self.received = b""
        self.start()

    def run(self) -> None:
        told = False
        path = urlsplit(self._url).path
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        with connected(self._url) as connection:
            try:
                connection.sendall(request.encode())
                while piece := connection.recv(1 << 18):
                    self.received += piece
                    if not told and len(self.body) >= self._enough:
                        told = True
                        self._reached.release()
            except ConnectionError:
                pass  # that is what a kill looks like from here

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        return self.received.partition(_HEAD_END)[2]

    @property
    def begun(self) -> bool:
        """Whether the head of the answer has come."""
        return _HEAD_END in self.received


def _unfinished(cache: Path) -> list[Path]:
    return list(cache.joinpath("unfinished").iterdir())


def _entries(cache: Path, kind: str = "file") -> dict[str, Path]:
    """Entries on disk by digest."""
    return {path.name: path for path in cache.glob(f"{kind}/??/*")}


def _download_all(server: Served, names: tuple[str, ...]) -> dict[str, Answer]:
    urls = files_of(server.index_url, "stock")
    with ThreadPoolExecutor(CLIENTS) as threads:
        return dict(zip(names, threads.map(lambda name: get(urls[name]), names), strict=True))


def _check_after(cache: Path, upstream: Stock, whole: set[str]) -> None:
    """Start again on the same folder: what is there is right, and the rest is fetched."""
    upstream.gone = True
    with serving_here(upstreams=[upstream.url], cache=cache) as server:
        assert not _unfinished(cache)
        for name, answer in _download_all(server, NAMES).items():
            assert_readable(answer)
            assert answer.status in {200, 502}, name
            if name in whole:
                assert answer.status == 200, f"{name} was whole before the kill"
            if answer.status == 200:
                assert answer.body == FILES[name], f"{name} is not what it was"
            else:
                assert answer.body not in FILES[name]
        upstream.gone = False
        upstream.release()
        for name, answer in _download_all(server, NAMES).items():
            assert (answer.status, answer.body) == (200, FILES[name]), name
    assert not _unfinished(cache)
    assert len(_entries(cache)) >= len(FILES)


def test_a_kill_in_the_middle_of_downloads_leaves_whole_files_only(tmp_path: Path) -> None:
    held_at = {name: HELD_AT[number % len(HELD_AT)] for number, name in enumerate(NAMES)}
    reached = threading.Semaphore(0)
    with stocked(FILES) as upstream:
        upstream.hold = held_at.__getitem__
        with serving(upstreams=[upstream.url], cache=tmp_path) as server:
            urls = files_of(server.index_url, "stock")
            clients = {
                # The server hands out all but the last byte that it has.
                name: _Client(
                    url, SIZE if (at := held_at[name]) is None else max(0, at - 1), reached
                )
                for name, url in urls.items()
            }
            upstream.wait_for("stock-", CLIENTS)
            for _ in clients:
                assert reached.acquire(timeout=PATIENCE)
            server.process.kill()
            server.process.wait()
            for client in clients.values():
                client.join()
        for name, client in clients.items():
            assert FILES[name].startswith(client.body)
            assert (len(client.body) == SIZE) is (held_at[name] is None)
        _check_after(tmp_path, upstream, {name for name in NAMES if held_at[name] is None})


def test_a_kill_when_some_are_whole_loses_none_of_these(tmp_path: Path) -> None:
    """The others are anywhere: about to begin, half-way, on their way to their place."""
    reached = threading.Semaphore(0)
    with stocked(FILES) as upstream:
        with serving(upstreams=[upstream.url], cache=tmp_path) as server:
            urls = files_of(server.index_url, "stock")
            clients = {name: _Client(url, SIZE, reached) for name, url in urls.items()}
            for _ in range(CLIENTS // 3):
                assert reached.acquire(timeout=PATIENCE)
            server.process.kill()
            server.process.wait()
            for client in clients.values():
                client.join()
        whole = {name for name, client in clients.items() if len(client.body) == SIZE}
        assert len(whole) >= CLIENTS // 3
        _check_after(tmp_path, upstream, whole)


def test_files_are_served_with_the_upstream_gone(tmp_path: Path) -> None:
    files = stock(5, 100_000)
    with stocked(files) as upstream:
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            _download_all(server, tuple(files))
        upstream.gone = True
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            answers = _download_all(server, tuple(files))
    assert {name: answer.body for name, answer in answers.items()} == files


@pytest.mark.nightly
def test_two_servers_share_a_cache_folder(tmp_path: Path) -> None:
    """The second one starts while the first one downloads, whose unfinished files it lets be."""
    held, files = stock(8, 400_000, "held"), stock(20, 100_000)
    with (
        stocked(held | files) as upstream,
        serving(upstreams=[upstream.url], cache=tmp_path) as one,
    ):
        reached = threading.Semaphore(0)
        upstream.hold = lambda _: 200_000
        urls = files_of(one.index_url, "held")
        clients = {name: _Client(url, 199_999, reached) for name, url in urls.items()}
        for _ in clients:
            assert reached.acquire(timeout=PATIENCE)
        with serving(upstreams=[upstream.url], cache=tmp_path) as other:
            assert len(_unfinished(tmp_path)) == len(held)
            upstream.hold_again(lambda _: None)
            url = files_of(other.index_url, "held")["held-0.0.zip"]
            assert get(url).body == held["held-0.0.zip"]
            upstream.release()
            for name, client in clients.items():
                client.join()
                assert client.body == held[name]
            with ThreadPoolExecutor(2) as threads:
                for answers in threads.map(
                    lambda one: _download_all(one, tuple(files)), (one, other)
                ):
                    assert {name: answer.body for name, answer in answers.items()} == files
            upstream.gone = True
            for server in (one, other):
                again = _download_all(server, tuple(files))
                assert {name: answer.body for name, answer in again.items()} == files
        assert not _unfinished(tmp_path)


# ---------------------------------------------------------------- what is on disk


def _flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x01]))


def _truncate(path: Path, at: int) -> None:
    os.truncate(path, at)


def _empty(path: Path, at: int) -> None:
    path.write_bytes(b"")


def _lengthen(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes() + bytes(at))


DAMAGES = (_flip, _truncate, _empty, _lengthen)


def test_damaged_files_are_fetched_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = stock(5, 100_000)
    damages = dict(zip(files, DAMAGES, strict=False))
    with stocked(files) as upstream:
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            _download_all(server, tuple(files))
        paths = {path.read_bytes(): path for path in _entries(tmp_path).values()}
        for name, damage in damages.items():
            damage(paths[files[name]], 50_000)
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            answers = _download_all(server, tuple(files))
        assert caplog.text.count("is damaged") == len(damages)
        assert {name: answer.body for name, answer in answers.items()} == files
        for name, content in files.items():
            assert paths[content].read_bytes() == content
            assert upstream.counts[name] == (2 if name in damages else 1)


WHEELS = {
    wheel.filename: wheel
    for wheel in (
        make_wheel("stock", f"{number}.0", requires=(f"something>={number}.0",))
        for number in range(len(DAMAGES))
    )
}
WHEEL = next(iter(WHEELS.values()))


def _metadata_of_all(server: Served) -> dict[str, bytes]:
    urls = files_of(server.index_url, "stock")
    return {name: get(f"{url}.metadata").body for name, url in urls.items()}


def test_damaged_metadata_is_made_again(tmp_path: Path) -> None:
    right = {name: wheel.metadata for name, wheel in WHEELS.items()}
    with stocked({name: wheel.data for name, wheel in WHEELS.items()}) as upstream:
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            assert _metadata_of_all(server) == right
        for path, damage in zip(_entries(tmp_path, "meta").values(), DAMAGES, strict=True):
            damage(path, path.stat().st_size - 20)
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            assert _metadata_of_all(server) == right


def test_a_damaged_page_is_asked_for_again(tmp_path: Path) -> None:
    with stocked({WHEEL.filename: WHEEL.data}) as upstream:
        pages = []
        for times in range(len(DAMAGES) + 1):
            with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
                page = get(f"{server.index_url}/stock/").document
            # The server's own URL is another one each time.
            pages.append([file | {"url": None} for file in page["files"]])
            assert pages[-1] == pages[0]
            assert upstream.counts["stock"] == times + 1
            (path,) = _entries(tmp_path, "page").values()
            # A digit of the wheel's digest: JSON as good as before.
            for damage in DAMAGES[times : times + 1]:
                damage(path, path.read_bytes().index(WHEEL.sha256.encode()) + 9)


# ---------------------------------------------------------------- bounds


def _disk_usage(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


def test_what_was_used_least_recently_leaves_when_the_cache_is_full(tmp_path: Path) -> None:
    size = 300_000
    files = stock(10, size)
    names = list(files)
    with stocked(files) as upstream:
        with serving_here(upstreams=[upstream.url], cache=tmp_path) as server:
            _download_all(server, tuple(files))
        # As if they had been used one after the other, yesterday; the folder is the only book.
        by_content = {path.read_bytes(): path for path in _entries(tmp_path).values()}
        order = [names[number] for number in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)]
        for path in tmp_path.rglob("*"):
            if path.is_file():
                os.utime(path, (1_600_000_000, 1_600_000_000))
        for number, name in enumerate(order):
            moment = 1_700_000_000 + number
            os.utime(by_content[files[name]], (moment, moment))
        bound = 4 * size + size // 2
        with serving_here(upstreams=[upstream.url], cache=tmp_path, cache_size=bound) as server:
            assert _disk_usage(tmp_path) <= bound + 100_000  # our own wheel is new
            left = {path.read_bytes() for path in _entries(tmp_path).values()}
            assert {files[name] for name in order[-3:]} <= left
            assert not left & {files[name] for name in order[:-4]}
            asked = get(files_of(server.index_url, "stock")[order[0]])
            assert asked.body == files[order[0]]
            assert upstream.counts[order[0]] == 2
            assert _disk_usage(tmp_path) <= bound + 100_000


@pytest.mark.parametrize("size", [0, 1000])
def test_a_cache_that_holds_nothing_still_serves(tmp_path: Path, size: int) -> None:
    with (
        stocked({WHEEL.filename: WHEEL.data, **stock(2, 500_000)}) as upstream,
        serving_here(upstreams=[upstream.url], cache=tmp_path, cache_size=size) as server,
    ):
        for _ in range(2):
            for name, url in files_of(server.index_url, "stock").items():
                assert get(url).body == upstream.files[name]
            url = files_of(server.index_url, "stock")[WHEEL.filename]
            assert get(f"{url}.metadata").body == WHEEL.metadata
            for url in files_of(server.index_url, "pyodide-mirror").values():
                assert get(url).status == 200


# ---------------------------------------------------------------- a disk that is full


@contextmanager
def _full_after(server: Serving, size: int) -> Iterator[None]:
    """Let the server write files of so many bytes, and no more."""
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


def test_a_full_disk_lets_files_through_and_has_no_half_entry(tmp_path: Path) -> None:
    limits = [0, 1, 100_000, 499_999]
    files = stock(len(limits), 500_000, "large")
    with (
        stocked(files | {WHEEL.filename: WHEEL.data}) as upstream,
        serving(upstreams=[upstream.url], cache=tmp_path) as server,
    ):
        urls = files_of(server.index_url, "large")
        for limit, (name, content) in zip(limits, files.items(), strict=True):
            known = set(_entries(tmp_path))
            with _full_after(server, limit):
                answer = get(urls[name])
                assert_readable(answer)
                assert (answer.status, answer.whole, answer.body == content) == (200, True, True)
                assert set(_entries(tmp_path)) == known
                assert "files are not stored" in get(f"{server.url}/healthz").text
            assert get(urls[name]).body == content
            assert "files are not stored" not in get(f"{server.url}/healthz").text
        assert not _unfinished(tmp_path)
        _check_pages_and_metadata(server)


def _check_pages_and_metadata(server: Serving) -> None:
    """A full disk takes away neither: the wheel is there, and they need none."""
    url = files_of(server.index_url, "stock")[WHEEL.filename]
    assert get(url).body == WHEEL.data
    with _full_after(server, 0):
        url = files_of(server.index_url, "stock")[WHEEL.filename]
        assert get(f"{url}.metadata").body == WHEEL.metadata
