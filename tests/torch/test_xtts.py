"""XTTS v2: what it gives is what the library gives; its files, voices, languages, texts; what breaks it."""

# ruff: noqa: RUF001  these letters and marks are meant

from __future__ import annotations

import gc
import os
import weakref
from math import exp2, inf, nan

import numpy as np
import pytest
import torch

from shared.errors import (
    BrokenAudio,
    EngineFailed,
    ModelLoadFailed,
    NothingToSay,
    RunawayAudio,
    VoiceNotFound,
)
from shared.models import is_speakable
from shared.samples.store import SampleStore, new_sample_id
from shared.settings import Settings
from shared.voices import Gender
from shared.xtts_model import LANGUAGE_CODES
from tests.checkpoints import place_checkpoint
from tests.checkpoints.xtts import SPEAKERS
from tests.torch.recordings import recording
from tests.workers.acoustics import fundamental_hz, sounding_s
from tests.workers.utterances import utterance
from workers.audio import join
from workers.providers.xtts import XttsProvider
from workers.providers.xtts_text import MAX_LETTERS, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S
from workers.torch_runtime import import_torch

import_torch()

from TTS.config.shared_configs import BaseDatasetConfig  # noqa: E402  torchaudio must be there before
from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig  # noqa: E402
from TTS.tts.models.xtts import Xtts  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own

SHORT = "Away."
VOICED = "We were away a year ago."
ENGLISH = (
    "A farm of voices speaks all day, and at night it listens to what it has said. Does it like it? "
    "Nobody knows! Some say that it does, others that it does not, and a few that it has never thought of it."
)
CHINESE = "农场里的声音整天都在说话，到了晚上它们就听自己说过的话。它们喜欢听到的内容吗？没有人知道！"
JAPANESE = (
    "声の農場は一日中話しています。夜になると、自分が言ったことを聞きます。それが好きですか？誰も知りません！"
)
GERMAN = "Die Farm der Stimmen spricht den ganzen Tag, und nachts hört sie an, was sie gesagt hat. "
KOREAN = "목소리 농장은 하루 종일 말하고 밤에는 자기가 한 말을 듣습니다. 그것을 좋아할까요? "
HINDI = "आवाज़ों का खेत पूरे दिन बोलता है, और रात में वह अपनी बातें सुनता है। क्या उसे यह पसंद है? "


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    """A release's folder in a model folder, which no test changes."""
    folder = tmp_path_factory.mktemp("models") / "xtts_v2"
    place_checkpoint("xtts_v2", folder)
    return folder


@pytest.fixture
def own_release(release, tmp_path):
    """Links to its files, which a test may replace."""
    folder = tmp_path / "models" / "xtts_v2"
    folder.mkdir(parents=True)
    for file in release.iterdir():
        (folder / file.name).symlink_to(file)
    return folder


def replace(file, content):
    """Put something else in a file's place: bytes, or what `torch.save` takes."""
    file.unlink()
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)


def provider_of(release, **settings):
    state = {"VOICEFARM_STATE_DIR": str(release.parent / "state")}
    return XttsProvider.from_settings(
        Settings.load(**{**state, "VOICEFARM_MODEL_DIR": str(release.parent), **settings})
    )


@pytest.fixture(scope="module")
def kept(release):
    """A provider for the tests that change nothing."""
    provider = provider_of(release)
    provider.load()
    return provider


@pytest.fixture(scope="module")
def library(release, kept):
    """The same release, loaded by the library alone."""
    config = XttsConfig()
    config.load_json(str(release / "config.json"))
    model = Xtts(config)
    model.load_checkpoint(config, checkpoint_dir=str(release), eval=True)
    return model.to(kept.device)


@pytest.fixture
def samples(tmp_path):
    return SampleStore(str(tmp_path / "samples"))


def cloning(release, samples, **settings):
    return provider_of(release, VOICEFARM_SAMPLES_URL=samples._url, **settings)


