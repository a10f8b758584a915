"""Whether a file came as a whole: what WAV and OGG say of themselves, which libsndfile does not mind.

Runs in the child alone.
"""

from __future__ import annotations

import struct

from shared.errors import BadSample
from shared.samples.ogg import CAPTURE_PATTERN, check_ogg

# Who records into a pipe cannot go back and write the size: some leave 0 there, SoX and arecord write some
# 2 GB, ffmpeg and libsndfile 4 GB less one.
_LEFT_OPEN = 0
_LEAST_MADE_UP = 0x7FFF_0000
_READ_TO_THE_END = b"\xff\xff\xff\xff"
# A size of 4 GB less one in a RF64 file stands for the one in its chunk `ds64` (EBU Tech 3306).
_IN_DS64 = 0xFFFF_FFFF


def readable(upload: bytes) -> bytes:
    """Give the file so that libsndfile reads all of its sound, also where a WAV leaves its size open."""
    if not _is_wav(upload):
        return upload
    claimed, start = _data(upload)
    if claimed != _LEFT_OPEN or start == len(upload):
        return upload
    return b"RIFF" + upload[4 : start - 4] + _READ_TO_THE_END + upload[start:]


def check_wholeness(upload: bytes) -> None:
    """Return if nothing is known to be missing of a file; of WAV and OGG alone that is known here.

    Raises:
        BadSample: its end did not come, or an OGG is damaged.
    """
    if _is_wav(upload):
        claimed, start = _data(upload)
        came = len(upload) - start
        if came < claimed < _LEAST_MADE_UP:
            raise BadSample(
                f"The file is cut off: its header tells of {claimed} bytes of sound, and {came} came; "
                "save or upload it again."
            )
    if upload.startswith(CAPTURE_PATTERN):
        check_ogg(upload)


def _is_wav(upload: bytes) -> bool:
    return upload[:4] in {b"RIFF", b"RF64"}


def _data(wav: bytes) -> tuple[int, int]:
    """Give how many bytes of sound a WAV file says it holds, and where they begin."""
    at, in_ds64 = 12, None
    while at + 8 <= len(wav):
        name, size = struct.unpack_from("<4sI", wav, at)
        at += 8
        if name == b"data":
            return (in_ds64 if in_ds64 is not None and size == _IN_DS64 else size), at
        if name == b"ds64" and at + 16 <= len(wav):
            [in_ds64] = struct.unpack_from("<Q", wav, at + 8)
        at += size + size % 2
    return _LEFT_OPEN, len(wav)
