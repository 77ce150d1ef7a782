"""Cells with ``%pip``: what each option does, and what the cell shows."""

from pathlib import Path

import pytest

from pyodide_mirror import MirrorError, ResolutionError
from pyodide_mirror.notebook.pip_options import PipError
from tests.host.notebook.conftest import Run
from tests.support.fake_web import GONE, OUTAGE, A, Answer, B, file_url
from tests.support.install_world import World
from tests.support.wheels import make_sdist, make_wheel

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

APPLES = [make_wheel("apples", version, requires=["pears>=1"]) for version in ("1.0", "2.0")]
PRE = make_wheel("apples", "3.0rc1", requires=["pears>=1"])
PEARS = [make_wheel("pears", version) for version in ("1.0", "1.1")]
OLD = ("apples==1.0", "pears==1.0")
HOST = "https://files.example"


async def before(world: World, *requirements: str) -> None:
    """Let A have apples and pears, and install some."""
    world.web.publish(A, *APPLES, PRE)
    world.web.publish(A, *PEARS)
    if requirements:
        await world.install(*requirements, mirrors=[A])


def write(name: str, text: str) -> None:
    """Write a file, and the folder for it."""
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)


def last(text: str) -> str:
    return text.splitlines()[-1]


# --- what is installed, and what the last line says -----------------------------------------------


@pytest.mark.parametrize(
    ("there", "cell", "installed", "said"),
    [
        ((), "apples", "2.0 1.1", "Installed apples 2.0, pears 1.1 from {A}"),
        ((), "apples==1.0 'pears < 1.1'", "1.0 1.0", "Installed apples 1.0, pears 1.0 from {A}"),
        (OLD, "apples", "1.0 1.0", "Nothing to install: apples 1.0 is there already"),
        (OLD, "apples==2.0", "2.0 1.0", "Installed apples 2.0 in the place of 1.0 from {A}"),
        (OLD, "-U apples", "2.0 1.0", "Installed apples 2.0 in the place of 1.0 from {A}"),
        (OLD, "--upgrade 'apples<2'", "1.0 1.0", "Nothing to install: apples 1.0 is there already"),
        (
            OLD,
            "-qU apples pears",
            "2.0 1.1",
            "Installed apples 2.0 in the place of 1.0, pears 1.1 in the place of 1.0 from {A}",
        ),
        (
            OLD,
            "-U --pre apples",
            "3.0rc1 1.0",
            "Installed apples 3.0rc1 in the place of 1.0 from {A}",
        ),
        (
            ("apples==3.0rc1", "pears"),
            "-U apples",
            "3.0rc1 1.1",
            "Nothing to install: apples 3.0rc1 is there already",
        ),
        ((), "--pre apples", "3.0rc1 1.1", "Installed apples 3.0rc1, pears 1.1 from {A}"),
        ((), "--no-deps apples", "2.0", "Installed apples 2.0 from {A}"),
        (
            OLD,
            "--force-reinstall apples==1.0",
            "1.0 1.1",
            "Installed apples 1.0 in the place of 1.0, pears 1.1 in the place of 1.0 from {A}",
        ),
        (
            OLD,
            "--force-reinstall --no-deps apples==1.0",
            "1.0 1.0",
            "Installed apples 1.0 in the place of 1.0 from {A}",
        ),
        ((), "pears -c limits.txt", " 1.0", "Installed pears 1.0 from {A}"),
        ((), "-r wanted.txt", "1.0 1.0", "Installed apples 1.0, pears 1.0 from {A}"),
        ((), "--requirements=wanted.txt -q", "1.0 1.0", "Installed apples 1.0, pears 1.0 from {A}"),
        ((), "pears  # and no apples", " 1.1", "Installed pears 1.1 from {A}"),
        ((), "{name}=={version}", " 1.0", "Installed pears 1.0 from {A}"),
        (
            (),
            "\"apples; python_version < '3'\"",
            "",
            "Nothing to install: all that applies is there already",
        ),
    ],
)
async def test_an_install(
    world: World,
    run: Run,
    there: tuple[str, ...],
    cell: str,
    installed: str,
    said: str,
) -> None:
    await before(world, *there)
    write("limits.txt", "pears<1.1\napples!=1.0,!=2.0\n")
    write("more/nested.txt", "-c ../exact.txt\napples  # the best\n")
    write("exact.txt", "apples==1.0\n")
    write("wanted.txt", "-r more/nested.txt\npears \\\n  <1.1\nnothing; python_version < '3'\n")
    text = await run(f"name, version = 'pears', '1.0'\n%pip install {cell}")
    assert last(text) == said.replace("{A}", A.index_url)
    found = [world.installed.get(name, "") for name in ("apples", "pears")]
    assert " ".join(found).rstrip() == installed
    # Nothing but the last line, where that is wanted; else how the install got on.
    assert (len(text.splitlines()) == 1) is ("-q" in cell or text.startswith("Nothing"))


