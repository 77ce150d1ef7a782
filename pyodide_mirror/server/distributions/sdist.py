"""The metadata of an sdist, read so that a hostile archive costs little."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from typing import IO, TYPE_CHECKING, Final, cast

from pyodide_mirror.index import MAX_METADATA_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_MOST_UNPACKED: Final = 4_000_000_000
_MOST_AT_ONCE: Final = MAX_METADATA_BYTES
_MOST_MEMBERS: Final = 100_000


class _Bounded:
    """A file that is unpacked, of which only so much is read, and not too much at once.

    tarfile reads a header as a whole, however large it is.
    """

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        if not 0 <= size <= _MOST_AT_ONCE:
            raise ValueError("a header in it is too large")
        self._check(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, position: int) -> int:
        """Go to a position, which unpacks all that is before it."""
        if position < self._file.tell():  # it would be unpacked again from its begin
            raise ValueError("a header in it points back")
        self._check(position)
        return self._file.seek(position)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def _check(self, position: int) -> None:
        if position > _MOST_UNPACKED:
            raise ValueError(f"it has more than {_MOST_UNPACKED:,} bytes when unpacked")


def read_pkg_info(sdist: Path) -> bytes:
    """The PKG-INFO in the one folder at the root of an sdist (PyPA: source distribution format).

    Raises OSError, and ValueError with a sentence that says why there is none.
    """
    try:
        with gzip.open(sdist) as unpacked:
            bounded = cast("IO[bytes]", _Bounded(unpacked))
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                return _pkg_info(archive)
    except (EOFError, gzip.BadGzipFile, tarfile.TarError, ValueError, zlib.error) as error:
        raise ValueError(f"the sdist cannot be read: {error}") from None


def _pkg_info(archive: tarfile.TarFile) -> bytes:
    for _ in range(_MOST_MEMBERS):
        member = archive.next()
        if member is None:
            raise ValueError("it has no PKG-INFO in its folder")
        folder, _, name = member.name.removeprefix("./").partition("/")
        if name == "PKG-INFO" and folder and member.isreg():
            if member.size > MAX_METADATA_BYTES:
                raise ValueError(f"its PKG-INFO has more than {MAX_METADATA_BYTES:,} bytes")
            content = archive.extractfile(member)
            return b"" if content is None else content.read()
        vars(archive)["members"] = []  # it would keep all
    raise ValueError(f"it has more than {_MOST_MEMBERS:,} members")
