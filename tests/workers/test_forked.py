"""A function in a copy of the process: its answer comes back, its crash stays there."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from shared.errors import EngineFailed
from workers.providers.forked import end_copy, run_forked


def test_what_the_function_returns_comes_back():
    answer = os.urandom(1_000_000)
    assert run_forked(lambda: answer, limit_s=10) == answer


def test_what_the_function_changes_stays_in_the_copy():
    changed: list[int] = []

    def change() -> bytes:
        changed.append(1)
        return b"%d" % os.getpid()

    assert int(run_forked(change, limit_s=10)) != os.getpid()
    assert changed == []


def test_its_own_failure_comes_back_in_its_words():
    def fail() -> bytes:
        raise EngineFailed("no such phonème")

    with pytest.raises(EngineFailed, match="no such phonème"):
        run_forked(fail, limit_s=10)


def test_an_unexpected_error_is_a_failure():
    with pytest.raises(EngineFailed, match="unexpectedly"):
        run_forked(lambda: b"%d" % (1 // 0), limit_s=10)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGBUS], ids=lambda s: s.name)
def test_a_crash_is_a_failure_that_names_the_signal(number):
    def crash() -> bytes:
        os.kill(os.getpid(), number)
        return b""

    with pytest.raises(EngineFailed, match=number.name):
        run_forked(crash, limit_s=10)


def test_the_copy_that_a_thread_waits_for_can_be_ended_by_another():
    end_copy(threading.get_ident())  # nothing happens where there is none
    reading, writing = os.pipe()

    def hang() -> bytes:
        os.write(writing, b"up")
        signal.pause()
        return b""

    waiting = threading.get_ident()
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: [os.read(reading, 2), end_copy(waiting)])
        with pytest.raises(EngineFailed, match="SIGKILL"):
            run_forked(hang, limit_s=60)
        ended.result()
    assert run_forked(lambda: b"the next one speaks", limit_s=10)
    os.close(reading)
    os.close(writing)


def test_a_function_that_never_ends_is_ended():
    def hang() -> bytes:
        signal.pause()
        return b""

    with pytest.raises(EngineFailed, match="longer than 1 s"):
        run_forked(hang, limit_s=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_stop_of_the_whole_group_lets_the_rendering_end(number):
    def be_signalled() -> bytes:
        os.kill(os.getpid(), number)
        return b"spoken"

    assert run_forked(be_signalled, limit_s=10) == b"spoken"


def test_no_process_and_no_file_is_left_behind():
    def open_files() -> set[str]:
        return {file.name for file in Path("/proc/self/fd").iterdir()}

    before = open_files(), psutil.Process().children()
    for _ in range(20):
        run_forked(lambda: b"", limit_s=10)
    assert (open_files(), psutil.Process().children()) == before


def test_threads_get_their_own_answers():
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: run_forked(lambda: b"%d" % n, limit_s=10), range(100)))
    assert answers == [b"%d" % n for n in range(100)]
