"""A small StyleTTS2 checkpoint, made as the published one is: `python -m tests.checkpoints.styletts2 FOLDER`.

The library's own networks, as narrow as they go. Their weights are made up, but not all at random, so that it
speaks a little like a trained one:

* Each phoneme is seen through all layers of the readers. Two layers, fitted to babble, give it a length
  and a fundamental of its own; at marks there is none, so that they hiss.
* The source of the fundamental's harmonics is heard through all layers of the vocoder.
* The style of a sample is what is special about it: its timbre. It hardly changes lengths and fundamental.

Everything else is random. It takes 160 MB, most of it for layers whose sizes the library fixes.
"""

# ruff: noqa: RUF001  phonemes are written so

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import yaml
from munch import munchify

from workers.torch_runtime import import_torch

torch = import_torch()

from styletts2.models import build_model  # noqa: E402  torchaudio must find what is missing
from styletts2.text_utils import dicts  # noqa: E402
from styletts2.Utils.PLBERT.util import CustomAlbert  # noqa: E402
from torchaudio.transforms import MelSpectrogram  # noqa: E402
from transformers import AlbertConfig  # noqa: E402

# As published (Configs/config_libritts.yml), but for the sizes.
CONFIG: dict[str, Any] = {
    "preprocess_params": {
        "sr": 24_000,
        "spect_params": {"n_fft": 2048, "win_length": 1200, "hop_length": 300},
    },
    "model_params": {
        "multispeaker": True,
        "dim_in": 8,
        "hidden_dim": 512,
        "max_conv_dim": 512,
        "n_layer": 1,
        "n_mels": 80,
        "n_token": 178,
        "max_dur": 50,
        "style_dim": 128,
        "dropout": 0.2,
        "decoder": {
            "type": "hifigan",
            "resblock_kernel_sizes": [3],
            "upsample_rates": [2, 2, 3, 5, 5],
            "upsample_initial_channel": 512,
            "resblock_dilation_sizes": [[1, 3, 5]],
            "upsample_kernel_sizes": [4, 4, 6, 10, 10],
        },
        "slm": {"hidden": 4, "nlayers": 2, "initial_channel": 4},
        "diffusion": {
            "embedding_mask_proba": 0.1,
            "transformer": {"num_layers": 1, "num_heads": 2, "head_features": 16, "multiplier": 1},
            "dist": {"sigma_data": 0.2, "estimate_sigma_data": True, "mean": -3.0, "std": 1.0},
        },
    },
}
# Utils/PLBERT/config.yml
PLBERT = {
    "vocab_size": 178,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 2048,
    "max_position_embeddings": 512,
    "num_hidden_layers": 12,
    "dropout": 0.1,
}

_TRAINING_ONLY = {"mpd", "msd", "wd", "text_aligner", "pitch_extractor"}
_HIDDEN = 512
_LETTERS = "aɑæʌɔbdfðeəɛɝɚɡhiɪjklmnŋoɹsʃtθuʊvwzʒɐᵻɜɾʔː"
_MARKS = ",.;:!?—…"
_TEXTS, _WORDS_A_TEXT = 24, 16
_FUNDAMENTAL_HZ = 140.0
_GOLDEN, _PLASTIC = 0.618, 0.733  # multiples of them, without the whole numbers, spread evenly


