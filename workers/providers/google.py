"""Google Cloud Text-to-Speech: voices of a cloud, which costs by the character."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Self

import numpy as np
import soundfile

from shared.errors import EngineFailed, ModelLoadFailed, VoiceNotFound
from shared.google_voices import (
    choose_voice,
    class_of,
    google_equipment,
    google_price_usd,
    is_voice_name,
    language_of,
    voice_table,
)
from workers.audio import stretch
from workers.provider import AudioChunk
from workers.text import split_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.models import Utterance
    from shared.settings import Settings
    from shared.voices import Voice
    from workers.providers.google_client import GoogleClient

MAX_REQUEST_BYTES = 5000

# Of the time of a synthesis. Whoever takes all of it is ended together with its process, in which other
# threads have requests under way.
_SHARE_OF_TIME = 0.9

_SPEEDS, _SEMITONES = (0.25, 2.0), (-20.0, 20.0)
# Google refuses a pitch with these ("This voice does not support pitch parameters at this time") and with
# those of the first generation of generative voices a speaking rate, too.
_WITHOUT_PITCH = frozenset({"Studio", "Journey", "Chirp", "Chirp-HD", "Chirp3-HD"})
_WITHOUT_SPEED = frozenset({"Journey", "Chirp", "Chirp-HD"})


@dataclass(frozen=True, slots=True)
class _Delivery:
    """How an utterance is spoken: what Google does of its speed and pitch, and what is left to stretch."""

    speed: float
    semitones: float
    speed_left: float
    semitones_left: float

    @classmethod
    def of(cls, utterance: Utterance, voice_class: str) -> Self:
        speed = 1.0 if voice_class in _WITHOUT_SPEED else _within(_SPEEDS, utterance.speed)
        semitones = 0.0 if voice_class in _WITHOUT_PITCH else _within(_SEMITONES, utterance.pitch)
        return cls(speed, semitones, utterance.speed / speed, utterance.pitch - semitones)


class GoogleProvider:
    """A provider that threads may share; a personality's voice name is Google's, such as `en-US-Neural2-C`.

    A voice that is named speaks its own language; in another one the table of voices chooses, as where none
    is named.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._table = voice_table(settings)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider for Google's voices as the settings name them."""
        return cls(settings)

    def load(self) -> None:
        """Load Google's library and the credentials; a second time does nothing.

        Raises:
            ModelLoadFailed: there are no credentials, or they cannot be used.
        """
        _ = self._client

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:  # noqa: ARG002
        """Speak up to 5,000 bytes of text a chunk; Google's voices have no seed.

        Raises:
            ModelLoadFailed: there are no credentials, or they cannot be used.
            VoiceNotFound: Google has no such voice, or the table has none for the language.
            UtteranceRefused, QuotaExceeded, CredentialsRefused, EngineUnavailable, EngineTimeout: Google's
                own answer, or none.
            EngineFailed: Google gave something that is no WAV file.
        """
        voice = self._choose(utterance)
        how = _Delivery.of(utterance, class_of(voice.name))
        until_s = time.monotonic() + _SHARE_OF_TIME * self._settings.synthesis_timeout_seconds
        for part in split_text(utterance.text, MAX_REQUEST_BYTES):
            spoken = self._client.speak(
                part,
                voice=voice.name,
                language=language_of(voice.name),
                speed=how.speed,
                pitch_semitones=how.semitones,
                timeout_s=min(self._settings.google_timeout_seconds, max(until_s - time.monotonic(), 0)),
            )
            yield stretch(_decode(spoken), speed=how.speed_left, pitch_semitones=how.semitones_left)

    def price_usd(self, utterance: Utterance) -> float:
        """Give what Google charges for every character of the text, spaces included.

        Raises:
            VoiceNotFound: the utterance names what cannot be a voice, or the table has none for the language.
        """
        self._choose(utterance)
        return google_price_usd(self._settings, utterance)

    def _choose(self, utterance: Utterance) -> Voice:
        wanted = utterance.voices.get("google_tts")
        if wanted is not None and not is_voice_name(wanted):
            raise VoiceNotFound(f"Google has no voice {wanted!r}; they are named like en-US-Neural2-C")
        chosen = choose_voice(self._table, utterance)
        if chosen is None:
            raise VoiceNotFound(
                f"The table of Google's voices has none for the language {utterance.language!r}"
            )
        return chosen

    @cached_property
    def _client(self) -> GoogleClient:
        found = google_equipment(self._settings)
        if found.problem is not None:
            raise ModelLoadFailed(f"{found.problem} {found.remedy}")
        from workers.providers.google_client import GoogleClient  # noqa: PLC0415  it takes a second

        return GoogleClient.open(
            self._settings.google_transport,
            self._settings.google_endpoint,
            self._settings.google_credentials,
        )


def _within(bounds: tuple[float, float], value: float) -> float:
    return min(max(value, bounds[0]), bounds[1])


def _decode(wav: bytes) -> AudioChunk:
    """Give the sound of a WAV file, at the rate that its header tells."""
    try:
        samples, rate_hz = soundfile.read(BytesIO(wav), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise EngineFailed("Google gave something that is no WAV file") from error
    return AudioChunk(np.ascontiguousarray(samples[:, 0]), rate_hz)
