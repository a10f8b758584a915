"""StyleTTS2: what it gives is what the library gives; its files, voices, texts; what breaks it."""

# ruff: noqa: RUF001  phonemes are written so

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from math import exp2
from pathlib import Path

import munch
import numpy as np
import pytest
import torch
import yaml

from shared.errors import EngineFailed, ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.samples.store import SampleStore, new_sample_id
from shared.settings import Settings
from shared.styletts2_model import styletts2_equipment
from tests.checkpoints import place_checkpoint
from tests.checkpoints.styletts2 import PLBERT
from tests.shared.samples.sounds import encoded, resampled, speech
from tests.workers.acoustics import fundamental_hz, sounding_s
from tests.workers.utterances import VOICED_TEXT, utterance
from workers.audio import join
from workers.providers.styletts2 import StyleTTS2Provider
from workers.providers.styletts2_text import (
    MAX_PHONEMES,
    PARAGRAPH_PAUSE_S,
    SENTENCE_PAUSE_S,
    SYMBOLS,
    StyleTTS2Reader,
)
from workers.quality import judge
from workers.torch_runtime import import_torch

import_torch()

from styletts2.Utils.PLBERT.util import CustomAlbert  # noqa: E402  torchaudio must be there before
from transformers import AlbertConfig  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # the library's own

SHORT = "We were away."
LONG_TEXT = "A farm of voices speaks all day, and at night it listens to what it has said. " * 3


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A model folder, which no test changes."""
    folder = tmp_path_factory.mktemp("models")
    place_checkpoint("styletts2", folder / "styletts2")
    return folder


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    return SampleStore(str(tmp_path_factory.mktemp("samples")))


@pytest.fixture(scope="session")
def sample_id(samples):
    return samples.put(encoded(speech()))


def provider_of(models, samples, **settings):
    where = {"VOICEFARM_MODEL_DIR": str(models), "VOICEFARM_SAMPLES_URL": samples._url}
    return StyleTTS2Provider.from_settings(Settings.load(**{**where, **settings}))


@pytest.fixture(scope="module")
def provider(models, samples):
    provider = provider_of(models, samples)
    provider.load()
    return provider


@pytest.fixture
def own_models(models, tmp_path):
    """A model folder with the same files, of which a test may replace some."""
    folder = tmp_path / "models" / "styletts2"
    folder.mkdir(parents=True)
    for file in (models / "styletts2").iterdir():
        (folder / file.name).hardlink_to(file)
    return folder.parent


@pytest.fixture(scope="module")
def library(models, provider):
    """The same files, loaded as the library's own class does, but for the networks that it downloads."""
    import nltk  # noqa: PLC0415  through it the library downloads when it is imported

    download, nltk.download = nltk.download, lambda *_: True
    try:
        from styletts2 import tts  # noqa: PLC0415
    finally:
        nltk.download = download
    own = object.__new__(tts.StyleTTS2)
    own.device = provider.device
    own.model_params = munch.munchify(
        yaml.safe_load((models / "styletts2" / "config.yml").read_text())["model_params"]
    )
    own.model = tts.models.build_model(own.model_params, None, None, CustomAlbert(AlbertConfig(**PLBERT)))
    weights = torch.load(models / "styletts2" / "model.pth")["net"]
    for name, network in own.model.items():
        if network is not None and name in weights:
            network.load_state_dict({key[7:]: value for key, value in weights[name].items()}, strict=False)
            network.eval().to(own.device)
    own.sampler = tts.DiffusionSampler(
        own.model.diffusion.diffusion,
        sampler=tts.ADPM2Sampler(),
        sigma_schedule=tts.KarrasSchedule(sigma_min=0.0001, sigma_max=3.0, rho=9.0),
        clamp=False,
    )
    return own


@pytest.fixture(scope="module")
def reader():
    return StyleTTS2Reader()


@pytest.fixture(scope="module")
def say(provider, sample_id):
    """Speak, as the sample if no other is named."""

    def say(text=VOICED_TEXT, *, seed=0, **fields):
        return join(provider.synthesize(utterance(text, **{"sample_id": sample_id, **fields}), seed=seed))

    return say


@pytest.fixture(scope="module")
def plain(say):
    return say()


# The library


def own_style(library, sample, tmp_path):
    file = tmp_path / "sample.wav"
    file.write_bytes(sample)
    return library.compute_style(file)


