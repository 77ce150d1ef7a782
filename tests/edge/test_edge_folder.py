"""The folder that `pyodide-mirror edge` writes, and what it learns of the index first."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pyodide_mirror.cli import main
from pyodide_mirror.edge import (
    EdgeError,
    has_releases,
    learn_file_hosts,
    worker_source,
    write_folder,
)
from pyodide_mirror.edge.folder import COMPATIBILITY_DATE, SNIPPET_BYTES, snippet
from pyodide_mirror.mirrors import PYPI_URL
from pyodide_mirror.own_wheels import all_wheels, page_wheel
from tests.edge.conftest import ask
from tests.edge.workerd import worker
from tests.support import provision
from tests.support.wheels import CANARY, ROOT
from tests.zoo.zoo import Zoo

UPSTREAM = "https://index.example/simple"
WHEELS = all_wheels()
ASSETS = [f"assets/{name}" for name in WHEELS]
FILES = ["worker.js", "wrangler.jsonc", "snippet.js", "README.md", *ASSETS]


def settings_of(written: Path) -> dict[str, Any]:
    text = written.joinpath("wrangler.jsonc").read_text()
    plain = [line for line in text.splitlines() if not line.startswith("//")]
    config: dict[str, Any] = json.loads("\n".join(plain))
    return config


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def run(*arguments: str) -> int:
    return main(["edge", *arguments])


# --- what is in it ------------------------------------------------------------------------------


def test_it_holds_all_that_is_to_be_deployed(tmp_path: Path) -> None:
    written = tmp_path / "new" / "edge"
    assert write_folder(written, UPSTREAM, file_hosts=["https://files.example"]) == tuple(FILES)
    assert sorted(tree(written)) == sorted(FILES)
    assert written.joinpath("worker.js").read_text() == worker_source()
    for name, content in WHEELS.items():
        assert written.joinpath("assets", name).read_bytes() == content
    assert [path.name for path in tmp_path.joinpath("new").iterdir()] == ["edge"]


def test_the_configuration_says_what_the_worker_needs(tmp_path: Path) -> None:
    write_folder(
        tmp_path,
        f"{UPSTREAM}/",
        file_hosts=["https://files.example:443/", "https://index.example", "http://b.example:81"],
        files="direct",
        allow_origins=["https://a.example"],
        name="mine",
    )
    config = settings_of(tmp_path)
    assert config["name"] == "mine"
    assert tmp_path.joinpath(config["main"]).is_file()
    assert config["compatibility_date"] == COMPATIBILITY_DATE
    assert config["assets"]["run_worker_first"] is True
    assert tmp_path.joinpath(config["assets"]["directory"]).is_dir()
    assert config["vars"].pop("OWN_WHEELS") == [
        {
            "filename": name,
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
            "size": len(content),
        }
        for name, content in WHEELS.items()  # the one for pages last
    ]
    assert config["vars"] == {
        "UPSTREAM": UPSTREAM,
        "FILE_HOSTS": "http://b.example:81 https://files.example",
        "FILES": "direct",
        "ALLOW_ORIGIN": "https://a.example",
    }


def test_the_readme_is_filled_in(tmp_path: Path) -> None:
    write_folder(tmp_path, UPSTREAM, file_hosts=["https://files.example"])
    text = tmp_path.joinpath("README.md").read_text()
    assert UPSTREAM in text
    assert "https://files.example" in text
    assert page_wheel()[0] in text
    assert "$" not in text


def test_what_is_deployed_works(zoo: Zoo, tmp_path: Path) -> None:
    animal = zoo["files-elsewhere"]
    write_folder(tmp_path, animal.url, file_hosts=[animal.there])
    variables = settings_of(tmp_path)["vars"]
    assets = tmp_path / "assets"
    with worker(None, script=tmp_path / "worker.js", assets=assets, **variables) as running:
        page = json.loads(ask(f"{running.url}/simple/{ROOT}/").body)
        assert {ask(file["url"]).status for file in page["files"]} == {200}
        own = json.loads(ask(f"{running.url}/simple/pyodide-mirror/").body)["files"]
        assert {file["filename"]: ask(file["url"]).body for file in own} == WHEELS


# --- the snippet --------------------------------------------------------------------------------

EVIL = "https://x.example/\u2028'\"`;alert(1)//</script>*/${x}\\"


def test_settings_cannot_break_out_of_the_snippet() -> None:
    text = snippet(worker_source(), {"UPSTREAM": EVIL, "FILE_HOSTS": EVIL})
    assert "\u2028" not in text
    line = next(line for line in text.splitlines() if line.startswith("const FIXED"))
    code = f"{line}\nprocess.stdout.write(JSON.stringify(FIXED))"
    command = [str(provision.node()), "--input-type=module", "-e", code]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    assert json.loads(printed) == {"UPSTREAM": EVIL, "FILE_HOSTS": EVIL}


def test_the_snippet_is_the_worker_without_its_comments() -> None:
    text = snippet(worker_source(), {})
    assert len(text.encode()) < SNIPPET_BYTES
    assert " // " not in text
    dropped = unlike(text)
    assert dropped
    assert all(line.startswith("//") or line.endswith("// CDN") for line in dropped)


def unlike(text: str) -> list[str]:
    """The worker's lines that a snippet does not have, but for the end of releases."""
    source = worker_source()
    code = [line.strip() for line in source.splitlines()]
    kept = [line.strip() for line in text.splitlines()]
    bare = [line.partition(" // ")[0] for line in code]
    begin = code.index("// --- releases of Pyodide")
    end = next(i for i in range(begin + 1, len(code)) if code[i].startswith("// ---"))
    numbers = [i for i in range(len(code)) if bare[i] not in kept and not begin <= i < end]
    return [code[i] for i in numbers if "const FIXED" not in code[i]]


