"""From an upload to a sample, at arm's length: a process of its own decodes and judges it.

A decoder that is fed hostile bytes may crash, hang or eat memory. So a child does it that has nothing to
lose: no environment, no secrets, limits on time and memory (`child`), and files in memory instead of pipes,
so that neither side can make the other wait or grow.

Measured, in processor time and resident memory of the child: 0.15 s and 32 MB to refuse a file, 0.25 s and
45 MB for 10 s of speech in any format, 0.25 s and 35 MB for ten hours of silence in 4 MB of Vorbis, and at
most 0.6 s and 150 MB, for 30 s of stereo at 192 kHz.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import IO, TYPE_CHECKING, BinaryIO

import structlog
from pydantic import TypeAdapter

from shared.errors import BadSample, BodyTooLarge, QueueFull
from shared.samples.records import ACCEPTED, MAX_UPLOAD_BYTES, REFUSED, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = (sys.executable, "-I", "-m", "shared.samples.child")
# OpenBLAS would reserve memory for a thread on each core.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
# The child's own limit on processor time ends it long before, unless the machine is overloaded.
TIME_LIMIT_S = 15.0
_BLOCK_BYTES = 65_536
# Both cores of a small machine; whoever comes next waits for a turn, as long as a client may be let wait.
_TURNS = BoundedSemaphore(2)
_PATIENCE_S = 15.0
_CANNOT_START = 1

_sample: TypeAdapter[Sample] = TypeAdapter(Sample)
log = structlog.get_logger()


def inspect_sample(upload: BinaryIO) -> Sample:
    """Decode and judge what `upload` holds, read to its end or to the 10 MB that it may have.

    Raises:
        BadSample: no voice can be cloned from it; the detail says why and how to record a better one.
        BodyTooLarge: it holds more than 10 MB.
        QueueFull: too many samples are being judged in this process.
    """
    with _file_in_memory("upload") as kept:
        _copy(upload, kept)
        with _turn():
            return _judge(kept)


def _copy(upload: BinaryIO, kept: IO[bytes]) -> None:
    while block := upload.read(_BLOCK_BYTES):
        if kept.tell() + len(block) > MAX_UPLOAD_BYTES:
            raise BodyTooLarge(f"The sample is larger than {MAX_UPLOAD_BYTES // 1_000_000} MB.")
        kept.write(block)
    kept.flush()
    kept.seek(0)


def _judge(upload: IO[bytes]) -> Sample:
    with _file_in_memory("answer") as answer, _file_in_memory("complaints") as complaints:
        try:
            code = subprocess.run(  # noqa: S603
                COMMAND,
                stdin=upload,
                stdout=answer,
                stderr=complaints,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C at a terminal is for the farm
                timeout=TIME_LIMIT_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            log.warning("sample_inspection_too_slow", limit_s=TIME_LIMIT_S)
            raise BadSample("It takes too long to decode; save it as a WAV file.") from error
        answer.seek(0)
        complaints.seek(0)
        if code == ACCEPTED:
            return _sample.validate_python({**json.loads(answer.readline()), "pcm": answer.read()})
        if code == REFUSED:
            raise BadSample(answer.read().decode())
        complaint = complaints.read().decode(errors="replace")[-2000:]
        if code == _CANNOT_START:
            raise RuntimeError(f"the program that judges samples does not start: {complaint}")
        log.warning("sample_inspection_failed", exit_code=code, complaint=complaint)
        raise BadSample("It cannot be decoded; it may be broken. Save it again, as a WAV file.")


@contextmanager
def _turn() -> Iterator[None]:
    if not _TURNS.acquire(timeout=_PATIENCE_S):
        raise QueueFull("Too many voice samples are being judged; try again.")
    try:
        yield
    finally:
        _TURNS.release()


def _file_in_memory(name: str) -> IO[bytes]:
    return os.fdopen(os.memfd_create(name), "w+b")
