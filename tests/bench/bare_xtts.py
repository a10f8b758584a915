"""XTTS v2 without a farm, in its environment: `python -m tests.bench.bare_xtts COMMAND FOLDER`.

`conditioning`: the milliseconds that a sample's voice takes the provider when nobody has asked for it yet,
and when another worker has. `full`: seconds of audio a second, in one stream, from a network as large as the
published one with random weights.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from shared.samples.store import SampleStore
from shared.settings import Settings
from tests.checkpoints.xtts import make_checkpoint
from tests.shared.samples.sounds import encoded, speech
from workers.providers.xtts import XttsProvider
from workers.torch_runtime import choose_device, import_torch

torch = import_torch()

from TTS.tts.configs.xtts_config import XttsConfig  # noqa: E402  torchaudio must find what is missing
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer  # noqa: E402
from TTS.tts.models.xtts import Xtts  # noqa: E402

RATE_HZ = 24_000
FULL_SECONDS = 10.0
# The published network's; at random it seldom ends, so some 5 s are the most that it says at once.
FULL_SIZE = {
    "gpt_layers": 30,
    "gpt_n_model_channels": 1024,
    "gpt_n_heads": 16,
    "decoder_input_dim": 1024,
    "gpt_max_audio_tokens": 123,
}


def condition(folder: Path) -> None:
    """Hold samples' voices in one worker, then in another one that shares the place of the samples."""
    settings = Settings.load(VOICEFARM_STATE_DIR=str(folder), VOICEFARM_MODEL_DIR=str(folder / "models"))
    samples = SampleStore(settings.samples_url)
    # One sample first, because what runs for the first time takes longest.
    ids = [samples.put(encoded(speech(speed=1 + number / 50))) for number in range(6)]
    for times in zip(*(_held_ms(settings, ids) for _ in range(2)), strict=True):
        _say(" ".join(f"{ms:.3f}" for ms in times))


def _held_ms(settings: Settings, ids: list[str]) -> list[float]:
    provider = XttsProvider.from_settings(settings)
    provider.load()
    times_ms = []
    for sample_id in ids:
        began = time.perf_counter()
        provider.hold_voice(sample_id)
        times_ms.append((time.perf_counter() - began) * 1000)
    return times_ms[1:]


def speak_at_full_size(folder: Path) -> None:
    """Let a network of the published size, with random weights, speak for so long on the best device here."""
    make_checkpoint(folder)
    config = _config(folder)
    for name, size in FULL_SIZE.items():
        setattr(config.model_args, name, size)
    model = Xtts(config)
    model.tokenizer = VoiceBpeTokenizer(vocab_file=str(folder / "vocab.json"))
    model.init_models()
    model.eval()
    model.to(choose_device("auto"))
    voice = {
        "gpt_cond_latent": torch.randn(1, 32, FULL_SIZE["gpt_n_model_channels"]),
        "speaker_embedding": torch.nn.functional.normalize(torch.randn(1, 512, 1), dim=1),
    }
    for seconds in (1.0, FULL_SECONDS):  # the first one warms it up
        began, audio_s = time.perf_counter(), 0.0
        while audio_s < seconds:
            with torch.inference_mode():
                said = model.inference("The coffee is ready, and nobody has to wait for it.", "en", **voice)
            audio_s += len(said["wav"]) / RATE_HZ
        took_s = time.perf_counter() - began
    _say(f"{audio_s / took_s:.3f}")


def _config(release: Path) -> XttsConfig:
    config = XttsConfig()
    config.load_json(str(release / "config.json"))
    return config


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    command, folder = sys.argv[1], Path(sys.argv[2])
    if command == "conditioning":
        condition(folder)
    else:
        speak_at_full_size(folder)