def say(provider, text=SHORT, *, seed=0, **fields):
    return join(provider.synthesize(utterance(text, **fields), seed=seed))


def own(library, text=SHORT, code="en", *, speaker=SPEAKERS[0], seed=0, speed=1.0, **parameters):
    """What the library gives directly."""
    voice = library.speaker_manager.speakers[speaker] if isinstance(speaker, str) else speaker
    defaults = {
        "temperature": 0.75,
        "length_penalty": 1.0,
        "repetition_penalty": 5.0,
        "top_k": 50,
        "top_p": 0.85,
    }
    torch.manual_seed(seed)
    return library.inference(text, code, **voice, speed=speed, **{**defaults, **parameters})["wav"]


def random_state():
    """What the network's next random numbers come of, wherever it computes."""
    return torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.get_rng_state()


def read(provider, text, language="en"):
    return provider._loaded().reader.read(text, LANGUAGE_CODES[language])


# The library


@pytest.mark.parametrize("seed", [0, 12345])
def test_equal_seeds_give_the_samples_that_the_library_gives(kept, library, seed):
    assert np.array_equal(say(kept, seed=seed).samples, own(library, seed=seed))


def test_another_seed_gives_another_sound(kept):
    assert not np.array_equal(say(kept, seed=0).samples, say(kept, seed=1).samples)


def test_every_piece_is_what_the_library_gives_for_it_alone(kept, library):
    texts = ["One sentence.", "A new paragraph."]
    chunks = list(kept.synthesize(utterance("\n\n".join(texts)), seed=3))
    for chunk, text in zip(chunks, texts, strict=True):
        expected = own(library, text, seed=3)
        assert np.array_equal(chunk.samples[: len(expected)], expected)


@pytest.mark.parametrize("speed", [0.5, 1.3, 2.0])
def test_speed_is_the_librarys_own_as_far_as_it_goes(kept, library, speed):
    assert np.array_equal(say(kept, speed=speed).samples, own(library, speed=speed))


@pytest.mark.parametrize(
    ("language", "code"),
    [("en-US", "en"), ("zh", "zh-cn"), ("zh-CN", "zh-cn"), ("pt-BR", "pt"), ("ja", "ja")],
)
def test_a_language_is_spoken_by_the_librarys_own_code(kept, library, language, code):
    text = {"zh-cn": "普通话。", "ja": "日本語です。"}.get(code, SHORT)
    assert np.array_equal(say(kept, text, language=language).samples, own(library, text, code))


def test_the_parameters_are_those_of_the_settings(release, library):
    told = {"temperature": 0.6, "top_k": 40, "top_p": 0.8, "repetition_penalty": 4.0}
    provider = provider_of(release, VOICEFARM_XTTS=told)
    assert np.array_equal(say(provider).samples, own(library, **told))


def test_a_sample_is_conditioned_as_by_the_library(release, library, samples, kept):
    sample_id = samples.put(recording(1))
    provider = cloning(release, samples)
    import torchaudio  # noqa: PLC0415  its native part may be missing until the libraries are imported

    pcm = np.frombuffer(recording(1)[44:], np.int16).astype(np.float32) / 32768
    audio = torchaudio.functional.resample(torch.from_numpy(pcm)[None], 24_000, 22_050).clip(-1, 1)
    config = library.config
    voice = {
        "speaker_embedding": library.get_speaker_embedding(audio[:, : 22_050 * config.max_ref_len], 22_050),
        "gpt_cond_latent": library.get_gpt_cond_latents(
            audio[:, : 22_050 * config.max_ref_len],
            22_050,
            length=config.gpt_cond_len,
            chunk_length=config.gpt_cond_chunk_len,
        ),
    }
    cloned = say(provider, sample_id=sample_id).samples
    assert np.array_equal(cloned, own(library, speaker=voice))
    assert not np.array_equal(cloned, say(kept).samples)


# Voice samples


