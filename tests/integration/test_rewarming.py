"""A farm keeps its cache warm by itself, with Celery beat for a clock, whatever restarts or rings twice."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.farm import Program, RunningFarm, running_farm, until
from tests.integration.test_contract import MARCEL, SYNTHESIZE, fresh, speak

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

BATCHES = "/api/voice/batches"
HOUR_MS, DAY_S = 3_600_000, 86_400


@pytest.fixture(scope="module")
def farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm with a short period, a list to begin with, and nobody yet to speak it or to keep the time."""
    folder = tmp_path_factory.mktemp("farm")
    (folder / "first.txt").write_text("# language: de\nGuten Tag.\nBis bald.\n")
    env = {"VOICEFARM_REWARM_SECONDS": "1", "VOICEFARM_PREWARM_AT_START": f"{folder}/first.txt"}
    with running_farm(folder, workers=(), env=env) as farm:
        yield farm


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    """A client with the admin's key."""
    with farm.client() as client:
        yield client


@pytest.fixture(scope="module")
def two_beats(farm):
    """Have two clocks by accident, as on two machines; they have rung when the test begins."""
    another = Program(
        "another-beat", farm["beat"].line.replace("beat-schedule", "another-schedule"),
        farm["beat"].env, farm.folder, farm.tree, farm["beat"].database,
    )  # fmt: skip
    for beat in (farm["beat"], another):
        beat.start()
    with farm.redis.client(1) as state:
        until(lambda: state.exists("voice:rewarm:revisions"), "a clock has rung")
    yield
    for beat in (farm["beat"], another):
        beat.stop()


def batches(http):
    return http.get(BATCHES).json()["items"]


def test_what_a_list_holds_is_made_once_however_often_fronts_start(farm, http):
    until(lambda: batches(http), "a batch waits for a worker")
    [batch] = batches(http)
    assert (batch["total"], batch["counts"]["queued"]) == (2, 2)
    farm["web"].kill()
    for program in ("web", "espeak"):
        farm[program].start()
    farm.wait_until_it_answers()
    until(lambda: batches(http)[0]["finished_at"], "it is made")
    assert speak(http, "Bis bald.", language="de").headers["X-Cache-Status"] == "HIT"
    assert [each["id"] for each in batches(http)] == [batch["id"]]


@pytest.mark.usefixtures("two_beats")
def test_a_voice_that_changed_says_anew_what_it_is_asked_most(farm, http):
    text = fresh("Asked most")
    for _ in range(3):
        speak(http, text, quality="fast")
    before = batches(http)
    until(lambda: asked(farm, text), "it is told of")
    farm["beat"].kill()
    farm["espeak"].pause()  # so that no clock is answered between the changes
    for speed in (1.1, 1.2, 1.3):
        config = {"voice_config": {"voice_settings": {"speed": speed, "pitch": 0}}}
        assert http.patch(f"/api/voice/personalities/{MARCEL}", json=config).status_code == 200
    farm["espeak"].resume()
    farm["beat"].start()
    until(lambda: len(batches(http)) > len(before), "a batch begins")
    until(lambda: batches(http)[0]["finished_at"], "it ends")
    assert speak(http, text, quality="fast").headers["X-Cache-Status"] == "HIT"
    assert len(batches(http)) == len(before) + 1


def asked(farm, text):
    with farm.redis.client(1) as state:
        return any(text.encode() in about for about in state.hvals(f"voice:asked:{MARCEL}:about"))


@pytest.mark.usefixtures("two_beats")
def test_what_is_asked_for_while_its_time_runs_out_lives_on(farm, http):
    text = fresh()
    key = speak(http, text, quality="fast").headers["Content-Location"].rpartition("/")[2]
    grow_old(farm, key)
    answer = http.post(SYNTHESIZE, json={"text": text, "quality": "fast"})
    assert (answer.headers["X-Cache-Status"], left_s(answer) <= HOUR_MS / 1000) == ("HIT", True)
    until(lambda: left_s(http.get(f"/api/voice/audio/{key}")) > 6 * DAY_S, "it lives on")
    again = http.post(SYNTHESIZE, json={"text": text, "quality": "fast"})
    assert (again.headers["X-Cache-Status"], again.content) == ("HIT", answer.content)
    assert left_s(again) > 6 * DAY_S


def grow_old(farm, key):
    """Leave an entry an hour of its time."""
    end_ms = int(time.time() * 1000) + HOUR_MS
    with farm.redis.client(2) as cache:
        metadata = json.loads(cache.get(f"voice:metadata:{key}")) | {"expires_ms": end_ms}
        cache.set(f"voice:metadata:{key}", json.dumps(metadata), pxat=end_ms)
        cache.pexpireat(f"voice:audio:{key}", end_ms)


def left_s(answer):
    return int(re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])[1])


@pytest.mark.usefixtures("two_beats")
def test_the_clock_keeps_its_file_in_the_state_folder(farm):
    until(lambda: list(farm.folder.glob("beat-schedule*")), "there it is")
    assert farm["beat"].log.read_text() == ""
