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


CURRENT = "redis.call('HGET', rendering_key(id), 'attempt') == attempt"
MUTANTS = {
    "no fence": ("fenced", "finish", "not is_live(state) or current ~= attempt", "not is_live(state)"),
    "no ringing again": ("nothing is left", "sweep", "table.insert(waiting,", "table.insert({},"),
    "no check of the live rendering": ("one live", "submit", "if is_live(state) then", "if false then"),
    "no index of the owner": ("an owner's", "submit", "{JOBS, JOBS .. ':' .. owner}", "{JOBS}"),
    "no index of all": ("listed", "submit", "{JOBS, JOBS .. ':' .. owner}", "{JOBS .. ':' .. owner}"),
    "no idempotency": ("makes one job", "submit", "if its and its[1]", "if false"),
    "no comparison of bodies": ("stands for one request", "submit", "reserved ~= body", "false"),
    "no end of probes": (
        "one at a time",
        "claim",
        "redis.call('ZADD', CIRCUITS, now",
        "redis.call('ZSCORE', CIRCUITS, '') -- ",
    ),
    "no heed of circuits": (
        "lets nobody through",
        "claim",
        "if now < tonumber(probe_ms) then",
        "if false then",
    ),
    "no urgency": ("is urgent|audio is kept", "submit", "its_priority == 'prewarm' and", "false and"),
    "no giving way": ("goes first", "claim", "'priority') == 'prewarm' then", "'priority') == 'none' then"),
    "no end of what has begun": ("goes on", "leave", "if if_queued and", "if false and"),
    "no usage of the fenced": ("written down", "finish", "if usage ~= ''", f"if usage ~= '' and {CURRENT}"),
    "no word of claims": ("announced", "claim", "announce(id, 'running')\nreturn", "return"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_caught(redis_server, mutant):
    caught_as, *change = MUTANTS[mutant]
    machine = machine_on(redis_server, swap(*change))
    with pytest.raises(AssertionError, match=caught_as):
        run_state_machine_as_test(machine, settings=settings(RUNS, phases=[Phase.generate], max_examples=500))
