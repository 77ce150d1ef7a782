"""Archives and streams that unfold to more than they say."""

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable
from functools import cache

MB = 1024 * 1024
INFO = "x-1.0.dist-info/METADATA"


def packed(entries: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def lying(method: int, stream: bytes, says: int = 100) -> bytes:
    """A wheel whose METADATA says that it has few bytes, and unfolds to many."""
    name, crc = INFO.encode(), zlib.crc32(bytes(says))
    sizes = crc, len(stream), says, len(name)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, method, 0, 33, *sizes, 0) + name
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, method, 0, 33, *sizes, 0, 0, 0, 0, 0, 0
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry + name), len(local + stream), 0)
    return local + stream + entry + name + end


def encrypted() -> bytes:
    content = bytearray(packed([(INFO, b"Name: x\n")]))
    content[6] |= 1  # the local header's flags, and the directory's
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


def hidden_directory() -> bytes:
    """A directory of a million entries, of which only the ZIP64 record tells."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, *[0] * 6) + b"a"
    count = 1_000_000
    directory = entry * count
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 47, 0, 0)
    return directory + record + locator + end


@cache
def lzma_bomb() -> bytes:
    filters = [
        {"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}
    ]
    stream = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
    body = b"".join(stream.compress(bytes(MB)) for _ in range(200)) + stream.flush()
    return struct.pack("<BBH", 9, 4, 5) + bytes([93]) + struct.pack("<L", 1 << 16) + body


@cache
def zeros(wbits: int) -> bytes:
    """Some 250 MB of zeros by deflate: with zlib's header, gzip's, or none."""
    stream = zlib.compressobj(1, wbits=wbits)
    pieces = [stream.compress(bytes(MB)) for _ in range(250)]
    return b"".join(pieces) + stream.flush()
