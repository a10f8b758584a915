"""Sound as arrays: joining, stretching, judging."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from python_stretch import Signalsmith

from shared.errors import BrokenAudio, EngineFailed, SilentAudio
from workers.provider import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# Speech peaks 40 dB and more above this; what stays below it is an engine's idle noise.
SILENCE_DBFS = -60.0


def join(chunks: Iterable[AudioChunk]) -> AudioChunk:
    """Give the chunks as one, in their order.

    Raises:
        EngineFailed: there are none, or they differ in sample rate.
        BrokenAudio: a sample is no number; the chunks that follow are not waited for.
    """
    pieces = [numeric(chunk) for chunk in chunks]
    rates = {piece.sample_rate_hz for piece in pieces}
    if not pieces:
        raise EngineFailed("the engine gave no sound")
    if len(rates) > 1:
        raise EngineFailed(f"the engine changed its sample rate on the way: {sorted(rates)} Hz")
    return AudioChunk(np.concatenate([piece.samples for piece in pieces]), rates.pop())


def stretch(chunk: AudioChunk, *, speed: float, pitch_semitones: float) -> AudioChunk:
    """Change speed and pitch, each without the other.

    The result has the chunk's samples divided by `speed`, and is the chunk itself at speed 1 and pitch 0,
    where Signalsmith Stretch would still colour it.

    Raises:
        BrokenAudio: a sample is no number, which would spread over all that follow.
    """
    if (speed, pitch_semitones) == (1.0, 0.0):
        return chunk
    engine = Signalsmith.Stretch(1)  # a fixed seed: equal sound in, equal sound out
    engine.preset(1, chunk.sample_rate_hz)
    engine.setTimeFactor(speed)
    engine.setTransposeSemitones(pitch_semitones)
    stretched = np.asarray(engine.process(numeric(chunk).samples[np.newaxis]), np.float32)[0]
    return AudioChunk(stretched / max(1.0, _peak(stretched)), chunk.sample_rate_hz)


def numeric(chunk: AudioChunk) -> AudioChunk:
    """Give the chunk itself.

    Raises:
        BrokenAudio: a sample is no number.
    """
    is_number = np.isfinite(chunk.samples)
    if not is_number.all():
        bad, count = len(is_number) - int(is_number.sum()), len(is_number)
        raise BrokenAudio(f"{bad} of the {count} samples that the engine gave are no numbers")
    return chunk


def audible(chunk: AudioChunk) -> AudioChunk:
    """Give the chunk itself.

    Raises:
        BrokenAudio: a sample is no number.
        SilentAudio: nothing can be heard.
    """
    if not is_audible(numeric(chunk)):
        length_s = len(chunk.samples) / chunk.sample_rate_hz
        raise SilentAudio(f"nothing can be heard in {length_s:.2f} s of sound")
    return chunk


def is_audible(chunk: AudioChunk) -> bool:
    """Tell whether something in it can be heard."""
    return _peak(chunk.samples) > 10 ** (SILENCE_DBFS / 20)


def duration_ms(chunk: AudioChunk) -> int:
    """Give how long it sounds."""
    return round(1000 * len(chunk.samples) / chunk.sample_rate_hz)


def _peak(samples: NDArray[np.float32]) -> float:
    return float(np.abs(samples).max(initial=0.0))
