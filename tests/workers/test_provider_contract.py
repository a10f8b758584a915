"""What every provider must do, whichever engine is behind it."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import partial
from math import exp2
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from shared.catalog import CATALOG
from shared.environments import Environment
from shared.errors import ModelLoadFailed, VoiceNotFound
from shared.languages import closest_language
from shared.settings import Settings
from tests.workers.acoustics import fundamental_hz, sounding_s
from tests.workers.autonyms import AUTONYMS
from tests.workers.equipment import equipped, put_sample
from tests.workers.utterances import VOICED_TEXT
from tests.workers.utterances import utterance as utterance_of
from workers.audio import duration_ms, is_audible, join
from workers.provider import load_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.catalog import ProviderSpec
    from shared.models import Utterance
    from workers.provider import AudioChunk, Provider

# Those of the environment that the tests run in; `make test` runs them in each.
_RUNS_IN = Environment.TORCH if Path(sys.prefix).name == ".venv-torch" else Environment.BASE
HERE = [spec for spec in CATALOG.values() if spec.environment is _RUNS_IN]

# What they speak is computed in about the time in which it is heard, even by small checkpoints.
_IS_SLOW = _RUNS_IN is Environment.TORCH

SPEEDS = [0.25, 1.5, 4.0] if _IS_SLOW else [0.25, 0.5, 0.9, 1.5, 2.0, 3.0, 4.0]
PITCHES = [-20.0, 0.5, 20.0] if _IS_SLOW else [-20.0, -12.0, -5.0, -0.5, 0.5, 5.0, 12.0, 20.0]
_SENTENCE = "A farm of voices speaks all day, and at night it listens to what it has said. "
LONG_TEXT = (_SENTENCE * 40)[: 600 if _IS_SLOW else 3000]
# At which is spoken what may be spoken at any speed.
HASTE = 2.0 if _IS_SLOW else 1.0


@pytest.fixture(scope="module", params=HERE, ids=lambda spec: spec.name)
def spec(request) -> ProviderSpec:
    return request.param


@pytest.fixture(scope="module")
def settings(spec, tmp_path_factory) -> Iterator[Settings]:
    """Settings with a voice, a checkpoint or a server for the provider, if it needs one."""
    with equipped(spec.name, tmp_path_factory.mktemp("equipment")) as variables:
        yield Settings.load(**variables)


@pytest.fixture(scope="module")
def utterance(spec, settings) -> Callable[..., Utterance]:
    """Make utterances that the provider can speak; one without a voice of its own gets a sample."""
    sample_id = put_sample(settings) if spec.needs_sample else None
    return partial(utterance_of, sample_id=sample_id)


@pytest.fixture(scope="module")
def provider(spec, settings) -> Provider:
    provider = load_provider(spec, settings)
    provider.load()
    return provider


@pytest.fixture(scope="module")
def plain(provider, utterance) -> AudioChunk:
    return join(provider.synthesize(utterance()))


def test_loading_twice_is_harmless(provider, plain, utterance):
    provider.load()
    assert duration_ms(join(provider.synthesize(utterance()))) == duration_ms(plain)


def test_chunks_are_finite_mono_float32_within_range_at_one_rate(provider, utterance):
    chunks = list(provider.synthesize(utterance("One paragraph.\n\nAnother one.\n\nThe last.", speed=HASTE)))
    assert {(chunk.samples.dtype, chunk.samples.ndim) for chunk in chunks} == {(np.dtype(np.float32), 1)}
    assert len({chunk.sample_rate_hz for chunk in chunks}) == 1
    samples = join(chunks).samples
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1.0


def test_speech_is_audible_and_as_long_as_speech_is(plain):
    assert is_audible(plain)
    characters_a_second = len(VOICED_TEXT) / sounding_s(plain)
    assert 8 < characters_a_second < 30


def test_it_speaks_every_language_that_it_is_equipped_for(provider, spec, settings, utterance):
    def say_its_name(language):
        name = AUTONYMS[closest_language(language, frozenset(AUTONYMS))]
        said = provider.synthesize(utterance(name, language=language, speed=HASTE))
        return sounding_s(join(said)) * HASTE

    spoken = {language: say_its_name(language) for language in spec.equipment(settings).languages}
    assert spoken
    assert {language: seconds for language, seconds in spoken.items() if not 0.1 < seconds < 5} == {}


@pytest.mark.parametrize("speed", SPEEDS)
def test_length_follows_speed_and_the_fundamental_stays(provider, plain, speed, utterance):
    changed = join(provider.synthesize(utterance(speed=speed)))
    assert len(changed.samples) * speed == pytest.approx(len(plain.samples), rel=0.10)
    assert sounding_s(changed) * speed == pytest.approx(sounding_s(plain), rel=0.10)
    assert fundamental_hz(changed) == pytest.approx(fundamental_hz(plain), rel=0.03)


@pytest.mark.parametrize("pitch", PITCHES)
def test_the_fundamental_follows_pitch_and_the_length_stays(provider, spec, plain, pitch, utterance):
    changed = join(provider.synthesize(utterance(pitch=pitch)))
    ratio = exp2(pitch / 12)
    heard = fundamental_hz(changed, transposed=ratio)
    # Networks with made-up weights have no clear fundamental, and on a GPU another one than on a CPU.
    allowed = 0.05 if spec.environment is Environment.TORCH else 0.03
    assert heard == pytest.approx(fundamental_hz(plain) * ratio, rel=allowed)
    assert len(changed.samples) == pytest.approx(len(plain.samples), rel=0.10)
    assert sounding_s(changed) == pytest.approx(sounding_s(plain), rel=0.10)


@pytest.mark.parametrize("voice", ["no-such-voice", "", " ", "../../etc/passwd", "é" * 200])
def test_an_unknown_voice_is_an_error_and_no_other_voice(provider, spec, voice, utterance):
    with pytest.raises(VoiceNotFound):
        join(provider.synthesize(utterance(voices={spec.name: voice})))


def test_a_voice_of_another_provider_does_not_matter(provider, plain, utterance):
    other = join(provider.synthesize(utterance(voices={"some_other_engine": "no-such-voice"})))
    assert duration_ms(other) == duration_ms(plain)


def test_a_rendering_that_is_given_up_leaves_it_usable(provider, plain, utterance):
    chunks = provider.synthesize(utterance("The first paragraph.\n\nThe second.\n\nThe third."))
    next(chunks)
    chunks.close()
    assert duration_ms(join(provider.synthesize(utterance()))) == duration_ms(plain)


def test_one_that_clones_holds_voices_and_outlasts_being_unloaded(provider, spec, settings, utterance):
    if not spec.clones:
        assert not hasattr(provider, "hold_voice")
        return
    sample_id, steps = put_sample(settings), []
    provider.hold_voice(sample_id)
    assert sample_id in provider.held_voices()
    for _ in range(2):
        provider.drop_voice(sample_id)
    assert sample_id not in provider.held_voices()
    assert (provider.device_memory_bytes() is None) == (not provider.device.startswith("cuda"))
    provider.unload()
    provider.on_step = lambda: steps.append(None)
    assert is_audible(join(provider.synthesize(utterance("We were away.", sample_id=sample_id))))
    assert steps


@pytest.mark.parametrize(
    "text",
    [
        "Hm... well -- (really?!) \"yes\"; 'no': [maybe]/{never} & 100% #1 @home ~ 3*4=12 ^_^ <b> $5, €6.",
        "!?!?!?!? a ........",
        "Straße, naïve, 東京, Москва, العربية, हिन्दी, ελληνικά and back again.",
        "Well done 🎉👍🏽! From 👩‍👩‍👧‍👦 with ❤️ 🇩🇪.",
        "e\u0301 a\u0300\u0301\u0302\u0303 \u200d\u200b\ufe0f\u202eright to left\u202c ﬁ ½ Ⅷ",
        "A paragraph.\n\n...\n\n \n\nAnother.",
        "word" * (60 if _IS_SLOW else 300),
        "7" * (30 if _IS_SLOW else 200),
        "x",
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode(),
)
def test_odd_texts_are_spoken(provider, text, utterance):
    assert is_audible(join(provider.synthesize(utterance(text, speed=HASTE))))


def test_a_long_text_is_spoken_to_its_end(provider, plain, utterance):
    seconds_a_character = sounding_s(plain) / len(VOICED_TEXT)
    spoken = join(provider.synthesize(utterance(LONG_TEXT, speed=HASTE)))
    assert sounding_s(spoken) * HASTE == pytest.approx(len(LONG_TEXT) * seconds_a_character, rel=0.3)


def test_what_runs_here_costs_nothing_and_what_does_not_costs_by_the_character(provider, spec, utterance):
    price, double = (provider.price_usd(utterance(VOICED_TEXT * count)) for count in (1, 2))
    assert double == pytest.approx(2 * price)
    assert (price > 0) == (spec.name == "google_tts")


def test_different_texts_sound_different(provider, plain, utterance):
    other = join(provider.synthesize(utterance("Something else is said here.")))
    assert duration_ms(other) != duration_ms(plain)


def test_a_language_that_nobody_speaks_is_an_error(provider, utterance):
    with pytest.raises(VoiceNotFound, match="'tlh'"):
        join(provider.synthesize(utterance(language="tlh")))


def test_a_provider_that_is_not_installed_says_how_to_install_it(spec, settings):
    absent = replace(spec, requires=("no_such_module",))
    assert spec.install_hint() in absent.equipment(settings).remedy
    with pytest.raises(ModelLoadFailed, match=re.escape(spec.install_hint())):
        load_provider(absent, settings)


def test_a_provider_whose_file_is_broken_cannot_be_loaded(spec, settings):
    for module in ("workers.providers.no_such_file:Provider", f"{spec.module}NoSuchClass"):
        with pytest.raises(ModelLoadFailed, match=spec.title):
            load_provider(replace(spec, module=module), settings)
