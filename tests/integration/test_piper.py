"""A farm with a Piper pool: who speaks, in whose voice, and who stands in when Piper cannot."""

from __future__ import annotations

import uuid
from io import BytesIO
from typing import TYPE_CHECKING

import psutil
import pytest
import soundfile

from shared.presence import Presence
from tests.edits import setting
from tests.farm import RunningFarm, running_farm, until
from tests.voices import HIGH_HZ, LOW_HZ, SAMPLE_RATE_HZ, make_voices
from tests.workers.acoustics import fundamental_hz
from tests.workers.utterances import VOICED_TEXT
from workers.provider import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

MARCEL, SHANTE, ZAC = (f"00000000-0000-0000-0001-{number:012}" for number in (1, 2, 3))


def is_live(farm, provider):
    return Presence(farm.redis.client(1)).roll_call().has_worker(provider)


@pytest.fixture(scope="module")
def farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm with an espeak pool and a Piper pool of two processes."""
    folder = tmp_path_factory.mktemp("farm")
    models = make_voices(folder / "models")
    (models / "piper" / "fr_FR-gilles-low.onnx").write_bytes(b"no network")
    (models / "piper" / "fr_FR-gilles-low.onnx.json").write_text("{}")
    with running_farm(folder, workers=("espeak", "piper"), env={"VOICEFARM_PIPER_PROCESSES": "2"}) as farm:
        until(lambda: is_live(farm, "piper"), "the Piper pool lives")
        yield farm


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    """A client with the admin's key."""
    with farm.client() as client:
        yield client


def speak(http, text=None, **fields):
    """Ask for a text that nobody has asked for before, and wait for the audio."""
    text = text or f"{VOICED_TEXT} {uuid.uuid4().hex[:4]}"
    return http.post(
        "/api/voice/synthesize", json={"text": text, **fields}, headers={"Prefer": "wait=60"}
    )  # fmt: skip


def spoken_by(answer):
    """Who spoke, and whether in place of a better one."""
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Provider"], answer.headers["X-Degraded"]


def heard_hz(answer):
    samples, rate = soundfile.read(BytesIO(answer.content), dtype="float32")
    return fundamental_hz(AudioChunk(samples, rate))


@pytest.mark.parametrize("wish", [{"provider": "piper"}, {"quality": "high"}, {"quality": "fast"}, {}])
def test_piper_speaks_when_it_is_asked_and_when_it_is_the_best(http, wish):
    answer = speak(http, **wish)
    assert spoken_by(answer) == ("piper", "false")
    rate = soundfile.info(BytesIO(answer.content)).samplerate
    assert rate == int(answer.headers["X-Sample-Rate"]) == SAMPLE_RATE_HZ


@pytest.mark.parametrize(
    ("personality", "fundamental", "pitch"),
    [(MARCEL, LOW_HZ, 0.0), (SHANTE, HIGH_HZ, 0.2), (ZAC, LOW_HZ, -0.2)],
)
def test_the_example_personalities_have_the_voices_of_their_gender(http, personality, fundamental, pitch):
    answer = speak(http, provider="piper", personality_id=personality)
    assert heard_hz(answer) == pytest.approx(fundamental * 2 ** (pitch / 12), rel=0.03)


def test_a_language_is_spoken_by_its_own_voice_and_else_by_the_next_provider(http):
    assert spoken_by(speak(http, "Bonjour tout le monde.", language="fr", personality_id=SHANTE)) == (
        "piper",
        "false",
    )
    assert spoken_by(speak(http, "Buongiorno a tutti.", language="it")) == ("espeak", "false")
    answer = speak(http, "Buongiorno.", language="it", provider="piper")
    assert (answer.status_code, answer.json()["code"]) == (422, "language_not_supported")


def test_an_unknown_voice_is_an_error_and_no_other_voice_of_piper(http, personalities):
    config = personalities.get(ZAC).voice_config
    personalities.change(
        ZAC, setting(voice_config=config.model_copy(update={"voices": {"piper": "en_US-nobody-high"}}))
    )
    try:
        assert spoken_by(speak(http, personality_id=ZAC)) == ("espeak", "true")
        answer = speak(http, personality_id=ZAC, provider="piper")
        [attempt] = answer.json()["attempts"]
        assert (answer.status_code, attempt["code"]) == (502, "voice_not_found")
        assert "'en_US-nobody-high'" in attempt["detail"]
    finally:
        personalities.change(ZAC, setting(voice_config=config))


def test_a_broken_voice_is_passed_over_without_telling_paths(farm, http):
    # Marcel is male, and so is the French voice that is broken.
    answer = speak(http, "Bonjour tout le monde.", language="fr", personality_id=MARCEL)
    assert spoken_by(answer) == ("espeak", "true")
    refused = speak(http, "Bonjour à tous.", language="fr", personality_id=MARCEL, provider="piper")
    [attempt] = refused.json()["attempts"]
    assert (refused.status_code, attempt["code"]) == (502, "model_load_failed")
    assert str(farm.folder) not in refused.text


def test_a_text_that_crashes_the_reader_fails_alone_and_leaves_the_pool_as_it_was(farm, http):
    pool = psutil.Process(farm["piper"].process.pid)
    before = pool.children()
    answer = speak(http, "Hallo 🏪🚼", language="de", provider="piper")
    assert (answer.status_code, answer.json()["attempts"][0]["code"]) == (502, "engine_failed")
    assert spoken_by(speak(http, "Guten Tag allerseits.", language="de", provider="piper"))[0] == "piper"
    assert pool.children() == before


def test_the_pool_has_as_many_processes_as_the_setting_says(farm):
    assert len(psutil.Process(farm["piper"].process.pid).children()) == 2
    workers = Presence(farm.redis.client(1)).workers()
    assert {worker.provider: worker.slots for worker in workers} == {"espeak": 2, "piper": 2}


def test_espeak_stands_in_while_piper_is_away_and_piper_comes_back(farm, http):
    assert spoken_by(speak(http)) == ("piper", "false")
    farm["piper"].stop()
    assert spoken_by(speak(http)) == ("espeak", "true")
    alone = speak(http, provider="piper")
    assert (alone.status_code, alone.json()["code"]) == (503, "no_provider")
    farm["piper"].start()
    until(lambda: is_live(farm, "piper"), "the Piper pool lives again")
    assert spoken_by(speak(http)) == ("piper", "false")
