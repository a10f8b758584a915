"""StyleTTS2's networks: a style from a voice sample, and speech from phonemes in a style.

They are built with the library's `build_model` and speak as its `StyleTTS2.inference` does. That class itself
downloads three checkpoints of networks that only training needs, loads any weights that don't fit without a
word, prints every text, and knows neither speed nor pitch; importing its module downloads once more.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import exp2
from typing import TYPE_CHECKING, Any

import munch
import numpy as np
import soxr
import torch
import yaml
from styletts2.models import build_model
from styletts2.Modules.diffusion.sampler import ADPM2Sampler, DiffusionSampler, KarrasSchedule
from styletts2.Utils.PLBERT.util import CustomAlbert
from torchaudio.transforms import MelSpectrogram
from transformers import AlbertConfig

from shared.errors import EngineFailed, ModelLoadFailed
from shared.styletts2_model import REMEDY
from workers.providers.styletts2_text import SYMBOLS
from workers.torch_runtime import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from shared.styletts2_model import StyleTTS2Files, StyleTTS2Parameters

SAMPLE_RATE_HZ = 24_000

# What speaks, of a checkpoint's networks; the others are for training.
_SPEAKING = (
    "bert", "bert_encoder", "predictor", "decoder", "text_encoder",
    "predictor_encoder", "style_encoder", "diffusion",
)  # fmt: skip

# PL-BERT as StyleTTS2 publishes it (Utils/PLBERT/config.yml); its weights are part of every checkpoint.
_PLBERT = {
    "vocab_size": 178,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 2048,
    "max_position_embeddings": 512,
    "num_hidden_layers": 12,
}
# Buffers without weights, which transformers before 4.31 wrote into a checkpoint.
_FORMER_BUFFERS = {"embeddings.position_ids", "embeddings.token_type_ids"}
_PREFIX = "module."  # of nn.DataParallel, in which a checkpoint was trained

# As in the library's tts.py.
_SCHEDULE = {"sigma_min": 0.0001, "sigma_max": 3.0, "rho": 9.0}
_MEL = {"n_mels": 80, "n_fft": 2048, "win_length": 1200, "hop_length": 300}
_MEL_MEAN, _MEL_DEVIATION = -4, 4
_SILENCE_DB, _LEVEL_SAMPLES, _LEVEL_HOP = 30, 2048, 512
_END_PULSE_SAMPLES = 50
_STYLE_KEPT = 0.7  # of the piece before, in a long text
_FRAME_SAMPLES = 600  # of the durations that it predicts

_CONFIGURATION_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError)
_NAMED = 3
_ENGINE_ERRORS = (RuntimeError, ValueError, IndexError)


@dataclass(frozen=True, slots=True)
class Speech:
    """What was said: float32, (n_samples,), [-1, 1]."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    neutral_samples: int
    """How many there would be at speed 1."""
    style: Any
    """For the next piece of the text, so that the voice does not change within it."""