def test_conditioning_is_computed_once_for_all_providers(release, samples):
    first, second = samples.put(recording(1)), samples.put(recording(2))
    provider = cloning(release, samples)
    sound = {sample_id: say(provider, sample_id=sample_id).samples for sample_id in (first, second)}
    assert not np.array_equal(sound[first], sound[second])
    name = provider._voices._name
    samples.put_made(second, name, samples.made(first, name))
    assert np.array_equal(say(provider, sample_id=second).samples, sound[second]), "it is in memory"
    another = cloning(release, samples)
    assert np.array_equal(say(another, sample_id=second).samples, sound[first]), (
        "what is kept is not made again"
    )


@pytest.mark.parametrize(
    "parameters", [{"gpt_cond_len": 2}, {"gpt_cond_chunk_len": 1}, {"max_ref_length": 1, "gpt_cond_len": 1}]
)
def test_conditioning_with_other_parameters_is_another(release, samples, parameters):
    sample_id = samples.put(recording(1))
    plain = cloning(release, samples)
    other = cloning(release, samples, VOICEFARM_XTTS=parameters)
    assert plain._voices._name != other._voices._name
    sound = [say(provider, sample_id=sample_id).samples for provider in (plain, other)]
    assert not np.array_equal(*sound)


def test_parameters_of_generation_leave_conditioning_as_it_is(release, samples):
    names = [
        cloning(release, samples, VOICEFARM_XTTS=told)._voices._name for told in ({}, {"temperature": 0.3})
    ]
    assert len(set(names)) == 1


def test_twenty_alternating_voices_stay_within_the_bound(release, samples):
    provider = cloning(release, samples, VOICEFARM_TORCH_RESIDENT_VOICES=3)
    sample_ids = [samples.put(recording(number, seconds=0.5)) for number in range(20)]
    for sample_id in [*sample_ids, *sample_ids]:
        provider.hold_voice(sample_id)
        assert len(provider.held_voices()) <= 3
    assert provider.held_voices() == tuple(sample_ids[-3:])
    assert sounding_s(say(provider, sample_id=sample_ids[0])) > 0.2


def test_a_voice_that_is_dropped_is_not_held(release, samples):
    provider, sample_id = cloning(release, samples), samples.put(recording(1))
    provider.hold_voice(sample_id)
    assert provider.held_voices() == (sample_id,)
    provider.drop_voice(sample_id)
    provider.drop_voice(sample_id)
    assert provider.held_voices() == ()


def test_a_sample_that_is_not_there_is_an_error(release, samples):
    provider = cloning(release, samples)
    with pytest.raises(VoiceNotFound, match="sample is not there"):
        say(provider, sample_id=new_sample_id())
    with pytest.raises(VoiceNotFound):
        provider.hold_voice(new_sample_id())


def test_a_sample_without_enough_sound_is_an_engines_failure(release, samples):
    provider, sample_id = cloning(release, samples), samples.put(recording(1, seconds=0.2))
    with pytest.raises(EngineFailed, match="voice sample"):
        say(provider, sample_id=sample_id)
    assert provider.held_voices() == ()


# Built-in speakers


@pytest.mark.parametrize(
    ("fields", "speaker"),
    [
        ({}, "Claribel Dervla"),
        ({"gender": Gender.FEMALE}, "Claribel Dervla"),
        ({"gender": Gender.MALE}, "Andrew Chipper"),
        ({"voices": {"xtts_v2": "Own Voice"}, "gender": Gender.MALE}, "Own Voice"),
    ],
)
def test_without_a_sample_a_built_in_speaker_speaks(kept, library, fields, speaker):
    assert np.array_equal(say(kept, **fields).samples, own(library, speaker=speaker))


def test_each_code_that_it_says_is_a_step(kept):
    steps = []
    kept.on_step = lambda: steps.append(None)
    try:
        said = join(kept.synthesize(utterance(SHORT)))
    finally:
        kept.on_step = lambda: None
    assert len(steps) > len(said.samples) / 2048  # a code is 1024 samples


