"""What our server and its peers can do: a table, filled in by running each of them.

    python -m tests.conformance.features [--write] [--only TEXT]

Each is started in the roles that it has (`feature_stands`), and looked at over HTTP. What cannot be
looked at is taken from the peer's documentation, and marked so. ``--write`` puts the table into
docs/peers.md.
"""

import argparse
import datetime as dt
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pyodide_mirror
from tests.conformance import feature_stands as stands
from tests.conformance import peers
from tests.conformance.feature_probes import FEATURES, Feature, Place
from tests.docs.tables import Part
from tests.support import provision
from tests.support.processes import run_quietly
from tests.support.upstreams import upstream

YES, NO, NONE = "yes", "no", "—"


@dataclass(frozen=True, slots=True)
class Column:
    """A server of the table. ``roles``: those that it has; ``told``: cells of its documentation."""

    name: str
    version: str
    stand: Callable[..., object] | None
    roles: tuple[str, ...]
    told: Mapping[str, str]
    help: tuple[str, ...] = ()
    """The command that prints its options."""


def _version(program: peers.Program) -> str:
    return program.requirements[0].partition("==")[2]


def _module(requirements: tuple[str, ...], *words: str) -> tuple[str, ...]:
    return (str(provision.python_with(*requirements)), "-W", "ignore", *words, "--help")


OPEN = {
    "reading needs a login": "no*",
    "a page can log in": "no*",
    "names that are never asked upstream": "no*",
    "only some projects or versions": "no*",
}
GUNICORN = {"TLS in the command": "by gunicorn*", "several processes": "by gunicorn*"}
_SRS = peers.SIMPLE_REPOSITORY_SERVER.requirements


def columns() -> list[Column]:
    """All servers, ours first."""
    return [
        Column(
            "pyodide-mirror serve",
            pyodide_mirror.__version__,
            stands.ours,
            stands.ROLES,
            {},
            (sys.executable, "-m", "pyodide_mirror", "serve", "--help"),
        ),
        Column(
            "pypiserver",
            _version(peers.PYPISERVER),
            stands.pypiserver,
            ("local", "several", "closed"),
            {
                **GUNICORN,
                "passes on another index": "redirects to it*",
                "only some projects or versions": "no*",
            },
        ),
        Column("proxpi", _version(peers.PROXPI), stands.proxpi, ("proxy",), {**GUNICORN, **OPEN}),
        Column(
            "devpi",
            stands.DEVPI[0].partition("==")[2],
            stands.devpi,
            ("proxy", "local", "closed"),
            {
                "reading needs a login": "by a plugin*",
                "a page can log in": "no*",
                "only some projects or versions": "by a plugin*",
                "several folders": "indexes that inherit*",
                "several processes": "replicas*",
                "a page for people at `/`": "by a plugin*",
                "PEP 658 metadata": "of uploads*",
            },
            _module(stands.DEVPI, "-c", "from devpi_server.main import main; main()"),
        ),
        Column(
            "simple-repository-server",
            _version(peers.SIMPLE_REPOSITORY_SERVER),
            stands.simple_repository_server,
            ("proxy", "local", "several"),
            {**OPEN, "only some projects or versions": "in code of one's own*"},
            _module(_SRS, "-m", "simple_repository_server"),
        ),
        Column("bandersnatch", "6.8.0", None, (), BANDERSNATCH),
    ]


BANDERSNATCH = {
    **{feature.name: "of the web server*" for feature in FEATURES if feature.of_web_server},
    "passes on another index": "copies it*",
    "PEP 691 pages": "yes*",
    "PEP 658 metadata": "no*",
    "a wrong digest is noticed": "yes*",
    "works without the upstream": "yes*",
    "only some projects or versions": "yes*",
}


def cells(column: Column) -> dict[str, str]:
    """What was found of a server, by feature."""
    found: dict[str, str] = {}
    for role in column.roles:
        several = [feature for feature in FEATURES if _role(feature, column) == role]
        for kind in sorted({feature.over for feature in several}):
            found |= _looked_at(column, role, [each for each in several if each.over == kind])
    if column.help:
        text = run_quietly(list(column.help))
        for feature in FEATURES:
            if feature.role == "help":
                options = [word for word in feature.options if f"{word} " in f"{text} "]
                found[feature.name] = f"`{options[0]}`" if options else NO
    for name, told in column.told.items():
        if found.get(name, NO) == NO:
            found[name] = told
    return {feature.name: found.get(feature.name, NONE) for feature in FEATURES}


def _role(feature: Feature, column: Column) -> str:
    """The first role of a feature that a server has; empty if it has none."""
    return next((role for role in feature.role.split() if role in column.roles), "")


def _looked_at(column: Column, role: str, features: Sequence[Feature]) -> dict[str, str]:
    with ExitStack() as stack:
        index = stack.enter_context(upstream(features[0].over))
        place = Place(index, role, stack)
        try:
            place.running = stack.enter_context(stands.standing(column.stand, role, index.url))
        except RuntimeError as error:
            print(f"{column.name}, {role}: {error}", file=sys.stderr)
            return dict.fromkeys((feature.name for feature in features), NO)
        return {feature.name: _cell(feature.look, place) for feature in features}


def _cell(look: Callable[[Place], bool | str], place: Place) -> str:
    try:
        seen = look(place)
    except (AssertionError, LookupError, OSError, ValueError) as error:
        print(f"{look.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
        return NO
    return seen if isinstance(seen, str) else YES if seen else NO


def table(only: str = "") -> str:
    """The table in Markdown, a feature in each row."""
    shown = [column for column in columns() if only in column.name]
    found = [cells(column) for column in shown]
    rows = [["", *(f"{column.name} {column.version}" for column in shown)]]
    rows += [[feature.name, *(each[feature.name] for each in found)] for feature in FEATURES]
    return peers.markdown(rows)


def main() -> None:
    """Look at all, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.features", description=main.__doc__
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/peers.md")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="servers with TEXT in their name"
    )
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("--write wants all servers")
    made = table(given.only)
    print(made)
    if given.write:
        today = dt.datetime.now(dt.UTC).date()
        Part("docs/peers.md", "features", lambda: f"Looked at on {today}.\n\n{made}").write()


if __name__ == "__main__":
    main()
