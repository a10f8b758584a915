"""Every order of events around a change: two directories, changes that interleave, die and expire."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.database import Database
from shared.directory import CHANGES_KEY, EPOCH_KEY, Changes, Directory
from shared.personalities import Personalities, PersonalityRow
from tests.shared.test_directory import ZAC, write_revision


@pytest.fixture
def seeded(database, redis_server) -> Database:
    """A database with the example personalities."""
    Personalities(database, Changes(redis_server.client(1))).seed_examples()
    return database


class InterruptedDatabase(Database):
    """Lets something happen right after a reader has read, before it holds what it read."""

    def __init__(self, url):
        super().__init__(url)
        self.interruption = None

    @contextmanager
    def session(self):
        with super().session() as session:
            yield session
        interruption, self.interruption = self.interruption, None
        if interruption:
            interruption()


class Interleavings(RuleBasedStateMachine):
    """Whatever happens in whatever order, nobody sees less than what had returned before they looked.

    The first directory looks after every event, the second one now and then.
    """

    def __init__(self, database, redis, changes_class, directory_class):
        super().__init__()
        redis.flushall()
        self.database, self.redis = database, redis
        self.changes = changes_class(redis)
        self.readers = []
        for _ in range(2):
            theirs = InterruptedDatabase(database.engine.url.render_as_string(hide_password=False))
            self.readers.append((theirs, directory_class(theirs, redis)))
        self.uncommitted = 0
        with database.session() as session:
            self.stored = session.get(PersonalityRow, ZAC).voice_revision
        self.returned = self.stored

    def teardown(self):
        for theirs, _ in self.readers:
            theirs.close()

    begun = Bundle("begun")
    committed = Bundle("committed")
    looks = Bundle("looks")

    @rule(target=begun)
    def begin(self):
        around = self.changes.around()
        around.__enter__()
        self.uncommitted += 1
        return around

    @rule(target=committed, around=consumes(begun))
    def commit(self, around):
        self.uncommitted -= 1
        self.stored = write_revision(self.database)
        return around, self.stored

    @rule(change=consumes(committed))
    def finish(self, change):
        around, revision = change
        around.__exit__(None, None, None)
        self.returned = max(self.returned, revision)

    @rule(_around=consumes(begun))
    def die_before_the_commit(self, _around):
        self.uncommitted -= 1

    @rule(change=consumes(committed))
    def die_after_the_commit(self, change):
        pass

    @precondition(lambda self: not self.uncommitted)
    @rule()
    def expire(self):
        """Time passes; a change that comes to its commit only afterwards is beyond what is promised."""
        for key in (EPOCH_KEY, CHANGES_KEY):
            if self.redis.ttl(key) >= 0:
                self.redis.delete(key)
        self.returned = self.stored

    @rule(target=looks, reader=st.integers(0, 1))
    def look(self, reader):
        return reader, self.readers[reader][1].read_epoch(), self.returned

    @rule(look=consumes(looks))
    def answer(self, look):
        reader, epoch, at_least = look
        assert self.readers[reader][1].personality(epoch, ZAC).voice_revision >= at_least

    @rule(look=consumes(looks))
    def answer_while_something_changes(self, look):
        theirs, _ = self.readers[look[0]]
        theirs.interruption = lambda: self.finish(self.commit(self.begin()))
        self.answer(look)
        theirs.interruption = None

    @invariant()
    def ask(self):
        self.answer(self.look(0))


class ForgetsOtherChanges(Changes):
    def _end(self, change):
        self._redis.set(EPOCH_KEY, change)


class TellsOnlyAfterwards(Changes):
    def _begin(self, change):
        pass


class TellsTooEarly(Changes):
    @contextmanager
    def around(self):
        with super().around():
            pass
        yield


class HoldsDuringChanges(Directory):
    def _current_token(self, commands):
        token, answers = super()._current_token(commands)
        return token or b"changing", answers


class HoldsUnderTheEpochOfAfterwards(Directory):
    def personality(self, epoch, personality_id):
        record = super().personality(epoch, personality_id)
        return self._held_personalities.get(self.read_epoch(), personality_id, lambda: record)


def _run(database, redis_server, changes_class=Changes, directory_class=Directory, **options):
    redis = redis_server.client(1)
    run_state_machine_as_test(
        lambda: Interleavings(database, redis, changes_class, directory_class),
        settings=settings(
            deadline=None,
            stateful_step_count=30,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )


def test_in_every_order_of_events_nobody_sees_what_a_returned_change_replaced(seeded, redis_server):
    _run(seeded, redis_server, max_examples=100)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "mutant",
    [
        ForgetsOtherChanges,
        TellsOnlyAfterwards,
        TellsTooEarly,
        HoldsDuringChanges,
        HoldsUnderTheEpochOfAfterwards,
    ],
)
def test_the_orders_of_events_find_each_mutant(seeded, redis_server, mutant):
    part = "changes_class" if issubclass(mutant, Changes) else "directory_class"
    with pytest.raises(AssertionError):
        _run(seeded, redis_server, **{part: mutant}, max_examples=2000, phases=[Phase.generate])