def test_an_unknown_speaker_is_told_some_that_exist(kept):
    with pytest.raises(VoiceNotFound, match="'Nobody'; among its 4 are Claribel Dervla, Daisy Studious"):
        say(kept, voices={"xtts_v2": "Nobody"})


def test_a_release_without_speakers_speaks_with_samples_only(own_release, samples):
    replace(own_release / "speakers_xtts.pth", {})
    provider = cloning(own_release, samples)
    with pytest.raises(VoiceNotFound, match="no speaker of its own"):
        say(provider)
    assert sounding_s(say(provider, sample_id=samples.put(recording(1)))) > 0.2


# Languages


@pytest.mark.parametrize("language", ["sv", "yue", "tlh", "uk", "af"])
def test_a_language_that_it_does_not_speak_is_passed_over(kept, language):
    with pytest.raises(VoiceNotFound, match=f"'{language}'"):
        say(kept, language=language)


@pytest.mark.parametrize("language", LANGUAGE_CODES)
@pytest.mark.parametrize("text", ["1990.", "12", "3,5", "1.5", "$5", "3. 4", "3.14159", "7" * 200])
def test_numbers_are_read_in_every_language(kept, language, text):
    pieces = read(kept, text, language)
    assert pieces
    assert all(is_speakable(piece.text) for piece in pieces)


# Texts


@pytest.mark.parametrize(
    ("language", "text", "limit"),
    [
        ("en", ENGLISH * 8, 250),
        ("zh-CN", CHINESE * 8, 82),
        ("ja", JAPANESE * 6, 71),
        ("de", GERMAN * 12, 253),
        ("ko", KOREAN * 8, 95),
        ("hi", HINDI * 8, 150),
        ("en", "word" * 300, 250),
        ("zh-CN", "好" * 300, 82),
        ("ru", "слово " * 200, 182),
    ],
    ids=lambda value: value[:6] if isinstance(value, str) else str(value),
)
def test_a_long_text_is_cut_within_the_limits_and_nothing_of_it_is_lost(kept, language, text, limit):
    reader, code = kept._loaded().reader, LANGUAGE_CODES[language]
    texts = [piece.text for piece in read(kept, text, language)]
    assert len(texts) > 1
    assert "".join(texts).split() == text.split()
    assert max(map(len, texts)) <= limit
    assert max(len(reader._letters(piece, code)) for piece in texts) <= MAX_LETTERS
    tokens = [reader._tokens(piece, code) for piece in texts]
    assert max(map(len, tokens)) < 402
    said = "".join(reader._tokenizer.decode(piece[1:]) for piece in tokens)
    letters = "".join(reader._letters(piece, code) for piece in texts)
    assert "".join(said.split()) == "".join(letters.split())


def test_a_number_that_takes_long_to_say_is_said_in_pieces(kept):
    reader = kept._loaded().reader
    texts = [piece.text for piece in read(kept, "1234567890 " * 20)]
    assert "".join(texts).split() == ["1234567890"] * 20
    assert max(len(reader._letters(piece, "en")) for piece in texts) <= MAX_LETTERS


def test_a_number_that_nobody_would_read_as_one_is_read_by_digit(kept):
    texts = [piece.text for piece in read(kept, f"Call {'7' * 200}.")]
    assert " ".join(texts).split() == ["Call", *"7" * 199, "7."]


def test_pieces_end_with_sentences_where_they_can(kept):
    assert [piece.text.strip()[-1] for piece in read(kept, ENGLISH * 3)].count(".") >= 2


def test_a_long_text_is_spoken_to_its_end(kept):
    pieces = read(kept, ENGLISH * 2)
    chunks = list(kept.synthesize(utterance(ENGLISH * 2, speed=2.0)))
    assert len(chunks) == len(pieces)
    speeds = [len(piece.text) / sounding_s(chunk) for piece, chunk in zip(pieces, chunks, strict=True)]
    assert speeds == pytest.approx([speeds[0]] * len(speeds), rel=0.15)


