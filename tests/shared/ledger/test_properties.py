"""The ledger keeps its promises whatever order things happen in, and the test can tell when it does not."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.shared.ledger.machine import LedgerMachine

RUNS = settings(
    max_examples=150,
    derandomize=True,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
    print_blob=False,
)


def machine_on(server, mutate=lambda _ledger: None):
    return type("Machine", (LedgerMachine,), {"redis": server.client(1), "mutate": staticmethod(mutate)})


def swap(name, sound, broken):
    """Make a mutant of one script."""

    def mutate(ledger):
        script = ledger._scripts[name]
        assert sound in script.script
        ledger._scripts[name] = ledger.redis.register_script(script.script.replace(sound, broken))

    return mutate


def test_no_order_of_events_breaks_the_ledger(every_redis):
    run_state_machine_as_test(machine_on(every_redis), settings=RUNS)


MUTANTS = {
    "no fence": ("finish", "not is_live(state) or current ~= attempt", "not is_live(state)"),
    "no ringing again": ("sweep", "table.insert(waiting,", "table.insert({},"),
    "no check of the live rendering": ("submit", "if is_live(state) then", "if false then"),
}


@pytest.mark.parametrize(
    ("mutant", "caught_as"),
    [
        ("no fence", "fenced"),
        ("no ringing again", "nothing is left"),
        ("no check of the live rendering", "one live rendering"),
    ],
)
def test_a_mutant_is_caught(every_redis, mutant, caught_as):
    machine = machine_on(every_redis, swap(*MUTANTS[mutant]))
    with pytest.raises(AssertionError, match=caught_as):
        run_state_machine_as_test(machine, settings=settings(RUNS, phases=[Phase.generate], max_examples=500))
