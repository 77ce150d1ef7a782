"""stlite from npm, and what Streamlit needs, as far as it can be had here."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.support import provision
from tests.support.wheels import Wheel, make_wheel

VERSION: Final = "1.9.2"

# Most of it is Pyodide's own, and on its CDN alone, so that Streamlit itself cannot run here.
_NEEDED: Final = (
    *("altair==6.0", "anyio==4.9", "blinker==1.9", "fastparquet==2025.1", "itsdangerous==2.2"),
    *("numpy==2.2", "pandas==2.3", "pillow==11.3", "protobuf==7.34.1", "pyodide-http==0.2.1"),
    *("python-multipart==0.0.20", "starlette==0.47", "typing-extensions==4.14"),
)


def stlite() -> Path:
    """Return the folder of stlite's own files. Raises `provision.ProvisionError`."""
    return provision.npm_files("@stlite/browser", VERSION, "build")


def needed_by_streamlit() -> Iterable[Wheel]:
    """Wheels by the names of what Streamlit needs; there is next to nothing in them."""
    return [make_wheel(*requirement.split("==")) for requirement in _NEEDED]
