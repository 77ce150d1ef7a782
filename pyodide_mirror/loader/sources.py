"""Where the loader's folder gets Pyodide's files from: CDNs, and folders of an unpacked release."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pyodide_mirror.model import CDN
from pyodide_mirror.transport import CorsTransport, Failure, PageFacts, Request, send

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_BYTES: Final = 2**26
"""The most that is read of a core file whose size is not known: four times the largest."""


class LoaderError(Exception):
    """The folder cannot be written; the text says why, and what to do."""


class Fitting(Protocol):
    """A file that is known by its name and digest."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    def fits(self, content: bytes) -> bool:
        """Whether this is its content."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """A folder with an unpacked release of Pyodide, or with npm's package."""

    path: Path

    @property
    def name(self) -> str:
        """For people."""
        return str(self.path)


Source = CDN | LocalFolder


def source(text: str) -> Source:
    """The CDN of a base URL, or a folder; ValueError says what is wrong with it."""
    if text.startswith(("http:", "https:")):
        return CDN(text)
    path = Path(url2pathname(urlsplit(text).path) if text.startswith("file:") else text)
    if not path.is_dir():
        raise ValueError(f"{text!r} is neither an http or https URL nor a folder")
    return LocalFolder(path)


async def fetch_files(
    files: Sequence[Fitting], sources: Sequence[Source], version: str, timeout: float
) -> dict[str, bytes]:
    """The content of files by name, each from the first source that has it.

    That one is asked first for the next file: another may have cost a time-out.

    ``timeout``: seconds until the first byte, and then from each byte to the next. Raises
    :class:`LoaderError`, which says what is wrong with each source.
    """
    found: dict[str, bytes] = {}
    last: Source | None = None
    for file in files:
        faults = []
        for each in sorted(sources, key=lambda one: one is not last):
            content = await _read(each, file, version, timeout)
            if isinstance(content, bytes):
                found[file.name], last = content, each
                break
            faults.append(f"{each.name}: {content}")
        else:
            raise LoaderError(
                f"{file.name} of Pyodide {version} cannot be read from any CDN: {'; '.join(faults)}"
                "; name one that can be read from here, or a folder with an unpacked release"
            )
    return found


async def _read(place: Source, file: Fitting, version: str, timeout: float) -> bytes | str:
    """The file's content, or what is wrong with it."""
    if isinstance(place, LocalFolder):
        try:
            content = (place.path / file.name).read_bytes()
        except FileNotFoundError:
            return "it is not there"
        except OSError as error:
            return error.strerror or str(error)
    else:
        request = Request(place.url(file.name, version), timeout, _MAX_BYTES, stall=True)
        answer = await send(CorsTransport(PageFacts()), request)
        if isinstance(answer, Failure):
            return answer.detail
        if not answer.ok:
            return f"HTTP {answer.status}"
        content = answer.body
    return content if file.fits(content) else f"its digest is not that of Pyodide {version}"
