"""A small XTTS v2 checkpoint in the form of the published one: `python -m tests.checkpoints.xtts FOLDER`.

Its weights are made up, but not all at random, so that it speaks a little like a trained one:

* One head of attention counts: it takes the mean of a channel that is positive in text and negative in sound.
  When there is as much sound as the text needs, the codes that are silent become likely, then the stop.
* Some codes are silent: a pair of channels with large values leaves nothing of the others behind the norm.
* The vocoder has no biases, so its level follows that of the latents; where they stand still its sound
  repeats with each frame of 256 samples: a fundamental of 93.75 Hz, whatever the speed.

Everything else, from the codes' own sound to what attention makes of text and speaker, is random.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from workers.torch_runtime import import_torch

torch = import_torch()

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402  torchaudio must find what is missing
from TTS.tts.configs.xtts_config import XttsConfig  # noqa: E402
from TTS.tts.models.xtts import Xtts  # noqa: E402

LANGUAGES = "en es fr de it pt pl tr ru nl cs ar zh-cn hu ko ja hi".split()  # noqa: SIM905
SPEAKERS = ("Claribel Dervla", "Daisy Studious", "Andrew Chipper", "Own Voice")
MAX_CODES = 602
"""What the model says at most at once; the published one's, too."""

_WIDTH, _HEADS, _LAYERS = 64, 2, 2
_CODES = 1024
_SILENT = slice(0, 200)  # codes
_LAST = slice(200, 206)  # the silent codes before the stop
_STOP = _CODES + 1
_CODES_A_TOKEN = 0.8
_LEVEL = 0.12

# The residual stream's channels with a purpose, each a pair of opposites so that the norms' mean stays 0.
_SOURCE, _LEFT, _SILENCE = (0, 1), (2, 3), (4, 5)
_CONTENT = slice(6, _WIDTH)


def make_checkpoint(folder: Path) -> None:
    """Write the four files of a release into a folder, which may not be there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        _write_vocabulary(folder / "vocab.json")
        config = _config(folder / "vocab.json")
        (folder / "config.json").write_text(json.dumps(config.to_dict()))
        model = Xtts(config)
        _shape(model)
        torch.save({"model": model.state_dict(), "config": config.to_dict()}, folder / "model.pth")
        torch.save({name: _speaker() for name in SPEAKERS}, folder / "speakers_xtts.pth")


def _write_vocabulary(file: Path) -> None:
    special = ["[STOP]", "[UNK]", "[SPACE]", "[START]", *(f"[{language}]" for language in LANGUAGES)]
    blocks = [(0x21, 0x7F), (0xA1, 0x180), (0x400, 0x460), (0x600, 0x660), (0x900, 0x970), (0x2010, 0x2027)]
    characters = [chr(code) for first, end in blocks for code in range(first, end)]
    letters = [character for character in characters if character == character.lower()]
    entries = {entry: number for number, entry in enumerate([*special, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=entries, merges=[], unk_token="[UNK]"))  # noqa: S106  no password
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(file))


def _config(vocabulary: Path) -> XttsConfig:
    config = XttsConfig(languages=LANGUAGES, temperature=0.75, gpt_cond_len=12, gpt_cond_chunk_len=4)
    tokenizer = Tokenizer.from_file(str(vocabulary))
    sizes = {
        "gpt_layers": _LAYERS,
        "gpt_n_model_channels": _WIDTH,
        "gpt_n_heads": _HEADS,
        "decoder_input_dim": _WIDTH,
        "gpt_num_audio_tokens": _CODES + 2,
        "gpt_start_audio_token": _CODES,
        "gpt_stop_audio_token": _STOP,
        "gpt_max_audio_tokens": MAX_CODES + 3,
        "gpt_use_perceiver_resampler": True,
        "gpt_number_text_tokens": tokenizer.get_vocab_size(),
        "gpt_start_text_token": tokenizer.token_to_id("[START]"),
        "gpt_stop_text_token": tokenizer.token_to_id("[STOP]"),
    }
    for name, value in sizes.items():
        setattr(config.model_args, name, value)
    return config


def _shape(model: Any) -> None:
    """Turn a model that was just made into one that speaks."""
    gpt = model.gpt
    text, sound = gpt.text_embedding.weight, gpt.mel_embedding.weight
    for table in (text, sound):
        table[:, : _CONTENT.start] = 0
        table[:, _CONTENT] = _level(torch.randn_like(table[:, _CONTENT]))
    # What all codes have in common is the voice.
    sound[:, _CONTENT] = _level(0.7 * sound[:, _CONTENT] + sound[:1, _CONTENT])
    for codes in (_SILENT, _LAST):
        _set(sound[codes], _SILENCE, 400.0)
    _set(text, _SOURCE, _CODES_A_TOKEN * _norm(text))
    _set(sound, _SOURCE, -_norm(sound))
    for position in (gpt.mel_pos_embedding, gpt.text_pos_embedding):
        position.emb.weight[:, : _CONTENT.start] = 0
    gpt.conditioning_perceiver.norm.gamma[: _CONTENT.start] = 0
    for number, block in enumerate(gpt.gpt.h):
        _shape_block(block, counts=number == 0)
    _shape_head(gpt.mel_head)
    _shape_vocoder(model.hifigan_decoder.waveform_decoder)


def _shape_block(block: Any, *, counts: bool) -> None:
    """Let a block of the transformer mix what the tokens mean, and in the first one a head count them."""
    for layer in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj):
        layer.weight.mul_(8)
    for layer in (block.attn.c_proj, block.mlp.c_proj):
        layer.weight[:, : _CONTENT.start] = 0
    if counts:
        size = _WIDTH // _HEADS
        for part in range(3):  # query, key and value of the first head
            block.attn.c_attn.weight[:, part * _WIDTH : part * _WIDTH + size] = 0
        block.attn.c_attn.weight[_SOURCE[0], 2 * _WIDTH] = 1
        block.attn.c_proj.weight[:size] = 0
        _set(block.attn.c_proj.weight[:1], _LEFT, 12.0)


def _shape_head(head: Any) -> None:
    """Let the next code follow from the last one and the text, and the end from what is left to be said."""
    head.weight.copy_(torch.randn_like(head.weight) * 0.25)
    head.weight[:, : _CONTENT.start] = 0
    head.bias.zero_()
    head.weight[_CODES] = 0
    head.bias[_CODES] = -100.0  # the start is never said
    for codes, bias in ((_LAST, 5.0), (slice(_STOP, _STOP + 1), -2.0)):
        head.weight[codes] = 0
        _set(head.weight[codes], _LEFT, -60.0)
        head.bias[codes] = bias


def _shape_vocoder(vocoder: Any) -> None:
    """Let a latent that stands still sound like a vowel: harmonics of its frames' rate, which fall."""
    for name, parameter in vocoder.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
    vocoder.conv_pre.weight[:, : _CONTENT.start] = 0
    first, *others = vocoder.ups
    first.weight = torch.randn_like(first.weight[..., :1]) * _windows(first) * _vowels(first)
    for layer in others:
        layer.weight = torch.randn_like(layer.weight[..., :1]) * _windows(layer)
    _keep_level(vocoder)


