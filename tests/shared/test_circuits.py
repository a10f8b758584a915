"""When circuits open and close, on every supported Redis."""

from __future__ import annotations

import pytest

from shared.circuits import CIRCUITS, MIN_ATTEMPTS, PROBE_AFTER_MS, WINDOW_S, Circuits, CircuitState
from shared.outcomes import Outcomes
from shared.presence import Presence


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def circuits(redis) -> Circuits:
    return Circuits(redis)


def note(circuits, *, spoke=0, failed=0):
    for has_failed, times in ((False, spoke), (True, failed)):
        for _ in range(times):
            circuits.note("piper", has_failed=has_failed)


def state(redis, provider="piper"):
    return Presence(redis).roll_call().circuit(provider)


def pass_time(redis, ms):
    """Let that much time pass for what the circuits hold."""
    if redis.zscore(CIRCUITS, "piper") is not None:
        redis.zincrby(CIRCUITS, -ms, "piper")
    for field, count in redis.hgetall("voice:outcomes:piper").items():
        what, _, second = field.decode().partition(":")
        redis.hdel("voice:outcomes:piper", field)
        redis.hincrby("voice:outcomes:piper", f"{what}:{int(second) - ms // 1000}", count)


@pytest.mark.parametrize(
    ("spoke", "failed", "expected"),
    [
        (0, MIN_ATTEMPTS - 1, CircuitState.CLOSED),
        (0, MIN_ATTEMPTS, CircuitState.OPEN),
        (MIN_ATTEMPTS // 2, MIN_ATTEMPTS // 2, CircuitState.OPEN),
        (MIN_ATTEMPTS // 2 + 1, MIN_ATTEMPTS // 2, CircuitState.CLOSED),
        (100, 99, CircuitState.CLOSED),
        (100, 100, CircuitState.OPEN),
    ],
)
def test_it_opens_when_half_of_enough_attempts_failed(redis, circuits, spoke, failed, expected):
    note(circuits, spoke=spoke, failed=failed)
    assert state(redis) is expected
    assert state(redis, "espeak") is CircuitState.CLOSED, "each provider has its own"


def test_slow_attempts_count_as_several_because_few_of_them_fit_into_the_time(redis, circuits):
    for _ in range(3):
        circuits.note("piper", has_failed=True, duration_ms=30_000)
    assert state(redis) is CircuitState.CLOSED
    circuits.note("piper", has_failed=True, duration_ms=30_000)
    assert state(redis) is CircuitState.OPEN
    for _ in range(8):
        circuits.note("espeak", has_failed=False, duration_ms=3_000)
    for _ in range(15):
        circuits.note("espeak", has_failed=True, duration_ms=300)
    assert state(redis, "espeak") is CircuitState.CLOSED, "16 spoke"


def test_what_is_long_ago_does_not_count(redis, circuits):
    note(circuits, failed=MIN_ATTEMPTS - 1)
    pass_time(redis, (WINDOW_S + 1) * 1000)
    note(circuits, failed=MIN_ATTEMPTS - 1)
    assert state(redis) is CircuitState.CLOSED
    assert redis.hlen("voice:outcomes:piper") <= 2, "what no longer counts is not kept"
    assert redis.ttl("voice:outcomes:piper") <= WINDOW_S


def test_its_reason_says_how_many_failed(redis, circuits):
    note(circuits, spoke=5, failed=15)
    assert Presence(redis).roll_call().reasons == {"piper": f"15 of 20 attempts within {WINDOW_S} s failed."}


def test_it_is_due_a_probe_after_a_while_that_decides(redis, circuits):
    note(circuits, failed=MIN_ATTEMPTS)
    pass_time(redis, PROBE_AFTER_MS)
    assert state(redis) is CircuitState.HALF_OPEN
    circuits.note("piper", has_failed=True, is_probe=True)
    assert state(redis) is CircuitState.OPEN
    circuits.note("piper", has_failed=False, is_probe=True)
    assert state(redis) is CircuitState.CLOSED
    assert Presence(redis).roll_call().reasons == {}
    note(circuits, failed=MIN_ATTEMPTS - 1)
    assert state(redis) is CircuitState.CLOSED, "it begins anew"


def test_an_open_one_heeds_only_its_probes(redis, circuits):
    note(circuits, failed=MIN_ATTEMPTS)
    note(circuits, spoke=10 * MIN_ATTEMPTS)
    assert state(redis) is CircuitState.OPEN


def test_one_that_is_held_open_stays_so_until_its_time_or_its_release(redis, circuits):
    until_ms = Presence(redis).roll_call().now_ms + 3_600_000
    circuits.hold_open("piper", until_ms, "The budget is spent.")
    note(circuits, spoke=MIN_ATTEMPTS, failed=MIN_ATTEMPTS)
    pass_time(redis, PROBE_AFTER_MS)
    assert state(redis) is CircuitState.OPEN
    assert Presence(redis).roll_call().reasons == {"piper": "The budget is spent."}
    circuits.close("piper")
    assert (state(redis), Presence(redis).roll_call().reasons) == (CircuitState.CLOSED, {})


def test_a_callers_fault_opens_no_circuit(redis):
    outcomes = Outcomes(redis)
    for _ in range(2 * MIN_ATTEMPTS):
        outcomes.failed("piper", "voice_not_found", is_provider_fault=False)
    assert state(redis) is CircuitState.CLOSED
    for _ in range(MIN_ATTEMPTS):
        outcomes.failed("piper", "engine_failed")
    assert state(redis) is CircuitState.OPEN
