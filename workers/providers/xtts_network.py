"""XTTS v2's network in memory: a release's folder read without running its code, conditioning, inference."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.errors import EngineFailed, ModelLoadFailed, RunawayAudio
from shared.xtts_model import REMEDY
from workers.providers.xtts_text import XttsReader
from workers.torch_runtime import import_torch, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from shared.xtts_model import XttsFiles, XttsParameters
    from workers.conditioning import Arrays

_CONDITIONING = ("gpt_cond_latent", "speaker_embedding")
_CONDITIONING_RATE_HZ = 22_050  # of Xtts.get_conditioning_latents
_NORM_PEAK = 0.75  # where a checkpoint asks for `sound_norm_refs`

# What the trainer stores of itself, and what the first releases store twice: see `Xtts.load_checkpoint`.
_TRAINERS_PREFIX = "xtts."
_NEEDLESS = (
    "torch_mel_spectrogram_style_encoder.",
    "torch_mel_spectrogram_dvae.",
    "dvae.",
    "gpt.gpt_inference.",
    "gpt.gpt.wte.",
)

_CONTENT_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError)
# PyTorch's are RuntimeErrors, a full memory's among them.
_NETWORK_ERRORS = (RuntimeError, ValueError, AssertionError, LookupError)


class XttsNetwork:
    """A release that is loaded; one thread at a time may use it."""

    def __init__(
        self,
        files: XttsFiles,
        parameters: XttsParameters,
        device: str,
        *,
        on_step: Callable[[], None],
    ) -> None:
        """Load it onto a device; `on_step` is called at each code that it says, and when they are sound.

        Raises:
            ModelLoadFailed: a library or file is missing or broken; the message names it and the remedy.
        """
        self.device = device
        self._torch = import_torch()
        self._parameters = parameters
        try:
            library = import_module("TTS.tts.models.xtts")
            import_module("transformers").logging.set_verbosity_error()
        except (ImportError, OSError) as error:
            raise ModelLoadFailed(f"coqui-tts cannot be imported: {error}") from error
        self._config = _configuration(files.configuration)
        tokenizer = _tokenizer(files.vocabulary)
        self.speakers = _speakers(files.speakers)
        state = _state(files.model)
        self._model = library.Xtts(self._config)
        self._model.tokenizer = tokenizer
        self._fill(state, files.model)
        for part in (self._model.gpt.gpt, self._model.hifigan_decoder):
            part.register_forward_hook(lambda *_: on_step())
        self.reader = XttsReader(tokenizer, self._model.args.gpt_max_text_tokens)

    @property
    def sample_rate_hz(self) -> int:
        """The rate of all that it says."""
        return int(self._config.audio.output_sample_rate)

    def condition(self, samples: NDArray[np.float32], rate_hz: int) -> Arrays:
        """Give what it needs to know of a voice, as `Xtts.get_conditioning_latents` makes it of a file.

        Raises:
            EngineFailed: it can make nothing of the sample.
        """
        told, own = self._parameters, self._config
        length_s = told.gpt_cond_len or own.gpt_cond_len
        chunk_s = min(told.gpt_cond_chunk_len or own.gpt_cond_chunk_len, length_s)
        resample = import_module("torchaudio.functional").resample
        try:
            with self._torch.inference_mode():
                sound = self._torch.from_numpy(samples)[None]
                audio = resample(sound, rate_hz, _CONDITIONING_RATE_HZ).clip(-1, 1)
                audio = audio[:, : _CONDITIONING_RATE_HZ * (told.max_ref_length or own.max_ref_len)]
                if own.sound_norm_refs:
                    audio = audio / audio.abs().max() * _NORM_PEAK
                embedding = self._model.get_speaker_embedding(audio, _CONDITIONING_RATE_HZ)
                latent = self._model.get_gpt_cond_latents(audio, _CONDITIONING_RATE_HZ, length_s, chunk_s)
        except _NETWORK_ERRORS as error:
            raise EngineFailed(f"XTTS v2 can make nothing of the voice sample: {error}") from error
        return {name: _array(tensor) for name, tensor in zip(_CONDITIONING, (latent, embedding), strict=True)}

    def speak(self, text: str, code: str, voice: Arrays, *, speed: float, seed: int) -> NDArray[np.float32]:
        """Say a piece: float32, (n_samples,), [-1, 1], what `Xtts.inference` gives after this seed.

        Raises:
            RunawayAudio: it did not come to an end.
            EngineFailed: the network failed at it.
        """
        voiced = {name: self._torch.from_numpy(voice[name]) for name in _CONDITIONING}
        try:
            self._torch.manual_seed(seed)
            with self._torch.inference_mode():
                said = self._model.inference(
                    text, code, **voiced, speed=speed, **self._parameters.of_generation()
                )
        except _NETWORK_ERRORS as error:
            raise EngineFailed(f"XTTS v2 failed at a piece of the text: {error}") from error
        longest = int(self._model.gpt.max_gen_mel_tokens / speed)
        if said["gpt_latents"].shape[1] >= longest:
            raise RunawayAudio(f"XTTS v2 did not end a piece of {len(text)} characters where it must")
        return np.asarray(said["wav"], np.float32)

    def _fill(self, state: dict[str, Any], weights: Path) -> None:
        """Give the model its weights, which came from that file, and make it ready to speak."""
        try:
            self._model.init_models()
            self._model.load_state_dict(state)
            self._model.eval()
            self._model.to(self.device)
        except (RuntimeError, *_CONTENT_ERRORS) as error:
            raise ModelLoadFailed(
                f"{weights} does not fit config.json and vocab.json beside it, or the memory of "
                f"{self.device}: {str(error)[:200]}. {REMEDY}"
            ) from error


def _configuration(file: Path) -> Any:
    config = import_module("TTS.tts.configs.xtts_config").XttsConfig()
    try:
        config.load_json(str(file))
    except _CONTENT_ERRORS as error:
        raise ModelLoadFailed(f"{file} describes no XTTS v2. {REMEDY}") from error
    return config


def _tokenizer(file: Path) -> Any:
    try:
        return import_module("TTS.tts.layers.xtts.tokenizer").VoiceBpeTokenizer(vocab_file=str(file))
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelLoadFailed(f"{file} is no vocabulary of XTTS v2. {REMEDY}") from error


def _state(file: Path) -> dict[str, Any]:
    """Read the weights by name."""
    checkpoint = read_checkpoint(file, _classes_of_first_releases())
    try:
        state = {name.removeprefix(_TRAINERS_PREFIX): tensor for name, tensor in checkpoint["model"].items()}
    except _CONTENT_ERRORS as error:
        raise ModelLoadFailed(f"{file} holds no weights of XTTS v2. {REMEDY}") from error
    return {name: tensor for name, tensor in state.items() if not name.startswith(_NEEDLESS)}


def _classes_of_first_releases() -> list[type | tuple[type, str]]:
    """Give what they pickle beside the weights: their configuration, by where its classes were then."""
    configs = import_module("TTS.tts.configs.xtts_config")
    datasets = import_module("TTS.config.shared_configs")
    moved = (configs.XttsArgs, configs.XttsAudioConfig)
    by_old_name = [(kind, f"TTS.tts.models.xtts.{kind.__name__}") for kind in moved]
    return [configs.XttsConfig, datasets.BaseDatasetConfig, *moved, *by_old_name]


def _speakers(file: Path) -> Mapping[str, Arrays]:
    """Read the conditioning of the built-in speakers, in the file's order."""
    try:
        return {
            str(speaker): {name: _array(tensors[name]) for name in _CONDITIONING}
            for speaker, tensors in read_checkpoint(file).items()
        }
    except _CONTENT_ERRORS as error:
        raise ModelLoadFailed(f"{file} holds no speakers of XTTS v2. {REMEDY}") from error


def _array(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().cpu().numpy())
