"""From a file that anybody may have sent to samples: what is in it decides, never a name or a header's claim.

Runs in the child alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from shared.errors import BadSample
from shared.samples.records import (
    MAX_CHANNELS,
    MAX_DURATION_S,
    MAX_UPLOAD_RATE_HZ,
    MIN_DURATION_S,
    MIN_UPLOAD_RATE_HZ,
)
from shared.samples.wholeness import check_wholeness, readable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# libsndfile reads many formats more, each a decoder that nobody needs here and everybody could attack.
_CONTAINERS = frozenset({"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"})
_BIT_DEPTHS = {
    "PCM_U8": 8,
    "PCM_S8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "FLOAT": 32,
    "DOUBLE": 64,
    "ALAW": 8,
    "ULAW": 8,
    "VORBIS": None,
    "OPUS": None,
    "MPEG_LAYER_III": None,
}
# These tell their true length in frames.
_TRUTHFUL = frozenset({"FLAC", "MP3"})

_FOREIGN = {
    b"\x1aE\xdf\xa3": "a WebM or Matroska file",
    b"PK\x03\x04": "a zip archive",
    b"FORM": "an AIFF file",
    b"caff": "a Core Audio file",
    b"%PDF": "a PDF document",
}
_ACCEPTED = "send a WAV, FLAC, OGG (Vorbis or Opus) or MP3 file"
_BROKEN = "The file is broken or cut off; save or upload it again."

# Of full scale, which floats may exceed: 20 dB, where speech would be refused as clipped anyway (`judging`).
_LOUDEST = 10.0

# Encoders pad: MP3 and Opus files of 30 s decode to some milliseconds more.
_TOLERANCE_S = 0.1


@dataclass(frozen=True, slots=True)
class Recording:
    """What an upload sounds like: float32, (n_frames, n_channels), [-1, 1]."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    bit_depth: int | None

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate_hz


def decode(descriptor: int) -> Recording:
    """Decode an open file that stands at its beginning, at most 30 s of it.

    Raises:
        BadSample: it is broken, or something else than 5 to 30 s of sound in a format that is accepted.
    """
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        upload = file.read()
    _check_kind(upload[:12])
    try:
        with soundfile.SoundFile(BytesIO(readable(upload))) as sound:
            _check_format(sound)
            limit = ceil((MAX_DURATION_S + _TOLERANCE_S) * sound.samplerate)
            samples = sound.read(limit + 1, dtype="float32", always_2d=True)
            expected = sound.frames if sound.format in _TRUTHFUL else 0
            recording = Recording(samples, sound.samplerate, _BIT_DEPTHS[sound.subtype])
    except soundfile.SoundFileError as error:
        raise BadSample(_BROKEN) from error
    if len(samples) > limit:
        raise BadSample(f"It is longer than {MAX_DURATION_S:.0f} s; cut it to 8 to 25 s of speech.")
    check_wholeness(upload)
    if len(samples) < expected:
        raise BadSample(_BROKEN)
    if recording.duration_s < MIN_DURATION_S:
        raise BadSample(
            f"It is {recording.duration_s:.2f} s long; record at least {MIN_DURATION_S:.0f} s of speech."
        )
    if not np.isfinite(samples).all():
        raise BadSample("It holds values that are no numbers; save it again as 16-bit WAV.")
    if (loudest := max(samples.max(), -samples.min())) > _LOUDEST:
        raise BadSample(
            f"It holds values up to {loudest:.2g}, where full scale is 1; save it again as 16-bit WAV."
        )
    # MP3 and floats may be louder than what is kept can be.
    samples.clip(-1.0, 1.0, out=samples)
    return recording


def at_rate(recording: Recording, rate_hz: int) -> NDArray[np.float32]:
    """Give the recording as mono at that rate: float32, (n_samples,), [-1, 1]."""
    mono = _mixed(recording.samples)
    sound: NDArray[np.float32] = soxr.resample(mono, recording.sample_rate_hz, rate_hz)
    return sound.clip(-1.0, 1.0)


def _mixed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the mean of the channels, or the louder one where they cancel each other or one is silent."""
    mean: NDArray[np.float32] = samples.mean(axis=1)
    powers = np.square(samples).mean(axis=0)
    return mean if np.square(mean).mean() >= powers.max() / 2 else samples[:, powers.argmax()]


def _check_kind(head: bytes) -> None:
    """Refuse what does not begin like a format that is accepted, before a decoder sees it."""
    if not head:
        raise BadSample(f"The file is empty; {_ACCEPTED}.")
    is_wav = head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE"
    # Eleven bits of synchronisation, two of version, two that say Layer III.
    is_mp3 = head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 == 0xE2)  # noqa: PLR2004
    if is_wav or is_mp3 or head[:4] in {b"fLaC", b"OggS"}:
        return
    if head[4:8] == b"ftyp":
        raise BadSample(f"This is an MP4 or M4A file; {_ACCEPTED}.")
    kind = _FOREIGN.get(head[:4])
    raise BadSample(f"This is {kind}; {_ACCEPTED}." if kind else f"This is no sound file; {_ACCEPTED}.")


def _check_format(sound: soundfile.SoundFile) -> None:
    if sound.format not in _CONTAINERS or sound.subtype not in _BIT_DEPTHS:
        raise BadSample(f"It holds {sound.subtype_info}, which is not accepted; save it as 16-bit WAV.")
    if sound.channels > MAX_CHANNELS:
        raise BadSample(f"It has {sound.channels} channels; record in mono or stereo.")
    if sound.samplerate < MIN_UPLOAD_RATE_HZ:
        raise BadSample(
            f"Its sample rate is {sound.samplerate} Hz; record at {MIN_UPLOAD_RATE_HZ} Hz or more, "
            "24000 Hz at best."
        )
    if sound.samplerate > MAX_UPLOAD_RATE_HZ:
        raise BadSample(
            f"Its sample rate is {sound.samplerate} Hz; save it at {MAX_UPLOAD_RATE_HZ} Hz or less."
        )
