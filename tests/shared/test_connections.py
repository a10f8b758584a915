"""The clients' connections: each thread has its own, and keeps it."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import redis

from shared.connections import front_client, worker_client


@pytest.fixture(params=[front_client, worker_client], ids=lambda make: make.__name__)
def client(request, redis_server):
    with request.param(redis_server.url(1)) as client:
        yield client


def own_id(client) -> int:
    """Give the number of the connection that a command of this thread goes through."""
    return client.client_id()


def test_a_thread_keeps_its_connection(client):
    assert len({own_id(client) for _ in range(5)}) == 1
    script = client.register_script("return redis.call('INCR', 'calls')")
    assert [script(), script()] == [1, 2]
    with client.pipeline() as pipe:
        pipe.client_id()
        assert pipe.execute() == [own_id(client)]


def test_threads_have_connections_of_their_own(client):
    together = Barrier(4)

    def ids(_: int) -> set[int]:
        together.wait(10)
        return {own_id(client) for _ in range(20)}

    with ThreadPoolExecutor(4) as threads:
        each = list(threads.map(ids, range(4)))
    assert [len(of_one) for of_one in each] == [1, 1, 1, 1]
    assert len(set.union(*each)) == 4


def test_a_transaction_that_is_open_has_its_connection_to_itself(client):
    with client.pipeline() as pipe:
        pipe.watch("key")
        client.set("key", 1)  # as another client would
        pipe.multi()
        pipe.set("key", 2)
        with pytest.raises(redis.WatchError):
            pipe.execute()
    assert client.get("key") == b"1"


def test_a_connection_that_was_cut_is_replaced(client):
    before = own_id(client)
    client.client_kill_filter(_id=before, skipme=False)
    assert own_id(client) != before


def test_connections_end_with_their_threads(client, redis_server):
    def listed() -> set[int]:
        with redis_server.client(1) as other:
            return {int(one["id"]) for one in other.client_list()}

    with ThreadPoolExecutor(1) as thread:
        used = thread.submit(own_id, client).result()
        assert used in listed()
    gc.collect()  # redis-py's connections refer to themselves
    assert used not in listed()


def test_a_forked_process_has_connections_of_its_own(client):
    before = own_id(client)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, b"%d" % own_id(client))
        os._exit(0)
    os.waitpid(pid, 0)
    assert int(os.read(reading, 64)) != before
    assert own_id(client) == before
    os.close(reading)
    os.close(writing)
