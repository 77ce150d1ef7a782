"""A program that installs with Pyodide's micropip in CPython, from a table of answers.

``python -m tests.support.micropip_child VERSION`` takes the micropip of that Pyodide. Each line of
its input is an `Order` as JSON, and so is each line of its output, an `Installed`. Only what is
JavaScript's in micropip is replaced: the fetch, the unpacking and the lock file, which is empty.
`tests.support.micropip_here` starts it.
"""

import asyncio
import base64
import codecs
import email
import importlib
import io
import json
import logging
import shutil
import site
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TextIO

from tests.support import provision


class Empty:
    """What micropip sees of an empty JavaScript object."""

    def to_py(self) -> dict[str, Any]:
        """Return it as a dict."""
        return {}


class FetchResponse:
    """What micropip uses of ``pyodide.http.FetchResponse``."""

    def __init__(self, url: str, status: int, headers: dict[str, str], body: bytes) -> None:
        self.url, self.status, self.headers, self._body = url, status, headers, body
        self.ok = status < 400

    def raise_for_status(self) -> None:
        """Raise for an HTTP error."""
        if not self.ok:
            raise HttpStatusError(self.status, "", self.url)

    async def bytes(self) -> bytes:
        """Return the body."""
        return self._body

    async def string(self) -> str:
        """Return the body as text."""
        return self._body.decode()

    text = string


class HttpStatusError(OSError):
    """As in ``pyodide.http``."""

    def __init__(self, status: int, status_text: str, url: str) -> None:
        self.status, self.status_text, self.url = status, status_text, url
        super().__init__(f"{status} {status_text}: {url}")


async def unpack(data: bytes, filename: str, folder: str, notes: dict[str, str]) -> None:
    """What Pyodide's own ``install`` does with a wheel."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)
        roots = {name.split("/")[0] for name in archive.namelist()}
    [info] = [Path(folder, root) for root in roots if root.endswith(".dist-info")]
    write_notes(info, notes)


def write_notes(info: Path, notes: dict[str, str]) -> None:
    """Write into a ``.dist-info`` folder what micropip wants to be there."""
    for name, text in notes.items():
        (info / name).write_text(text)


async def nothing(*_: object, **__: object) -> None:
    """Load a package of the lock file, or its libraries: there are none."""


def stand_in_for_pyodide(fetch: Callable[..., Any]) -> None:
    """Put the modules that micropip imports where it will find them."""
    api = {
        "install": unpack,
        "loadBinaryFile": nothing,
        "loadDynlibsFromPackage": nothing,
        "lockfile_packages": Empty(),
        "lockfile_info": Empty(),
        "repodata_packages": Empty(),
        "repodata_info": Empty(),
    }
    modules: dict[str, dict[str, Any]] = {
        "_pyodide_core": {},
        "pyodide": {},
        "pyodide._package_loader": {"get_dynlibs": lambda *_: []},
        "pyodide.ffi": {"to_js": lambda value, **_: value, "IN_BROWSER": True},
        "pyodide.http": {"pyfetch": fetch, "HttpStatusError": HttpStatusError},
        "pyodide_js": {
            "loadPackage": nothing,
            "loadedPackages": type("Loaded", (Empty,), {})(),
            "lockfileBaseUrl": "",
            "_api": SimpleNamespace(**api),
        },
        "pyodide_js._api": api,
    }
    for name, content in modules.items():
        module = sys.modules[name] = ModuleType(name)
        vars(module).update(content)


class Table:
    """The answers of the order that is carried out; see `tests.support.fake_web.Web`."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}

    async def pyfetch(self, url: str, **_: object) -> FetchResponse:
        """Fetch for micropip itself; what is not in the table is a readable 404."""
        status, headers, body = self.answers.get(url, [404, {}, ""])
        return FetchResponse(url, status, headers, base64.b64decode(body))

    def web(self) -> Any:
        """Return the same answers, as our transport."""
        from tests.support.fake_web import Answer, Web

        web = Web()
        for url, (status, headers, body) in self.answers.items():
            data = base64.b64decode(body)
            web.answer(url, Answer(body=data, status=status, headers=headers))
        return web


@contextmanager
def site_packages() -> Iterator[Path]:
    """Make a new folder the one that micropip installs into."""
    folder = Path(tempfile.mkdtemp(prefix="micropip-"))
    own, site.getsitepackages = site.getsitepackages, lambda *_: [str(folder)]
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))
        site.getsitepackages = own
        importlib.invalidate_caches()
        shutil.rmtree(folder)


async def carry_out(order: dict[str, Any], table: Table) -> dict[str, Any]:
    """Install one thing after the other; the first error ends it."""
    import micropip

    table.answers = order["answers"]
    session = None if order["plain"] else new_session(table.web())
    found: dict[str, Any] = {"events": [], "reports": [], "error": "", "cause": ""}

    async def install(wanted: list[str], options: dict[str, Any]) -> None:
        if session is None:
            await micropip.install(wanted, index_urls=order["mirrors"], **options)
            return
        events: list[Any] = []
        try:
            report = await session.install(
                wanted, mirrors=order["mirrors"], on_event=events.append, **options
            )
            found["reports"].append([one.to_dict() for one in report.installed])
        finally:
            found["events"] += [[one.kind, one.text] for one in events if one.kind != "progress"]

    with site_packages() as folder:
        try:
            for wanted, options in order["installs"]:
                await install(wanted, options)
        except Exception as error:
            found["error"] = "\n".join(
                [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
            )
            found["cause"] = "".join(traceback.format_exception(error))
        finally:
            if session is not None:
                session.reset()
                await session.settled()
        found["installed"] = sorted(map(name_and_version, folder.glob("*.dist-info/METADATA")))
        found["files"] = sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
        )
    return found


def name_and_version(path: Path) -> list[str]:
    """Return what METADATA says; a byte order mark in front would hide all from ``email``."""
    fields = email.message_from_bytes(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    return [fields["Name"], fields["Version"]]


def new_session(web: Any) -> Any:
    """Make a session whose requests are answered from this web."""
    from pyodide_mirror.api import Session
    from tests.support.fake_host import FakeHost

    return Session(FakeHost(web, cold=True))


def main(output: TextIO) -> None:
    """Carry out each order of the input."""
    sys.path.insert(0, str(provision.micropip_of(sys.argv[1])))
    table = Table()
    stand_in_for_pyodide(table.pyfetch)
    logging.disable()
    for line in sys.stdin:
        result = asyncio.run(carry_out(json.loads(line), table))
        print(json.dumps(result), file=output, flush=True)


if __name__ == "__main__":
    ours = sys.stdout
    sys.stdout = sys.stderr  # what others print is no answer
    main(ours)
