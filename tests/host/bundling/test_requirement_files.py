"""Requirements files and constraints, as the command reads them."""

from pathlib import Path

import pytest

from pyodide_mirror.bundling import read_requirements
from pyodide_mirror.model import Mirror

DIGESTS = ("a" * 64, "b" * 64)


def write(folder: Path, **texts: str) -> dict[str, str]:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return {name: str(folder / f"{name}.txt") for name in texts}


def test_files_name_files_and_constraints_stay_constraints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.txt").write_text("-c ../limits.txt\nthree\n--only-binary :all:\n")
    paths = write(
        tmp_path,
        main="\ufeffone>=1\n-r sub/more.txt\none>=1\n-i ${INDEX}\n--pre",
        limits="-r deeper.txt\ntwo<2\n",
        deeper="four<4\n",
        own=f"five==5 --hash=sha256:{DIGESTS[0]} \\\n --hash=sha256:{DIGESTS[1]}",
    )
    monkeypatch.setenv("INDEX", "https://index.example/simple/")
    wanted = read_requirements(["zero"], [paths["main"]], [paths["own"]])
    assert wanted == (
        ("zero", "one>=1", "three"),
        ("four<4", "two<2", "five==5"),
        {"five": {f"sha256:{digest}" for digest in DIGESTS}},
        (Mirror("https://index.example/simple"),),
        True,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fine\n-e .", "line 2: --editable cannot be honoured here"),
        ("--extra-index-url https://x.example", "line 1: --extra-index-url cannot be honoured"),
        ("-f wheels", "--find-links cannot be honoured"),
        ("--no-binary :all:", "--no-binary cannot be honoured"),
        ("-i ftp://x.example", "line 1: not a usable index URL"),
        ("-r https://x.example/a.txt", "line 1: https://x.example/a.txt is a URL; only files"),
        ("-r nowhere.txt", "nowhere.txt cannot be read: No such file"),
        ("-r a.txt", "a.txt is named by a file that it names itself"),
        ("demo demo", "line 1: 'demo demo' is no requirement"),
        ("./demo", "'./demo' is a local file"),
        ("demo-1.0-py3-none-any.whl", "is a local file"),
        ("git+https://x.example/demo.git", "is no wheel"),
        (f"https://x.example/demo-1.0-py3-none-any.whl --hash=sha256:{'0' * 64}", "#sha256="),
        ("\udcff", "a.txt is not in UTF-8"),
    ],
)
def test_what_cannot_be_honoured_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"^\S*\.txt(, line \d)?[: ]") as caught:
        read_requirements([], [str(path)])
    assert said in str(caught.value)


def test_urls_of_wheels_are_taken() -> None:
    urls = (
        "https://x.example/demo-1.0-py3-none-any.whl#sha256=00",
        "demo @ https://x.example/d.whl",
    )
    assert read_requirements(urls).requirements == urls
