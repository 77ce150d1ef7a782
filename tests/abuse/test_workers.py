"""Several workers over one cache folder, which are killed while many clients fetch from them."""

import asyncio
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.own_server import serving
from tests.support.server_stock import Stock, stock, stocked
from tests.support.server_wire import PATIENCE, files_of, get, sha256
from tests.support.worker_load import Clients, Load, children

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no workers here")

CLIENTS = 200


def _check(cache: Path, upstream: Stock, load: Load) -> None:
    names = list(upstream.files)
    requests = sum(upstream.counts[name] for name in names)
    resumed = sum(upstream.resumed.values())
    print(f"{load}; {requests} requests for {len(names)} files, {resumed} for the rest of one")
    assert load.wrong == []
    assert all(upstream.counts[name] for name in names)
    # Only a file on its way in a worker that is killed is asked for again: five at most each time.
    assert requests <= len(names) + 5 * load.kills
    entries = list(cache.glob("file/??/*"))
    assert len(entries) == len(names)
    assert all(sha256(path.read_bytes()) == path.name for path in entries)
    assert not list(cache.joinpath("unfinished").iterdir())


@pytest.mark.parametrize(
    ("kills", "every"), [(3, 0.5), pytest.param(60, 1.0, marks=pytest.mark.nightly)]
)
def test_killed_workers_cost_a_retry_at_most(tmp_path: Path, kills: int, every: float) -> None:
    files = stock(5 * (kills + 1), 300_000)
    with stocked(files) as upstream:
        upstream.pause = 0.02
        with serving(
            upstreams=[upstream.url], cache=tmp_path, options=["--workers", "4"]
        ) as server:
            urls = files_of(server.index_url, "stock")
            clients = Clients((url, sha256(files[name])) for name, url in urls.items())
            load = asyncio.run(clients.run(CLIENTS, server.process.pid, kills, every))
            assert server.output.count("has ended (SIGKILL); another one is started") == kills
            assert "Traceback" not in server.output
            workers = children(server.process.pid)
            server.process.terminate()
            assert server.process.wait(PATIENCE) == 0
            _wait_until_gone(workers)
        _check(tmp_path, upstream, load)


@pytest.mark.nightly
def test_workers_without_kills_ask_once_for_each_file_and_follow_each_other(
    tmp_path: Path,
) -> None:
    files = stock(5, 300_000)
    with (
        stocked(files) as upstream,
        serving(upstreams=[upstream.url], cache=tmp_path, options=["--workers", "4"]) as server,
    ):
        upstream.pause = 0.1
        urls = files_of(server.index_url, "stock")
        clients = Clients((url, sha256(files[name])) for name, url in urls.items())
        load = asyncio.run(clients.run(CLIENTS // 4, server.process.pid, 0, 0.2))
        assert load.wrong == []
        assert [upstream.counts[name] for name in files] == [1] * 5


def _gone(process_id: int) -> bool:
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _wait_until_gone(process_ids: list[int]) -> None:
    until = time.monotonic() + PATIENCE
    while not all(map(_gone, process_ids)):
        assert time.monotonic() < until
        time.sleep(0.02)  # whoever is no child of ours tells nothing


@pytest.mark.parametrize(
    "stop", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)]
)
def test_no_worker_outlives_the_process_that_started_it(tmp_path: Path, stop: int) -> None:
    with serving(cache=tmp_path, options=["--workers", "3"]) as server:
        assert get(f"{server.url}/healthz").status == 200
        workers = children(server.process.pid)
        assert len(workers) == 3
        server.process.send_signal(stop)
        assert server.process.wait(PATIENCE) == (-stop if stop == signal.SIGKILL else 0)
        _wait_until_gone(workers)
    assert "Traceback" not in server.output


@pytest.mark.nightly
def test_a_worker_that_ends_is_replaced_once_a_second_at_most(tmp_path: Path) -> None:
    with serving(cache=tmp_path, options=["--workers", "2"]) as server:
        assert get(f"{server.url}/healthz").status == 200
        seen, begun = set(children(server.process.pid)), time.monotonic()
        while len(seen) < 6:
            for each in children(server.process.pid):
                seen.add(each)
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        # Two to begin with, two in the second after it, two in the next one.
        assert time.monotonic() - begun > 1
        assert get(f"{server.url}/healthz").status == 200


def test_workers_count_together_and_what_a_killed_one_has_counted_stays(tmp_path: Path) -> None:
    with serving(cache=tmp_path, options=["--workers", "2"]) as server:
        for _ in range(20):
            assert get(f"{server.url}/simple/").status == 200
        _wait_until_counted(server.url, 20)
        os.kill(children(server.process.pid)[0], signal.SIGKILL)
        while "another one is started" not in server.output:
            assert get(f"{server.url}/healthz").status == 200
        assert get(f"{server.url}/simple/").status == 200
        _wait_until_counted(server.url, 21)


def _wait_until_counted(url: str, pages: int) -> None:
    """A request is counted a moment after its answer has been sent."""
    until, seen = time.monotonic() + PATIENCE, -1.0
    while seen < pages:
        assert time.monotonic() < until, f"{seen} of {pages}"
        lines = get(f"{url}/metrics").body.decode().splitlines()
        [line] = (each for each in lines if re.match('.*http_requests_total.*"list"', each))
        seen = float(line.rpartition(" ")[2])
    assert seen == pages