async def test_verbose_tells_each_step(world: World, run: Run) -> None:
    await before(world)
    text = await run("%pip install -v pears")
    assert text.splitlines()[-2:] == [
        "installed pears 1.1",
        f"Installed pears 1.1 from {A.index_url}",
    ]


async def test_a_second_install_takes_from_the_cache_what_it_can(world: World, run: Run) -> None:
    await before(world)
    await run("%pip install pears")
    await run("%pip uninstall pears")
    assert last(await run("%pip install pears")) == "Installed pears 1.1 from the cache"


# --- indexes --------------------------------------------------------------------------------------


async def test_an_index_is_used_for_its_own_cell_alone(world: World, run: Run) -> None:
    await before(world)
    world.web.publish(B, make_wheel("pears", "9.0"))
    for option in ("-i ", "--index-url ", "--index-url="):
        text = await run(f"%pip install --force-reinstall --no-deps pears {option}{B.index_url}")
        assert last(text).endswith(f"from {B.index_url}")
        assert world.installed == {"pears": "9.0"}
    assert world.session.status() is None
    world.web.asked.clear()
    await run("%pip install -U pears==1.0")
    assert world.installed == {"pears": "1.0"}
    chosen = world.session.status()
    assert chosen is not None
    assert chosen.chosen == A
    await run(f"%pip install pears==9.0 -i {B.index_url}")
    assert world.session.status() == chosen


async def test_an_extra_index_is_asked_first_and_its_failure_ends_the_install(
    world: World, run: Run
) -> None:
    await before(world)
    world.web.publish(B, make_wheel("pears", "0.5"))
    text = await run(f"%pip install apples==1.0 'pears' --no-deps --extra-index-url {B.index_url}")
    assert world.installed == {"apples": "1.0", "pears": "0.5"}
    assert f"apples 1.0 from {A.index_url}" in last(text)
    assert f"pears 0.5 from {B.index_url}" in last(text)
    world.web.answer(B.project_url("quinces"), OUTAGE)
    with pytest.raises(MirrorError):
        await run(f"%pip install quinces --extra-index-url {B.index_url}")


