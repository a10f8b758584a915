"""The cache holds whole entries, for their time, and counts what it does."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import TimeoutError as RedisTimeout

from shared import connections
from shared.cache import AudioCache, Stored
from shared.connections import worker_client
from shared.models import Audio, AudioFormat, Fallback, Quality, Utterance
from tests.servers import running_redis

MARCEL = "00000000-0000-0000-0001-000000000001"
SHANTE = "00000000-0000-0000-0001-000000000002"
KEPT = Stored(is_kept=True)
KEPT = Stored(is_kept=True)
LOST = ["a restart", "its expiry"]
KEYS = [hashlib.sha256(bytes([n])).hexdigest() for n in range(40)]


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(2)
    client.flushdb()
    return client


@pytest.fixture
def cache(redis):
    return AudioCache(redis, ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10_000)


def utterance(personality_id=MARCEL):
    return Utterance(
        "Hi", personality_id, 1, "en", 1.0, 0.0, Quality.HIGH, Fallback.ANY, None, AudioFormat.WAV
    )


def audio(data=b"RIFF", *, degraded=False):
    return Audio(data, AudioFormat.WAV, "espeak", 1000, 22050, degraded)


def test_what_was_stored_is_found_whole(cache):
    assert cache.store(KEYS[0], utterance(), audio(b"\x00\r\nRIFF")).is_kept
    found = cache.look(KEYS[0])
    assert found.data == b"\x00\r\nRIFF"
    assert found.metadata.sha256 == hashlib.sha256(b"\x00\r\nRIFF").hexdigest()
    assert (found.metadata.personality_id, found.metadata.provider) == (MARCEL, "espeak")


def test_a_ledger_on_the_same_server_gets_a_copy_that_expires_soon(every_redis):
    cache_db, state = every_redis.client(2), every_redis.client(1)
    for db in (cache_db, state):
        db.flushdb()
    beside = AudioCache(cache_db, ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10, state_db="1")

    def store(key, data, copy_as="copy", revision=1):
        spoken = replace(utterance(), voice_revision=revision)
        return beside.store(key, spoken, audio(data), copy_as=copy_as, then=("GET", copy_as))

    for told in (b"\0first", b"\0first"):
        assert store(KEYS[0], b"\0first") == Stored(is_kept=True, told=told), "the same twice, too"
    assert (state.get("copy"), beside.look(KEYS[0]).data) == (b"\0first", b"\0first")
    assert 0 < state.pttl("copy") <= 10_000
    assert store(KEYS[1], b"another").told == b"another", "what an earlier try has left is replaced"
    assert store(KEYS[2], b"x" * 11, copy_as="none") == Stored(is_kept=False)
    beside.drop(utterance().personality_id, oldest_revision=2)
    assert store(KEYS[2], b"no voice", copy_as="none") == Stored(is_kept=False)
    assert not state.exists("none")
    assert store(KEYS[2], b"newer", revision=2).told == b"newer"
    assert beside.look(KEYS[2]).data == b"newer", "the connection is with the cache's database again"


def test_audio_that_was_sent_ahead_is_not_sent_again(cache, redis):
    large = audio(b"x" * 9_000)
    cache.store(KEYS[1], utterance(), audio())  # the server learns the script
    redis.config_resetstat()
    cache.send_ahead(KEYS[0], large)
    assert cache.store(KEYS[0], utterance(), large).is_kept
    assert 9_000 < redis.info("stats")["total_net_input_bytes"] < 12_000
    assert cache.look(KEYS[0]).data == large.data
    assert not redis.keys("voice:draft:*")


@pytest.mark.parametrize("between", ["other audio", "another key", "a look", *LOST])
def test_whatever_was_sent_ahead_what_is_stored_is_stored(tmp_path, every_redis, between):
    with running_redis(every_redis.binary, tmp_path) as server:
        client = worker_client(server.url(2))
        cache = AudioCache(client, ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10_000, state_db="1")
        cache.send_ahead(KEYS[0], audio(b"refused" if between == "other audio" else b"good"))
        if between == "another key":
            cache.send_ahead(KEYS[1], audio(b"good"))
        elif between == "a look":
            assert cache.look(KEYS[0]) is None
        elif between == "a restart":
            server.kill()
            server.start()
            client.flushall()
        elif between == "its expiry":
            client.flushdb()
        stored = cache.store(KEYS[0], utterance(), audio(b"good"), copy_as="copy", then=("GET", "copy"))
        assert stored.is_kept
        assert stored.told in {b"good", None if between in LOST else b"good"}
        assert cache.look(KEYS[0]).data == b"good"


def test_where_copies_are_refused_audio_is_stored_all_the_same(every_redis):
    every_redis.client(2).flushall()
    every_redis.client(2).script_flush()
    every_redis.client(2).acl_setuser(
        "author", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-copy"], reset=True
    )
    client = worker_client(every_redis.url(2).replace("redis://", "redis://author:any@"))
    cache = AudioCache(client, ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10_000, state_db="1")
    for key in KEYS[:2]:
        cache.send_ahead(key, audio())
        assert cache.store(key, utterance(), audio(), copy_as="copy", then=("GET", "copy")) == KEPT
    assert cache.stats().entries == 2
    assert not every_redis.client(1).exists("copy")


def test_a_cache_that_hangs_is_waited_for_once_more_at_most(tmp_path, every_redis, monkeypatch):
    monkeypatch.setattr(connections, "WORKER_TIMEOUT_S", 0.3)
    with running_redis(every_redis.binary, tmp_path) as server:
        cache = AudioCache(
            worker_client(server.url(2), retries=1), ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10_000
        )
        cache.store(KEYS[0], utterance(), audio())
        server.pause()
        cache.send_ahead(KEYS[1], audio())
        begun = time.monotonic()
        with pytest.raises(RedisTimeout):
            cache.store(KEYS[1], utterance(), audio())
        assert time.monotonic() - begun < 0.6


def test_what_is_too_large_to_be_kept_is_not_sent_ahead(cache, redis):
    cache.send_ahead(KEYS[0], audio(b"x" * 10_001))
    assert not redis.keys("*")


@pytest.mark.parametrize("half", ["audio", "metadata"])
def test_half_an_entry_is_a_miss(cache, redis, half):
    cache.store(KEYS[0], utterance(), audio())
    redis.delete(f"voice:{half}:{KEYS[0]}")
    assert cache.look(KEYS[0]) is None
    assert cache.stats().hits == 0


def test_both_halves_expire_at_the_same_millisecond(cache, redis):
    cache.store(KEYS[0], utterance(), audio())
    audio_ms, metadata_ms = (redis.pttl(f"voice:{half}:{KEYS[0]}") for half in ("audio", "metadata"))
    assert 990_000 < audio_ms <= 1_000_000
    assert abs(audio_ms - metadata_ms) <= 100


def test_degraded_audio_lives_shorter(cache, redis):
    cache.store(KEYS[0], utterance(), audio(degraded=True))
    assert redis.pttl(f"voice:audio:{KEYS[0]}") <= 100_000


def test_audio_on_its_way_into_an_entry_is_gone_when_it_is_there_and_soon_when_it_is_not(cache, redis):
    cache.store(KEYS[0], utterance(), audio())
    assert redis.keys("voice:draft:*") == []
    cache.drop(MARCEL, oldest_revision=2)
    assert not cache.store(KEYS[0], utterance(), audio()).is_kept
    assert [0 < redis.pttl(draft) <= 10_000 for draft in redis.keys("voice:draft:*")] == [True]


def test_a_server_that_has_forgotten_the_scripts_is_told_them(cache, redis):
    redis.script_flush()
    assert cache.store(KEYS[0], utterance(), audio()).is_kept
    assert cache.look(KEYS[0]).data == b"RIFF"


def test_too_large_audio_is_not_cached(cache):
    assert not cache.store(KEYS[0], utterance(), audio(b"x" * 10_001)).is_kept
    assert cache.look(KEYS[0]) is None


def test_counters_add_up(cache):
    cache.store(KEYS[0], utterance(), audio(b"12345"))
    cache.requests.count("hits")
    cache.look(KEYS[0])
    cache.requests.count("misses")
    cache.requests.count("coalesced")
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.coalesced, stats.sets) == (1, 1, 1, 1)
    assert (stats.entries, stats.size_bytes, stats.total_requests) == (1, 5, 3)
    assert stats.hit_rate == pytest.approx(33.33)


def test_an_empty_cache_has_no_hit_rate(cache):
    assert cache.stats().hit_rate == 0.0


def test_dropping_a_personality_is_exact_and_leaves_the_others(cache):
    for key in KEYS[:30]:
        cache.store(key, utterance(MARCEL), audio())
    cache.store(KEYS[30], utterance(SHANTE), audio())
    assert cache.drop(MARCEL) == 30
    assert cache.drop(MARCEL) == 0
    assert all(cache.look(key) is None for key in KEYS[:30])
    assert cache.look(KEYS[30]) is not None


def test_audio_of_a_voice_that_is_no_more_is_not_taken_in(cache):
    cache.store(KEYS[0], utterance(), audio())
    assert cache.drop(MARCEL, oldest_revision=2) == 1
    cache.drop(MARCEL, oldest_revision=1)
    assert not cache.store(KEYS[0], utterance(), audio()).is_kept
    assert cache.look(KEYS[0]) is None
    assert cache.store(KEYS[1], replace(utterance(), voice_revision=2), audio()).is_kept
    assert cache.store(KEYS[2], utterance(SHANTE), audio()).is_kept
    assert cache.stats().entries == 2


def test_dropping_costs_what_the_personality_holds(cache, redis):
    for key in KEYS[:30]:
        cache.store(key, utterance(MARCEL), audio())
    cache.store(KEYS[30], utterance(SHANTE), audio())
    redis.config_resetstat()
    cache.drop(SHANTE)
    assert redis.info("commandstats")["cmdstat_unlink"]["calls"] == 2


def test_clearing_keeps_the_statistics(cache, redis):
    cache.store(KEYS[0], utterance(MARCEL), audio())
    cache.store(KEYS[1], utterance(SHANTE), audio())
    cache.requests.count("hits")
    assert cache.clear() == 2
    stats = cache.stats()
    assert (stats.entries, stats.size_bytes, stats.hits, stats.sets) == (0, 0, 1, 2)
    assert {key.decode() for key in redis.keys("*")} == {"voice:stats"}


def test_what_expired_is_not_counted(redis):
    short = AudioCache(redis, ttl_s=0.001, degraded_ttl_s=0.001, max_size_bytes=100)
    short.store(KEYS[0], utterance(), audio())
    redis.wait(0, 20)
    while redis.exists(f"voice:audio:{KEYS[0]}"):
        redis.wait(0, 1)
    assert (short.stats().entries, short.stats().size_bytes) == (0, 0)
    assert short.drop(MARCEL) == 0


def test_bytes_stay_right_when_redis_evicts_an_entry(cache, redis):
    cache.store(KEYS[0], utterance(), audio(b"12345"))
    redis.delete(f"voice:audio:{KEYS[0]}")
    cache.store(KEYS[0], utterance(), audio(b"123"))
    assert (cache.stats().entries, cache.stats().size_bytes) == (1, 3)


def test_storing_again_counts_the_bytes_once(cache):
    cache.store(KEYS[0], utterance(), audio(b"long audio", degraded=True))
    cache.store(KEYS[0], utterance(), audio(b"short"))
    assert (cache.stats().entries, cache.stats().size_bytes) == (1, 5)


@pytest.mark.parametrize("half", [None, "audio", "metadata"])
def test_the_same_audio_again_is_one_effect_unless_a_half_was_lost(cache, redis, half):
    cache.store(KEYS[0], utterance(), audio())
    if half:
        redis.delete(f"voice:{half}:{KEYS[0]}")
    cache.store(KEYS[0], utterance(), audio())
    assert cache.look(KEYS[0]).data == audio().data
    assert (cache.stats().sets, cache.stats().entries) == (2 if half else 1, 1)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["store", "store", "drop", "clear"]),
            st.integers(0, 5),
            st.sampled_from([MARCEL, SHANTE]),
            st.binary(min_size=1, max_size=20),
        ),
        max_size=30,
    )
)
def test_entries_and_bytes_are_always_what_is_there(cache, redis, steps):
    redis.flushdb()
    held = {}
    for what, number, personality, data in steps:
        key = hashlib.sha256(f"{personality}{number}".encode()).hexdigest()
        if what == "store":
            cache.store(key, utterance(personality), audio(data))
            held[key] = (personality, data)
        elif what == "drop":
            gone = {key for key, (owner, _) in held.items() if owner == personality}
            assert cache.drop(personality) == len(gone)
            held = {key: entry for key, entry in held.items() if key not in gone}
        elif what == "clear":
            assert cache.clear() == len(held)
            held = {}
    stats = cache.stats()
    assert (stats.entries, stats.size_bytes) == (len(held), sum(len(data) for _, data in held.values()))
    assert {key for key in held if cache.look(key)} == set(held)


def test_readers_never_see_one_half_while_entries_come_and_go(cache, every_redis):
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            cache.store(KEYS[0], utterance(), audio(b"a" * 1000))
            cache.drop(MARCEL)
            cache.store(KEYS[0], utterance(), audio(b"b" * 2000))
            cache.drop(MARCEL)

    writer = threading.Thread(target=churn)
    writer.start()
    reader = AudioCache(every_redis.client(2), ttl_s=1, degraded_ttl_s=1, max_size_bytes=1)
    try:
        for _ in range(1000):
            found = reader.look(KEYS[0])
            assert found is None or found.metadata.sha256 == hashlib.sha256(found.data).hexdigest()
    finally:
        stop.set()
        writer.join()