def test_pauses_stand_between_pieces_and_follow_speed(kept):
    text = f"{ENGLISH} {ENGLISH[:78]}\n\n{SHORT}"
    pieces = read(kept, text)
    assert [piece.pause_s for piece in pieces] == [SENTENCE_PAUSE_S, PARAGRAPH_PAUSE_S, 0.0]
    chunks = list(kept.synthesize(utterance(text, speed=2.0)))
    alone = [say(kept, piece.text, speed=2.0) for piece in pieces]
    pauses = [
        (len(a.samples) - len(b.samples)) / a.sample_rate_hz for a, b in zip(chunks, alone, strict=True)
    ]
    assert pauses == pytest.approx([SENTENCE_PAUSE_S / 2, PARAGRAPH_PAUSE_S / 2, 0.0], abs=1e-3)


@pytest.mark.parametrize("text", ["...", "!?", "🎉👍", "— … —", "東京", "...\n\n!"])
def test_a_text_of_which_the_network_knows_no_letter_is_a_failure(kept, text):
    with pytest.raises(NothingToSay):
        say(kept, text)


def test_what_cannot_be_said_leaves_no_piece_and_keeps_the_pauses(kept):
    pieces = read(kept, "One.\n\n...\n\n🎉\n\nTwo.\n\n!!!")
    assert [(piece.text, piece.pause_s) for piece in pieces] == [("One.", PARAGRAPH_PAUSE_S), ("Two.", 0.0)]


def test_brackets_are_text_and_no_tokens_of_the_network(kept):
    reader = kept._loaded().reader
    [piece] = read(kept, "[fr] Say [STOP] now [en].")
    assert reader._tokens(piece.text, "en").count(reader._tokenizer.tokenizer.token_to_id("[fr]")) == 0
    assert "fr" in piece.text
    assert "STOP" in piece.text


# Speed and pitch


def test_length_follows_speed_and_the_fundamental_stays(kept):
    plain = say(kept, VOICED)
    for speed in (0.25, 1.5, 4.0):
        changed = say(kept, VOICED, speed=speed)
        assert len(changed.samples) * speed == pytest.approx(len(plain.samples), rel=0.10), speed
        assert fundamental_hz(changed) == pytest.approx(fundamental_hz(plain), rel=0.03), speed


def test_the_fundamental_follows_pitch_and_the_length_stays(kept):
    plain = say(kept, VOICED)
    for pitch in (-20.0, 5.0):
        changed, ratio = say(kept, VOICED, pitch=pitch), exp2(pitch / 12)
        heard = fundamental_hz(changed, transposed=ratio)
        assert heard == pytest.approx(fundamental_hz(plain) * ratio, rel=0.03), pitch
        assert len(changed.samples) == pytest.approx(len(plain.samples), rel=0.01), pitch


# Loading


def test_nothing_is_loaded_before_it_is_asked_for_and_once_then(release):
    provider = provider_of(release)
    assert provider._network is None
    provider.load()
    network = provider._network
    provider.load()
    assert provider._network is network
    assert provider.device == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_what_is_unloaded_leaves_the_memory_and_comes_back(release, samples):
    provider, sample_id = cloning(release, samples), samples.put(recording(1))
    before = say(provider, sample_id=sample_id)
    gone = weakref.ref(provider._network._model)
    provider.unload()
    provider.unload()
    gc.collect()
    assert gone() is None
    assert provider.held_voices() == (sample_id,)
    assert np.array_equal(say(provider, sample_id=sample_id).samples, before.samples)


@pytest.mark.parametrize("name", ["config.json", "model.pth", "vocab.json", "speakers_xtts.pth"])
def test_a_missing_file_is_named_with_the_remedy(own_release, name):
    (own_release / name).unlink()
    provider = provider_of(own_release)
    for attempt in (provider.load, lambda: say(provider), lambda: provider.hold_voice(new_sample_id())):
        with pytest.raises(ModelLoadFailed, match=f"no {name} in .*voicefarm models pull xtts_v2"):
            attempt()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x80\x02junk"])
