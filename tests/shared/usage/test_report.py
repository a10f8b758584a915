"""What was used by whom and when, and what a provider has cost so far."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta

import pytest

from shared.connections import front_client
from shared.dimensions import Dimension
from shared.errors import StateUnavailable
from shared.usage import Outbox, UsageReport, UsageSum, UsageWriter
from tests.servers import free_port
from tests.shared.usage.used import ANN, BOB, used, write_down

MIDNIGHT = datetime(2026, 11, 2, tzinfo=UTC)
FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)
PRICE = used(0).cost_usd


def ms(time):
    return int(time.timestamp() * 1000)


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


@pytest.fixture
def writer(database, redis):
    return UsageWriter(database, Outbox(redis))


@pytest.fixture
def report(database, redis):
    return UsageReport(database, Outbox(redis), clock=lambda: MIDNIGHT + timedelta(hours=12))


@pytest.fixture
def two_days(redis, writer, report):
    """A report on two days' work of two providers."""
    write_down(redis, used(1), used(2, personality_id=BOB), at_ms=ms(MIDNIGHT) - 1)
    second = used(3, provider="piper"), used(4, characters=5), used(5, personality_id=BOB)
    write_down(redis, *second, at_ms=ms(MIDNIGHT))
    writer.once()
    return report


def by(*dimensions):
    """Read a report on both days as {what it is of: how many syntheses}."""
    return lambda report, **filters: {
        tuple(str(part) for part in (each.day, each.provider, each.personality_id) if part): each.syntheses
        for each in report.sums(FIRST, SECOND, dimensions, **filters)
    }


def test_sums_are_of_what_was_asked_for(two_days):
    assert by(Dimension.PROVIDER)(two_days) == {("espeak",): 4, ("piper",): 1}
    assert by(Dimension.PERSONALITY)(two_days) == {(ANN,): 3, (BOB,): 2}
    assert by(Dimension.DAY)(two_days) == {("2026-11-01",): 2, ("2026-11-02",): 3}
    assert by(Dimension.DAY, Dimension.PROVIDER)(two_days) == {
        ("2026-11-01", "espeak"): 2, ("2026-11-02", "espeak"): 2, ("2026-11-02", "piper"): 1,
    }  # fmt: skip
    assert list(by(*Dimension)(two_days)) == [
        ("2026-11-01", "espeak", ANN), ("2026-11-01", "espeak", BOB),
        ("2026-11-02", "espeak", ANN), ("2026-11-02", "espeak", BOB), ("2026-11-02", "piper", ANN),
    ]  # fmt: skip


def test_without_a_dimension_there_is_one_sum_of_everything_or_none(two_days):
    assert two_days.sums(FIRST, SECOND, ()) == (
        UsageSum(
            syntheses=5, characters=45, audio_ms=7500, compute_ms=100, cost_usd=5 * PRICE
        ),
    )  # fmt: skip
    assert two_days.sums(date(2026, 10, 1), date(2026, 10, 31), ()) == ()


def test_sums_are_of_the_days_asked_for_both_included(two_days):
    for first, last, count in (
        (FIRST, FIRST, 2),
        (SECOND, SECOND, 3),
        (FIRST, SECOND, 5),
        (SECOND, FIRST, 0),
    ):
        assert sum(each.syntheses for each in two_days.sums(first, last, ())) == count


def test_sums_may_be_of_one_provider_or_personality(two_days):
    assert by(Dimension.DAY)(two_days, provider="espeak") == {("2026-11-01",): 2, ("2026-11-02",): 2}
    assert by(Dimension.PROVIDER)(two_days, personality_id=BOB) == {("espeak",): 2}
    assert by(Dimension.PROVIDER)(two_days, provider="piper", personality_id=BOB) == {}


def test_what_was_spent_counts_the_outbox_and_each_attempt_once(redis, writer, report):
    write_down(redis, *map(used, range(3)), used(9, provider="piper"))
    assert report.spent_usd("espeak", MIDNIGHT) == 3 * PRICE, "it is all in the outbox"
    writer.once()
    assert report.spent_usd("espeak", MIDNIGHT) == 3 * PRICE, "it is all in SQL"
    write_down(redis, used(2), used(3), used(3))
    assert report.spent_usd("espeak", MIDNIGHT) == 4 * PRICE, "some is in both"
    assert report.spent_usd("piper", MIDNIGHT) == PRICE
    assert report.spent_usd("google_tts", MIDNIGHT) == 0


def test_what_was_spent_counts_from_a_moment_on(redis, writer, report):
    for number, at in enumerate((-1, 0, 1)):
        write_down(redis, used(number), at_ms=ms(MIDNIGHT) + at)
    assert report.spent_usd("espeak", MIDNIGHT) == 2 * PRICE
    writer.once()
    write_down(redis, used(3))
    assert report.spent_usd("espeak", MIDNIGHT) == 3 * PRICE
    assert report.spent_usd("espeak", MIDNIGHT - timedelta(days=9)) == 4 * PRICE


def test_a_month_begins_with_its_first_moment_by_utc(redis, writer, report):
    november = datetime(2026, 11, 1, tzinfo=UTC)
    for number, at in enumerate((-1, 0)):
        write_down(redis, used(number), at_ms=ms(november) + at)
    assert report.month_to_date("espeak") == PRICE
    writer.once()
    assert report.month_to_date("espeak") == PRICE


def test_what_was_spent_stays_the_same_while_it_is_moved(redis, writer, report):
    write_down(redis, *map(used, range(3)))
    writer.once()
    count = 3
    for _ in range(15):
        write_down(redis, *map(used, range(count, count + 20)))
        count += 20
        moving = threading.Thread(target=writer.once)
        moving.start()
        while moving.is_alive():
            assert report.spent_usd("espeak", MIDNIGHT) == count * PRICE
        moving.join()


def test_without_redis_nobody_knows_what_was_spent(database):
    report = UsageReport(database, Outbox(front_client(f"redis://127.0.0.1:{free_port()}/0")))
    with pytest.raises(StateUnavailable):
        report.spent_usd("espeak", MIDNIGHT)
    assert report.sums(FIRST, SECOND, ()) == ()