@pytest.mark.parametrize("rate_hz", [24_000, 44_100])
def test_the_style_of_a_sample_is_the_librarys(provider, library, samples, tmp_path, rate_hz):
    silent_first = np.pad(resampled(speech(), rate_hz), (rate_hz, rate_hz // 2))
    sample_id = samples.put(encoded(silent_first, rate_hz))
    own = own_style(library, samples.get(sample_id), tmp_path).cpu().numpy()
    assert np.allclose(provider._style(sample_id), own, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_equal_seeds_give_the_samples_that_the_library_gives(provider, library, reader, say, sample_id, seed):
    [piece] = reader.read(VOICED_TEXT)
    style = torch.from_numpy(provider._style(sample_id)).to(provider.device)
    torch.manual_seed(seed)
    own = library.inference(piece.phonemes, ref_s=style, phonemize=False)
    assert np.array_equal(say(seed=seed).samples, np.clip(own, -1, 1))


def test_the_style_goes_on_through_a_long_text_as_the_library_has_it(provider, library, reader, sample_id):
    style = torch.from_numpy(provider._style(sample_id)).to(provider.device)
    pieces, before, own = reader.read(LONG_TEXT), None, []
    for piece in pieces:
        torch.manual_seed(7)
        part, before = library.long_inference_segment(piece.phonemes, before, style, phonemize=False)
        own.append(part)
    chunks = provider.synthesize(utterance(LONG_TEXT, sample_id=sample_id), seed=7)
    for chunk, part in zip(chunks, own, strict=True):
        assert np.array_equal(chunk.samples[: len(part)], np.clip(part, -1, 1))


def test_the_parameters_are_the_librarys(models, samples, library, reader, sample_id):
    parameters = {"alpha": 0.1, "beta": 0.95, "diffusion_steps": 3, "embedding_scale": 2.0}
    provider = provider_of(models, samples, VOICEFARM_STYLETTS2=parameters)
    [piece] = reader.read(SHORT)
    own_provider_style = torch.from_numpy(provider._style(sample_id)).to(provider.device)
    torch.manual_seed(0)
    own = library.inference(piece.phonemes, ref_s=own_provider_style, phonemize=False, **parameters)
    spoken = join(provider.synthesize(utterance(SHORT, sample_id=sample_id)))
    assert np.array_equal(spoken.samples, np.clip(own, -1, 1))


def test_another_seed_gives_other_sound_and_an_equal_one_the_same(say):
    first, second, again = (say(SHORT, seed=seed).samples.tobytes() for seed in (1, 2, 1))
    assert first != second
    assert first == again


def test_nothing_is_asked_of_the_network(models, samples, sample_id):
    """From the first import on: a process without sockets to anything but itself."""
    program = """
import socket, sys
def refuse(*_): raise SystemExit("asked the network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
from shared.settings import Settings
from tests.workers.utterances import utterance
from workers.audio import join
from workers.providers.styletts2 import StyleTTS2Provider
provider = StyleTTS2Provider.from_settings(Settings.load())
print(len(join(provider.synthesize(utterance("x", sample_id=sys.argv[1]))).samples))
"""
    where = {
        "VOICEFARM_MODEL_DIR": str(models),
        "VOICEFARM_SAMPLES_URL": samples._url,
        "PYTHONPATH": str(Path.cwd()),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, sample_id],
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


# Text


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("Hello, world", "həlˈoʊ , wˈɜːld ."),
        ("Mr. Smith said: why? Go — now!", "mˈɪstɚ smˈɪθ sˈɛd : wˈaɪ ? ɡˈoʊ — nˈaʊ !"),
        ("It costs $5.50, i.e. too much…", "ɪt kˈɔsts dˈɑːlɚ fˈaɪv pɔɪnt fˈaɪv zˈiəɹoʊ , ˌaɪˈiː tˈuː mʌtʃ …"),
        ("“Yes,” she (hardly) whispered; “no...”", "jˈɛs , ʃiː hˈɑːɹdli wˈɪspɚd ; nˈoʊ …"),
        ("Say हिन्दी twice.", "sˈeɪ hˈɪndi twˈaɪs ."),
    ],
)
def test_a_text_is_read_with_its_marks(reader, text, phonemes):
    assert [piece.phonemes for piece in reader.read(text)] == [phonemes]


def test_short_sentences_are_spoken_together_and_long_ones_cut(reader):
    short, long = reader.read("Yes. No! Why?"), reader.read("no mark at all " * 60)
    assert len(short) == 1
    assert len(long) > 2
    assert all(len(piece.phonemes) <= MAX_PHONEMES for piece in long)
    assert [piece.pause_s for piece in long] == [0.0] * len(long)


def test_sentences_and_paragraphs_are_followed_by_their_pauses(reader):
    pieces = reader.read(f"{LONG_TEXT}\n\n...\n\nThe last.")
    assert [piece.pause_s for piece in pieces] == [SENTENCE_PAUSE_S, SENTENCE_PAUSE_S, PARAGRAPH_PAUSE_S, 0.0]


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("seven ", 500),
        ("7 ", 500),
        ("word", 200),
        ("東", 200),
        ("🎉 ", 200),
        ("$3.50 ", 100),
        ("A day, ", 200),
        ("Yes. ", 200),
    ],
)
def test_however_long_a_text_is_nothing_of_it_is_lost(reader, word, count):
    def sounds(text):
        return sum(phoneme not in " ,.ˈˌ" for piece in reader.read(text) for phoneme in piece.phonemes)

    assert sounds(word * count) >= count * sounds(word * 4) / 4 * 0.9