@pytest.mark.parametrize("name", ["config.json", "model.pth", "vocab.json", "speakers_xtts.pth"])
def test_a_broken_file_is_named_with_the_remedy(own_release, name, content):
    replace(own_release / name, content)
    with pytest.raises(ModelLoadFailed, match=f"{name}.*voicefarm models"):
        provider_of(own_release).load()


def test_weights_of_another_size_are_refused(own_release):
    config = own_release / "config.json"
    replace(config, config.read_bytes().replace(b'"gpt_layers": 2', b'"gpt_layers": 3'))
    with pytest.raises(ModelLoadFailed, match=r"model.pth does not fit config.json"):
        provider_of(own_release).load()


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, {"other": {}}, {"Name": {"gpt_cond_latent": 1}}])
@pytest.mark.parametrize("name", ["model.pth", "speakers_xtts.pth"])
def test_a_checkpoint_of_another_kind_is_refused(own_release, name, content):
    replace(own_release / name, content)
    with pytest.raises(ModelLoadFailed, match=name):
        provider_of(own_release).load()


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("was-here",)


@pytest.mark.parametrize("name", ["model.pth", "speakers_xtts.pth"])
def test_a_hostile_checkpoint_is_refused_and_its_code_is_not_run(own_release, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content = torch.load(own_release / name, weights_only=True)
    replace(own_release / name, {**content, "config": Hostile()})
    with pytest.raises(ModelLoadFailed, match="its code was not run"):
        provider_of(own_release).load()
    assert not (tmp_path / "was-here").exists()


def test_a_first_release_is_read_from_a_folder_that_nobody_can_write(own_release, kept, monkeypatch):
    file = own_release / "model.pth"
    state = torch.load(file, weights_only=True)["model"]
    state["gpt.gpt.wte.weight"] = state["gpt.mel_embedding.weight"]
    state["dvae.codebook"] = torch.zeros(1)
    config = XttsConfig(datasets=[BaseDatasetConfig()])
    for kind in (XttsArgs, XttsAudioConfig):  # where they were when the published file was written
        monkeypatch.setattr(kind, "__module__", "TTS.tts.models.xtts")
    replace(file, {"model": {f"xtts.{name}": state[name] for name in state}, "config": config})
    monkeypatch.undo()
    written = file.read_bytes()
    for path in (*own_release.iterdir(), own_release):
        path.chmod(0o555)
    provider = provider_of(own_release)
    assert np.array_equal(say(provider).samples, say(kept).samples)
    assert file.read_bytes() == written


# What goes wrong in the network


@pytest.fixture
def broken(release):
    """A provider whose network a test may break."""
    provider = provider_of(release)
    provider.load()
    return provider


def test_samples_that_are_no_numbers_are_broken_audio(broken):
    with torch.no_grad():
        broken._network._model.hifigan_decoder.waveform_decoder.conv_pre.weight.fill_(nan)
    for fields in ({}, {"pitch": 3.0}):
        with pytest.raises(BrokenAudio):
            say(broken, **fields)


def test_weights_that_are_no_numbers_are_an_engines_failure(broken):
    with torch.no_grad():
        broken._network._model.gpt.mel_head.weight.fill_(inf)
    with pytest.raises(EngineFailed, match="failed at a piece"):
        say(broken)


def test_a_network_that_does_not_come_to_an_end_is_runaway_audio(broken):
    broken._network._model.gpt.max_gen_mel_tokens = 5
    for speed in (1.0, 1.7):
        with pytest.raises(RunawayAudio, match="did not end"):
            say(broken, speed=speed)


def test_a_rendering_that_is_given_up_computes_no_further_piece(kept):
    text = "\n\n".join([SHORT] * 3)
    whole = list(kept.synthesize(utterance(text)))
    chunks = kept.synthesize(utterance(text))
    first = next(chunks)
    state = random_state()
    chunks.close()
    assert torch.equal(random_state(), state)
    assert np.array_equal(first.samples, whole[0].samples)
