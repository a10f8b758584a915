"""The feeder moves a batch through the ledger, a few items at a time, and counts each once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import Conflict, NotFound
from shared.ledger import Attempt, Result, Status
from shared.models import Audio, AudioFormat, SpeechRequest
from shared.prewarm import BatchStatus, Feeder, plan
from shared.prewarm.batches import KEPT_MS, PATIENCE_MS
from shared.prewarm.feeder import BEGUN_AT_ONCE, WAITING_AT_ONCE
from shared.priorities import Priority

BEHIND = Priority.PREWARM.queue("espeak")
AUDIO = Audio(b"RIFF", AudioFormat.WAV, "espeak", duration_ms=1, sample_rate_hz=22050, degraded=False)


@pytest.fixture
def feeder(farm):
    return Feeder(farm)


def requests(number):
    return [SpeechRequest(text=f"Phrase {n}.", quality="fast") for n in range(number)]


def begin(farm, number=3):
    planned = plan(farm, requests(number), epoch=farm.directory.read_epoch())
    return farm.batches.begin(
        planned.items, owner="ann", already_cached=planned.already_cached, estimated_s=planned.seconds
    )


def speak(farm, *, is_cached=True):
    """Do what a worker does with everything that waits behind; gives how much that was."""
    waiting = farm.state.zrange(f"voice:queue:{BEHIND}", 0, -1)
    for rendering in waiting:
        claim = farm.ledger.claim(rendering.decode(), "espeak", "worker")
        if is_cached:
            farm.cache.store(claim.cache_key, claim.utterance, AUDIO)
        farm.ledger.succeed(claim, Result.of(claim.cache_key, AUDIO, cached=is_cached), AUDIO.data)
    return len(waiting)


def counts(farm, batch_id):
    return {status.value: count for status, count in farm.batches.get(batch_id).counts.items() if count}


def test_a_batch_is_made_and_ends(farm, feeder):
    batch_id = begin(farm)
    assert counts(farm, batch_id) == {"queued": 3}
    assert feeder.once()
    assert speak(farm) == 3
    assert feeder.once()
    batch = farm.batches.get(batch_id)
    assert (batch.status, counts(farm, batch_id)) == (BatchStatus.FINISHED, {"succeeded": 3})
    assert batch.finished_ms
    assert batch.eta_seconds is None
    assert not feeder.once()
    assert 0 < farm.state.pttl(f"voice:batch:{batch_id}") <= KEPT_MS


def test_only_so_many_are_under_way_at_once(farm, feeder):
    batch_id = begin(farm, 2 * BEGUN_AT_ONCE)
    for _ in range(3):
        feeder.once()
    assert farm.ledger.queued(BEHIND) == BEGUN_AT_ONCE
    assert counts(farm, batch_id) == {"queued": 2 * BEGUN_AT_ONCE}
    speak(farm)
    feeder.once()
    assert farm.ledger.queued(BEHIND) == BEGUN_AT_ONCE


def test_however_many_batches_there_are_a_queue_is_not_flooded(farm, feeder):
    batches = [
        farm.batches.begin(
            plan(farm, [SpeechRequest(text=f"{n} of {batch}.") for n in range(BEGUN_AT_ONCE)],
                 epoch=farm.directory.read_epoch()).items,
            owner="ann", already_cached=0, estimated_s=1,
        )
        for batch in range(3)
    ]  # fmt: skip
    feeder.once()
    assert farm.ledger.queued(BEHIND) == WAITING_AT_ONCE
    while feeder.once():
        speak(farm)
    assert [counts(farm, batch) for batch in batches] == [{"succeeded": BEGUN_AT_ONCE}] * 3


def test_two_that_feed_at_once_count_each_item_once(farm, feeder):
    batch_id = begin(farm, 10)
    another = Feeder(farm)
    for each in (feeder, another, feeder, another):
        each.once()
    assert speak(farm) == 10
    stale = farm.batches.begun(batch_id)
    feeder.once()
    for item in stale:  # one that read them before and counts them only now
        farm.batches.settle(batch_id, item, Status.FAILED)
    assert counts(farm, batch_id) == {"succeeded": 10}
    assert farm.batches.ended() == {Status.SUCCEEDED: 10, Status.FAILED: 0, Status.CANCELLED: 0}


def test_one_feeds_at_a_time(farm, feeder):
    another = Feeder(farm)
    assert feeder._has_lease()
    assert not another._has_lease()
    assert feeder._has_lease()
    farm.state.delete("voice:batches:feeder")
    assert another._has_lease()
    assert not feeder._has_lease()


def test_an_item_that_was_taken_by_one_that_died_is_begun(farm, feeder):
    batch_id = begin(farm)
    farm.batches.take(batch_id)
    assert counts(farm, batch_id) == {"queued": 3}
    feeder.once()
    assert speak(farm) == 3


def test_an_item_whose_job_is_no_longer_kept_is_looked_for_in_the_cache(farm, feeder):
    batch_id = begin(farm)
    feeder.once()
    speak(farm)
    for key in farm.state.scan_iter("voice:job:*"):
        farm.state.delete(key)
    feeder.once()
    assert counts(farm, batch_id) == {"succeeded": 3}


def test_what_is_cached_by_then_is_not_made(farm, feeder):
    batch_id = begin(farm)
    other = begin(farm)
    feeder.once()
    assert speak(farm) == 3, "they share it"
    while feeder.once():
        assert speak(farm) == 0
    assert counts(farm, batch_id) == counts(farm, other) == {"succeeded": 3}


def test_what_failed_is_told(farm, feeder):
    batch_id = begin(farm, 1)
    feeder.once()
    [rendering] = farm.state.zrange(f"voice:queue:{BEHIND}", 0, -1)
    claim = farm.ledger.claim(rendering.decode(), "espeak", "worker")
    why = Attempt("espeak", "engine_failed", "It is hoarse.", 5)
    farm.ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "Every provider failed.", [why])
    feeder.once()
    batch = farm.batches.get(batch_id)
    assert (batch.status, counts(farm, batch_id)) == (BatchStatus.FINISHED, {"failed": 1})
    [failed] = batch.failed
    assert (failed.phrase, failed.code, failed.quality) == ("Phrase 0.", "synthesis_failed", "fast")
    assert failed.personality_id == farm.personalities.default().id
    assert failed.detail == "Every provider failed. espeak: It is hoarse."


def test_what_the_cache_does_not_take_has_failed(farm, feeder):
    batch_id = begin(farm, 1)
    feeder.once()
    speak(farm, is_cached=False)
    feeder.once()
    assert [failed.code for failed in farm.batches.get(batch_id).failed] == ["not_cached"]


def test_a_personality_that_is_gone_fails_its_items_only(farm, feeder):
    gone = "00000000-0000-0000-0001-000000000002"
    asked = [*requests(1), SpeechRequest(text="Hello.", personality_id=gone)]
    planned = plan(farm, asked, epoch=farm.directory.read_epoch())
    batch_id = farm.batches.begin(planned.items, owner="ann", already_cached=0, estimated_s=1)
    farm.personalities.remove(gone, lambda _personality: None)
    feeder.once()
    speak(farm)
    feeder.once()
    assert counts(farm, batch_id) == {"succeeded": 1, "failed": 1}
    assert farm.batches.get(batch_id).failed[0].code == "not_found"


def test_items_that_nobody_can_speak_now_hold_up_no_others(farm, feeder):
    absent = SpeechRequest(text="Nobody.", quality="fast", provider="piper")
    spoken = plan(farm, requests(3), epoch=farm.directory.read_epoch()).items
    items = [replace(spoken[0], request=absent), *(replace(each, number=each.number + 1) for each in spoken)]
    batch_id = farm.batches.begin(items, owner="ann", already_cached=0, estimated_s=1)
    feeder.once()
    assert speak(farm) == 3
    feeder.once()
    assert counts(farm, batch_id) == {"queued": 1, "succeeded": 3}


def test_without_a_worker_it_waits_and_after_a_day_it_has_failed(farm, feeder):
    batch_id = begin(farm)
    farm.state.delete("voice:workers")
    assert feeder.once()
    assert counts(farm, batch_id) == {"queued": 3}
    farm.state.hincrby(f"voice:batch:{batch_id}", "created_ms", -PATIENCE_MS)
    feeder.once()
    assert counts(farm, batch_id) == {"failed": 3}
    assert {failed.code for failed in farm.batches.get(batch_id).failed} == {"deadline_exceeded"}


def test_cancelling_stops_what_has_not_begun(farm, feeder):
    batch_id = begin(farm, BEGUN_AT_ONCE + 8)
    feeder.once()
    [first, *_] = farm.state.zrange(f"voice:queue:{BEHIND}", 0, -1)
    claim = farm.ledger.claim(first.decode(), "espeak", "worker")
    batch = farm.batches.cancel(batch_id)
    assert (batch.status, batch.finished_ms) == (BatchStatus.CANCELLED, None)
    assert counts(farm, batch_id) == {"running": 1, "cancelled": BEGUN_AT_ONCE + 7}
    assert farm.ledger.queued(BEHIND) == 0
    with pytest.raises(Conflict):
        farm.batches.cancel(batch_id)
    farm.ledger.succeed(claim, Result.of(claim.cache_key, AUDIO, cached=True), AUDIO.data)
    feeder.once()
    batch = farm.batches.get(batch_id)
    assert batch.finished_ms
    assert counts(farm, batch_id) == {"succeeded": 1, "cancelled": BEGUN_AT_ONCE + 7}
    assert farm.batches.ended()[Status.CANCELLED] == BEGUN_AT_ONCE + 7


def test_a_front_that_dies_while_it_cancels_leaves_that_to_the_feeder(farm, feeder):
    batch_id = begin(farm)
    feeder.once()
    farm.batches._run("cancel", batch_id, KEPT_MS)
    feeder.once()
    assert farm.ledger.queued(BEHIND) == 0
    assert counts(farm, batch_id) == {"cancelled": 3}


def test_an_expired_batch_leaves_the_list(farm):
    kept, expired = begin(farm), begin(farm)
    farm.state.delete(f"voice:batch:{expired}")
    batches, before = farm.batches.page(limit=10, before=None, failures=10)
    assert ([batch.id for batch in batches], before) == ([kept], None)
    assert farm.state.zcard("voice:batches") == 1
    with pytest.raises(NotFound):
        farm.batches.get(expired)
    with pytest.raises(NotFound):
        farm.batches.cancel(expired)
