"""Who speaks for a personality that has a provider or a chain of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.catalog import CATALOG
from shared.errors import NoProvider, NoVoiceSample
from shared.models import Fallback, Quality
from shared.presence import RollCall, Worker
from shared.routing import Router
from shared.settings import Settings
from shared.voice_config import VoiceConfig
from tests.workers.utterances import utterance

CLONING = {"xtts_v2", "styletts2"}


def chain_of(voice, **fields):
    return route(voice, **fields).chain


def route(voice, enabled="xtts_v2,google_tts,piper,espeak", **fields):
    """Route the quality `high` on a farm with these providers, each of which speaks English."""
    catalog = {
        name: replace(CATALOG["espeak"], name=name, clones=name in CLONING, needs_sample=name == "styletts2")
        for name in ("xtts_v2", "styletts2", "google_tts", "piper", "espeak")
    }
    router = Router.from_settings(Settings.load(VOICEFARM_PROVIDERS=enabled), catalog)
    workers = tuple(Worker(name=name, provider=name, slots=1, device="cpu", pid=1) for name in catalog)
    return router.route(
        utterance(**({"quality": Quality.HIGH} | fields)), voice, RollCall(0, workers, {}, {})
    )


@pytest.mark.parametrize(
    ("voice", "chain"),
    [
        ({}, "xtts_v2 google_tts piper espeak"),
        ({"provider": "piper"}, "piper xtts_v2 google_tts espeak"),
        ({"provider": "styletts2"}, "xtts_v2 google_tts piper espeak"),
        ({"fallback_chain": ["espeak", "piper"]}, "espeak piper"),
        ({"provider": "google_tts", "fallback_chain": ["espeak", "google_tts"]}, "google_tts espeak"),
        ({"provider": "piper", "fallback_chain": ["piper"]}, "piper"),
        ({"provider": "gone", "fallback_chain": ["gone", "espeak"]}, "espeak"),
    ],
    ids=str,
)
def test_its_provider_goes_first_and_its_chain_replaces_the_qualitys(voice, chain):
    assert chain_of(VoiceConfig(**voice)) == tuple(chain.split())


def test_the_request_goes_before_the_personality():
    voice = VoiceConfig(provider="piper")
    assert chain_of(voice, provider="espeak") == ("espeak",)
    assert chain_of(voice, fallback=Fallback.NEVER) == ("piper",)


def test_one_without_a_voice_of_its_own_is_passed_over_without_a_sample():
    everyone = "xtts_v2,styletts2,espeak"
    with_sample = route(VoiceConfig(), everyone, sample_id="sample", quality=Quality.HIGHEST)
    assert with_sample.chain == ("styletts2", "xtts_v2", "espeak")
    without = route(VoiceConfig(), everyone, quality=Quality.HIGHEST)
    assert without.chain == ("xtts_v2", "espeak")
    assert [(one.provider, one.code) for one in without.passed_over] == [("styletts2", "no_voice_sample")]
    with pytest.raises(NoVoiceSample):
        route(VoiceConfig(), everyone, provider="styletts2")


def test_only_those_that_clone_speak_with_the_same_voice():
    voice = VoiceConfig(provider="piper", sample_path="sample")
    assert chain_of(voice, fallback=Fallback.SAME_VOICE) == ("xtts_v2",)
    with pytest.raises(NoProvider):
        chain_of(voice, enabled="piper,espeak", fallback=Fallback.SAME_VOICE)
