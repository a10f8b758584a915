"""From the outbox to SQL: nothing is lost and nothing counted twice, whoever dies and whatever is down."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from shared.database import Database
from shared.errors import StateUnavailable
from shared.usage import STREAM, Outbox, SynthesisRow, Usage, UsageWriter
from shared.usage.outbox import BATCH
from tests.farm import until
from tests.shared.usage.used import ANN, used, write_down

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


@pytest.fixture
def outbox(redis):
    return Outbox(redis)


@pytest.fixture
def writer(database, outbox):
    return UsageWriter(database, outbox)


def numbers(database):
    """Give which renderings the table has, as often as it has them."""
    with database.session() as session:
        return sorted(int(row.rendering_id[:64], 16) for row in session.scalars(select(SynthesisRow)))


def test_what_was_used_is_a_row_to_the_last_digit(redis, writer, outbox, database):
    just_before_midnight_ms = int(datetime(2026, 11, 30, 23, 59, 59, 999_000, UTC).timestamp() * 1000)
    usage = used(7, attempt=3, provider="piper", cost_usd=Decimal("1234567.000001"))
    write_down(redis, usage, at_ms=just_before_midnight_ms)
    writer.once()
    with database.session() as session:
        [row] = session.scalars(select(SynthesisRow))
    assert (row.rendering_id, row.attempt) == (usage.rendering_id, 3)
    assert (row.provider, row.personality_id) == ("piper", ANN)
    assert (row.characters, row.audio_ms, row.compute_ms) == (10, 1500, 20)
    assert row.cost_usd == Decimal("1234567.000001")
    assert row.at == datetime(2026, 11, 30, 23, 59, 59, 999_000, UTC)
    assert row.day.isoformat() == "2026-11-30"
    assert outbox.size() == 0


def test_every_batch_is_moved(redis, writer, outbox, database):
    count = 2 * BATCH + 1
    write_down(redis, *map(used, range(count)))
    writer.once()
    assert numbers(database) == list(range(count))
    assert outbox.size() == 0


def test_an_attempt_that_was_written_down_twice_is_counted_once(redis, writer, outbox, database):
    write_down(redis, used(1), used(2), used(1))
    writer.once()
    write_down(redis, used(2), used(1, attempt=2))
    writer.once()
    assert numbers(database) == [1, 1, 2], "attempts of one rendering are two"
    assert outbox.size() == 0


def test_writers_in_several_processes_at_once_move_everything_once(
    redis_server, redis, outbox, database_url, database
):
    count = 3 * BATCH
    write_down(redis, *map(used, range(count)))
    begin = FORK.Barrier(3)

    def move():
        with closing(Database(database_url)) as own:
            begin.wait()
            UsageWriter(own, Outbox(redis_server.client(1))).once()

    processes = [FORK.Process(target=move) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert numbers(database) == list(range(count))
    assert outbox.size() == 0


def test_a_writer_that_is_killed_between_commit_and_deletion_has_counted_once(
    redis_server, redis, writer, outbox, database_url, database
):
    write_down(redis, *map(used, range(5)))

    class Killed(Outbox):
        def strike(self, entries):  # noqa: ARG002
            os.kill(os.getpid(), signal.SIGKILL)

    process = FORK.Process(
        target=lambda: UsageWriter(Database(database_url), Killed(redis_server.client(1))).once()
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert numbers(database) == list(range(5)), "they were committed"
    assert outbox.size() == 5, "and not deleted"
    write_down(redis, used(5))
    writer.once()
    assert numbers(database) == list(range(6))
    assert outbox.size() == 0


def test_what_the_database_does_not_take_is_taken_when_it_is_back(postgres, redis, outbox):
    with closing(Database(postgres.new_database())) as database:
        database.migrate()
        writer = UsageWriter(database, outbox)
        write_down(redis, used(0))
        writer.once()
        write_down(redis, used(1))
        postgres.stop()
        try:
            with pytest.raises(StateUnavailable):
                writer.once()
            write_down(redis, used(2))
        finally:
            postgres.start()
        writer.once()
        assert numbers(database) == [0, 1, 2]
        assert outbox.size() == 0


def test_a_worker_that_is_newer_than_the_schema_waits_for_it(redis, outbox, database_url):
    with closing(Database(database_url)) as database:
        writer = UsageWriter(database, outbox)
        write_down(redis, used(1))
        with pytest.raises(StateUnavailable):
            writer.once()
        database.migrate()
        writer.once()
        assert numbers(database) == [1]


@pytest.mark.parametrize(
    "strange", ['{"from": "the future"}', '{"cost_usd": "much"}', "[]", "", "null", '{"cost_usd": null}']
)
def test_what_another_version_wrote_is_left_to_it_and_stops_nobody(redis, writer, outbox, database, strange):
    write_down(redis, used(1))
    redis.xadd(STREAM, {"usage": strange})
    redis.xadd(STREAM, {"else": "where"})
    write_down(redis, used(2))
    for _ in range(2):
        writer.once()
        assert numbers(database) == [1, 2]
        assert outbox.size() == 2


def test_a_process_moves_what_others_left_and_what_it_is_woken_for(
    redis_server, redis, outbox, database_url, database
):
    write_down(redis, used(1))
    written = FORK.Event()

    def work():
        writer = UsageWriter(Database(database_url), Outbox(redis_server.client(1)))
        writer.start()
        written.wait()
        writer.wake()
        signal.pause()

    process = FORK.Process(target=work)
    process.start()
    try:
        until(lambda: outbox.size() == 0, "what others left is moved")
        write_down(redis, used(2))
        written.set()
        until(lambda: outbox.size() == 0, "what it was woken for is moved")
    finally:
        process.kill()
        process.join()
    assert numbers(database) == [1, 2]


def test_one_turn_at_a_time_is_taken(outbox):
    assert [outbox.take_turn(60_000) for _ in range(3)] == [True, False, False]


def test_a_usage_comes_back_as_it_was_encoded():
    usage = used(1, cost_usd=Decimal("0.000001"))
    assert Usage.from_json(usage.to_json()) == usage


def test_the_rows_of_two_kinds_of_database_add_up_alike(redis, writer, database):
    write_down(redis, *(used(number, cost_usd=Decimal("0.100001")) for number in range(1000)))
    writer.once()
    with database.session() as session:
        assert session.scalar(select(func.sum(SynthesisRow.cost_usd))) == Decimal("100.001")
