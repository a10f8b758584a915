"""XTTS v2 and StyleTTS2 in a farm: real pools in their environment, on small checkpoints made here."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
import soundfile

from shared.samples.store import SAMPLE
from tests.checkpoints import place_checkpoint
from tests.farm import RunningFarm, running_farm, until
from tests.integration.test_contract import is_problem
from tests.integration.test_personalities import make
from tests.shared.samples.sounds import encoded, speech

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

CLONING = ("styletts2", "xtts_v2")
# Far longer than any step takes on a machine that is busy with other tests.
STALL_S = 30
TEXT = "We speak with the voice of a sample, and it is the same one every time."


pytestmark = pytest.mark.timeout(300)  # a minute to make the checkpoints, another to load them


@pytest.fixture(scope="module")
def farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm with espeak and both cloning pools."""
    folder = tmp_path_factory.mktemp("farm")
    for name in CLONING:
        place_checkpoint(name, folder / "models" / name)
    # One thread each, as two pools on two cores with two threads each mostly wait for each other.
    env = {"OMP_NUM_THREADS": "1", "VOICEFARM_TORCH_STALL_SECONDS": str(STALL_S)}
    with running_farm(folder, workers=("espeak", *CLONING), env=env) as farm, farm.client() as http:
        until(lambda: all(status(http, name)["available"] for name in CLONING), "they live", timeout_s=100)
        yield farm


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    with farm.client() as client:
        client.timeout = 90
        yield client


@pytest.fixture
def ann(http) -> Iterator[str]:
    """The address of a personality with a sample of its own."""
    url = make(http).headers["Location"]
    upload(http, url)
    yield url
    http.delete(url)


def upload(http, url, **changed):
    files = {"audio": ("ann.wav", encoded(speech(**changed)))}
    assert http.put(f"{url}/voice", files=files, data={"consent": "true"}).status_code == 200


def status(http, name):
    return http.get("/api/voice/providers/status").json()["providers"][name]


def say(http, url, text=TEXT, **fields):
    body = {"text": text, "personality_id": url.rpartition("/")[2], **fields}
    return http.post("/api/voice/synthesize", json=body, headers={"Prefer": "wait=80"})


def attempts(http, url, **fields):
    """Give who was tried or passed over for a job."""
    job = http.post(
        "/api/voice/jobs", json={"text": TEXT, "personality_id": url.rpartition("/")[2], **fields}
    ).json()
    until(lambda: ended_job(http, job["id"]), "the job ends", timeout_s=80)
    ended = ended_job(http, job["id"])
    return [(attempt["provider"], attempt["code"]) for attempt in ended["attempts"]], ended["provider"]


def ended_job(http, job_id):
    job = http.get(f"/api/voice/jobs/{job_id}").json()
    return job if job["status"] not in {"queued", "running"} else None


def conditionings(farm, http, url):
    """Give the names of what was made of a personality's sample."""
    path = http.get(url).json()["voice_config"]["sample_path"]
    return {file.name.partition("-")[0] for file in (farm.folder / "samples" / path).glob("*.npz")}


@pytest.mark.parametrize("provider", CLONING)
def test_it_speaks_with_a_sample_when_it_is_asked(http, farm, ann, provider):
    answer = say(http, ann, provider=provider)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["X-Provider"], answer.headers["X-Degraded"]) == (provider, "false")
    sound, rate_hz = soundfile.read(BytesIO(answer.content))
    assert rate_hz == 24_000
    assert len(sound) / rate_hz > 1
    assert conditionings(farm, http, ann) == {provider}


@pytest.mark.parametrize(("quality", "provider"), [("highest", "styletts2"), ("high", "xtts_v2")])
def test_the_chains_begin_with_them(http, ann, quality, provider):
    answer = say(http, ann, f"This is of {quality} quality, and who speaks it clones.", quality=quality)
    assert (answer.headers["X-Provider"], answer.headers["X-Degraded"]) == (provider, "false")


def test_the_same_voice_is_kept_or_nobody_speaks(http, ann):
    answer = say(http, ann, "Nobody else may speak this.", fallback="same_voice", quality="fast")
    is_problem(answer, 503, "no_provider")
    answer = say(http, ann, "Nobody else may speak this.", fallback="same_voice", quality="medium")
    assert answer.headers["X-Provider"] == "xtts_v2"


def test_without_a_sample_one_has_voices_of_its_own_and_the_other_is_passed_over(http):
    url = make(http).headers["Location"]
    tried, provider = attempts(http, url, quality="highest")
    assert (tried, provider) == ([("styletts2", "no_voice_sample")], "xtts_v2")
    is_problem(say(http, url, provider="styletts2"), 422, "no_voice_sample")
    http.delete(url)


