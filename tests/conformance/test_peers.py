import asyncio
from pathlib import Path

import pytest

from tests.benchmarks.server import EACH, Figures, Load, _Clients, _load, row
from tests.conformance import peers
from tests.conformance.base import Context
from tests.conformance.checks import CHECKS, Result
from tests.conformance.peers import GROUPS, HEAD, PEERS, lines_of, markdown, write
from tests.support.upstreams import upstream
from tests.zoo.changes import failing, replaced

OTHERS = [peer for peer in PEERS if peer.program]


@pytest.mark.parametrize("peer", OTHERS, ids=lambda peer: peer.name)
def test_a_peer_is_told_its_upstream_and_no_other(peer: peers.Peer, tmp_path: Path) -> None:
    assert peer.program is not None
    with upstream("folder" if "folder" in peer.kinds else "json") as index:
        own = str(index.path) if index.kind == "folder" else index.url
        given = [
            *peer.program.arguments(index, 1),
            *peer.program.environment(index, tmp_path).values(),
        ]
    assert any(own in one for one in given)
    others = [one for one in given if "://" in one and "http://127.0.0.1:" not in one]
    assert not others


def test_peers_are_pinned_and_named_by_their_pins() -> None:
    for peer in OTHERS:
        assert peer.program is not None
        assert all("==" in one for one in peer.program.requirements)
        assert peer.program.requirements[0] == f"{peer.name}=={peer.version}"


def test_outages_are_counted_together_and_groups_apart() -> None:
    first, other = CHECKS[0], next(check for check in CHECKS if check.group != CHECKS[0].group)
    results = [
        Result(first, "json", "", 0.1),
        Result(first, "json", "it does not hold", 0.1),
        Result(other, "failing", "", 0.1),
        Result(other, "hanging", "TimeoutError", 0.1),
    ]
    over_json, down = (line.cells(GROUPS) for line in lines_of(PEERS[0], results))
    shown = dict(zip(HEAD, over_json, strict=True))
    assert shown["over"] == "json"
    assert shown["all"] == shown[first.group] == "1/2"
    assert shown[other.group] == ""
    assert dict(zip(HEAD, down, strict=True))["over"] == "down"
    assert dict(zip(HEAD, down, strict=True))[other.group] == "1/2"


def test_what_stands_between_the_marks_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "peers.md"
    document.write_text(f"before\n{peers.BEGIN}of last year\n{peers.END}after\n", "utf-8")
    monkeypatch.setattr(peers, "DOCUMENT", document)
    rows = [HEAD, ["a 1", *(["1/2"] * (len(HEAD) - 1))]]
    write(rows)
    write(rows)
    text = document.read_text("utf-8")
    assert text.startswith(f"before\n{peers.BEGIN}Measured on ")
    assert text.endswith(f"{peers.END}after\n")
    assert text.count(markdown(rows)) == 1
    assert "of last year" not in text


def test_the_document_has_a_row_for_each_mirror_and_a_column_for_each_group() -> None:
    text = peers.DOCUMENT.read_text("utf-8")
    assert f"| {' | '.join(HEAD)} |" in text
    for peer in PEERS:
        assert f"| {peer.name} {peer.version} |" in text


def test_the_load_counts_what_is_wrong() -> None:
    with upstream("json") as index:
        good, bad, gone = (
            index.fresh(),
            index.fresh(file=replaced(b"VALUE", b"EVIL_")),
            index.fresh(file=failing(503)),
        )
        context = Context(index.url, index)
        pages = {wheel: context.read(wheel.name).files[0].url for wheel in (good, bad, gone)}
        wanted = [(pages[wheel], wheel.sha256) for wheel in (good, bad, gone)]
        load = asyncio.run(_Clients([*wanted, wanted[0]]).run(3))
    # Twelve small ones, four of each sort, and the first client's large one.
    assert load.requests == 3 * EACH + 1
    assert load.errors == 8
    assert load.received == 5 * len(good.data)
    assert load.example


def test_the_clients_are_a_process_of_their_own() -> None:
    with upstream("json") as index:
        wheel = index.fresh()
        url = Context(index.url, index).read(wheel.name).files[0].url
        load = _load([(url, wheel.sha256)] * 2, clients=2)
    assert (load.errors, load.requests) == (0, 2 * EACH + 1)


def test_figures_are_shown_as_medians_and_sums() -> None:
    def load(seconds: float, errors: int) -> Load:
        return Load(
            seconds=seconds,
            requests=100,
            received=10_000_000,
            errors=errors,
            elsewhere=1,
            example="",
        )

    rounds = [
        Figures(cold=load(seconds, 1), warm=load(1, 0), memory=int(seconds * 1e6))
        for seconds in (1, 2, 10)
    ]
    assert row(PEERS[0], rounds)[2:] == ["5", "50", "10", "100", "3", "6", "10"]
