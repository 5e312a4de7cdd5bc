"""One gzip stream from a part that is compressed once and kept, and a short rest that differs at every scrape.

Several gzip members in one body would be simpler, but some clients silently stop after the first of them.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

LEVEL = 1
"""On pages of metrics, levels 1 to 3 take the same time; 4 to 9 take 2 to 4 times as long for 7 to 9 % less."""

HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""Deflate, no flags, no time of modification, unknown operating system (RFC 1952)."""


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a gzip stream: header and whole bytes of deflated blocks that nothing after them refers back to.

    `crc` and `size_bytes` are of the text before compression.
    """

    data: bytes
    crc: int
    size_bytes: int

    def rest(self, text: bytes) -> bytes:
        """Return what ends the stream when `text` follows: `data` and this, one after the other, are a whole file."""
        crc = zlib.crc32(text, self.crc)
        trailer = struct.pack("<II", crc, (self.size_bytes + len(text)) % 2**32)
        return zlib.compress(text, LEVEL, wbits=-zlib.MAX_WBITS) + trailer


def compress_head(parts: Iterable[bytes]) -> Head:
    """Compress the text that the parts make up; other threads run meanwhile if the parts are not tiny."""
    compressor = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    deflated = [HEADER]
    crc = size_bytes = 0
    for part in parts:
        deflated.append(compressor.compress(part))
        crc = zlib.crc32(part, crc)
        size_bytes += len(part)
    deflated.append(compressor.flush(zlib.Z_FULL_FLUSH))
    return Head(b"".join(deflated), crc, size_bytes)
