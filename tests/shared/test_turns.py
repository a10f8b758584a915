"""Whose turn it is after some attempts, and what is told of those who were passed over."""

from __future__ import annotations

from shared.ledger.attempts import Attempt, PassedOver
from shared.presence import RollCall, Worker
from shared.turns import LOSSES_PER_PROVIDER, Turn, next_turn

CHAIN = ("a", "b", "c")


def roll_call(live, *, opened="", due=""):
    """A roll call of these providers' workers, some with a circuit that is open or due a probe."""
    workers = tuple(Worker(name=name, provider=name, slots=1, device="cpu", pid=1) for name in live)
    probes_ms = dict.fromkeys(opened, 1001) | dict.fromkeys(due, 1000)
    return RollCall(1000, workers, probes_ms, dict.fromkeys(probes_ms, "It kept failing."))


def attempt(provider, code):
    return Attempt(provider, code, "", 1)


def next_provider(attempts, live, **circuits):
    turn = next_turn(CHAIN, attempts, roll_call(live, **circuits))
    return turn and turn.provider


def test_it_is_the_first_that_lives_and_has_not_failed():
    assert next_provider([], "abc") == "a"
    assert next_provider([], "c") == "c"
    assert next_provider([attempt("a", "engine_failed")], "ab") == "b"
    assert next_provider([attempt("a", "worker_lost")], "ab") == "a", "a crash is tried again"
    assert next_provider([attempt("a", "worker_lost")] * LOSSES_PER_PROVIDER, "ab") == "b"
    assert next_provider([attempt(name, "engine_failed") for name in CHAIN], "abc") is None


def test_an_open_circuit_is_passed_over_until_it_is_due_a_probe():
    assert next_provider([], "abc", opened="a") == "b"
    assert next_provider([], "abc", due="a") == "a"


def test_when_nobody_can_the_first_who_has_not_failed_is_waited_for():
    assert next_turn(CHAIN, [], roll_call("")) == Turn("a", can_speak=False)
    failed = [attempt("a", "engine_failed")]
    assert next_turn(CHAIN, failed, roll_call("a")) == Turn("b", can_speak=False)
    assert next_turn(CHAIN, [], roll_call("abc", opened="abc")) == Turn("a", can_speak=False)


def test_those_passed_over_are_told_once_and_get_their_turn_later():
    turn = next_turn(CHAIN, [], roll_call("bc", opened="b"))
    assert [(told.provider, told.code) for told in turn.passed_over] == [
        ("a", PassedOver.NO_WORKER),
        ("b", PassedOver.CIRCUIT_OPEN),
    ]
    assert all(told.detail and told.duration_ms == 0 for told in turn.passed_over)
    assert turn.passed_over[1].detail.endswith("It kept failing."), "why its circuit is open is told"
    assert next_turn(CHAIN, turn.passed_over, roll_call("bc", opened="b")).passed_over == ()
    failed = [*turn.passed_over, attempt("c", "engine_failed")]
    assert next_turn(CHAIN, failed, roll_call("abc")).provider == "a"
