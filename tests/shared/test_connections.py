"""A thread's own line to a server."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from threading import Thread

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared import connections
from shared.connections import Line, front_client, worker_client
from tests.servers import running_redis


@pytest.fixture
def line(every_redis) -> Line:
    return Line(every_redis.client(1))


def test_answers_come_in_their_order(line):
    line.send(line.pack(("SET", "a", b"\0\r\n", "PX", 9_000)), 1)
    line.send(line.pack(("GET", "a"), ("STRLEN", "a")), 2)
    assert line.read() == [b"OK", b"\0\r\n", 3]
    assert line.read() == []


def test_what_nobody_has_read_is_not_taken_for_what_is_asked(line):
    line.send(line.pack(("PING",), ("NO SUCH COMMAND",)), 2)
    assert line.ask(("ECHO", "here")) == [b"here"]


def test_a_refusal_leaves_the_other_answers_in_their_places(line):
    line.ask(("SET", "text", "a"))
    for _ in range(2):
        with pytest.raises(redis.ResponseError, match="not an integer"):
            line.ask(("GET", "text"), ("INCR", "text"), ("GET", "text"))
    assert line.ask(("GET", "text")) == [b"a"]


def test_who_blocks_is_given_longer_but_not_for_ever(tmp_path, every_redis):
    with running_redis(every_redis.binary, tmp_path) as server:
        line = Line(front_client(server.url(1), 0.3))
        blocking = ("BLPOP", "nothing", 1)
        assert line.ask(blocking, ("PING",), block_s=1) == [None, b"PONG"]
        with pytest.raises(redis.TimeoutError):
            line.ask(blocking)
        line.ask(("PING",))
        server.pause()
        begun = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            line.ask(blocking, block_s=1)
        assert 1.2 < time.monotonic() - begun < 3
        server.resume()
        assert line.ask(("PING",)) == [b"PONG"]


def test_threads_and_forks_have_connections_of_their_own(line):
    ids = line.ask(("CLIENT ID",))
    thread = Thread(target=lambda: ids.extend(line.ask(("CLIENT ID",))))
    thread.start()
    thread.join()
    ours, theirs = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(theirs, b"%d" % line.ask(("CLIENT ID",))[0])
        os._exit(0)
    os.waitpid(pid, 0)
    ids.append(int(os.read(ours, 100)))
    assert line.ask(("CLIENT ID",)) == ids[:1]
    assert len(set(ids)) == 3
    for end in (ours, theirs):
        os.close(end)


@pytest.mark.parametrize("make_client", [front_client, worker_client])
def test_a_lost_connection_is_made_anew(tmp_path, every_redis, make_client):
    with running_redis(every_redis.binary, tmp_path) as server:
        line = Line(make_client(server.url(1)))
        line.ask(("PING",))
        server.kill()
        server.start()
        assert line.ask(("ECHO", "back")) == [b"back"]


def test_a_front_is_told_soon_of_a_server_that_hangs_and_gets_no_late_answer(tmp_path, every_redis):
    with running_redis(every_redis.binary, tmp_path) as server:
        line = Line(front_client(server.url(1), timeout_s=0.1))
        line.ask(("PING",))
        server.pause()
        with pytest.raises(redis.TimeoutError):
            line.ask(("ECHO", "late"))
        server.resume()
        assert line.ask(("ECHO", "new")) == [b"new"]


class Interrupt(BaseException):
    """What ends a thread's work at any line."""


@pytest.mark.parametrize("where", ["send", "read"])
def test_who_is_interrupted_anywhere_gets_nobody_else_s_answer(line, where):
    """At each line of `Line` in turn, as by Celery's time limit or Ctrl-C."""
    steps = 0

    def interrupt(frame, what, _):
        nonlocal steps
        if frame.f_code.co_filename != connections.__file__:
            return None
        if what == "line" and frame.f_code.co_name == where:
            steps += 1
            if steps == at:
                raise Interrupt
        return interrupt

    line.ask(("PING",))
    for at in range(1, 40):
        steps = 0
        sys.settrace(interrupt)
        with suppress(Interrupt):
            line.ask(("ECHO", "old"))
        sys.settrace(None)
        assert line.ask(("ECHO", "new")) == [b"new"]
        if steps < at:
            break
    assert at > 5


def test_a_server_that_cannot_be_reached_is_tried_as_often_as_the_client_would():
    tries = []

    class Unreachable(redis.Connection):
        def _connect(self):
            tries.append(1)
            raise redis.TimeoutError

    retry = Retry(NoBackoff(), 3)
    pool = redis.ConnectionPool(connection_class=Unreachable, retry=retry)
    with pytest.raises(redis.TimeoutError):
        Line(redis.Redis(connection_pool=pool)).ask(("PING",))
    assert len(tries) == 4


def test_a_fork_does_not_read_its_parent_s_answers(line):
    line.send(line.pack(("ECHO", "mine")), 1)
    if (pid := os.fork()) == 0:
        os._exit(line.ask(("ECHO", "yours")) != [b"yours"])
    assert os.waitpid(pid, 0)[1] == 0
    assert line.read() == [b"mine"]
