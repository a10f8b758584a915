"""One voice of Piper in memory: one thread, one gain for all it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors
from piper import PiperVoice, SynthesisConfig
from piper.config import PiperConfig

from shared.errors import EngineFailed, ModelLoadFailed, VoiceNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.providers.piper_text import Piece, PiperReader

# What all voices are brought to, so that none is louder than another: espeak-ng's level, short of clipping.
_LEVEL, _PEAK = 0.11, 0.7
_REFERENCE = "1 2 3 4 5"  # any language can say it

# onnxruntime's errors have no base of their own; a ValueError is an input that the network lacks or has.
_NETWORK_ERRORS = (
    onnx_errors.Fail,
    onnx_errors.InvalidArgument,
    onnx_errors.InvalidGraph,
    onnx_errors.InvalidProtobuf,
    onnx_errors.NoSuchFile,
    onnx_errors.NotImplemented,
    onnx_errors.RuntimeException,
    ValueError,
)
_CONFIGURATION_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError)
_REMEDY = "put the voice's two files there anew"


@dataclass(frozen=True, slots=True)
class Speech:
    """What a voice said: float32, (n_samples,), [-1, 1]."""

    samples: NDArray[np.float32]
    neutral_samples: float
    """About how many there would be at speed 1."""


class ResidentVoice:
    """A voice that is loaded and has spoken once."""

    def __init__(self, name: str, model: Path, configuration: Path, reader: PiperReader) -> None:
        """Load it and try it out.

        Raises:
            ModelLoadFailed: a file is broken or of another kind; the message names file and remedy.
        """
        self.name = name
        self._reader = reader
        self._gains: dict[int | None, float] = {}
        try:
            self.config = PiperConfig.from_dict(json.loads(configuration.read_bytes()))
        except _CONFIGURATION_ERRORS as error:
            raise ModelLoadFailed(f"{configuration} describes no voice of Piper; {_REMEDY}") from error
        reader.check(self.config, configuration)
        try:
            self._voice = PiperVoice(session=open_session(model), config=self.config)
            self._gain(None)
        except (*_NETWORK_ERRORS, *_CONFIGURATION_ERRORS) as error:
            raise ModelLoadFailed(f"{model} is no network of a Piper voice; {_REMEDY}") from error

    @property
    def sample_rate_hz(self) -> int:
        """The rate of all that it says."""
        return self.config.sample_rate

    def read(self, text: str) -> list[Piece]:
        """Give what it is to say for a text, in pieces; none if that is nothing.

        Raises:
            EngineFailed: the text cannot be read.
        """
        return self._reader.read(text, self.config)

    def speaker(self, wanted: str) -> int:
        """Give the number of a speaker, who is wanted by name or by that number.

        Raises:
            VoiceNotFound: it has no such speaker.
        """
        speakers = {str(number): number for number in range(self.config.num_speakers)}
        speakers |= self.config.speaker_id_map
        if wanted not in speakers:
            raise VoiceNotFound(f"the voice {self.name!r} has no speaker {wanted!r}")
        return speakers[wanted]

    def speak(self, piece: Piece, *, speaker: int | None, speed: float) -> Speech:
        """Say a piece at a speed; `speaker` None is the one that the voice itself prefers.

        Raises:
            EngineFailed: the network failed at it.
        """
        try:
            samples = self._gain(speaker) * self._run(piece, SynthesisConfig(speaker, 1 / speed))
        except _NETWORK_ERRORS as error:
            raise EngineFailed(f"the voice {self.name!r} failed at a sentence") from error
        if not len(samples):
            raise EngineFailed(f"the voice {self.name!r} gave no sound for a sentence")
        # The network rounds each phoneme up to a whole frame, which adds half a frame to each on average.
        rounded_up = min(self.config.hop_length * len(self._ids(piece)), len(samples)) / 2
        neutral = (len(samples) - rounded_up) * speed + rounded_up
        return Speech(np.clip(samples, -1.0, 1.0), neutral)

    def _gain(self, speaker: int | None) -> float:
        """Give by how much all that a speaker says is amplified."""
        if speaker not in self._gains:
            # Without its noise, a voice gets the same gain in every process.
            how = SynthesisConfig(speaker, 1.0, noise_scale=0.0, noise_w_scale=0.0)
            self._gains[speaker] = _gain_of(self._run(piece, how) for piece in self.read(_REFERENCE))
        return self._gains[speaker]

    def _run(self, piece: Piece, how: SynthesisConfig) -> NDArray[np.float32]:
        samples = self._voice.phoneme_ids_to_audio(self._ids(piece), how)
        return np.asarray(samples, np.float32).reshape(-1)

    def _ids(self, piece: Piece) -> list[int]:
        return self._voice.phonemes_to_ids(list(piece.phonemes))


def open_session(model: Path) -> InferenceSession:
    """Load a network for one thread; a pool has as many processes as threads may run."""
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it would write to stderr it raises, too
    return InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _gain_of(pieces: Iterable[NDArray[np.float32]]) -> float:
    samples = np.concatenate([np.zeros(1, np.float32), *pieces])
    level, peak = float(np.sqrt(np.square(samples).mean())), float(np.abs(samples).max())
    return min(_LEVEL / level, _PEAK / peak) if level > 0 else 1.0
