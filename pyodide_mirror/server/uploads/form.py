"""The form of an upload: multipart/form-data (RFC 7578), read as it comes.

Starlette's own reader puts files where the system keeps temporary ones, which may be in memory, and
from where they could only be copied.
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import IO, TYPE_CHECKING, Final, Protocol, Self

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from pyodide_mirror.index import MAX_METADATA_BYTES
from pyodide_mirror.server.cache import locked_file

if TYPE_CHECKING:
    from pathlib import Path

DIGESTS: Final = ("sha256_digest", "blake2_256_digest", "md5_digest")
_FIELDS: Final = frozenset((":action", "protocol_version", "filetype", "name", "version", *DIGESTS))
"""Those that are kept; what the others say is in the file's own metadata."""
_FILE: Final = "content"
_LONGEST: Final = 1_000
MOST_BESIDES: Final = 2 * MAX_METADATA_BYTES
"""Bytes of a form besides its file: metadata above all, which has the project's description."""
_MOST_PARTS: Final = 10_000
_EVENTS: Final = (
    *("part_begin", "header_field", "header_value", "header_end", "headers_finished"),
    *("part_data", "part_end", "end"),
)
"""What the parser tells, and which methods of `FormReader` it tells it."""
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # who sent it is told what is wrong


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class TooLargeError(ValueError):
    """A form that has more bytes than it may."""


class ReceivedFile:
    """A file that is being received, in a folder; it is removed when the block ends.

    Its ``digests`` are those of the form's fields.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Raises OSError."""
        self.path, self._file = locked_file(folder)
        self.size = 0
        self._max_bytes = max_bytes
        self._hashes: dict[str, _Hash] = {
            "sha256_digest": hashlib.sha256(),
            "blake2_256_digest": hashlib.blake2b(digest_size=32),
            "md5_digest": hashlib.md5(usedforsecurity=False),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, content: bytes) -> None:
        """Append; raises OSError, and TooLargeError."""
        self.size += len(content)
        if self.size > self._max_bytes:
            raise TooLargeError(
                f"the file has more than {self._max_bytes:,} bytes, the limit of this server"
            )
        for each in self._hashes.values():
            each.update(content)
        _write_all(self._file, content)

    def flush(self) -> None:
        """Write its bytes to the disk, and let others read it; raises OSError."""
        self.path.chmod(0o644)
        os.fsync(self._file.fileno())

    @property
    def digests(self) -> dict[str, str]:
        """Its digests, as hexadecimal digits."""
        return {name: each.hexdigest() for name, each in self._hashes.items()}


def _write_all(file: IO[bytes], content: bytes) -> None:
    left = memoryview(content)
    while left:  # a disk that is nearly full writes only some of it
        left = left[file.write(left) :]


class FormReader:
    """Reads a form, and writes the file in it.

    What is not needed is read over, such as a signature, or attestations (PEP 740): nobody here
    could verify them.
    """

    def __init__(self, content_type: str, file: ReceivedFile) -> None:
        """Raises ValueError when it is no form."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise ValueError("an upload is a form (multipart/form-data)")
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._file = file
        self._received = self._parts = 0
        self._header = self._value = b""
        self._disposition = b""
        self._name = ""
        self._text: bytearray | None = None
        self._is_complete = False
        callbacks = {f"on_{event}": getattr(self, f"_{event}") for event in _EVENTS}
        try:
            self._parser = MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]
        except FormParserError as error:
            raise ValueError(f"the form has no usable boundary ({error})") from None

    def feed(self, content: bytes) -> None:
        """Read on; raises ValueError, and OSError when the file cannot be written."""
        self._received += len(content)
        try:
            self._parser.write(content)
        except FormParserError as error:
            raise ValueError(f"the form cannot be read ({error})") from None
        if self._received - self._file.size > MOST_BESIDES:
            raise TooLargeError(f"the form has more than {MOST_BESIDES:,} bytes besides the file")

    def finish(self) -> None:
        """Raises ValueError when something is missing."""
        if not self._is_complete:
            raise ValueError("the form was cut off")
        if not self.filename:
            raise ValueError("the form has no file (content)")

    # --- what the parser tells --------------------------------------------------------------------

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise TooLargeError(f"the form has more than {_MOST_PARTS:,} parts")
        self._header = self._value = self._disposition = b""
        self._name, self._text = "", None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == _FILE:
            if self.filename:
                raise ValueError("the form has more than one file (content)")
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            if not self.filename:
                raise ValueError("the file (content) has no name")
        elif self._name in _FIELDS:
            if self._name in self.fields:
                raise ValueError(f"the form has {self._name} more than once")
            self._text = bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == _FILE:
            self._file.write(data[start:end])
        elif self._text is not None:
            self._text += data[start:end]
            if len(self._text) > _LONGEST:
                raise ValueError(f"{self._name} has more than {_LONGEST:,} bytes")

    def _part_end(self) -> None:
        if self._text is not None:
            try:
                self.fields[self._name] = self._text.decode().strip()
            except UnicodeDecodeError:
                raise ValueError(f"{self._name} is not UTF-8") from None

    def _end(self) -> None:
        self._is_complete = True