@pytest.mark.parametrize("text", ["7" * 200, "w" * 200, "word" * 300, "a, " * 500, VOICED_TEXT * 40])
def test_no_piece_is_more_than_the_model_bears(reader, text):
    sizes = [len(piece.phonemes) + 1 for piece in reader.read(text)]
    assert max(sizes) <= 512
    assert set("".join(piece.phonemes for piece in reader.read(text))) <= SYMBOLS.keys()


@pytest.mark.parametrize("text", ["...", "?!", "—"])
def test_a_text_without_a_sound_is_nothing_to_say(say, text):
    with pytest.raises(NothingToSay):
        say(text)


def test_a_long_text_is_spoken_to_its_end(say):
    spoken, one = say(LONG_TEXT), say(LONG_TEXT[: len(LONG_TEXT) // 3])
    assert sounding_s(spoken) == pytest.approx(3 * sounding_s(one), rel=0.15)


# Sound


def test_speech_passes_the_quality_gate_at_every_speed(say):
    for speed in (0.25, 1.0, 1.5):
        judge(say(speed=speed), utterance(speed=speed))


@pytest.mark.parametrize("speed", [0.25, 0.6, 1.5, 4.0])
def test_length_follows_speed_and_the_fundamental_stays(say, plain, speed):
    changed = say(speed=speed)
    assert len(changed.samples) * speed == pytest.approx(len(plain.samples), rel=0.04)
    assert fundamental_hz(changed) == pytest.approx(fundamental_hz(plain), rel=0.03)


@pytest.mark.parametrize("pitch", [-7.0, 0.2, 4.0])
def test_the_fundamental_follows_pitch_and_the_length_stays(say, plain, pitch):
    changed = say(pitch=pitch)
    assert len(changed.samples) == len(plain.samples)
    heard = fundamental_hz(changed, transposed=exp2(pitch / 12))
    assert heard == pytest.approx(fundamental_hz(plain) * exp2(pitch / 12), rel=0.03)


# Voices


def test_every_sample_is_another_voice(samples, say, plain):
    other = samples.put(encoded(speech(pitch=7.0)))
    assert say(sample_id=other).samples.tobytes() != plain.samples.tobytes()


def test_a_style_is_computed_once_for_all_workers(models, samples, monkeypatch):
    sample_id = samples.put(encoded(speech(pitch=2.0)))
    first, second = provider_of(models, samples), provider_of(models, samples)
    first.hold_voice(sample_id)
    second.load()
    monkeypatch.setattr(second._loaded, "style", None)  # it would be called
    second.hold_voice(sample_id)
    assert np.array_equal(first._style(sample_id), second._style(sample_id))


def test_the_voices_in_memory_are_bounded(models, samples):
    provider = provider_of(models, samples, VOICEFARM_TORCH_RESIDENT_VOICES=2)
    voices = [samples.put(encoded(speech(pitch=float(pitch)))) for pitch in range(3)]
    for voice in voices:
        provider.hold_voice(voice)
    assert provider.held_voices() == tuple(voices[1:])
    provider.drop_voice(voices[1])
    provider.drop_voice(voices[0])
    assert provider.held_voices() == (voices[2],)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sample_id": None}, "has none"),
        ({"sample_id": new_sample_id()}, "not there any more"),
        ({"voices": {"styletts2": "somebody"}}, "'somebody'"),
        ({"voices": {"styletts2": ""}}, "''"),
        ({"language": "de"}, "'de'"),
    ],
)
def test_what_it_has_no_voice_for_is_an_error_and_no_other_voice(say, fields, told):
    with pytest.raises(VoiceNotFound, match=told):
        say(SHORT, **fields)


@pytest.mark.parametrize("language", ["en", "en-US", "en-GB", "en-AU", "en-IN"])
def test_all_english_is_its_language(say, language):
    assert len(say("x", language=language).samples)


def test_a_sample_without_enough_speech_is_an_error(provider, samples):
    for sound in (np.zeros(240_000), speech()[:12_000]):
        with pytest.raises(EngineFailed, match="record a longer one"):
            provider.hold_voice(samples.put(encoded(sound)))


