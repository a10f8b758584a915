"""What a sample is, what may be one, and what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SAMPLE_RATE_HZ = 24_000
"""Of what is kept: the rate of the engines that clone (XTTS v2 and StyleTTS2)."""

MAX_UPLOAD_BYTES = 10_000_000
MIN_DURATION_S, MAX_DURATION_S = 5.0, 30.0
MIN_UPLOAD_RATE_HZ, MAX_UPLOAD_RATE_HZ = 16_000, 192_000
MAX_CHANNELS = 2

# How the child ends that judges a sample. 1 is how Python ends when a program cannot even start.
ACCEPTED, REFUSED, CONFUSED = 0, 2, 3


class Rating(StrEnum):
    """How faithful a voice can be expected from a sample."""

    EXCELLENT = "excellent"
    GOOD = "good"
    ACCEPTABLE = "acceptable"
    POOR = "poor"

    @classmethod
    def of(cls, score: int) -> Rating:
        """Give the rating of a score from 0 to 100."""
        steps = {90: cls.EXCELLENT, 70: cls.GOOD, 50: cls.ACCEPTABLE}
        return next((rating for least, rating in steps.items() if score >= least), cls.POOR)


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of the sound; `judging` says how, and what is usual."""

    level_dbfs: float
    snr_db: float
    clipped_fraction: float
    longest_clipped_ms: float
    active_fraction: float
    trimmed_s: float
    level_variation_db: float
    spectral_variation_db: float
    tonality: float
    offset: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording that a voice can be cloned from; names are those of the API."""

    duration_seconds: float
    sample_rate: int
    """Of the upload, in Hz, as are channels, depth and size."""
    channels: int
    bit_depth: int | None
    """None where the format has none: MP3, Vorbis, Opus."""
    file_size_mb: float
    score: int
    rating: Rating
    warnings: tuple[str, ...]
    measures: Measures
    pcm: bytes
    """The sample itself: a WAV file, mono, 24 kHz, 16-bit PCM."""