def _windows(layer: Any) -> Any:
    """Give the window that interpolates between frames: overlapping, it adds up to 1."""
    return torch.hann_window(layer.kernel_size[0])


def _vowels(layer: Any) -> Any:
    """Give each channel a wave, (1, n_channels, kernel size), that repeats with every frame."""
    turns = torch.arange(layer.kernel_size[0]) / layer.stride[0]
    numbers = torch.arange(1, 4)
    phases = torch.rand(layer.out_channels, len(numbers), 1) * torch.tensor([0.05, 1, 1])[:, None]
    levels = torch.rand(layer.out_channels, len(numbers), 1) / numbers[:, None] ** 2
    levels[:, 0] = 1
    return (levels * torch.cos(2 * torch.pi * (numbers[:, None] * turns + phases))).sum(dim=1)[None]


def _keep_level(vocoder: Any) -> None:
    """Scale the layers one after the other, so that each gives what comes in at the same level."""
    latents = torch.randn(1, _WIDTH, 24)
    nobody = torch.zeros(1, 512, 1)
    for layer in (vocoder.conv_pre, *vocoder.ups, vocoder.conv_post):
        levels: list[Any] = []
        hook = layer.register_forward_hook(lambda _layer, _in, out, levels=levels: levels.append(out.std()))
        vocoder(latents, g=nobody)
        hook.remove()
        layer.weight = layer.weight / levels[0] * (_LEVEL if layer is vocoder.conv_post else 1.0)


def _set(table: Any, pair: tuple[int, int], value: Any) -> None:
    table[:, pair[0]], table[:, pair[1]] = value, -value


def _norm(rows: Any) -> Any:
    """Give what the first norm divides each row by."""
    return rows.square().mean(dim=1).sqrt()


def _level(rows: Any) -> Any:
    """Give each row, in place, a mean of 0 and a variance of 1, which the norms then leave alone."""
    rows -= rows.mean(dim=1, keepdim=True)
    rows /= rows.std(dim=1, keepdim=True)
    return rows


def _speaker() -> dict[str, Any]:
    latent = torch.randn(1, 32, _WIDTH)
    latent[..., : _CONTENT.start] = 0
    embedding = torch.nn.functional.normalize(torch.randn(1, 512, 1), dim=1)
    return {"gpt_cond_latent": latent, "speaker_embedding": embedding}


if __name__ == "__main__":
    make_checkpoint(Path(sys.argv[1]))