# Memory


def test_an_unloaded_model_leaves_the_memory_and_comes_back(models, samples, sample_id):
    provider = provider_of(models, samples)
    provider.unload()  # which does nothing yet
    spoken = join(provider.synthesize(utterance(SHORT, sample_id=sample_id)))
    networks = weakref.ref(provider._loaded)
    provider.unload()
    gc.collect()
    assert networks() is None
    again = join(provider.synthesize(utterance(SHORT, sample_id=sample_id)))
    assert again.samples.tobytes() == spoken.samples.tobytes()


def test_what_only_training_needs_is_not_kept(provider):
    assert not {"mpd", "msd", "wd", "text_aligner", "pitch_extractor"} & provider._loaded._networks.keys()


def test_every_step_of_the_networks_is_told(provider, say):
    steps = []
    provider.on_step = lambda: steps.append(None)
    try:
        say(SHORT)
    finally:
        provider.on_step = lambda: None
    assert len(steps) > 10


# Files


def rewritten(models, change):
    """Replace the checkpoint by one that `change` changed."""
    file = models / "styletts2" / "model.pth"
    content = torch.load(file)
    change(content)
    file.unlink()
    torch.save(content, file)
    return models


def renamed(parts):
    parts["decoder"]["module.no_such_weight"] = parts["decoder"].pop("module.encode.conv1.bias")


def reshaped(parts):
    parts["bert_encoder"]["module.bias"] = torch.zeros(3)


def lost(parts):
    del parts["predictor"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (renamed, r"decoder lacks encode.conv1.bias and does not know no_such_weight"),
        (reshaped, r"bert_encoder has bias \(3,\) instead of \(512,\)"),
        (lost, r"predictor lacks .* and \d+ more"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_and_told_how(own_models, samples, change, told):
    rewritten(own_models, lambda content: change(content["net"]))
    with pytest.raises(ModelLoadFailed, match=told):
        provider_of(own_models, samples).load()


def test_a_checkpoint_is_read_as_older_or_other_trainers_wrote_it(own_models, samples):
    def rename(content):
        parts = content["net"]
        parts["bert"]["module.embeddings.position_ids"] = torch.arange(512)[None]
        parts["predictor"] = {key.removeprefix("module."): value for key, value in parts["predictor"].items()}

    rewritten(own_models, rename)
    provider_of(own_models, samples).load()


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("was-here",)


@pytest.mark.parametrize("content", [{"net": Hostile()}, {"net": []}, {}, [], {"net": {}}])
def test_a_file_that_is_no_checkpoint_is_refused_and_its_code_not_run(
    own_models, samples, content, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file = own_models / "styletts2" / "model.pth"
    file.unlink()
    torch.save(content, file)
    with pytest.raises(ModelLoadFailed, match=r"model\.pth"):
        provider_of(own_models, samples).load()
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    "config",
    [
        "",
        "model_params: {}",
        "[",
        "model_params: {multispeaker: true, decoder: {type: other}}",
        "!!python/name:os.mkdir",
    ],
)
def test_a_configuration_of_something_else_is_refused(own_models, samples, config):
    file = own_models / "styletts2" / "config.yml"
    file.unlink()
    file.write_text(config)
    with pytest.raises(ModelLoadFailed, match=r"config\.yml describes no StyleTTS2 model"):
        provider_of(own_models, samples).load()


def test_a_model_of_one_speaker_is_refused(own_models, samples):
    file = own_models / "styletts2" / "config.yml"
    config = yaml.safe_load(file.read_text())
    config["model_params"]["multispeaker"] = False
    file.unlink()
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelLoadFailed, match="of one speaker"):
        provider_of(own_models, samples).load()


@pytest.mark.parametrize("name", ["config.yml", "model.pth"])
def test_a_missing_file_is_told_with_its_remedy(own_models, samples, name):
    (own_models / "styletts2" / name).unlink()
    settings = Settings.load(VOICEFARM_MODEL_DIR=str(own_models))
    assert name in styletts2_equipment(settings).problem
    with pytest.raises(ModelLoadFailed, match=rf"no {name} .*voicefarm models pull styletts2"):
        provider_of(own_models, samples).load()


def test_the_fingerprint_changes_with_files_and_parameters(models, own_models):
    def fingerprint(models, **parameters):
        settings = Settings.load(VOICEFARM_MODEL_DIR=str(models), VOICEFARM_STYLETTS2=parameters)
        return styletts2_equipment(settings).fingerprint

    same = fingerprint(own_models)
    assert same == fingerprint(models)
    changed = rewritten(own_models, lambda content: content.update(epoch=21))
    assert len({same, fingerprint(changed), fingerprint(models, beta=0.5)}) == 3