class StyleTTS2Networks:
    """The networks in the memory of a device. They bear one thread."""

    def __init__(
        self,
        files: StyleTTS2Files,
        parameters: StyleTTS2Parameters,
        device: str,
        *,
        on_step: Callable[[], None],
    ) -> None:
        """Load them; `on_step` is called whenever one of them, or a part of one, has computed something.

        Raises:
            ModelLoadFailed: a file is broken or of another kind; the message names file and remedy.
        """
        self._parameters = parameters
        self._device = device
        torch.backends.cudnn.deterministic = True
        parts = _parts(files.checkpoint)
        described, self._networks = _build(files.config)
        self._is_shifted = described.decoder.type == "hifigan"
        self._style_size: int = described.style_dim
        _fill(self._networks, parts, files.checkpoint)
        for network in self._networks.values():
            network.eval().requires_grad_(requires_grad=False).to(device)
            for part in (network, *network.children()):
                part.register_forward_hook(lambda *_: on_step())
        self._mel = MelSpectrogram(**_MEL)
        self._sampler = DiffusionSampler(
            self._networks["diffusion"].diffusion,
            sampler=ADPM2Sampler(),
            sigma_schedule=KarrasSchedule(**_SCHEDULE),
            clamp=False,
        )

    def style(self, samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
        """Give the style of a voice sample, (1, n): its timbre, then its prosody.

        Raises:
            EngineFailed: nothing can be made of the sample.
        """
        audible = _without_silence(soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ))
        try:
            with torch.inference_mode():
                level = torch.log(1e-5 + self._mel(torch.from_numpy(audible)).unsqueeze(0))
                mel = ((level - _MEL_MEAN) / _MEL_DEVIATION).unsqueeze(1).to(self._device)
                parts = [self._networks[name](mel) for name in ("style_encoder", "predictor_encoder")]
                style: NDArray[np.float32] = torch.cat(parts, dim=1).cpu().numpy()
        except _ENGINE_ERRORS as error:
            raise EngineFailed(
                "StyleTTS2 can make no style of the voice sample; record a longer one"
            ) from error
        return style

    def speak(
        self,
        phonemes: str,
        style: NDArray[np.float32],
        *,
        seed: int,
        speed: float = 1.0,
        semitones: float = 0.0,
        before: Any = None,
    ) -> Speech:
        """Say phonemes in the style of a voice sample; `before` is the style of the piece before.

        Speed and pitch change the lengths and the fundamental that the network plans, not its sound.

        Raises:
            EngineFailed: a network failed.
        """
        try:
            with torch.inference_mode():
                return self._speak(
                    phonemes, style, seed=seed, speed=speed, semitones=semitones, before=before
                )
        except _ENGINE_ERRORS as error:
            raise EngineFailed("StyleTTS2 failed at a sentence") from error

    def _speak(
        self,
        phonemes: str,
        sample: NDArray[np.float32],
        *,
        seed: int,
        speed: float,
        semitones: float,
        before: Any,
    ) -> Speech:
        networks, device = self._networks, self._device
        torch.manual_seed(seed)
        tokens = torch.tensor([[0, *(SYMBOLS[phoneme] for phoneme in phonemes)]], device=device)
        lengths = torch.tensor([tokens.shape[-1]], device=device)
        padding = torch.zeros(tokens.shape, dtype=torch.bool, device=device)

        read = networks["bert"](tokens, attention_mask=(~padding).int())
        style = self._styled(read, torch.from_numpy(sample).to(device), before)
        timbre, prosody = style.split(self._style_size, dim=-1)

        hidden = networks["bert_encoder"](read).transpose(-1, -2)
        planned = networks["predictor"].text_encoder(hidden, prosody, lengths, padding)
        states, _ = networks["predictor"].lstm(planned)
        durations = torch.sigmoid(networks["predictor"].duration_proj(states)).sum(dim=-1).squeeze()
        frames, neutral_frames = (
            torch.round(each).clamp(min=1).long() for each in (durations / speed, durations)
        )

        fundamental, energy = networks["predictor"].F0Ntrain(
            self._aligned(planned.transpose(-1, -2), frames), prosody
        )
        sounds = self._aligned(networks["text_encoder"](tokens, lengths, padding), frames)
        waves = networks["decoder"](sounds, fundamental * exp2(semitones / 12), energy, timbre)
        samples = waves.squeeze().cpu().numpy()[:-_END_PULSE_SAMPLES]
        neutral_samples = int(neutral_frames.sum()) * _FRAME_SAMPLES
        return Speech(np.clip(samples, -1.0, 1.0), SAMPLE_RATE_HZ, neutral_samples, style)

    def _styled(self, read: Any, sample: Any, before: Any) -> Any:
        """Give the style of a text: one drawn for it, the sample's own and that of the text before, mixed."""
        parameters = self._parameters
        drawn = self._sampler(
            noise=torch.randn((1, sample.shape[-1])).unsqueeze(1).to(self._device),
            embedding=read,
            embedding_scale=parameters.embedding_scale,
            features=sample,
            num_steps=parameters.diffusion_steps,
        ).squeeze(1)
        if before is not None:
            drawn = _STYLE_KEPT * before + (1 - _STYLE_KEPT) * drawn
        drawn_shares = (parameters.alpha, parameters.beta)
        parts = zip(
            drawn_shares, drawn.split(self._style_size, -1), sample.split(self._style_size, -1), strict=True
        )
        return torch.cat([share * own + (1 - share) * given for share, own, given in parts], dim=-1)

    def _aligned(self, by_phoneme: Any, frames: Any) -> Any:
        """Give what is known by phoneme by frame; the HiFi-GAN decoder wants it one frame later."""
        by_frame = torch.repeat_interleave(by_phoneme, frames, dim=-1)
        return torch.cat([by_frame[..., :1], by_frame[..., :-1]], dim=-1) if self._is_shifted else by_frame


