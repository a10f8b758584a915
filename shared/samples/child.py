"""The program that decodes and judges one sample: `python -m shared.samples.child < upload`.

It ends with one of `records`' codes. Accepted: it has written a line of JSON with all of the `Sample` but
`pcm`, then `pcm`. Refused: the reason. It is where a hostile file may do its worst: it has no secrets, and
limits that it cannot lift.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING

import soundfile

from shared.errors import BadSample
from shared.samples.decoding import at_rate, decode
from shared.samples.judging import judge, measure
from shared.samples.records import ACCEPTED, CONFUSED, REFUSED, SAMPLE_RATE_HZ, Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LIMITS = {
    resource.RLIMIT_AS: 512 * 2**20,
    resource.RLIMIT_CPU: 5,
    resource.RLIMIT_FSIZE: 4 * 2**20,
    resource.RLIMIT_CORE: 0,
}
_STDIN = 0


def main() -> int:
    """Judge standard input and give the code to exit with."""
    for what, limit in LIMITS.items():
        resource.setrlimit(what, (limit, limit))
    try:
        about = asdict(inspect(_STDIN))
    except BadSample as refusal:
        sys.stdout.buffer.write(refusal.detail.encode())
        return REFUSED
    except Exception:  # noqa: BLE001  # whatever else a file provokes; the front logs it
        traceback.print_exc()
        return CONFUSED
    pcm = about.pop("pcm")
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n" + pcm)
    return ACCEPTED


def inspect(descriptor: int) -> Sample:
    """Decode and judge an open file.

    Raises:
        BadSample: no voice can be cloned from it.
    """
    recording = decode(descriptor)
    sound = at_rate(recording, SAMPLE_RATE_HZ)
    measures = measure(recording, sound)
    verdict = judge(recording, measures)
    return Sample(
        duration_seconds=round(recording.duration_s, 3),
        sample_rate=recording.sample_rate_hz,
        channels=recording.samples.shape[1],
        bit_depth=recording.bit_depth,
        file_size_mb=round(os.fstat(descriptor).st_size / 1_000_000, 3),
        score=verdict.score,
        rating=verdict.rating,
        warnings=verdict.warnings,
        measures=measures,
        pcm=_as_wav(sound),
    )


def _as_wav(sound: NDArray[np.float32]) -> bytes:
    file = BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
