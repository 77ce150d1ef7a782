"""An install through any animal of the zoo completes, or fails and leaves nothing behind."""

import json
from collections.abc import Iterable, Iterator

import pytest

from tests.browser import figures
from tests.support.engines import Engine
from tests.support.wheels import INSTALLED
from tests.zoo import table as zoo_table
from tests.zoo.files import FILES
from tests.zoo.table import install, install_through, run_inside
from tests.zoo.unreadable import CONNECTION, CORS
from tests.zoo.zoo import ANIMALS, Animal, Zoo

pytestmark = pytest.mark.engines(
    "chromium", "chromium-worker", "firefox", "webkit", ci=("chromium", "firefox")
)

EVERYWHERE = (
    *("no-cors", "closed-port", "masked-404", "stale", "rebuilt", "no-hashes"),
    *("relative-urls", "html-relative", "metadata-missing", "metadata-lies"),
    *("dep-file-tampered", "dep-file-cut", "dep-file-hangs", "dep-page-hangs", "dep-page-welcome"),
    *("dep-busy-once", "dies-after-probe"),
)
"""The animals that every engine must cope with; Chromium's main thread gets all each night."""
UNREADABLE = tuple(animal.name for animal in (*CONNECTION, *CORS, *FILES))
"""Those of which a page can read nothing, or no file: none of them is ever installed through."""


@pytest.fixture(autouse=True)
def _clean(page: Engine) -> Iterator[None]:
    yield
    run_inside(page, "await clean()")


@pytest.fixture
def chosen(request: pytest.FixtureRequest, engine: str) -> list[Animal]:
    """The animals for an engine.

    CPython installs through all (`tests/host/installing`), and so does Chromium each night.
    """
    if engine == "chromium" and "ci" not in request.config.getoption("--engine"):
        return list(ANIMALS.values())
    return [ANIMALS[name] for name in EVERYWHERE]


def differences(
    page: Engine, animals: Iterable[Animal], complete: Iterable[bool], *others: str, where: str
) -> dict[str, str]:
    """Install through each animal, followed by others; return what is not as it should be.

    ``where`` is the headline of the figures.
    """
    found = {}
    slowest = 0.0
    for animal, completes in zip(animals, complete, strict=True):
        result = install_through(page, [animal.name, *others])
        slowest = max(slowest, result.seconds)
        expected = animal.may_install(*others) if completes else [{}]
        as_expected = result.word == ("complete" if completes else "fails")
        if not as_expected or result.versions not in expected or result.running:
            found[animal.name] = f"{result}, {result.running} tasks left, {result.traces}"
    kind = "beside a healthy mirror" if others else "alone"
    figures.SECONDS[where][f"the slowest install through the zoo, {kind}"] = slowest
    return found


@pytest.mark.driver_timeout(30)
def test_an_install_beside_a_healthy_mirror_completes(
    page: Engine, engine: str, chosen: list[Animal]
) -> None:
    complete = [animal.beside_healthy for animal in chosen]
    assert differences(page, chosen, complete, "healthy", where=engine) == {}


@pytest.mark.engines("chromium", "chromium-worker", "firefox", "webkit", ci=("chromium",))
@pytest.mark.driver_timeout(30)
def test_an_install_through_one_mirror_completes_or_leaves_nothing(
    page: Engine, engine: str, chosen: list[Animal]
) -> None:
    complete = [animal.alone_in(engine.removesuffix("-worker")) for animal in chosen]
    assert differences(page, chosen, complete, where=engine) == {}


def test_whatever_is_unreadable_is_passed_over(page: Engine) -> None:
    beside = install_through(page, [*UNREADABLE, "healthy"])
    assert (beside.word, beside.versions, beside.running) == ("complete", INSTALLED, 0)
    run_inside(page, "await clean()")
    alone = install_through(page, UNREADABLE)
    assert (alone.word, alone.versions, alone.running, alone.traces) == ("fails", {}, 0, [])


# --- what an earlier try left behind ------------------------------------------------------------

UNRELIABLE = [name for name in EVERYWHERE if name.startswith("dep-") and name != "dep-busy-once"]


@pytest.mark.parametrize("name", [*UNRELIABLE, "dies-after-probe"])
def test_a_second_try_through_a_healthy_mirror_completes(page: Engine, name: str) -> None:
    first = install_through(page, [name])
    assert first.word == "fails", first
    assert first.traces == []
    second = install_through(page, ["healthy"], fresh=False)
    assert second.word == "complete", second
    assert second.versions == INSTALLED


def test_a_second_try_through_mirrors_that_fail_leaves_nothing_either(page: Engine) -> None:
    install_through(page, ["dep-file-cut"])
    second = install_through(page, ["dep-file-tampered", "dep-page-missing"], fresh=False)
    assert second.word == "fails", second
    assert second.traces == []


def half_done(page: Engine, name: str) -> set[str]:
    """Let plain micropip install a part; return what is missing of it.

    Its wheels come in any order, and an error stops the ones that are not there yet: a few tries.
    """
    for _ in range(8):
        install_through(page, [name], "plain", patience=zoo_table.PLAIN_PATIENCE)
        there = set(json.loads(run_inside(page, "json.dumps(versions())")))
        if there and there != set(INSTALLED):
            return set(INSTALLED) - there
    pytest.fail(f"plain micropip leaves nothing half done any more through {name!r}")


@pytest.mark.parametrize("name", ["dep-file-tampered", "metadata-lies"])
def test_what_plain_micropip_left_half_done_is_completed(page: Engine, name: str) -> None:
    assert half_done(page, name) != set()
    result = install_through(page, ["healthy"], fresh=False)
    assert result.word == "complete", result
    assert result.versions == INSTALLED


# --- files that nobody has as they should be ----------------------------------------------------


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (("dep-file-tampered", "dep-file-tampered"), "DigestMismatch"),
        (("dep-file-tampered", "file-tampered"), "DigestMismatch"),
        (("file-tampered", "dep-file-tampered"), "DigestMismatch"),
        # The canary tells already.
        (("file-tampered", "html-tampered"), "NoUsableMirror"),
    ],
)
def test_what_every_mirror_has_tampered_with_is_not_installed(
    page: Engine, names: tuple[str, str], error: str
) -> None:
    result = install_through(page, names)
    assert result.word == "fails", result
    assert result.error.startswith(f"{error}: "), result
    assert result.traces == []


def test_a_tampered_file_is_fetched_from_where_it_is_right(page: Engine, zoo: Zoo) -> None:
    result = install(page, [zoo.url("dep-file-tampered"), zoo.url("dep-page-hangs")])
    assert result.word == "fails", result  # the other one does not have it
    result = install(page, [zoo.url("dep-file-tampered"), zoo.url("files-elsewhere")])
    assert result.word == "complete", result
