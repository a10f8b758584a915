"""espeak-ng: formant synthesis without weights or network, in more than a hundred languages."""

from __future__ import annotations

from functools import cached_property
from math import exp2, log2
from pathlib import Path
from typing import TYPE_CHECKING, Self

import espeakng_loader
import numpy as np

from shared.catalog import CATALOG
from shared.errors import NothingToSay, VoiceNotFound
from shared.languages import closest_language
from workers.audio import is_audible, stretch
from workers.provider import AudioChunk
from workers.providers.espeak_library import NEUTRAL, Controls, EspeakLibrary
from workers.providers.espeak_voices import Voices
from workers.providers.forked import ForkedFunction
from workers.text import plain_forms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shared.models import Utterance
    from shared.settings import Settings
    from workers.providers.espeak_voices import Voice

_SPEC = CATALOG["espeak"]
_DATA = Path(espeakng_loader.__file__).parent / "espeak-ng-data"

# espeak takes 80 to 450. From 300 it shortens some sounds much more than others (SetSpeedMods in
# setlengths.c), which moves the median of the fundamental by up to 8 %.
_RATES_WPM = (80, 300)

# A smaller change is left undone by python-stretch: it is not heard, and the traces of stretching are.
_UNHEARD_SPEED = 0.02
_UNHEARD_SEMITONES = 0.15

_LIMIT_S = 120  # 3,000 symbols, each spelt out at a quarter of the speed, take one minute


class EspeakProvider:
    """A provider; a personality's voice name is a variant (`f2`), a voice (`en-us`) or both (`en-us+f2`)."""

    @classmethod
    def from_settings(cls, _settings: Settings) -> Self:
        """Make the provider; it has nothing to set."""
        return cls()

    def load(self) -> None:
        """Load the library and its list of voices; a second time does nothing.

        Raises:
            ModelLoadFailed: the library or its data is missing or broken.
        """
        _ = self._library, self._voices
        self._render.start()

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:  # noqa: ARG002
        """Speak a paragraph a chunk; equal utterances give equal samples, whatever the seed.

        Raises:
            ModelLoadFailed: the library or its data is missing or broken.
            VoiceNotFound: there is no voice of that language or name.
            EngineFailed: the library reported an error or crashed.
            NothingToSay: nothing of the text can be heard.
        """
        self.load()
        voice = self._voice(utterance)
        *paragraphs, last = plain_forms(utterance.text).split("\n\n")
        was_heard = False
        for text, end_pause in [*((paragraph, True) for paragraph in paragraphs), (last, False)]:
            chunk = self._spoken(text, voice, utterance, end_pause=end_pause)
            was_heard = was_heard or is_audible(chunk)
            yield chunk
        if not was_heard:
            raise NothingToSay("espeak-ng found nothing to say in this text")

    def price_usd(self, _utterance: Utterance) -> float:
        """Give 0: it runs here."""
        return 0.0

    def _spoken(self, text: str, voice: Voice, utterance: Utterance, *, end_pause: bool) -> AudioChunk:
        """Speak with espeak's own speed and pitch as far as they go, and stretch what is left."""
        speed, semitones = utterance.speed, utterance.pitch
        controls = controls_for(voice, speed, semitones)
        native = self._render(text, voice.name, controls, end_pause=end_pause)
        chunk = AudioChunk(_floats(native), self._library.sample_rate_hz)
        if (speed, semitones) == (1.0, 0.0) or not native:
            return chunk
        neutral = self._render(text, voice.name, NEUTRAL, end_pause=end_pause)
        speed_left = speed * len(native) / len(neutral)
        semitones_left = semitones - semitones_of(voice, controls)
        # In a process of its own, because python-stretch would hold up every thread of this one for seconds.
        return self._stretch(
            chunk,
            speed=speed_left if abs(speed_left - 1) > _UNHEARD_SPEED else 1.0,
            pitch_semitones=semitones_left if abs(semitones_left) > _UNHEARD_SEMITONES else 0.0,
        )

    def _voice(self, utterance: Utterance) -> Voice:
        language = closest_language(utterance.language, _SPEC.languages)
        if language is None:
            raise VoiceNotFound(f"espeak-ng has no voice for the language {utterance.language!r}")
        return self._voices.find(language, utterance.voices.get(_SPEC.name))

    @cached_property
    def _render(self) -> ForkedFunction[..., bytes]:
        return ForkedFunction(self._library.render, limit_s=_LIMIT_S, always_fresh=True)

    @cached_property
    def _stretch(self) -> ForkedFunction[..., AudioChunk]:
        return ForkedFunction(stretch, limit_s=_LIMIT_S)

    @cached_property
    def _library(self) -> EspeakLibrary:
        return EspeakLibrary(Path(espeakng_loader.get_library_path()), _DATA)

    @cached_property
    def _voices(self) -> Voices:
        return Voices(_DATA)


def _floats(samples: bytes) -> NDArray[np.float32]:
    """Give samples of 16 bits as float32, (n_samples,), [-1, 1]."""
    return np.frombuffer(samples, np.int16).astype(np.float32) / np.float32(32768)


def controls_for(voice: Voice, speed: float, semitones: float) -> Controls:
    """Give the settings of espeak that come closest; its intonation widens with the fundamental."""
    if (speed, semitones) == (1.0, 0.0):
        return NEUTRAL
    target_hz = voice.fundamental_hz(NEUTRAL.pitch) * exp2(semitones / 12)
    pitch = min(range(100), key=lambda pitch: abs(voice.fundamental_hz(pitch) - target_hz))
    ratio = voice.fundamental_hz(pitch) / voice.fundamental_hz(NEUTRAL.pitch)
    return Controls(
        rate_wpm=min(max(round(NEUTRAL.rate_wpm * speed), _RATES_WPM[0]), _RATES_WPM[1]),
        pitch=pitch,
        intonation=min(round(NEUTRAL.intonation * ratio), 99),
    )


def semitones_of(voice: Voice, controls: Controls) -> float:
    """Give how far above its neutral fundamental the voice speaks with these settings."""
    return 12 * log2(voice.fundamental_hz(controls.pitch) / voice.fundamental_hz(NEUTRAL.pitch))