def make_checkpoint(folder: Path) -> None:
    """Write `config.yml` and `model.pth` into a folder, which may not be there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(yaml.safe_dump(CONFIG))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        networks = _networks()
        for name in ("style_encoder", "predictor_encoder"):
            _shape_encoder(networks[name])
        _shape_readers(networks["bert"], networks["predictor"])
        _shape_decoder(networks["decoder"])
        _fit(networks)
        weights = {name: _as_published(network) for name, network in networks.items()}
        unused = {name: {"module.weight": torch.zeros(1)} for name in _TRAINING_ONLY}
        torch.save({"net": {**weights, **unused}, "epoch": 20}, folder / "model.pth")


def _networks() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bert = CustomAlbert(AlbertConfig(**PLBERT))
        networks = build_model(munchify(CONFIG["model_params"]), None, None, bert)
    return {name: network.eval() for name, network in networks.items() if name not in _TRAINING_ONLY}


def _as_published(network: Any) -> dict[str, Any]:
    """Give the weights by the names that nn.DataParallel gave them."""
    return {f"module.{name}": value for name, value in network.state_dict().items()}


def _shape_encoder(encoder: Any) -> None:
    """Let the style be what makes a sample different from the mean of three hums."""
    mel, times_s = (
        MelSpectrogram(n_mels=80, n_fft=2048, win_length=1200, hop_length=300),
        torch.arange(48_000) / 24_000,
    )
    harmonics = 2 * torch.pi * torch.arange(1, 21)[:, None] * times_s
    heard = torch.stack([mel(0.02 * torch.sin(hz * harmonics).sum(dim=0)) for hz in (100.0, 160.0, 240.0)])
    level = ((torch.log(1e-5 + heard) + 4) / 4).unsqueeze(1)
    encoder.train()
    for _ in range(8):  # only then the spectral norms are what they are called
        encoder.shared(level)
    encoder.eval()
    features = encoder.shared(level).flatten(1)
    encoder.unshared.weight *= 0.5 / (features - features.mean(dim=0)).matmul(encoder.unshared.weight.T).std()
    encoder.unshared.bias.copy_(-encoder.unshared.weight.matmul(features.mean(dim=0)))


def _shape_readers(bert: Any, predictor: Any) -> None:
    bert.embeddings.position_embeddings.weight *= 0.05
    layer = bert.encoder.albert_layer_groups[0].albert_layers[0]
    layer.attention.dense.weight *= 0.1
    layer.ffn_output.weight *= 0.1
    for lstm in (predictor.text_encoder.lstms[0], predictor.lstm, predictor.shared):
        for direction in ("", "_reverse"):
            weight = getattr(lstm, f"weight_ih_l0{direction}")
            weight *= 3.0
            weight[:, _HIDDEN:] *= 0.02  # the style
            getattr(lstm, f"bias_ih_l0{direction}")[
                _HIDDEN // 2 : _HIDDEN
            ] = -5.0  # it forgets what was before
            getattr(lstm, f"weight_hh_l0{direction}").mul_(0.1)
    predictor.text_encoder.lstms[1].fc.weight *= 0.05
    for block in predictor.F0:
        block.conv2.weight_g *= 0.03
        block.norm1.fc.weight *= 0.05
        block.norm2.fc.weight *= 0.05


def _shape_decoder(decoder: Any) -> None:
    for block in (decoder.encode, *decoder.decode):
        for layer in (block.conv1, block.conv2, block.conv1x1):
            layer.weight_v.data = layer.weight_v.data[:1].clone().expand_as(layer.weight_v)  # is stored once
    generator = decoder.generator
    generator.m_source.l_linear.weight.copy_(2.0 / torch.arange(1, 10)[None])
    generator.m_source.l_linear.bias.zero_()
    channels = len(generator.noise_convs[-1].weight)
    generator.noise_convs[-1].weight.copy_(1.0 / torch.arange(1, channels + 1)[:, None, None])
    generator.noise_convs[-1].bias.zero_()
    generator.ups[-1].weight_g *= 0.01
    generator.ups[-1].bias.zero_()
    for block in (generator.noise_res[-1], generator.resblocks[-1]):
        for layer in block.convs2:
            layer.weight_g *= 0.05
            layer.bias.zero_()
    last = generator.conv_post
    last.weight_v.zero_()
    last.weight_v[:, :4, 3] = 1.0  # the sum of four channels as they are
    last.weight_g.fill_(0.5)
    last.bias.zero_()


def _fit(networks: dict[str, Any]) -> None:
    """Give each phoneme its length and fundamental."""
    numbers = torch.arange(len(dicts) + 1)
    lengths = 1.1 + 0.9 * (numbers * _GOLDEN % 1)  # in frames of 25 ms
    fundamentals_hz = _FUNDAMENTAL_HZ * (0.985 + 0.03 * (numbers * _PLASTIC % 1))
    for mark in _MARKS:
        lengths[dicts[mark]], fundamentals_hz[dicts[mark]] = 6.0, 0.0
    lengths[[0, dicts["ˈ"], dicts["ˌ"]]] = 1.0

    predictor = networks["predictor"]
    states, wanted_lengths, features, wanted_hz = [], [], [], []
    for _ in range(_TEXTS):
        tokens, style = _babble(), 0.7 * torch.randn(1, 128)
        size, padding = torch.tensor([tokens.shape[-1]]), torch.zeros(tokens.shape, dtype=torch.bool)
        hidden = networks["bert_encoder"](networks["bert"](tokens, attention_mask=(~padding).int()))
        planned = predictor.text_encoder(hidden.transpose(-1, -2), style, size, padding)
        states.append(predictor.lstm(planned)[0][0])
        wanted_lengths.append(torch.logit(lengths[tokens[0]] / CONFIG["model_params"]["max_dur"]))

        frames = lengths[tokens[0]].round().long()
        aligned = torch.repeat_interleave(planned, frames, dim=1)
        contour = predictor.shared(torch.cat([aligned[:, :1], aligned[:, :-1]], dim=1))[0].transpose(-1, -2)
        for block in predictor.F0:
            contour = block(contour, style)
        features.append(contour[0].T)
        wanted_hz.append(torch.repeat_interleave(fundamentals_hz[tokens[0]], 2 * frames))
    lengths_layer = predictor.duration_proj.linear_layer
    _solve(lengths_layer, torch.cat(states), torch.cat(wanted_lengths))
    _solve(predictor.F0_proj, torch.cat(features), torch.cat(wanted_hz))


def _babble() -> Any:
    words = []
    for number in range(_WORDS_A_TEXT):
        picked = torch.randint(len(_LETTERS), (int(torch.randint(1, 8, ())),))
        mark = f" {_MARKS[int(torch.randint(len(_MARKS), ()))]}" if number % 4 == 3 else ""
        words.append("ˈ" + "".join(_LETTERS[at] for at in picked) + mark)
    return torch.tensor([[0, *(dicts[phoneme] for phoneme in " ".join(words))]])


def _solve(layer: Any, inputs: Any, wanted: Any) -> None:
    """Let each output of a linear layer be what is wanted, as nearly as can be (ridge regression)."""
    inputs, wanted = inputs.double(), wanted.double()
    mean, wanted_mean = inputs.mean(dim=0), wanted.mean()
    centred = inputs - mean
    ridge = 2e-4 * len(inputs) * centred.var() * torch.eye(inputs.shape[1])
    weight = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (wanted - wanted_mean))
    layer.weight.copy_(weight.reshape(1, *layer.weight.shape[1:]))
    layer.bias.fill_(float(wanted_mean - mean @ weight))


if __name__ == "__main__":
    make_checkpoint(Path(sys.argv[1]))
