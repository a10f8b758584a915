"""XTTS v2: speaks seventeen languages with the voice of a sample, on a GPU faster than it is heard."""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Self

import numpy as np

from shared.errors import ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.languages import closest_language
from shared.samples.store import SampleStore
from shared.xtts_model import LANGUAGE_CODES, REMEDY, SPEAKER_GENDERS, XttsFiles
from workers.audio import stretch
from workers.conditioning import Conditionings
from workers.provider import AudioChunk
from workers.providers.xtts_network import XttsNetwork
from workers.torch_runtime import choose_device, device_memory_bytes, free_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.models import Utterance
    from shared.settings import Settings
    from shared.xtts_model import XttsParameters
    from workers.conditioning import Arrays
    from workers.providers.xtts_text import Piece

_NAME = "xtts_v2"

# What the network itself still does well; beyond it its sound is stretched.
_NATIVE_SPEEDS = (0.5, 2.0)
_NAMES_TOLD = 5


class XttsProvider:
    """A provider that clones; where there is no sample, a voice name is one of the built-in speakers."""

    def __init__(
        self,
        files: XttsFiles,
        parameters: XttsParameters,
        *,
        samples: SampleStore,
        resident_voices: int,
        device: str,
    ) -> None:
        self.device = device
        self.on_step: Callable[[], None] = lambda: None
        self._files = files
        self._parameters = parameters
        self._samples = samples
        self._resident_voices = resident_voices
        self._wanted_device = device
        self._network: XttsNetwork | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider for the release that is in the model folder now."""
        return cls(
            XttsFiles.find(settings),
            settings.xtts,
            samples=SampleStore(settings.samples_url),
            resident_voices=settings.torch_resident_voices,
            device=settings.torch_device,
        )

    def load(self) -> None:
        """Load the libraries and the network; a second time does nothing.

        Raises:
            ModelLoadFailed: a library or file is missing or broken.
        """
        self._loaded()

    def device_memory_bytes(self) -> int | None:
        """Tell what this process has taken of a GPU's memory; None where it computes on the CPU."""
        return device_memory_bytes(self.device) if self._network else None

    def unload(self) -> None:
        """Take the network out of memory; what was made of voice samples stays."""
        if self._network is not None:
            self._network = None
            free_memory()

    def hold_voice(self, sample_id: str) -> None:
        """Have a sample's conditioning in memory.

        Raises:
            ModelLoadFailed: a library or file is missing or broken.
            VoiceNotFound: there is no such sample.
            EngineFailed: the network can make nothing of it.
        """
        self._voices.get(sample_id, self._loaded().condition)

    def drop_voice(self, sample_id: str) -> None:
        """Forget a sample's conditioning; nothing happens when it is not held."""
        self._voices.drop(sample_id)

    def held_voices(self) -> tuple[str, ...]:
        """Give the IDs of the samples whose conditioning is in memory."""
        return self._voices.held()

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:
        """Speak a piece a chunk, each with the pause behind it; equal seeds give equal sound.

        Raises:
            ModelLoadFailed: a library or file is missing or broken.
            VoiceNotFound: there is no such sample, speaker or language.
            NothingToSay: the network knows no letter of the text.
            RunawayAudio: the network did not come to an end, as now and then it does not.
            EngineFailed: the network failed at a piece.
            BrokenAudio: it gave samples that are no numbers.
        """
        code = self._code(utterance.language)
        network = self._loaded()
        voice = self._voice(network, utterance)
        pieces = network.reader.read(utterance.text, code)
        if not pieces:
            raise NothingToSay("XTTS v2 found nothing to say in this text")
        for piece in pieces:
            speed = _native_speed(utterance.speed)
            samples = network.speak(piece.text, code, voice, speed=speed, seed=seed)
            yield _finished(AudioChunk(samples, network.sample_rate_hz), piece, utterance)

    def price_usd(self, _utterance: Utterance) -> float:
        """Give 0: it runs here."""
        return 0.0

    def _loaded(self) -> XttsNetwork:
        if self._network is None:
            if self._files.problem:
                raise ModelLoadFailed(f"{self._files.problem} {REMEDY}")
            self.device = choose_device(self._wanted_device)
            self._network = XttsNetwork(self._files, self._parameters, self.device, on_step=self._step)
        return self._network

    def _step(self) -> None:
        self.on_step()  # as it is by then

    @cached_property
    def _voices(self) -> Conditionings:
        if self._files.problem:
            raise ModelLoadFailed(f"{self._files.problem} {REMEDY}")
        made_by = f"{_NAME}-{self._files.fingerprint(self._parameters.of_conditioning())}"
        return Conditionings(self._samples, made_by=made_by, resident=self._resident_voices)

    def _code(self, language: str) -> str:
        """Give XTTS's own code of a language."""
        spoken = closest_language(language, self._files.languages)
        if spoken is None:
            raise VoiceNotFound(f"XTTS v2 does not speak the language {language!r}")
        return LANGUAGE_CODES[spoken]

    def _voice(self, network: XttsNetwork, utterance: Utterance) -> Arrays:
        if utterance.sample_id is not None:
            return self._voices.get(utterance.sample_id, network.condition)
        wanted, speakers = utterance.voices.get(_NAME), network.speakers
        if wanted is not None:
            if wanted not in speakers:
                raise VoiceNotFound(f"XTTS v2 has no speaker {wanted!r}; {_some(speakers)}")
            return speakers[wanted]
        fitting = [name for name in speakers if utterance.gender in {None, SPEAKER_GENDERS.get(name)}]
        chosen = next(iter([*fitting, *speakers]), None)
        if chosen is None:
            raise VoiceNotFound("XTTS v2 has no speaker of its own here, and the personality has no sample")
        return speakers[chosen]


def _some(speakers: Mapping[str, object]) -> str:
    names = ", ".join(islice(speakers, _NAMES_TOLD))
    return f"among its {len(speakers)} are {names}"


def _native_speed(speed: float) -> float:
    return min(max(speed, _NATIVE_SPEEDS[0]), _NATIVE_SPEEDS[1])


def _finished(chunk: AudioChunk, piece: Piece, utterance: Utterance) -> AudioChunk:
    """Stretch what the network spoke by what is left of speed and pitch, and add the pause behind it."""
    stretched = stretch(
        chunk,
        speed=utterance.speed / _native_speed(utterance.speed),
        pitch_semitones=utterance.pitch,
    )
    pause = np.zeros(round(piece.pause_s / utterance.speed * chunk.sample_rate_hz), np.float32)
    return AudioChunk(np.concatenate([stretched.samples, pause]), chunk.sample_rate_hz)
