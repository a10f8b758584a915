"""When a change of a personality has returned, nothing of before can be had by any route."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.farm import running_farm, until
from tests.integration.test_contract import SYNTHESIZE, fresh, is_problem, speak
from tests.integration.test_personalities import make
from tests.integration.test_voices import upload
from tests.shared.samples.sounds import encoded, speech

SAMPLES = [encoded(speech(speed=speed)) for speed in (1.0, 1.1)]
LISTENERS = 6
CACHED = "/api/voice/audio/"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def any_farm(request, tmp_path_factory):
    """A farm on each kind of database in turn."""
    env = {}
    if request.param == "postgresql":
        env["DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
    with running_farm(tmp_path_factory.mktemp(request.param), env=env) as farm:
        yield farm


@pytest.fixture
def client(any_farm):
    with any_farm.client() as client:
        yield client


@pytest.fixture
def ann(client):
    """The address of a personality that is gone afterwards."""
    url = make(client).headers["Location"]
    yield url
    client.delete(url)


class Listeners:
    """Clients that ask for one text and for every cached audio that they have heard of, over and over.

    What each answer was, and how many changes had returned when it was asked for, is kept.
    """

    def __init__(self, farm, body):
        self.changes = 0
        self.spoken, self.fetched = [], []
        self._farm, self._body = farm, body
        self._stop = threading.Event()
        self._urls = []
        self._pool = ThreadPoolExecutor(LISTENERS)

    def __enter__(self):
        self._ends = [self._pool.submit(self._listen) for _ in range(LISTENERS)]
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._pool.shutdown()
        for end in self._ends:
            end.result()

    def _listen(self):
        with self._farm.client() as client:
            while not self._stop.is_set():
                before = self.changes
                answer = client.post(SYNTHESIZE, json=self._body, headers={"Prefer": "wait=20"})
                if answer.status_code == 200:
                    url = answer.headers["Content-Location"]
                    self.spoken.append((before, url, answer.content))
                    if url.startswith(CACHED):
                        self._urls = [*self._urls[-3:], url]
                for url in self._urls:
                    before = self.changes
                    answer = client.get(url)
                    if answer.status_code == 200:
                        self.fetched.append((before, url, answer.content))


def changes_of(client, ann):
    """Everything that changes a voice, again and again."""
    for number in range(1, 6):
        yield client.patch(ann, json={"voice_config": {"voice_settings": {"pitch": number / 2}}})
        yield upload(client, ann, SAMPLES[number % 2])
        yield client.delete(f"{ann}/voice")


def test_while_a_voice_changes_in_every_way_nobody_hears_one_of_before(any_farm, client, ann):
    body = {"text": fresh("Whose voice is this?"), "personality_id": ann.rpartition("/")[2]}
    made_after, current_until = {}, {}
    with Listeners(any_farm, body) as listeners:
        for number, answer in enumerate(changes_of(client, ann), start=1):
            assert answer.is_success, answer.text
            listeners.changes = number
            for _ in range(3):  # the third comes from the front's memory
                spoken = client.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=20"})
                url = spoken.headers["Content-Location"]
                assert made_after.setdefault(url, number) == number
                current_until[spoken.content] = number
                assert client.get(url).status_code == 200
    assert len(made_after) == 15, "each change is heard"
    assert len(current_until) == 5, "each pitch is heard"
    for before, url, content in listeners.spoken + listeners.fetched:
        assert current_until.get(content, 0) >= before
        # What was spoken while the voice changed is in no cache.
        assert made_after.get(url, 0) >= before or not url.startswith(CACHED)
    assert len(listeners.spoken) > LISTENERS
    assert len(listeners.fetched) > LISTENERS


@pytest.mark.parametrize("how", ["deactivate", "delete"])
def test_who_falls_silent_is_heard_by_nobody_who_asks_afterwards(any_farm, client, ann, how):
    body = {"text": fresh("Am I still here?"), "personality_id": ann.rpartition("/")[2]}
    speak(client, **body)
    with Listeners(any_farm, body) as listeners:
        until(lambda: len(listeners.fetched) > LISTENERS, "they hear it")
        answer = client.patch(ann, json={"is_active": False}) if how == "deactivate" else client.delete(ann)
        assert answer.is_success
        listeners.changes = 1
        for _ in range(20):
            is_problem(speak(client, **body), 404, "not_found")
    assert [each for each in listeners.spoken + listeners.fetched if each[0] == 1] == []


CHANGES = {
    "sample": lambda client, ann: upload(client, ann, SAMPLES[0]),
    "voice": lambda client, ann: client.patch(ann, json={"voice_config": {"voices": {"espeak": "f4"}}}),
    "delete": lambda client, ann: client.delete(ann),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_synthesis_under_way_does_not_bring_the_old_voice_back(any_farm, client, ann, change):
    text = fresh("This takes a while, so that the voice changes meanwhile. " * 40)
    body = {"text": text, "personality_id": ann.rpartition("/")[2]}
    any_farm["espeak"].pause()
    job = client.post(SYNTHESIZE, json=body).headers["Location"]
    assert CHANGES[change](client, ann).is_success
    again = client.post(SYNTHESIZE, json=body)
    any_farm["espeak"].resume()
    until(lambda: client.get(job).json()["status"] == "succeeded", "the first one is spoken")
    old = client.get(job).json()["audio"]["url"]
    if change == "delete":
        is_problem(again, 404, "not_found")
    else:
        assert again.headers["X-Cache-Status"] == "MISS"
        new = speak(client, **body)
        assert new.headers["Content-Location"] != old
    assert old == f"{job}/audio", "what the job has spoken is the job's, and no cache's"
    assert client.get(old).status_code == 200
