"""What workers count and fronts read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from shared.connections import front_client
from shared.errors import StateUnavailable
from shared.presence import Presence, Worker
from shared.provider_stats import RECENT, TIME_BOUNDS_S, ProviderStats, ProviderTotals, Synthesis
from tests.servers import free_port
from tests.shared.usage.used import used


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


@pytest.fixture
def stats(redis):
    return ProviderStats(redis)


def test_a_provider_that_did_nothing_has_done_nothing(stats):
    assert stats.totals(["espeak", "piper"]) == {"espeak": ProviderTotals(), "piper": ProviderTotals()}
    assert ProviderTotals().real_time_factor is None


def test_syntheses_are_counted_by_their_time(stats):
    for service_ms in (0.4, 10, 10.1, 900, 1_000, 120_000, 500_000):
        stats.note_synthesis("espeak", Synthesis(service_ms, 2_000))
    totals = stats.totals(["espeak"])["espeak"]
    by_time = dict(zip(TIME_BOUNDS_S, totals.syntheses_by_time, strict=True))
    assert {bound_s: count for bound_s, count in by_time.items() if count} == {
        0.01: 2, 0.025: 1, 1.0: 2, 120.0: 1, TIME_BOUNDS_S[-1]: 1,
    }  # fmt: skip
    assert totals.service_s == pytest.approx(621.9205)
    assert totals.audio_s == pytest.approx(14)


def test_failures_are_counted_by_code_and_provider(stats):
    for provider, code in [("espeak", "engine_failed")] * 2 + [("piper", "voice_not_found")]:
        stats.note_failure(provider, code)
    totals = stats.totals(["espeak", "piper"])
    assert totals["espeak"].failures == {"engine_failed": 2}
    assert totals["piper"].failures == {"voice_not_found": 1}


def test_what_was_used_adds_up_exactly(stats):
    for number in range(100):
        stats.note_usage(used(number, characters=7, cost_usd=Decimal("0.000112")))
    totals = stats.totals(["espeak", "piper"])
    assert (totals["espeak"].characters, totals["espeak"].cost_usd) == (700, Decimal("0.0112"))
    assert totals["piper"] == ProviderTotals()


def test_how_fast_it_is_follows_the_newest_syntheses_alone(stats):
    for _ in range(RECENT):
        stats.note_synthesis("espeak", Synthesis(9_000, 1_000))
    for _ in range(RECENT):
        stats.note_synthesis("espeak", Synthesis(500, 2_000))
    totals = stats.totals(["espeak"])["espeak"]
    assert totals.recent == (Synthesis(500, 2_000),) * RECENT
    assert totals.real_time_factor == pytest.approx(0.25)
    assert stats.service_ms("espeak") == pytest.approx(500)
    assert sum(totals.syntheses_by_time) == 2 * RECENT, "the counts are of all"


def test_workers_that_count_at_once_lose_nothing(stats):
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: stats.note_synthesis("espeak", Synthesis(100, 1_000)), range(400)):
            pass
    totals = stats.totals(["espeak"])["espeak"]
    assert sum(totals.syntheses_by_time) == 400
    assert totals.service_s == pytest.approx(40)


def test_the_time_to_wait_follows_the_newest_syntheses_and_the_slots(redis, stats):
    presence = Presence(redis)
    presence.beat(Worker(name="a", provider="espeak", slots=4, device="cpu", pid=1))
    assert presence.eta_seconds("espeak", 8) == pytest.approx(2.0), "one second each until there was one"
    for _ in range(3):
        stats.note_synthesis("espeak", Synthesis(200, 1_000))
    assert presence.eta_seconds("espeak", 8) == pytest.approx(0.4)


def test_without_redis_there_are_no_numbers():
    stats = ProviderStats(front_client(f"redis://127.0.0.1:{free_port()}/0"))
    with pytest.raises(StateUnavailable):
        stats.totals(["espeak"])


@pytest.mark.parametrize(
    ("recent", "one_second", "ten_seconds"),
    [
        ((), None, None),
        ([(200, 2_000)], 0.1, 1.0),
        ([(200, 2_000), (400, 2_000)], 0.15, 1.5),  # of one length, so in proportion
        ([(70, 1_000), (120, 2_000), (220, 4_000)], 0.07, 0.52),  # 20 ms each, and 50 ms a second
        ([(300, 1_000), (200, 2_000)], 1 / 6, 5 / 3),  # no such line
    ],
)
def test_how_long_a_synthesis_will_take_is_told_by_the_newest_ones(recent, one_second, ten_seconds):
    totals = ProviderTotals(recent=tuple(Synthesis(*each) for each in recent))
    assert totals.busy_s(1.0) == pytest.approx(one_second)
    assert totals.busy_s(10.0) == pytest.approx(ten_seconds)