def test_a_language_that_one_of_them_lacks_is_left_to_the_other(http, ann):
    tried, provider = attempts(http, ann, quality="highest", language="de", text="Guten Tag, wie geht es?")
    assert (tried, provider) == ([("styletts2", "language_not_supported")], "xtts_v2")


def test_voices_are_loaded_into_every_worker_and_unloaded(http, farm, ann):
    loaded = http.post(f"{ann}/voice/load").json()
    assert (loaded["success"], loaded["providers_loaded"]) == (True, dict.fromkeys(CLONING, True))
    assert conditionings(farm, http, ann) == set(CLONING)
    assert "styletts2 and xtts_v2" in loaded["message"]
    again = http.post(f"{ann}/voice/load").json()
    assert again == loaded
    unloaded = http.delete(f"{ann}/voice/unload").json()
    assert (unloaded["success"], unloaded["providers_unloaded"]) == (True, dict.fromkeys(CLONING, True))
    assert http.delete(f"{ann}/voice/unload").json()["providers_unloaded"] == dict.fromkeys(CLONING, False)


def test_one_of_them_alone_is_loaded_and_that_is_told(http, ann):
    http.delete(f"{ann}/voice/unload")
    assert http.post(f"{ann}/voice/load?provider=styletts2").json()["providers_loaded"] == {"styletts2": True}
    loaded = {"styletts2": True, "xtts_v2": False}
    assert http.get(f"{ann}/voice/load").json()["providers_loaded"] == loaded
    unloaded = http.delete(f"{ann}/voice/unload?provider=styletts2").json()
    assert unloaded["providers_unloaded"] == {"styletts2": True}


def test_a_new_sample_is_a_new_voice_and_nothing_is_left_of_the_old_one(http, farm, ann):
    first = say(http, ann, provider="xtts_v2")
    old = http.get(ann).json()["voice_config"]["sample_path"]
    upload(http, ann, speed=1.1)
    second = say(http, ann, provider="xtts_v2")
    assert second.headers["X-Cache-Status"] == "MISS"
    assert second.content != first.content
    assert not (farm.folder / "samples" / old).exists()


def test_the_same_request_gives_the_same_sound_after_the_cache_was_cleared(http, ann):
    first = say(http, ann, provider="xtts_v2")
    http.delete("/api/voice/cache/clear")
    second = say(http, ann, provider="xtts_v2")
    assert (second.headers["X-Cache-Status"], second.content == first.content) == ("MISS", True)


def test_status_and_metrics_tell_their_device_and_memory(http):
    for name in CLONING:
        told = status(http, name)
        assert (told["workers"], told["circuit"], told["reason"]) == (1, "closed", None)
        assert told["device"] in {"cpu", "cuda:0"}
    lines = [
        line
        for line in http.get("/metrics").text.splitlines()
        if line.startswith("voicefarm_worker_memory_bytes{")
    ]
    taken = {name: line for name in CLONING for line in lines if name in line and 'memory="host"' in line}
    assert set(taken) == set(CLONING)
    assert all(float(line.rpartition(" ")[2]) > 100e6 for line in taken.values())


def test_a_worn_or_killed_pool_leaves_work_to_the_next_and_comes_back(http, farm, ann):
    farm["xtts_v2"].kill()
    until(lambda: not status(http, "xtts_v2")["workers"], "it is missed", timeout_s=30)
    missed = say(http, ann, "Who speaks this while it is away?", quality="high")
    assert (missed.headers["X-Provider"], missed.headers["X-Degraded"]) == ("styletts2", "true")
    farm["xtts_v2"].start()
    until(lambda: status(http, "xtts_v2")["available"], "it is back", timeout_s=60)
    assert say(http, ann, "It is back again.", quality="high").headers["X-Provider"] == "xtts_v2"


def test_an_engine_that_makes_no_step_is_ended_and_the_next_provider_speaks(http, farm, ann):
    path = http.get(ann).json()["voice_config"]["sample_path"]
    sample = farm.folder / "samples" / path / SAMPLE
    sample.unlink()
    os.mkfifo(sample)  # as on a share whose server has gone: whoever reads it waits for ever
    tried, provider = attempts(http, ann, quality="medium")
    assert (tried[-1], provider) == (("xtts_v2", "timed_out"), "espeak")
    until(lambda: farm["xtts_v2"].has_died, "its process ends")
    farm["xtts_v2"].start()
    until(lambda: status(http, "xtts_v2")["available"], "it is back", timeout_s=60)