def test_a_snippet_that_would_be_too_large_is_refused(tmp_path: Path) -> None:
    hosts = [f"https://host-{number}.example" for number in range(400)]
    with pytest.raises(ValueError, match=r"the snippet has \d+ bytes; the limit is 32000"):
        write_folder(tmp_path / "new", UPSTREAM, file_hosts=hosts)
    assert not list(tmp_path.iterdir())


def test_the_snippet_passes_on_pyodide_if_that_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cdn = "https://cdn.example/pyodide/v{version}/full/"
    hosts = [f"https://host-{number}.example" for number in range(40)]
    for name, named in [("few", hosts[:1]), ("many", hosts)]:
        options = [word for host in named for word in ("--file-host", host)]
        assert run(str(tmp_path / name), "--upstream", UPSTREAM, "--cdn", cdn, *options) == 0
        assert settings_of(tmp_path / name)["vars"]["CDN"] == cdn
        small = tmp_path.joinpath(name, "snippet.js").read_text()
        readme = " ".join(tmp_path.joinpath(name, "README.md").read_text().split())
        fits = name == "few"
        assert f"`CDN` is `{cdn}`" in readme
        assert ("It leaves out Pyodide's releases" in readme) == (not fits)
        said = f"Pyodide's files: {cdn}"
        left_out = "" if fits else " (not in snippet.js, which would be too large)"
        assert f"{said}{left_out}\n" in capsys.readouterr().out
        assert (cdn in small) == fits
        assert has_releases(small) == fits


def test_a_bad_cdn_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(str(tmp_path / "new"), "--cdn", "https://cdn.example/full/")
    assert "argument --cdn: 'https://cdn.example/full/' is of one" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not a usable base URL of a CDN"):
        write_folder(tmp_path / "new", UPSTREAM, cdn="cdn.example/{version}/")
    assert not list(tmp_path.iterdir())


# --- what is there already ----------------------------------------------------------------------


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    tmp_path.joinpath("worker.js").write_text("mine")
    with pytest.raises(EdgeError, match="is not empty, and was not written by this command"):
        write_folder(tmp_path, UPSTREAM)
    assert tree(tmp_path) == {"worker.js": b"mine"}
    write_folder(tmp_path, UPSTREAM, force=True)
    assert sorted(tree(tmp_path)) == sorted(FILES)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    tmp_path.joinpath("x").write_text("mine")
    with pytest.raises(EdgeError, match="is a file"):
        write_folder(tmp_path / "x", UPSTREAM, force=True)


def test_an_earlier_folder_is_renewed(tmp_path: Path) -> None:
    write_folder(tmp_path, UPSTREAM)
    old_wheel = tmp_path / "assets" / "pyodide_mirror-0.0.1-py3-none-any.whl"
    old_wheel.write_bytes(b"old")
    tmp_path.joinpath("mine.txt").write_text("mine")
    before = tmp_path.joinpath("wrangler.jsonc").read_bytes()
    write_folder(tmp_path, "https://other.example/simple")
    assert settings_of(tmp_path)["vars"]["UPSTREAM"] == "https://other.example/simple"
    assert tmp_path.joinpath("wrangler.jsonc.old").read_bytes() == before
    assert tmp_path.joinpath("mine.txt").read_text() == "mine"
    assert not old_wheel.exists()


