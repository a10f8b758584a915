"""Files that somebody may send to do harm, and broken ones, made from good ones."""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO

import numpy as np
import soundfile

from tests.shared.samples.sounds import RATE_HZ, encoded, speech

STREAMED = 0xFFFFFFFF
_OGG_CRC = 0x04C11DB7


@lru_cache
def pcm() -> bytes:
    return encoded(speech())[44:]


def opus() -> bytes:
    return encoded(speech(), container="OGG", subtype="OPUS")


def wav(data, *, rate_hz=RATE_HZ, channels=1, bits=16, kind=1, claimed_bytes=None) -> bytes:
    """A WAV file with a header that says what the test wants."""
    claimed = len(data) if claimed_bytes is None else claimed_bytes
    frame_bytes = channels * bits // 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(36 + claimed, STREAMED), b"WAVE", b"fmt ", 16, kind, channels, rate_hz),
        *(rate_hz * frame_bytes % 2**32, frame_bytes % 2**16, bits, b"data", claimed),
    ) + bytes(data)


def with_chunk(file, name, content, *, claimed_bytes=None) -> bytes:
    """The WAV file with one more chunk before its data."""
    size = len(content) if claimed_bytes is None else claimed_bytes
    at = file.index(b"data")
    return file[:at] + struct.pack("<4sI", name, size) + content + file[at:]


def with_open_sizes(rf64) -> bytes:
    """The RF64 file, as who cannot go back to its head leaves it."""
    at = rf64.index(b"ds64") + 8
    return rf64[:at] + bytes(24) + rf64[at + 24 :]


def without_last_page(ogg) -> bytes:
    return b"".join(list(_pages(ogg))[:-1])


def without_middle_page(ogg) -> bytes:
    pages = list(_pages(ogg))
    del pages[len(pages) // 2]
    return b"".join(pages)


def with_pages_swapped(ogg) -> bytes:
    *before, one, other, last = _pages(ogg)
    return b"".join([*before, other, one, last])


def damaged(file, size=1, *, at=None) -> bytes:
    """The file with so many of its bytes changed, in the middle or where the test says."""
    at = len(file) // 2 if at is None else at
    return file[:at] + bytes(byte ^ 0x55 for byte in file[at : at + size]) + file[at + size :]


def zeroed(file, size) -> bytes:
    """The file with so many zeros in its middle."""
    at = len(file) // 2
    return file[:at] + bytes(size) + file[at + size :]


def middle_page_at(ogg) -> int:
    """Where the page in the middle begins."""
    pages = list(_pages(ogg))
    return sum(len(page) for page in pages[: len(pages) // 2])


def ogg_of_empty_pages(count) -> bytes:
    """Ten seconds of speech, with so many pages in between that hold nothing."""
    *pages, last = _pages(opus())
    template = pages[-1][:26] + b"\0"
    first, position = len(pages), _position(pages[-1])
    empty = (_renumbered(template, first + n, position) for n in range(count))
    end = _renumbered(last, first + count, _position(last), kind=last[5])
    return b"".join([*pages, *empty, end])


def flac_of_hours(hours) -> bytes:
    file = BytesIO()
    with soundfile.SoundFile(
        file, "w", samplerate=16_000, channels=1, format="FLAC", subtype="PCM_16"
    ) as sound:
        minute = np.zeros(60 * 16_000, np.int16)
        for _ in range(60 * hours):
            sound.write(minute)
    return file.getvalue()


def ogg_of_hours(subtype, hours) -> bytes:
    """A minute of silence, whose pages of sound come again and again, numbered on."""
    minute = encoded(np.zeros(60 * RATE_HZ), container="OGG", subtype=subtype)
    pages = list(_pages(minute))
    headers = [page for page in pages if _position(page) == 0]
    sound = [page for page in pages if _position(page) > 0]
    last = _position(sound[-1])
    repeated = [
        _renumbered(page, len(headers) + n * len(sound) + i, n * last + _position(page))
        for n in range(60 * hours)
        for i, page in enumerate(sound)
    ]
    return b"".join([*headers, *repeated])


def mp3_of_minutes(minutes) -> bytes:
    """Frames of a minute of silence, again and again, without the first, which tells how many there are."""
    minute = encoded(
        np.zeros(60 * 16_000), 16_000, "MP3", None, bitrate_mode="CONSTANT", compression_level=0.9
    )
    second = minute.index(minute[:3], 3)
    return minute[second:] * minutes


def id3(size_bytes) -> bytes:
    """The head of an ID3 tag that claims to be so long."""
    return b"ID3\x04\x00\x00" + bytes(size_bytes >> shift & 127 for shift in (21, 14, 7, 0))


def _pages(file):
    start = 0
    while start < len(file):
        lengths = file[start + 27 : start + 27 + file[start + 26]]
        end = start + 27 + len(lengths) + sum(lengths)
        yield file[start:end]
        start = end


def _position(page) -> int:
    return int.from_bytes(page[6:14], "little", signed=True)


def _renumbered(page, number, position, *, kind=0) -> bytes:
    without_sum = (
        page[:5]
        + bytes([kind])
        + struct.pack("<q", position)
        + page[14:18]
        + struct.pack("<II", number, 0)
        + page[26:]
    )
    return without_sum[:22] + struct.pack("<I", _ogg_sum(without_sum)) + without_sum[26:]


def _ogg_sum(page) -> int:
    total = 0
    for byte in page:
        total = (total << 8) & 0xFFFFFFFF ^ _table()[total >> 24 ^ byte]
    return total


@lru_cache
def _table() -> list[int]:
    table = []
    for byte in range(256):
        total = byte << 24
        for _ in range(8):
            total = (total << 1) & 0xFFFFFFFF ^ (_OGG_CRC if total >> 31 else 0)
        table.append(total)
    return table