async def test_a_login_is_sent_and_never_shown(
    world: World, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    await before(world)
    world.web.publish(B, make_wheel("quinces", "1.0"))
    url = B.index_url.replace("//", "//ann:s3cr%2Bt@")
    shown = await run(f"%pip install quinces -i {url}")
    assert {request.headers.get("Authorization") for request in world.web.requests} >= {
        "Basic YW5uOnMzY3IrdA=="
    }
    for cell in (
        f"%pip install nothing -i {url}",
        f"%pip install quinces -i {url.replace('https', 'ftp')}",
        f"%pip install quinces --index-urls {url} --nonsense",
        f"%pip install {url}/x-1.0-py3-none-any.whl",
        f"%pip install 'x @ {url}/x-1.0.tar.gz'",
    ):
        with pytest.raises(Exception, match=r".") as caught:
            await run(cell)
        shown += str(caught.value) + "".join(getattr(caught.value, "__notes__", ()))
        shown += "".join(caught.value._render_traceback_())  # type: ignore[attr-defined]
    shown += capsys.readouterr().err
    assert "s3cr" not in shown
    assert "ann" not in shown


async def test_index_urls_of_the_user_s_own_stay(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await before(world)
    world.web.publish(B, make_wheel("quinces", "1.0"))
    manager = world.micropip.set_index_urls.__self__
    monkeypatch.setattr(manager, "index_urls", [B.index_url])
    assert last(await run("%pip install quinces")) == f"Installed quinces 1.0 from {B.index_url}"
    assert manager.index_urls == [B.index_url]
    assert last(await run(f"%pip install pears -i {A.index_url}")).endswith(A.index_url)
    assert manager.index_urls == [B.index_url]


async def test_a_requirements_file_may_name_indexes(world: World, run: Run) -> None:
    await before(world)
    world.web.publish(B, make_wheel("quinces", "1.0"))
    write("file.txt", f"--extra-index-url {B.index_url}\n--pre\n--prefer-binary\nquinces\n")
    assert last(await run("%pip install -r file.txt apples")) == (
        f"Installed apples 3.0rc1, pears 1.1 from {A.index_url}; quinces 1.0 from {B.index_url}"
    )
    write("file.txt", f"-i {B.index_url}\nquinces\n")
    await run("%pip uninstall quinces")
    assert last(await run("%pip install -r file.txt")).endswith(B.index_url)


# --- wheels and lock files ------------------------------------------------------------------------


async def test_wheels_by_url_and_from_files(world: World, run: Run) -> None:
    await before(world)
    url = file_url(A, PEARS[0])
    assert last(await run(f"%pip install {url}")) == f"Installed pears 1.0 from {url}"
    newer = file_url(A, PEARS[1])
    assert last(await run(f"%pip install 'pears @ {newer}'")) == (
        f"Installed pears 1.1 in the place of 1.0 from {newer}"
    )


async def test_files_at_urls_and_what_they_name_beside_them(world: World, run: Run) -> None:
    """As pip joins them: what is relative in a file at a URL is beside that."""
    await before(world)
    texts = {
        "wanted.txt": "-r sub/more.txt\n-c ../limits.txt\n",
        "sub/more.txt": "-r again.txt\n-r /other.txt\n",
        "sub/again.txt": "\ufeffapples # and a BOM\n",
    }
    for name, text in texts.items():
        world.web.answer(f"{HOST}/set/{name}", Answer(body=text.encode()))
    world.web.answer(f"{HOST}/other.txt", Answer(body=b"pears\n"))
    world.web.answer(f"{HOST}/limits.txt", Answer(body=b"pears<1.1\napples<2\n"))
    assert last(await run(f"%pip install -r {HOST}/set/wanted.txt")) == (
        f"Installed apples 1.0, pears 1.0 from {A.index_url}"
    )
    write("local.txt", f"-r {HOST}/other.txt\n")
    assert last(await run(f"%pip install -r local.txt -c {HOST}/limits.txt")) == (
        "Nothing to install: pears 1.0 is there already"
    )
    assert await run(f"%pip uninstall -y -r {HOST}/other.txt") == "Uninstalled pears 1.0\n"


async def test_files_at_urls_that_cannot_be_read(world: World, run: Run) -> None:
    bodies = {
        "utf-16.txt": "apples".encode("utf-16"),
        "circle.txt": b"-r circle.txt\n",
        "bad.txt": b"apples\n-e .\n",
        **{f"{number}.txt": f"-r {number + 1}.txt".encode() for number in range(120)},
    }
    for name, body in bodies.items():
        world.web.answer(f"{HOST}/{name}", Answer(body=body))
    world.web.answer(f"{HOST}/none.txt", GONE)
    world.web.answer(f"{HOST}/gone.txt", OUTAGE)
    for place, said in {
        f"{HOST}/none.txt": f"{HOST}/none.txt cannot be read: HTTP 404",
        f"{HOST}/gone.txt": f"{HOST}/gone.txt cannot be read: ",
        f"{HOST}/utf-16.txt": f"{HOST}/utf-16.txt cannot be read: 'utf-8' codec",
        f"{HOST}/circle.txt": f"{HOST}/circle.txt requires itself",
        f"{HOST}/bad.txt": f"{HOST}/bad.txt, line 2: -e .: only wheels",
        f"{HOST}/0.txt": f"{HOST}/99.txt requires itself, or there are too many",
        "ftp://x.example/a.txt": "ftp://x.example/a.txt cannot be read: ",
        "https://ann:secret@x.example/a.txt": r"https://\*\*\*@x.example/a.txt cannot be read: ",
    }.items():
        with pytest.raises((PipError, MirrorError), match=said) as found:
            await run(f"%pip install -r '{place}'")
        assert "secret" not in str(found.value)


async def test_a_lock_file(world: World, run: Run) -> None:
    await before(world)
    wheel = PEARS[0]
    file = f'name = "{wheel.filename}", url = "{file_url(A, wheel)}"'
    lock = (
        'lock-version = "1.0"\ncreated-by = "it"\n[[packages]]\nname = "pears"\nversion = "1.0"\n'
        f'wheels = [{{{file}, hashes = {{sha256 = "{wheel.sha256}"}}}}]\n'
    )
    write("pylock.toml", lock)
    write("pylock.more.toml", lock)
    assert last(await run("%pip install -r pylock.toml")).startswith("Installed pears 1.0 from ")
    assert last(await run("%pip install -q -r ./pylock.more.toml")).startswith("Nothing to install")
    for more in ("apples", "-r pylock.more.toml", "--pre"):
        with pytest.raises(PipError, match=r"pylock\.toml is installed alone"):
            await run(f"%pip install -r pylock.toml {more}")


# --- what is installed ----------------------------------------------------------------------------


async def test_list_freeze_and_show(world: World, run: Run) -> None:
    await before(world, *OLD)
    url = file_url(A, quinces := make_wheel("quinces", "1.0"))
    world.web.publish(A, quinces)
    await run(f"%pip install {url}")
    lines = (await run("%pip list")).splitlines()
    assert lines[0].split() == ["Package", "Version"]
    assert {"apples 1.0", "pears 1.0", "quinces 1.0"} <= {" ".join(each.split()) for each in lines}
    frozen = (await run("%pip freeze")).splitlines()
    assert {"apples==1.0", "pears==1.0", f"quinces @ {url}"} <= {*frozen}
    assert await run("%pip show apples Pears") == (
        "Name: apples\nVersion: 1.0\nSummary: an exhibit of the zoo, apples\n"
        f"Location: {world.folder}\nRequires: pears\nRequired-By: \n---\n"
        "Name: pears\nVersion: 1.0\nSummary: an exhibit of the zoo, pears\n"
        f"Location: {world.folder}\nRequires: \nRequired-By: apples\n"
    )


async def test_uninstall(world: World, run: Run) -> None:
    await before(world, *OLD)
    write("gone.txt", "pears>=1\n")
    assert await run("%pip uninstall -y Apples nothing -r gone.txt") == (
        "Uninstalled apples 1.0\nNot installed: nothing\nUninstalled pears 1.0\n"
    )
    assert world.installed == {}
    assert last(await run("%pip install pears")).startswith("Installed pears 1.1")


@pytest.mark.parametrize("cell", ["%pip", "%pip help", "%pip --help", "%pip -h"])
async def test_without_a_command_all_are_explained(run: Run, cell: str) -> None:
    lines = (await run(cell)).splitlines()
    assert [line.split()[1] for line in lines] == [
        *("install", "uninstall", "list", "show", "freeze", "help"),
    ]


@pytest.mark.parametrize(
    "cell", ["%pip install --help", "%pip install -h apples", "%pip -h install"]
)
async def test_the_options_of_a_command_are_listed(run: Run, cell: str) -> None:
    text = await run(cell)
    assert text.startswith("%pip install REQUIREMENT...")
    assert "-i/--index-url=URL" in text


# --- what cannot be done --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("install", "give requirements, or -r FILE"),
        ("install -c limits.txt", "limits.txt cannot be read: "),
        ("install --indx-url x", "unknown option --indx-url; known are .* -i/--index-url=URL "),
        ("install --user x", "unknown option --user; "),
        ("install -x", "unknown option -x; "),
        ("install -qx", "unknown option -x; "),
        ("install --pre=1 x", "unknown option --pre=1; "),
        ("--pre install x", "unknown option --pre; known are +-q/--quiet"),
        ("list --outdated", "unknown option --outdated; "),
        ("install x -i", "-i has no value"),
        ("install x --index-url=", "--index-url has no value"),
        ("install x -r", "-r has no value"),
        ("instal x", "unknown command 'instal'; known are install, "),
        ("install 'x", "No closing quotation"),
        ("install x >= 1", ">= is no requirement like 'name>=1.0'"),
        ("install x=1", "x=1 is no requirement"),
        ("install x -i ftp://b.example", "--index-url: .*ftp://b.example"),
        ("install -e .", "-e .: only wheels can .* put the folder on sys.path"),
        ("install --editable=./x", "-e ./x: only wheels"),
        ("install .", "only wheels can be installed here: a browser cannot build"),
        ("install ./x", "only wheels"),
        ("install x-1.0.tar.gz", "only wheels"),
        ("install https://a.example/x-1.0.zip", "only wheels"),
        ("install 'x @ https://a.example/x-1.0.tar.gz'", "only wheels"),
        ("install git+https://a.example/x", "only wheels"),
        ("install -r none.txt", "none.txt cannot be read: "),
        ("install -r bad.txt", "bad.txt, line 2: -e .: only wheels"),
        ("install -r hash.txt", "hash.txt, line 1: --hash is not checked here"),
        ("install -r circle.txt", "circle.txt requires itself"),
        ("install -r links.txt", "links.txt, line 1: --find-links cannot be done here"),
        ("install -r typo.txt", "typo.txt, line 1: '--indx-url' is no option"),
        ("uninstall", "nothing cannot be uninstalled"),
        ("uninstall -y micropip", "micropip cannot be uninstalled"),
        ("show", "nothing is not installed"),
        ("show x", "x is not installed"),
    ],
)
async def test_an_error_names_what_is_wrong(world: World, run: Run, line: str, said: str) -> None:
    write("bad.txt", "pears\n-e .\n")
    write("hash.txt", f"pears==1.0 --hash=sha256:{'0' * 64}\n")
    write("circle.txt", "-r ./circle.txt\n")
    write("links.txt", "-f https://a.example\n")
    write("typo.txt", "--indx-url https://a.example\n")
    with pytest.raises(PipError, match=said) as caught:
        await run(f"%pip {line}")
    assert caught.value._render_traceback_()[0] == f"PipError: {caught.value}"  # type: ignore[attr-defined]
    assert world.web.asked == []


async def test_a_project_without_wheels_says_why_it_cannot_be_installed(
    world: World, run: Run
) -> None:
    world.web.publish(A, make_sdist("built-only", "1.0"))
    await before(world, "pears")
    with pytest.raises(Exception, match=r".") as caught:
        await run("%pip install built-only")
    assert "1.0 has no wheel for Pyodide" in str(caught.value)


async def test_what_cannot_be_met_changes_nothing(world: World, run: Run) -> None:
    await before(world, *OLD)
    for cell in ("-U apples pears==1.0 -c limits.txt", "--force-reinstall apples==7"):
        write("limits.txt", "pears>1.0\n")
        with pytest.raises(ResolutionError):
            await run(f"%pip install {cell}")
        assert world.installed == {"apples": "1.0", "pears": "1.0"}
        assert world.modules == {"apples": "1.0", "pears": "1.0"}