def test_nothing_is_left_of_a_folder_that_could_not_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "old", UPSTREAM)
    before = tree(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for name in ("old", "new"):
        with pytest.raises(OSError, match="No space left"):
            write_folder(tmp_path / name, "https://other.example/simple")
    monkeypatch.undo()
    assert tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


WRONG: list[dict[str, Any]] = [
    {"upstream": "index.example"},
    {"upstream": "https://u:secret@index.example/simple"},
    {"file_hosts": ["files.example"]},
    {"file_hosts": ["https://files.example/packages"]},
    {"file_hosts": ["https://u:secret@files.example"]},
    {"files": "both"},
    {"allow_origins": ["notebook"]},
    {"name": "My Mirror"},
]


def test_bad_arguments_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for wrong in WRONG:
        print(wrong)  # pytest shows it when that is taken
        arguments = {"upstream": UPSTREAM} | wrong
        with pytest.raises(ValueError, match=r".+") as caught:
            write_folder(tmp_path / "new", **arguments)
        assert "secret" not in str(caught.value), wrong
        assert not list(tmp_path.iterdir()), wrong


# --- what it learns first -----------------------------------------------------------------------


async def test_files_on_the_index_itself_need_no_further_host(zoo: Zoo) -> None:
    for name in ("healthy", "html-no-cors", "relative-redirect", "no-metadata"):
        assert await learn_file_hosts(zoo.url(name), CANARY, timeout=5) == (), name


async def test_other_hosts_are_learned(zoo: Zoo) -> None:
    for name in ("files-elsewhere", "redirect-elsewhere", "file-redirect"):
        animal = zoo[name]
        assert await learn_file_hosts(animal.url, CANARY, timeout=5) == (animal.there,), name


async def test_what_cannot_be_learned_is_said_with_advice(zoo: Zoo) -> None:
    for name, detail in {
        "closed-port": "the connection was refused",
        "503": "it answers with status 503",
        "login-page": "no file of 'zoo-canary' among its",
        "file-404": "it answers with status 404",
    }.items():
        with pytest.raises(EdgeError, match=detail) as caught:
            await learn_file_hosts(zoo.url(name), CANARY, timeout=5)
        assert "--file-host https://HOST" in str(caught.value), name


async def test_files_that_pages_may_not_read_cannot_come_directly(zoo: Zoo) -> None:
    assert await learn_file_hosts(zoo.url("healthy"), CANARY, timeout=5, direct=True) == ()
    with pytest.raises(EdgeError, match="use --files proxy"):
        await learn_file_hosts(zoo.url("file-no-cors"), CANARY, timeout=5, direct=True)


# --- the command --------------------------------------------------------------------------------


def test_the_command_asks_the_index_and_writes(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    animal = zoo["files-elsewhere"]
    target = tmp_path / "edge"
    code = run(str(target), "--upstream", animal.url, "--canary", CANARY)
    assert code == 0
    assert settings_of(target)["vars"]["FILE_HOSTS"] == animal.there
    printed = capsys.readouterr().out
    assert f"a mirror of {animal.url}" in printed
    assert animal.there in printed


def test_named_hosts_make_it_ask_nobody(tmp_path: Path) -> None:
    code = run(str(tmp_path / "edge"), "--file-host", "https://files.example")
    assert code == 0
    assert settings_of(tmp_path / "edge")["vars"]["UPSTREAM"] == PYPI_URL


def test_the_command_says_what_is_wrong(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(tmp_path / "edge"), "--upstream", zoo.url("closed-port")) == 1
    assert re.match("pyodide-mirror edge: .*refused", capsys.readouterr().err)
    tmp_path.joinpath("mine.txt").write_text("mine")
    assert run(str(tmp_path), "--file-host", "https://files.example") == 1
    assert "is not empty" in capsys.readouterr().err
    assert run(str(tmp_path / "edge"), "--file-host", "https://f.example", "--name", "A B") == 2
    with pytest.raises(SystemExit):
        run(str(tmp_path / "edge"), "--file-host", "files.example")
    assert "argument --file-host: 'files.example' is " in capsys.readouterr().err
