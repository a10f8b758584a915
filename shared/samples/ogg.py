"""Whether an Ogg file is as it was written: libsndfile skips what is damaged, and seconds are gone.

Runs in the child alone. Names and numbers are those of RFC 3533, section 6.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from shared.errors import BadSample

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTURE_PATTERN = b"OggS"

# Flags, serial number of the stream, number of the page in it, checksum, how many lengths follow.
_HEADER = struct.Struct("<5xB8xIIIB")
_CHECKSUM = slice(22, 26)
_FIRST_PAGE, _LAST_PAGE = 0x02, 0x04

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ALL_ONES = 0xFFFF_FFFF


class _Page(NamedTuple):
    flags: int
    stream: int
    number: int
    is_intact: bool
    end: int


def check_ogg(ogg: bytes) -> None:
    """Return if every page is there, intact and in its place, up to one that is marked as the last.

    What follows that may be anything but a page.

    Raises:
        BadSample: something is missing or damaged.
    """
    next_numbers: dict[int, int] = {}
    is_last, end = False, 0
    for page in _pages(ogg):
        expected = page.number if page.flags & _FIRST_PAGE else next_numbers.get(page.stream)
        if not page.is_intact or page.number != expected:
            raise _damaged()
        next_numbers[page.stream] = page.number + 1
        is_last, end = bool(page.flags & _LAST_PAGE), page.end
    if ogg.find(CAPTURE_PATTERN, end + 1) >= 0:
        raise _damaged()
    if not is_last:
        raise BadSample("The file is cut off: its last page did not come; save or upload it again.")


def _pages(ogg: bytes) -> Iterator[_Page]:
    """Give the whole pages that follow each other without anything in between."""
    start = 0
    while ogg.startswith(CAPTURE_PATTERN, start) and len(ogg) >= (at := start + _HEADER.size):
        flags, stream, number, checksum, count = _HEADER.unpack_from(ogg, start)
        end = at + count + sum(ogg[at : at + count])
        if end > len(ogg):
            return
        yield _Page(flags, stream, number, _checksum(ogg[start:end]) == checksum, end)
        start = end


def _checksum(page: bytes) -> int:
    """Give the CRC-32 that a page should carry.

    It is zlib's with every byte, and the result, mirrored bit by bit, and neither begun nor ended with ones.
    """
    bare = page[: _CHECKSUM.start] + bytes(4) + page[_CHECKSUM.stop :]
    mirrored = zlib.crc32(bare.translate(_MIRRORED), _ALL_ONES) ^ _ALL_ONES
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")


def _damaged() -> BadSample:
    return BadSample("The file is damaged: parts of it are missing or changed; save or upload it again.")