def _without_silence(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave out silence before and after speech, as `librosa.effects.trim`, which compiles a minute, does."""
    padded = np.pad(samples, _LEVEL_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _LEVEL_SAMPLES)[::_LEVEL_HOP]
    power = np.square(frames).mean(axis=1)
    audible = np.flatnonzero(power > power.max() * 10 ** (-_SILENCE_DB / 10))
    return samples[audible[0] * _LEVEL_HOP : (audible[-1] + 1) * _LEVEL_HOP] if len(audible) else samples[:0]


def _build(config: Path) -> tuple[Any, dict[str, Any]]:
    """Give what the configuration says of the networks, and those that speak, with random weights."""
    try:
        described = munch.munchify(yaml.safe_load(config.read_text())["model_params"])
        with warnings.catch_warnings():
            # Of what torch has newer forms of (weight_norm), and of a dropout that is for training.
            warnings.simplefilter("ignore")
            networks = build_model(described, None, None, CustomAlbert(AlbertConfig(**_PLBERT)))
    except (*_CONFIGURATION_ERRORS, yaml.YAMLError) as error:
        raise ModelLoadFailed(f"{config} describes no StyleTTS2 model. {REMEDY}") from error
    if not described.multispeaker:
        raise ModelLoadFailed(f"{config} describes a model of one speaker, which cannot clone. {REMEDY}")
    return described, {name: networks[name] for name in _SPEAKING}


def _parts(checkpoint: Path) -> dict[str, Any]:
    """Read a checkpoint's weights, by the networks that they are of."""
    content = read_checkpoint(checkpoint)
    parts = content.get("net") if isinstance(content, dict) else None
    if not isinstance(parts, dict):
        raise ModelLoadFailed(f"{checkpoint} is no checkpoint of StyleTTS2. {REMEDY}")
    return parts


def _fill(networks: Mapping[str, Any], parts: Mapping[str, Any], checkpoint: Path) -> None:
    """Give the networks that checkpoint's weights, all of them."""
    for name, network in networks.items():
        weights = _plain(parts.get(name, {}))
        if difference := _difference(network.state_dict(), weights):
            raise ModelLoadFailed(
                f"{checkpoint} does not fit its configuration: {name} {difference}. {REMEDY}"
            )
        network.load_state_dict({key: weights[key] for key in network.state_dict()})


def _plain(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Give the weights by the names that the network has for them."""
    is_prefixed = all(key.startswith(_PREFIX) for key in weights)
    plain = {key.removeprefix(_PREFIX) if is_prefixed else key: value for key, value in weights.items()}
    return {key: value for key, value in plain.items() if key not in _FORMER_BUFFERS}


def _difference(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """Say in what the weights that are given are others than those that are wanted; nothing if in nothing."""
    shapes = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(value.shape)}"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape
    ]
    found = {
        "lacks": wanted.keys() - given.keys(),
        "does not know": given.keys() - wanted.keys(),
        "has": shapes,
    }
    return " and ".join(f"{word} {_some(sorted(keys))}" for word, keys in found.items() if keys)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
