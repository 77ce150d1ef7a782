"""Small pictures: a PNG of a browser's, written again with a palette (PNG, second edition)."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256
Pixel = tuple[int, ...]


def with_palette(picture: bytes) -> bytes:
    """The same picture in 256 colours: pixels of rarer ones get the nearest of the others.

    ``picture`` has 8 bits per channel, with or without transparency, which is dropped, and is not
    interlaced: as browsers write it.
    """
    width, height, rows = _decoded(picture)
    found = Counter(pixel for row in rows for pixel in row)
    # Small spots of a colour are seen, and shades of grey at the edges of letters are not.
    weights = {pixel: count * (1 + max(pixel) - min(pixel)) for pixel, count in found.items()}
    palette = sorted(weights, key=weights.__getitem__, reverse=True)[:_COLOURS]
    places = {pixel: _nearest(pixel, palette) for pixel in found}
    data = b"".join(b"\0" + bytes(places[pixel] for pixel in row) for row in rows)
    return _SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(value for pixel in palette for value in pixel)),
            _chunk(b"IDAT", zlib.compress(data, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _nearest(pixel: Pixel, palette: list[Pixel]) -> int:
    distances = [
        sum((one - other) ** 2 for one, other in zip(pixel, each, strict=True)) for each in palette
    ]
    return distances.index(min(distances))


def _decoded(picture: bytes) -> tuple[int, int, list[list[Pixel]]]:
    """Width, height, and the colours of each row."""
    chunks = list(_chunks(picture))
    (header,) = (content for kind, content in chunks if kind == b"IHDR")
    width, height, _, colours, *_ = struct.unpack(">IIBBBBB", header)
    channels = {2: 3, 6: 4}[colours]
    size = width * channels
    raw = zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT"))
    before = bytearray(size)
    rows = []
    for start in range(0, height * (size + 1), size + 1):
        line = bytearray(raw[start + 1 : start + 1 + size])
        _unfilter(raw[start], line, before, channels)
        rows.append([tuple(line[at : at + 3]) for at in range(0, size, channels)])
        before = line
    return width, height, rows


def _unfilter(kind: int, line: bytearray, above: bytearray, channels: int) -> None:
    """Undo the filter of a row, in place (section 9)."""
    for at in range(len(line)):
        a = line[at - channels] if at >= channels else 0
        b = above[at]
        c = above[at - channels] if at >= channels else 0
        line[at] = (line[at] + (0, a, b, (a + b) // 2, _paeth(a, b, c))[kind]) & 255


def _paeth(a: int, b: int, c: int) -> int:
    return min((a, b, c), key=lambda each: abs(a + b - c - each))


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(picture):
        length, kind = struct.unpack_from(">I4s", picture, at)
        yield kind, picture[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + _crc(kind + content)


def _crc(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))
