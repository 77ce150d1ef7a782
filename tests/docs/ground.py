"""What the documents' code blocks are run against: their example hosts, on this machine."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from packaging.requirements import Requirement

from pyodide_mirror.own_wheels import page_wheel
from tests.docs.programs import ANSWERS, stand_ins
from tests.docs.tables import Block
from tests.support import provision
from tests.support.own_server import serving
from tests.support.pages import authority
from tests.support.wheels import make_wheel
from tests.zoo.cdns import CDNZoo
from tests.zoo.server import ClosedPort

PRIVATE = "acme-tool"
"""What only the company's index has in the documents."""
PROJECTS = ("cowsay", "iniconfig", "nox", "numpy", "textual")
"""What else they install. A wheel of each is made; its own code does not matter."""
WRITER = "tomli-w"
"""What our package needs, and is itself: it writes the documents' lock files."""
_FIRST_LINE = re.compile(r"# (?P<name>\w+\.py)\n")
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))


# --- places -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ground:
    """The servers behind the example hosts, while they run."""

    wheels: Path
    """A folder with a wheel of each of the `PROJECTS`, and of what our package can depend on."""
    answers: Path
    """A folder for what `pip install` answers."""
    mirror: str
    """The index URL behind https://mirror.example/simple."""
    addresses: Mapping[str, str]
    """What documents say → what is here."""

    def localized(self, text: str) -> str:
        """Return a text with the addresses of these servers."""
        for example, local in self.addresses.items():
            text = text.replace(example, local)
        return text

    def documented(self, text: str) -> str:
        """Return a text with the documents' addresses."""
        for example, local in self.addresses.items():
            text = text.replace(local, example)
        return text


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """Start the servers, over wheels that are made in a folder."""
    public, private, answers = (folder / name for name in ("public", "private", "answers"))
    answers.mkdir()
    for wheels, names in ((public, {*PROJECTS, *_dependencies()}), (private, {PRIVATE})):
        wheels.mkdir()
        for name in names - {WRITER}:
            _put(name, wheels)
    [writer] = provision.real_wheels([WRITER]).glob("*.whl")
    (public / writer.name).write_bytes(writer.read_bytes())
    with ExitStack() as stack:
        mirror, corp = (stack.enter_context(serving(each)).url for each in (public, private))
        cdn = stack.enter_context(CDNZoo()).start("good")
        gone = ClosedPort()
        stack.callback(gone.close)
        addresses = {
            "https://mirror.example": mirror,
            "https://pypi.corp.example": corp,
            "https://other.example": mirror.replace("127.0.0.1", "localhost"),
            "https://packages.example": mirror,
            "https://cdn.example": cdn.url.partition("/pyodide/")[0],
            "http://127.0.0.1:8080": mirror,
            "https://gone.example": f"http://127.0.0.1:{gone.port}",
            "/WHEEL": f"/{page_wheel()[0]}",
        }
        yield Ground(public, answers, f"{mirror}/simple", addresses)


def _put(name: str, folder: Path) -> None:
    """Make a wheel of a project, of a version that meets any requirement."""
    wheel = make_wheel(name, "9999.0")
    (folder / wheel.filename).write_bytes(wheel.data)


def _dependencies() -> set[str]:
    """What our package needs, with all extras, as its wheel says."""
    with zipfile.ZipFile(provision.project_wheel()) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    return {
        Requirement(line).name for line in re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE)
    }


# --- shell --------------------------------------------------------------------------------------


def script(block: Block) -> tuple[str, list[str]]:
    """Return the commands of a shell block, and the lines that they are said to print."""
    if block.language == "sh":
        return block.text, []
    commands: list[str] = []
    output: list[str] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif not output and commands and commands[-1].endswith("\\"):
            commands.append(line)
        elif line.strip():
            output.append(line)
    return "\n".join(commands), output


