"""The script that checks the table of mirrors again, on tables of mirrors from the zoo."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror import Reason
from tests.support.wheels import CANARY
from tests.zoo.zoo import Zoo
from tools.recheck_mirrors import TABLE, Check, load, main, rewritten

OLD = "2020-02-02"
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
A, B = "https://a.example/simple", "https://b.example/simple"

TableOf = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> TableOf:
    """A function that writes a table of these URLs, each with its note."""

    def write(notes: dict[str, str]) -> Path:
        rows = [
            f"    Mirror({url!r}, name={url!r},\n        note={n!r}),\n" for url, n in notes.items()
        ]
        head = "from typing import Final\n\nfrom .model import Mirror\n\n"
        head += f'MIRRORS_AS_OF: Final = "{OLD}"\n'
        path = tmp_path / "mirrors.py"
        path.write_text(
            f"{head}# Zürich\nMIRRORS: Final[tuple[Mirror, ...]] = (\n{''.join(rows)})\n", "utf-8"
        )
        return path

    return write


def outcome(url: str, reason: str, *repairs: str, detail: str = "as seen") -> dict[str, Any]:
    mirror = {"index_url": url}
    return {"mirror": mirror, "reason": reason, "repairs": list(repairs), "detail": detail}


def printing(*outcomes: dict[str, Any]) -> Check:
    return saying(json.dumps({"outcomes": outcomes}))


def saying(text: str) -> Check:
    return lambda _: text


def notes(path: Path) -> list[str]:
    return [mirror.note for mirror in load(path)]


def test_a_verdict_as_before_gets_the_date_of_today(table: TableOf) -> None:
    path = table({A: f"JSON; checked {OLD}: ok", B: f"checked {OLD}: relative-urls + no-hashes"})
    found = printing(outcome(A, "ok"), outcome(B, "relative-urls", "relative-urls", "no-hashes"))
    assert main(["--table", str(path)], found) == 0
    assert notes(path) == [
        f"JSON; checked {TODAY}: ok",
        f"checked {TODAY}: relative-urls + no-hashes",
    ]
    assert f'MIRRORS_AS_OF: Final = "{TODAY}"' in path.read_text("utf-8")


def test_what_changed_is_shown_and_left_to_a_person(
    table: TableOf, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table({A: f"checked {OLD}: ok", B: f"checked {OLD}: ok"})
    assert main(["--table", str(path)], printing(outcome(B, "cors"), outcome(A, "ok"))) == 1
    assert notes(path) == [f"checked {TODAY}: ok", f"checked {OLD}: ok"]
    assert f'"{OLD}"' in path.read_text("utf-8")  # the table is not as of today
    shown = capsys.readouterr().out.splitlines()
    assert shown[1].split() == [B, "changed", "ok", "cors", "as", "seen"]
    assert shown[-1].strip() == f"{B}: note='checked {TODAY}: cors'"


def test_a_mirror_that_was_never_checked_is_new_until_it_is_accepted(table: TableOf) -> None:
    path = table({A: "JSON (2026); CORS unknown", B: ""})
    found = printing(outcome(A, "ok"), outcome(B, "cors"))
    before = path.read_bytes()
    assert main(["--table", str(path)], found) == 1
    assert path.read_bytes() == before
    assert main(["--table", str(path), "--accept"], found) == 0
    assert notes(path) == [
        f"JSON (2026); CORS unknown; checked {TODAY}: ok",
        f"checked {TODAY}: cors",
    ]


def test_no_answer_is_not_accepted_as_a_verdict(
    table: TableOf, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table({A: f"checked {OLD}: ok", B: f"checked {OLD}: cors"})
    found = printing(outcome(A, "timeout"), outcome(B, "cors"))
    assert main(["--table", str(path), "--accept"], found) == 1
    assert notes(path) == [f"checked {OLD}: ok", f"checked {TODAY}: cors"]
    assert "no answer" in capsys.readouterr().out


def test_where_most_do_not_answer_it_is_the_network(table: TableOf) -> None:
    third = "https://c.example/simple"
    path = table(dict.fromkeys([A, B, third], f"checked {OLD}: cors"))
    before = path.read_bytes()
    found = printing(outcome(A, "cors"), outcome(B, "unreachable"), outcome(third, "offline"))
    assert main(["--table", str(path)], found) == 2
    assert path.read_bytes() == before


def test_a_dry_run_writes_nothing(table: TableOf) -> None:
    path = table({A: f"checked {OLD}: ok"})
    before = path.read_bytes()
    assert main(["--table", str(path), "--dry-run"], printing(outcome(A, "ok"))) == 0
    assert path.read_bytes() == before


HOSTILE = {
    "nothing": "",
    "no JSON": "<html>Sign in</html>",
    "cut off": '{"outcomes": [',
    "too deep": "[" * 100_000,
    "a list": "[]",
    "no outcomes": "{}",
    "outcomes of another kind": '{"outcomes": {"mirror": 1}}',
    "an outcome of another kind": '{"outcomes": [1]}',
    "no mirror": '{"outcomes": [{"reason": "ok", "repairs": [], "detail": ""}]}',
    "an unknown reason": json.dumps({"outcomes": [outcome(A, 'ok"); import os')]}),
    "an unknown repair": json.dumps({"outcomes": [outcome(A, "ok", "x")]}),
    "a repair that is none": json.dumps({"outcomes": [outcome(A, "ok", "cors")]}),
    "a mirror too few": json.dumps({"outcomes": []}),
    "a mirror too many": json.dumps({"outcomes": [outcome(A, "ok"), outcome(B, "ok")]}),
    "a mirror twice": json.dumps({"outcomes": [outcome(A, "ok"), outcome(A, "ok")]}),
    "no network": json.dumps({"outcomes": [outcome(A, "unreachable")]}),
    "nobody in time": json.dumps({"outcomes": [outcome(A, "timeout")]}),
}


def test_where_nothing_is_learned_the_file_stays(
    table: TableOf, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table({A: f"checked {OLD}: ok"})
    before = path.read_bytes()
    for what, said in HOSTILE.items():
        assert main(["--table", str(path), "--accept"], saying(said)) == 2, what
        assert path.read_bytes() == before, what
        shown = capsys.readouterr()
        assert shown.out == "", what
        (line,) = shown.err.splitlines()
        assert line.endswith("nothing was written"), what
        left = {file.name for file in path.parent.iterdir()} - {"__pycache__"}
        assert left == {path.name}, what


def test_what_a_mirror_says_gets_neither_into_the_source_nor_raw_to_the_terminal(
    table: TableOf, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table({A: f"checked {OLD}: ok"})
    hostile = outcome(A, "cors", detail='\x1b[2J"); import os #')
    assert main(["--table", str(path), "--accept"], printing(hostile)) == 0
    assert notes(path) == [f"checked {TODAY}: cors"]
    assert "import os" not in path.read_text("utf-8")
    assert "\x1b" not in capsys.readouterr().out


def test_a_long_note_keeps_the_lines_of_the_source_short() -> None:
    source = TABLE.read_text("utf-8")
    wanted = [f"{mirror.note}; " + "a word or two " * 12 for mirror in load(TABLE)]
    after = rewritten(source, wanted, as_of="2030-01-01")
    done = subprocess.run(
        [sys.executable, "-c", "import sys; compile(sys.stdin.read(), 'table', 'exec')"],
        input=after,
        text=True,
        check=True,
    )
    assert done.returncode == 0
    assert max(map(len, after.splitlines())) <= 200  # the formatter still has to break them
    assert max(len(line) for line in after.splitlines() if '"a word' in line) <= 100
    assert 'MIRRORS_AS_OF: Final = "2030-01-01"' in after
    assert after.splitlines()[0] == source.splitlines()[0]


def test_with_the_notes_that_it_has_the_source_is_the_same() -> None:
    source = TABLE.read_text("utf-8")
    assert rewritten(source, [mirror.note for mirror in load(TABLE)], as_of=None) == source


def test_a_table_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mirrors.py"
    path.write_text(
        "from .model import Mirror\nMIRRORS: tuple = (Mirror('https://a.example/simple'),)\n"
    )
    before = path.read_bytes()
    assert main(["--table", str(path), "--accept"], printing(outcome(A, "ok"))) == 2
    assert path.read_bytes() == before


def test_the_real_command_is_asked(table: TableOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODIDE_MIRROR_URLS", "https://elsewhere.example/simple")
    with Zoo() as zoo:
        animals = ["healthy", "relative-urls", "no-cors"]
        expected: Sequence[str] = [Reason.OK, Reason.RELATIVE_URLS, Reason.CORS]
        path = table({zoo.url(name): "" for name in animals})
        arguments = ["--table", str(path), "--canary", CANARY, "--timeout", "5"]
        assert main([*arguments, "--accept"]) == 0
        assert notes(path) == [f"checked {TODAY}: {verdict}" for verdict in expected]
        assert main(arguments) == 0
    # The zoo is closed, and nobody answers.
    before = path.read_bytes()
    assert main(arguments) == 2
    assert path.read_bytes() == before
