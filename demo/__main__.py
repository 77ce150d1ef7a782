"""Run the demonstration: ``python -m demo``, or ``python -m demo --check`` without a screen.

``python -m demo --build FOLDER`` writes the page as a folder for any web server: then it is about
the mirrors and CDNs that pyodide_mirror knows, or the mirrors in its address.
"""

import argparse
import sys
import threading
import time
import webbrowser
from pathlib import Path

from demo.check import check
from demo.site import build
from demo.stage import set_stage
from pyodide_mirror import CDNS
from pyodide_mirror.loader import LoaderError, source
from tests.support.browsers import MissingBrowser
from tests.support.provision import ProvisionError

_SCREENSHOT = Path(__file__).parent / "out" / "demo.png"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="A page that finds a working mirror among six."
    )
    parser.add_argument("--port", type=int, default=0, help="of the page (default: any free one)")
    parser.add_argument(
        "--no-open", action="store_true", help="only print the address, open no browser"
    )
    parser.add_argument(
        "--check", action="store_true", help="let a headless Chromium check that all is as promised"
    )
    parser.add_argument(
        "--screenshot", type=Path, default=_SCREENSHOT, metavar="PATH", help="of the check (.png)"
    )
    build = parser.add_argument_group("the page as a folder")
    build.add_argument("--build", type=Path, metavar="FOLDER", help="write it, and do nothing else")
    build.add_argument(
        "--with-pyodide", action="store_true", help="with Pyodide and micropip in it"
    )
    build.add_argument(
        "--pyodide",
        type=source,
        action="append",
        metavar="URL",
        help="base URL of a CDN with Pyodide, in which {version} stands for the version, or a"
        " folder with an unpacked release; several times if need be (default: the known CDNs)",
    )
    return parser.parse_args()


def _check(address: str, screenshot: Path) -> int:
    started = time.monotonic()
    report, broken = check(address, screenshot)
    print(report or "The page has no report.")
    for sentence in broken:
        print(f"Broken: {sentence}", file=sys.stderr)
    seconds = time.monotonic() - started
    print(f"\n{len(broken)} broken promises, {seconds:.1f} s" if broken else f"\n{seconds:.1f} s")
    return 1 if broken else 0


def _show(address: str, *, open_it: bool) -> int:
    print(f"{address}\nCtrl-C ends it.", flush=True)
    if open_it:
        webbrowser.open(address)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print()
    return 0


def main() -> int:
    """Run it; return the exit code."""
    arguments = _arguments()
    try:
        if arguments.build:
            folder = arguments.build
            build(folder, arguments.pyodide or CDNS, with_pyodide=arguments.with_pyodide)
            print(f"{folder / 'index.html'} and what it needs: put the folder on any web server.")
            return 0
        with set_stage(arguments.port) as address:
            if arguments.check:
                return _check(address, arguments.screenshot)
            return _show(address, open_it=not arguments.no_open)
    except (MissingBrowser, ProvisionError, LoaderError, OSError, OverflowError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
