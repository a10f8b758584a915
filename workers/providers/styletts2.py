"""StyleTTS2: English in the voice of a sample, with a style that is drawn for each text."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from shared.errors import ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.languages import closest_language
from shared.samples.store import SampleStore
from shared.styletts2_model import LANGUAGES, REMEDY, StyleTTS2Files, StyleTTS2Parameters
from workers.audio import stretch
from workers.conditioning import Conditionings
from workers.provider import AudioChunk
from workers.torch_runtime import choose_device, device_memory_bytes, free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from shared.models import Utterance
    from shared.settings import Settings
    from workers.providers.styletts2_networks import Speech, StyleTTS2Networks
    from workers.providers.styletts2_text import StyleTTS2Reader

# As far as the networks change lengths and the fundamental themselves; beyond it their sound is stretched.
_NATIVE_SPEEDS, _NATIVE_SEMITONES = (0.6, 1.5), 4.0
# A smaller error of their own timing, which is in whole frames, is left as it is.
_UNHEARD_SPEED = 0.03


class StyleTTS2Provider:
    """A provider; it has no voices but those of the personalities' samples."""

    def __init__(
        self, files: StyleTTS2Files, parameters: StyleTTS2Parameters, device: str, voices: Conditionings
    ) -> None:
        self.device = device
        self.on_step: Callable[[], None] = lambda: None
        self._files = files
        self._parameters = parameters
        self._wanted_device = device
        self._voices = voices
        self._loaded: StyleTTS2Networks | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider for the checkpoint that is in the model folder now."""
        files = StyleTTS2Files.find(settings)
        voices = Conditionings(
            SampleStore(settings.samples_url),
            made_by=f"styletts2-{files.fingerprint()}",
            resident=settings.torch_resident_voices,
        )
        return cls(files, settings.styletts2, settings.torch_device, voices)

    def load(self) -> None:
        """Load espeak-ng, PyTorch and the checkpoint; a second time does nothing.

        Raises:
            ModelLoadFailed: there is no checkpoint, it is broken, or a library or the device is missing.
        """
        _ = self._networks

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:
        """Speak some ten seconds a chunk, whole sentences where they are not longer; equal seeds sound equal.

        Raises:
            ModelLoadFailed: there is no checkpoint, it is broken, or a library or the device is missing.
            VoiceNotFound: it is no English, a voice is named, or the personality has no voice sample.
            EngineFailed: the text cannot be read, or a network failed.
            NothingToSay: the text has no sound that the model knows.
        """
        style = self._style(_sample_of(utterance))
        pieces = self._reader.read(utterance.text)
        if not pieces:
            raise NothingToSay("StyleTTS2 found nothing to say in this text")
        native_speed = min(max(utterance.speed, _NATIVE_SPEEDS[0]), _NATIVE_SPEEDS[1])
        native_semitones = min(max(utterance.pitch, -_NATIVE_SEMITONES), _NATIVE_SEMITONES)
        before = None
        for piece in pieces:
            speech = self._networks.speak(
                piece.phonemes,
                style,
                seed=seed,
                speed=native_speed,
                semitones=native_semitones,
                before=before,
            )
            before = speech.style
            yield _finished(speech, utterance.pitch - native_semitones, utterance.speed, piece.pause_s)

    def price_usd(self, _utterance: Utterance) -> float:
        """Give 0: it runs here."""
        return 0.0

    def hold_voice(self, sample_id: str) -> None:
        """Have a sample's style in memory.

        Raises:
            ModelLoadFailed: there is no checkpoint, it is broken, or a library or the device is missing.
            VoiceNotFound: there is no such sample.
            EngineFailed: no style can be made of it.
        """
        self._style(sample_id)

    def drop_voice(self, sample_id: str) -> None:
        """Forget a sample's style."""
        self._voices.drop(sample_id)

    def held_voices(self) -> tuple[str, ...]:
        """Give the IDs of the samples whose styles are in memory."""
        return self._voices.held()

    def device_memory_bytes(self) -> int | None:
        """Tell what this process has taken of a GPU's memory; None where it computes on the CPU."""
        return device_memory_bytes(self.device) if self._loaded else None

    def unload(self) -> None:
        """Take the networks out of memory; the next that needs them loads them again."""
        if self._loaded is not None:
            self._loaded = None
            free_memory()

    def _style(self, sample_id: str) -> NDArray[np.float32]:
        networks = self._networks
        return self._voices.get(sample_id, lambda *sample: {"style": networks.style(*sample)})["style"]

    @property
    def _networks(self) -> StyleTTS2Networks:
        if self._loaded is None:
            if self._files.problem:
                raise ModelLoadFailed(f"{self._files.problem} {REMEDY}")
            _ = self._reader  # whose process starts while the networks load
            self.device = choose_device(self._wanted_device)
            networks = _import("workers.providers.styletts2_networks").StyleTTS2Networks
            self._loaded = networks(self._files, self._parameters, self.device, on_step=self._step)
        return self._loaded

    def _step(self) -> None:
        self.on_step()  # as it is by then

    @cached_property
    def _reader(self) -> StyleTTS2Reader:
        reader: StyleTTS2Reader = _import("workers.providers.styletts2_text").StyleTTS2Reader()
        return reader


def _import(name: str) -> Any:
    """Import a file of this provider, and with it libraries that take seconds."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:
        raise ModelLoadFailed(f"StyleTTS2's libraries cannot be imported: {error}") from error


def _sample_of(utterance: Utterance) -> str:
    if closest_language(utterance.language, LANGUAGES) is None:
        raise VoiceNotFound(f"StyleTTS2 speaks English, not {utterance.language!r}")
    if (wanted := utterance.voices.get("styletts2")) is not None:
        raise VoiceNotFound(f"StyleTTS2 has no voice {wanted!r}; it speaks as the personality's voice sample")
    if utterance.sample_id is None:
        raise VoiceNotFound("StyleTTS2 speaks as a voice sample only, and this personality has none")
    return utterance.sample_id


def _finished(speech: Speech, semitones_left: float, speed: float, pause_s: float) -> AudioChunk:
    """Stretch what the networks left, and add the pause."""
    spoken = AudioChunk(speech.samples, speech.sample_rate_hz)
    speed_left = speed * len(speech.samples) / speech.neutral_samples
    stretched = stretch(
        spoken,
        speed=speed_left if abs(speed_left - 1) > _UNHEARD_SPEED else 1.0,
        pitch_semitones=semitones_left,
    )
    pause = np.zeros(round(pause_s / speed * spoken.sample_rate_hz), np.float32)
    return AudioChunk(np.concatenate([stretched.samples, pause]), spoken.sample_rate_hz)