class Shell:
    """A folder in which the shell blocks of one document are run, one after the other."""

    def __init__(self, folder: Path, place: Ground) -> None:
        """Prepare the folder: ``wheels/`` and ``srv/``, a certificate, and the programs."""
        folder.mkdir()
        self.folder = folder
        self._place = place
        self._programs = folder / "bin"
        stand_ins(self._programs)
        for served in (folder / "wheels", folder / "srv" / "wheels"):
            served.mkdir(parents=True)
            _put(PRIVATE, served)
        for empty in ("released", "third-party", "var/cache"):
            (folder / empty).mkdir(parents=True)
        certificate = authority().issue_cert("packages.example")
        certificate.cert_chain_pems[0].write_to_path(folder / "fullchain.pem")
        certificate.private_key_pem.write_to_path(folder / "privkey.pem")

    def run(self, block: Block) -> None:
        """Run a block with Bash; RuntimeError when it fails, or does not print what it says."""
        commands, expected = script(block)
        done = subprocess.run(
            ["/usr/bin/env", "bash", "-euo", "pipefail", "-c", self._place.localized(commands)],
            cwd=self.folder,
            env=self._environment(),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        printed = self._place.documented(done.stdout)
        lines = iter(printed.splitlines())
        missing = [line for line in expected if line not in lines]  # in this order
        if done.returncode or missing:
            raise RuntimeError(f"{block.id}: {done.returncode}, not printed: {missing}\n{printed}")

    def python(self, block: Block) -> None:
        """Write a Python block into the file that its first line names, and run it in CPython."""
        name = file_name(block)
        text = block.text
        for path in ("/srv/", "/var/"):
            text = text.replace(f'"{path}', f'"{self.folder}{path}')
        (self.folder / name).write_text(text, "utf-8")
        command = [sys.executable, "-W", "error", name]
        done = subprocess.run(
            command, cwd=self.folder, check=False, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise RuntimeError(f"{block.id}: {done.stderr}")

    def _environment(self) -> dict[str, str]:
        usual = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "PYODIDE_MIRROR_", "JUPYTER"))
        }
        links = shlex.join([str(self._place.wheels), str(provision.project_wheel().parent)])
        return usual | {
            "PATH": f"{self._programs}{os.pathsep}{usual.get('PATH', os.defpath)}",
            "HOME": str(self.folder),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DRY_RUN": "1",
            "PIP_IGNORE_INSTALLED": "1",  # whatever the tests' environment has
            "PIP_FIND_LINKS": links,
            "PIP_NO_INDEX": "1",
            ANSWERS: str(self._place.answers),
            "PYODIDE_MIRROR_UPSTREAMS": self._place.mirror,
            "PYODIDE_MIRROR_URLS": self._place.mirror,
            "PYTHONWARNINGS": "",
        }


def file_name(block: Block) -> str:
    """Return the file name in a Python block's first line; empty if there is none."""
    match = _FIRST_LINE.match(block.text)
    return match["name"] if match else ""


# --- what is only read --------------------------------------------------------------------------


def check_json(block: Block) -> None:
    """Raise ValueError when it is no JSON."""
    json.loads(block.text)


def check_toml(block: Block) -> None:
    """Raise ValueError when it is no TOML."""
    tomllib.loads(block.text)


def check_ini(block: Block) -> None:
    """Raise ValueError when it has no sections, or something else than settings in them."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    try:
        parser.read_string(block.text)
    except ConfigParserError as error:
        raise ValueError(f"{block.id}: {error}") from error
    if not parser.sections():
        raise ValueError(f"{block.id} has no section")


def check_javascript(block: Block, folder: Path) -> None:
    """Raise RuntimeError when it cannot be parsed, as a module."""
    _check_module(block.id, block.text, folder)


def check_html(block: Block, folder: Path) -> None:
    """Raise an exception when tags do not match, or a script in it cannot be parsed."""
    page = _Page()
    page.feed(block.text)
    page.close()
    if page.open:
        raise ValueError(f"{block.id}: <{page.open[-1]}> is not closed")
    for kind, text in page.scripts:
        if kind in {"py", "mpy"}:
            compile_python(text)
        elif kind == "application/json":
            json.loads(text)
        elif kind in {"", "module", "text/javascript"}:
            _check_module(block.id, text, folder)
        else:
            raise ValueError(f"{block.id}: a script of an unknown type {kind!r}")


def compile_python(text: str) -> None:
    """Raise SyntaxError for what is no Python, ``await`` outside functions included."""
    compile(text, "block", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _check_module(name: str, text: str, folder: Path) -> None:
    file = folder / "block.mjs"
    file.write_text(text, "utf-8")
    command = [str(provision.node()), "--check", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr}")


class _Page(HTMLParser):
    """Which elements are open, and what is in scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            return
        self.open.append(tag)
        given = dict(attrs)
        if tag == "script" and "src" not in given:
            self.scripts.append((given.get("type") or "", ""))
        elif tag == "script":
            self.scripts.append(("module", ""))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
