"""Personalities, their samples and their audio change together, whatever fails in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
import redis
import soundfile
from sqlalchemy import select

from shared.cache import AudioCache
from shared.consents import LEFT_BEHIND_AFTER, Consents, SampleRow
from shared.database import utc_now
from shared.directory import Changes
from shared.errors import BadSample, Conflict, NotFound, StateUnavailable
from shared.models import Audio, AudioFormat
from shared.personalities import Personalities
from shared.roster import Roster
from shared.samples.store import SampleStore
from shared.voice_config import VoiceSettings
from tests.shared.samples.sounds import encoded, silence, speech
from tests.workers.utterances import utterance

MARCEL, ZAC = (f"00000000-0000-0000-0001-00000000000{number}" for number in (1, 3))
KEY = "00000000-0000-0000-0002-000000000001"


class FailingStore(SampleStore):
    """Cannot do what is named, for as long as it is."""

    failing = ""

    def put(self, pcm, sample_id=None):
        kept = super().put(pcm, sample_id)
        self._may_fail("put")
        return kept

    def delete(self, sample_id):
        self._may_fail("delete")
        super().delete(sample_id)

    def _may_fail(self, what):
        if what == self.failing:
            raise StateUnavailable


class Place:
    """A database, a store, a cache, and whoever changes them."""

    def __init__(self, database, redis_server, folder):
        self.database, self.folder = database, folder
        self.now = utc_now()
        self.audio = redis_server.client(2)
        self.cache = AudioCache(self.audio, ttl_s=60, degraded_ttl_s=5, max_size_bytes=1000)
        self.store = FailingStore(str(folder))
        self.personalities = Personalities(database, Changes(redis_server.client(1)))
        self.personalities.seed_examples()
        self.roster = self.roster_with(self.cache)

    def roster_with(self, cache):
        return Roster(self.personalities, Consents(self.database, clock=lambda: self.now), self.store, cache)

    def take(self, who=ZAC, speed=1.0):
        return self.roster.take_sample(who, BytesIO(encoded(speech(speed=speed))), key_id=KEY)

    def stored(self):
        return {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()

    def rows(self):
        with self.database.session() as session:
            return {row.path: row for row in session.scalars(select(SampleRow))}

    def cached(self, who=ZAC):
        return self.audio.zcard(f"voice:entries:{who}")

    def cache_something(self, who=ZAC):
        spoken = utterance(personality_id=who, voice_revision=self.personalities.get(who).voice_revision)
        audio = Audio(b"RIFF", AudioFormat.WAV, "espeak", 10, 22_050, degraded=False)
        self.cache.store(f"{who}-{spoken.voice_revision}", spoken, audio)

    def path_of(self, who=ZAC):
        return self.personalities.get(who).voice_config.sample_path


@pytest.fixture
def place(database, redis_server, tmp_path) -> Place:
    return Place(database, redis_server, tmp_path / "samples")


# Taken, replaced, removed


def test_a_sample_becomes_the_voice_and_its_consent_is_recorded(place):
    before = place.personalities.get(ZAC)
    after, sample = place.take()
    assert after == place.personalities.get(ZAC)
    assert after.has_sample
    assert after.voice_revision == before.voice_revision + 1
    assert after.voice_config.voices == before.voice_config.voices
    metadata = after.voice_config.sample_metadata
    assert metadata.duration == sample.duration_seconds
    assert (metadata.sample_rate, metadata.channels, metadata.bit_depth) == (24_000, 1, 16)
    assert metadata.uploaded_at == place.now.replace(microsecond=place.now.microsecond // 1000 * 1000)
    [row] = place.rows().values()
    assert (row.path, row.personality_id, row.consent_key_id) == (place.path_of(), ZAC, KEY)
    assert (row.consented_at, row.deleted_at) == (place.now, None)
    kept = soundfile.info(BytesIO(place.roster.sample(ZAC)))
    assert (kept.samplerate, kept.channels, kept.subtype) == (24_000, 1, "PCM_16")


def test_a_new_sample_takes_the_place_of_the_old_one(place):
    place.take()
    old = place.path_of()
    place.cache_something()
    after, _ = place.take(speed=1.2)
    assert place.stored() == {place.path_of()} != {old}
    assert after.voice_revision == 3
    assert place.cached() == 0
    assert {path: bool(row.deleted_at) for path, row in place.rows().items()} == {
        old: True, place.path_of(): False,
    }  # fmt: skip


def test_removing_the_sample_takes_all_of_it_along(place):
    place.take()
    place.cache_something()
    place.cache_something(MARCEL)
    after = place.roster.remove_sample(ZAC)
    assert not after.has_sample
    assert after.voice_config.sample_metadata is None
    assert after.voice_revision == 3
    assert (place.stored(), place.cached(), place.cached(MARCEL)) == (set(), 0, 1)
    for gone in (place.roster.sample, place.roster.remove_sample):
        with pytest.raises(NotFound, match="zac has no voice sample"):
            gone(ZAC)


def test_deleting_a_personality_takes_its_sample_and_audio_along(place):
    place.take()
    place.cache_something()
    place.roster.remove(ZAC, lambda _: None)
    assert (place.stored(), place.cached()) == (set(), 0)
    [row] = place.rows().values()
    assert row.deleted_at, "that there was consent stays known"
    with pytest.raises(NotFound):
        place.take()
    assert place.stored() == set()


def test_what_is_not_the_voice_keeps_the_audio_and_the_voice_does_not(place):
    place.take()
    place.cache_something()
    place.roster.change(ZAC, lambda one: replace(one, name="zach", is_active=False))
    assert place.cached() == 1
    voice = place.personalities.get(ZAC).voice_config
    slower = voice.model_copy(update={"voice_settings": VoiceSettings(speed=0.5)})
    after = place.roster.change(ZAC, lambda one: replace(one, voice_config=slower))
    assert place.cached() == 0
    assert after.voice_config.sample_path in place.stored()


# What fails leaves nothing


def test_a_sample_that_cannot_be_used_changes_nothing(place):
    before = place.personalities.get(ZAC)
    with pytest.raises(BadSample):
        place.roster.take_sample(ZAC, BytesIO(encoded(silence(10))), key_id=KEY)
    assert place.personalities.get(ZAC) == before
    assert (place.stored(), place.rows()) == (set(), {})


def test_a_store_that_fails_changes_nothing(place):
    place.store.failing = "put"
    before = place.personalities.get(ZAC)
    with pytest.raises(StateUnavailable):
        place.take()
    assert place.personalities.get(ZAC) == before
    assert place.stored() == set()


def test_a_database_that_refuses_leaves_no_sample_behind(place, monkeypatch):
    def refuse(*_):
        raise Conflict

    monkeypatch.setattr(place.personalities, "change", refuse)
    with pytest.raises(Conflict):
        place.take()
    assert place.stored() == set()
    assert all(row.deleted_at for row in place.rows().values())


def test_what_could_not_be_deleted_is_deleted_later(place):
    place.take()
    old = place.path_of()
    place.store.failing = "delete"
    place.take()
    place.roster.remove_sample(ZAC)
    assert len(place.stored()) == 2
    place.store.failing = ""
    place.roster.discard_left_behind()
    assert old in place.stored(), "it could still be on its way in"
    place.now += LEFT_BEHIND_AFTER + timedelta(seconds=1)
    place.take()
    assert place.stored() == {place.path_of()}
    assert [row.path for row in place.rows().values() if not row.deleted_at] == [place.path_of()]


def test_what_a_process_that_died_had_stored_is_deleted_later(place):
    sample_id = "0" * 32
    Consents(place.database, clock=lambda: place.now).record(sample_id, personality_id=ZAC, key_id=KEY)
    place.store.put(b"RIFF", sample_id)
    place.take(MARCEL)
    place.now += LEFT_BEHIND_AFTER + timedelta(seconds=1)
    place.roster.discard_left_behind()
    assert place.stored() == {place.path_of(MARCEL)}


def test_without_its_cache_the_farm_goes_on(place):
    place.take()
    nowhere = redis.Redis(port=1)
    roster = place.roster_with(AudioCache(nowhere, ttl_s=60, degraded_ttl_s=5, max_size_bytes=1000))
    assert not roster.remove_sample(ZAC).has_sample
    assert place.stored() == set()


def test_samples_that_come_at_once_leave_one(place):
    def take(speed):
        return place.take(speed=speed)[0].voice_revision

    with ThreadPoolExecutor(3) as pool:
        revisions = set(pool.map(take, (1.0, 1.1, 1.2)))
    assert revisions == {2, 3, 4}
    assert place.stored() == {place.path_of()}
