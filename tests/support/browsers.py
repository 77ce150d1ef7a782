"""Find the browsers the tests drive, and nginx, and install them where that is one command.

Run ``python -m tests.support.browsers`` to be told what is missing, and with ``--install`` as root
on Debian (or a system made from it) to have it installed.
"""

import argparse
import itertools
import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import run_quietly


class MissingBrowser(RuntimeError):
    """A program that an engine needs is not on this machine; the text says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program an engine needs."""

    label: str
    """What people call it."""
    commands: tuple[str, ...]
    """Its names on the search path, the best first."""
    package: str
    """The Debian package that has it."""
    hidden: str = ""
    """A glob below ``/usr`` for a program that is never on the search path."""

    def find(self) -> Path | None:
        """Return the program's path, or None."""
        for command in self.commands:
            if found := shutil.which(command):
                return Path(found)
        # The folder's name holds the machine's architecture and the library's version.
        return max(Path("/usr").glob(self.hidden), default=None) if self.hidden else None


CHROMIUM = Program(
    label="Chromium",
    commands=("chromium", "chromium-browser", "google-chrome"),
    package="chromium",
)
CHROMEDRIVER = Program(label="ChromeDriver", commands=("chromedriver",), package="chromium-driver")
FIREFOX = Program(label="Firefox", commands=("firefox-esr", "firefox"), package="firefox-esr")
WEBKIT_DRIVER = Program(
    label="WebKitWebDriver", commands=("WebKitWebDriver",), package="webkit2gtk-driver"
)
# Debian's package of the driver brings the browser's libraries, and MiniBrowser among them.
MINI_BROWSER = Program(
    label="WebKitGTK's MiniBrowser",
    commands=(),
    package="webkit2gtk-driver",
    hidden="lib/*/webkit2gtk-4.*/MiniBrowser",
)
XVFB = Program(label="Xvfb", commands=("Xvfb",), package="xvfb")
# No browser, but a server whose files they load.
NGINX = Program(label="nginx", commands=("nginx", "/usr/sbin/nginx"), package="nginx-light")

PROGRAMS = {
    "chromium": (CHROMIUM, CHROMEDRIVER),
    "firefox": (FIREFOX,),
    "webkit": (WEBKIT_DRIVER, MINI_BROWSER, XVFB),
    "nginx": (NGINX,),
}


def find(program: Program) -> Path:
    """Return the path of ``program``. Raises `MissingBrowser`."""
    if found := program.find():
        return found
    raise MissingBrowser(explain([program]))


def missing(wanted: Iterable[Program] | None = None) -> list[Program]:
    """Return the programs that are not on this machine, of those wanted, or of all."""
    if wanted is None:
        wanted = itertools.chain(*PROGRAMS.values())
    return [each for each in wanted if not each.find()]


def explain(programs: list[Program]) -> str:
    """Say which programs are missing and how to get them, in one sentence."""
    labels = ", ".join(program.label for program in programs)
    packages = sorted({program.package for program in programs})
    how = (
        "run `python -m tests.support.browsers --install`"
        if _can_install()
        else f"on Debian, as root: `apt-get install {' '.join(packages)}`; elsewhere, put"
        f" {labels} on the search path"
    )
    return f"Missing for the browser tests: {labels}. To get it: {how}."


def install(wanted: Iterable[Program] | None = None) -> None:
    """Install what is missing, of the programs wanted, or of all.

    Raises `MissingBrowser` where we cannot, or apt-get failed.
    """
    programs = missing(wanted)
    if not programs:
        return
    if not _can_install():
        raise MissingBrowser(explain(programs))
    packages = sorted({program.package for program in programs})
    _apt_get("update")
    _apt_get("install", "--yes", "--no-install-recommends", *packages)
    if still := missing(programs):
        message = f"apt-get installed {' '.join(packages)}, and yet: {explain(still)}"
        raise MissingBrowser(message)


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_get(*arguments: str) -> None:
    try:
        run_quietly(
            ["apt-get", "--quiet", *arguments],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )
    except RuntimeError as error:
        raise MissingBrowser(str(error)) from error


def is_short_lived() -> bool:
    """Whether a browser's second compiler of WebAssembly is to be off, as it is in tests.

    It takes longer than a test's short life, and is an eighth of what all pages cost. The first
    compiler, and all of JavaScript's, stay; benchmarks have both.
    """
    return "PYTEST_VERSION" in os.environ  # pytest sets it


def chromium_flags() -> list[str]:
    """Return what Chromium is started with, whoever drives it: headless, and alone in the world."""
    flags = [
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        # Containers give it 64 MB, less than a page with Pyodide may want.
        "--disable-dev-shm-usage",
        # Its memory samplers, on in a few starts in a hundred, kill the tab ("tab crashed") when
        # they sample while WebAssembly is deoptimised on a stack of JSPI: they read past its end.
        "--disable-features=HeapProfilerReporting,GwpAsanMalloc",
    ]
    if is_short_lived():
        flags.append("--js-flags=--liftoff-only")
    # Chromium refuses to run as root inside its sandbox.
    return [*flags, "--no-sandbox"] if os.geteuid() == 0 else flags


def main() -> None:
    """Check from the command line; end with status 1 and one sentence when something is missing."""
    parser = argparse.ArgumentParser(description="Find, or install, the browsers the tests drive.")
    parser.add_argument("--install", action="store_true", help="install what is missing (apt-get)")
    try:
        if parser.parse_args().install:
            install()
    except MissingBrowser as error:
        sys.exit(str(error))
    if programs := missing():
        sys.exit(explain(programs))


if __name__ == "__main__":
    main()
