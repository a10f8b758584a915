"""A provider that hums, and fails as its text tells it to: what is added as `workers/providers/sixth.py`."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Self

import numpy as np

from shared.errors import EngineFailed, VoiceNotFound
from shared.languages import closest_language
from workers.audio import stretch
from workers.provider import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.models import Utterance
    from shared.settings import Settings

SAMPLE_RATE_HZ, FUNDAMENTAL_HZ = 24_000, 140.0
_VOICE = "hum"
_SYLLABLE_S, _CHARACTERS_A_SYLLABLE = 0.2, 3
_FAULT = re.compile(r"(exception|error|hang|silence|nan|death)\b", re.IGNORECASE)


class SixthProvider:
    """Hums a syllable for every few characters."""

    @classmethod
    def from_settings(cls, _settings: Settings) -> Self:
        """Make it; it has nothing to set."""
        return cls()

    def load(self) -> None:
        """Do nothing: there is no model."""

    def price_usd(self, _utterance: Utterance) -> float:
        """Give what it costs: nothing."""
        return 0.0

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:  # noqa: ARG002
        """Hum a paragraph a chunk, or do what the first word says."""
        if closest_language(utterance.language, frozenset({"en"})) is None:
            raise VoiceNotFound(f"The sixth has no voice for the language {utterance.language!r}")
        if utterance.voices.get("sixth", _VOICE) != _VOICE:
            raise VoiceNotFound(f"The sixth has one voice, {_VOICE!r}")
        fault = _FAULT.match(utterance.text)
        for paragraph in utterance.text.split("\n\n"):
            chunk = AudioChunk(_hum(len(paragraph)), SAMPLE_RATE_HZ)
            chunk = stretch(chunk, speed=utterance.speed, pitch_semitones=utterance.pitch)
            yield _spoil(chunk, fault[1].lower()) if fault else chunk


def _hum(characters: int) -> np.ndarray:
    syllables = max(round(characters / _CHARACTERS_A_SYLLABLE), 1)
    times_s = np.arange(round(_SYLLABLE_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = sum(np.sin(2 * np.pi * n * FUNDAMENTAL_HZ * times_s) / n for n in range(1, 20))
    return np.tile((0.2 * tone * np.hanning(len(times_s))).astype(np.float32), syllables)


def _spoil(chunk: AudioChunk, fault: str) -> AudioChunk:
    if fault == "exception":
        raise ZeroDivisionError
    if fault == "error":
        raise EngineFailed("It was told to.")
    if fault == "hang":
        time.sleep(3600)
    if fault == "death":
        os.kill(os.getpid(), signal.SIGKILL)
    factor = np.float32(np.nan if fault == "nan" else 0)
    return AudioChunk(chunk.samples * factor, chunk.sample_rate_hz)
