"""Piper: neural voices, each a network of some 60 MB that one core runs many times faster than it speaks."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
import structlog

from shared.errors import ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.piper_voices import REMEDY, InstalledVoices
from workers.audio import stretch
from workers.provider import AudioChunk
from workers.providers.piper_text import PiperReader
from workers.providers.piper_voice import ResidentVoice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.models import Utterance
    from shared.settings import Settings
    from workers.providers.piper_text import Piece

# What the networks themselves still do well; beyond it their sound is stretched.
_NATIVE_SPEEDS = (0.5, 2.0)
# A smaller error of their own timing is left as it is: it is not heard, and the traces of stretching are.
_UNHEARD_SPEED = 0.03

log = structlog.get_logger()


class PiperProvider:
    """A provider; a personality's voice name is a voice (`en_US-amy-medium`) or one of its speakers.

    A speaker is named behind a `#`, by number or as the voice's own description names it. A voice that is
    named speaks its own language; in another one the table of voices chooses, as where none is named.
    """

    def __init__(self, installed: InstalledVoices, resident_voices: int) -> None:
        self._installed = installed
        self._resident = lru_cache(maxsize=resident_voices)(self._load_voice)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider for the voices that are in the model folder now."""
        return cls(InstalledVoices.find(settings), settings.piper_resident_voices)

    def load(self) -> None:
        """Load espeak-ng and the first voice of the table.

        Raises:
            ModelLoadFailed: there is no voice, or espeak-ng's data is missing.
        """
        self._check()
        _ = self._reader
        for voice in self._installed.table.voices[:1]:
            try:
                self._resident(voice.name)
            except ModelLoadFailed as error:  # the others speak, and whoever asks for this one is told
                log.warning("voice_broken", detail=error.detail)

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:  # noqa: ARG002
        """Speak a sentence a chunk, each with the pause behind it.

        The seed is not needed: a network draws its noise anew each time, from a source that cannot be set.

        Raises:
            ModelLoadFailed: there is no voice, or the one that is to speak is broken.
            VoiceNotFound: there is no voice of that name or language, or no such speaker.
            EngineFailed: the voice failed at a sentence.
            NothingToSay: the text has no sound that the voice knows.
        """
        self._check()
        voice, speaker = self._choose(utterance)
        pieces = voice.read(utterance.text)
        if not pieces:
            raise NothingToSay("Piper found nothing to say in this text")
        for piece in pieces:
            yield _speak(voice, piece, speaker, speed=utterance.speed, semitones=utterance.pitch)

    def price_usd(self, _utterance: Utterance) -> float:
        """Give 0: it runs here."""
        return 0.0

    def _check(self) -> None:
        if self._installed.problem:
            raise ModelLoadFailed(f"{self._installed.problem} {REMEDY}")

    def _choose(self, utterance: Utterance) -> tuple[ResidentVoice, int | None]:
        wanted = utterance.voices.get("piper")
        name, sign, speaker = (wanted or "").partition("#")
        if wanted is not None and name not in self._installed.names:
            there_are = ", ".join(sorted(self._installed.names))
            raise VoiceNotFound(f"Piper has no voice {name!r} here; it has {there_are}")
        chosen = self._chosen_name(utterance, name)
        voice = self._resident(chosen)
        return voice, voice.speaker(speaker) if sign and chosen == name else None

    def _chosen_name(self, utterance: Utterance, wanted: str) -> str:
        table = self._installed.table
        if wanted in self._installed.names - {voice.name for voice in table.voices}:
            return wanted  # nobody knows its language, so it speaks them all
        chosen = table.choose(utterance.language, wanted=wanted, gender=utterance.gender)
        if chosen is None:
            raise VoiceNotFound(f"Piper has no voice for the language {utterance.language!r} here")
        return chosen.name

    def _load_voice(self, name: str) -> ResidentVoice:
        files = self._installed.model(name), self._installed.configuration(name)
        return ResidentVoice(name, *files, self._reader)

    @cached_property
    def _reader(self) -> PiperReader:
        return PiperReader()


def _speak(
    voice: ResidentVoice, piece: Piece, speaker: int | None, *, speed: float, semitones: float
) -> AudioChunk:
    """Speak with the voice's own speed as far as it goes, and stretch what is left."""
    native_speed = min(max(speed, _NATIVE_SPEEDS[0]), _NATIVE_SPEEDS[1])
    speech = voice.speak(piece, speaker=speaker, speed=native_speed)
    speed_left = speed * len(speech.samples) / speech.neutral_samples
    stretched = stretch(
        AudioChunk(speech.samples, voice.sample_rate_hz),
        speed=speed_left if abs(speed_left - 1) > _UNHEARD_SPEED else 1.0,
        pitch_semitones=semitones,
    )
    pause = np.zeros(round(piece.pause_s / speed * voice.sample_rate_hz), np.float32)
    return AudioChunk(np.concatenate([stretched.samples, pause]), voice.sample_rate_hz)
