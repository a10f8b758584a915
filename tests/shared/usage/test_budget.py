"""A provider whose month's budget is spent is left alone until the next month, or a greater budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.circuits import CIRCUITS, Circuits, CircuitState
from shared.presence import Presence
from shared.provider_stats import ProviderStats
from shared.usage import BudgetWatch, Outbox, UsageReport, UsageWriter
from tests.shared.usage.used import used, write_down

NOW = datetime.now(UTC)
PRICE = used(0).cost_usd


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


@pytest.fixture
def spend(database, redis):
    """Spend this many times the price of a synthesis; the last one is not in SQL yet."""

    def spend(times):
        for number in range(times):
            UsageWriter(database, Outbox(redis)).once()
            write_down(redis, used(number))

    return spend


@pytest.fixture
def watch(database, redis):
    """Look after a budget of this many times the price of a synthesis."""

    def watch(times, now=NOW):
        report = UsageReport(database, Outbox(redis), clock=lambda: now)
        clock = {"clock": lambda: now}
        BudgetWatch("espeak", times * PRICE, report, Circuits(redis), ProviderStats(redis), **clock).once()
        return Presence(redis).roll_call().circuit("espeak")

    return watch


def test_the_circuit_opens_when_the_budget_is_spent_and_says_so(redis, spend, watch):
    assert watch(3) is CircuitState.CLOSED
    spend(2)
    assert watch(3) is CircuitState.CLOSED
    spend(3)
    assert watch(3) is CircuitState.OPEN
    assert "budget" in Presence(redis).roll_call().reasons["espeak"]
    begins = datetime.fromtimestamp(redis.zscore(CIRCUITS, "espeak") / 1000, UTC)
    assert (begins.day, begins.hour, begins.minute) == (1, 0, 0)
    assert 0 < (begins - NOW).total_seconds() <= 31 * 86_400


def test_a_greater_budget_or_another_month_closes_it(spend, watch):
    spend(3)
    assert watch(3) is CircuitState.OPEN
    assert watch(4) is CircuitState.CLOSED
    assert watch(3) is CircuitState.OPEN
    next_month = NOW.replace(year=NOW.year + 1, month=1, day=1)
    assert watch(3, next_month) is CircuitState.CLOSED


def test_what_an_earlier_budget_held_is_let_go_of_when_there_is_none(redis, spend, watch, database):
    spend(3)
    assert watch(3) is CircuitState.OPEN
    report = UsageReport(database, Outbox(redis))
    BudgetWatch("espeak", None, report, Circuits(redis), ProviderStats(redis)).once()
    assert Presence(redis).roll_call().circuit("espeak") is CircuitState.CLOSED


def test_how_much_is_spent_is_told_until_the_month_ends(redis, spend, watch):
    def told():
        return ProviderStats(redis).totals(["espeak"])["espeak"].month_cost_usd

    assert told() is None
    spend(2)
    watch(5)
    assert told() == 2 * PRICE
    watch(5, NOW - timedelta(days=62))
    assert told() is None


def test_a_budget_of_nothing_lets_nobody_through(watch):
    assert watch(0) is CircuitState.OPEN


def test_a_circuit_that_opened_for_its_failures_is_left_alone(redis, watch):
    for _ in range(20):
        Circuits(redis).note("espeak", has_failed=True)
    assert watch(3) is CircuitState.OPEN
    redis.zadd(CIRCUITS, {"espeak": 0})
    assert watch(Decimal(3)) is CircuitState.HALF_OPEN
