"""A function in a process of its own: its answer comes back, its crash stays there."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from operator import le
from pathlib import Path

import psutil
import pytest

from shared.errors import EngineFailed
from tests.farm import until
from tests.workers.forked_functions import Broken, Loaded, echo, given, hang, modules, so_far
from workers.providers.forked import ForkedFunction, end_copy


def run_forked(work, *args, limit_s: int = 10) -> object:
    """Call it once, in a process of its own."""
    return ForkedFunction(work, limit_s=limit_s, always_fresh=True)(*args)


@pytest.mark.parametrize(
    "answer", [os.urandom(1_000_000), {"words": ["phonème"]}, None], ids=lambda a: str(type(a))
)
def test_what_the_function_returns_comes_back(answer):
    assert run_forked(given, answer) == answer


def test_what_the_function_changes_stays_in_its_process():
    fresh = ForkedFunction(so_far, limit_s=10, always_fresh=True)
    assert [fresh(1), fresh(2)] == [[1], [2]]
    kept = ForkedFunction(so_far, limit_s=10)
    assert [kept(1), kept(2)] == [[1], [1, 2]]


def test_the_function_is_loaded_once_and_copied():
    function = ForkedFunction(Loaded().loaded_in, limit_s=10, always_fresh=True)
    answers = [function() for _ in range(3)]
    [loaded] = {loaded for loaded, _ in answers}
    assert len({os.getpid(), loaded, *(called for _, called in answers)}) == 5


def test_its_process_has_loaded_nothing_else():
    """Or it would take long to fork, and to end."""
    there = run_forked(modules)
    assert "shared.errors" in there
    assert not {name for name in there if name.partition(".")[0] in {"numpy", "pydantic", "redis", "celery"}}


def test_what_cannot_be_loaded_is_a_failure_each_time(capfd):
    function = ForkedFunction(Broken().speak, limit_s=10)
    for _ in range(2):
        with pytest.raises(EngineFailed, match="cannot be loaded"):
            function()
    assert "its library is missing" in capfd.readouterr().err


def test_its_own_failure_comes_back_in_its_words():
    with pytest.raises(EngineFailed, match="no such phonème"):
        run_forked(echo, b"fail")


def test_an_unexpected_error_is_a_failure_that_the_log_explains(capfd):
    with pytest.raises(EngineFailed, match="unexpectedly"):
        run_forked(echo, b"err")
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGBUS], ids=lambda s: s.name)
def test_a_crash_is_a_failure_that_names_the_signal(number):
    with pytest.raises(EngineFailed, match=number.name):
        run_forked(echo, b"signal %d" % number)


def test_the_process_that_a_thread_waits_for_can_be_ended_by_another(tmp_path):
    end_copy(threading.get_ident())  # nothing happens where there is none
    waiting, begun = threading.get_ident(), tmp_path / "begun"

    def end() -> None:
        until(begun.exists, "it has begun", 10)
        end_copy(waiting)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end)
        with pytest.raises(EngineFailed, match="SIGKILL"):
            run_forked(hang, begun, limit_s=60)
        ended.result()
    assert run_forked(given, b"the next one speaks")


def test_a_function_that_never_ends_is_ended():
    with pytest.raises(EngineFailed, match="longer than 1 s"):
        run_forked(echo, b"hang", limit_s=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_stop_of_the_whole_group_lets_the_rendering_end(number):
    assert run_forked(echo, b"signal %d" % number).split()[1:] == [b"signal", b"%d" % number]


def test_a_stop_while_the_function_is_loaded_ends_nothing():
    function = ForkedFunction(echo, limit_s=10)
    function.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(function._server._process.pid, number)
    server = function._server
    assert function(b"well").endswith(b"well")
    assert function._server is server


def test_no_process_and_no_file_is_left_behind():
    def open_files() -> set[str]:
        return {file.name for file in Path("/proc/self/fd").iterdir()}

    def left_behind() -> tuple[int, int]:
        gc.collect()
        return len(open_files()), len(children())

    before = left_behind()
    for _ in range(5):
        run_forked(given, b"")
    until(lambda: all(map(le, left_behind(), before)), "nothing is left", 10)


def test_threads_get_their_own_answers():
    for is_fresh in (True, False):
        function = ForkedFunction(given, limit_s=10, always_fresh=is_fresh)
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(function, range(100))) == list(range(100))


@pytest.fixture
def copy():
    """A function in a process that is kept."""
    return ForkedFunction(echo, limit_s=1)


@pytest.fixture
def fresh():
    """A function that is called in a fresh process each time."""
    return ForkedFunction(echo, limit_s=1, always_fresh=True)


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def copies_of(function: ForkedFunction) -> set[int]:
    """Those that its server has made, once there is one."""
    server = psutil.Process(function._server._process.pid)
    until(server.children, "there is a copy", 10)
    return {copy.pid for copy in server.children()}


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pid_of(answer: bytes) -> int:
    return int(answer.split()[0])


def test_a_kept_copy_answers_call_after_call(copy):
    answers = [copy(b"%d" % number) for number in range(20)]
    assert [answer.split()[1] for answer in answers] == [b"%d" % number for number in range(20)]
    assert {pid_of(answer) for answer in answers} == {pid_of(answers[0])}
    assert pid_of(answers[0]) != os.getpid()


def test_a_kept_copy_takes_and_gives_much(copy):
    question = os.urandom(1_000_000)
    assert copy(question).endswith(question)


def test_a_failure_leaves_the_kept_copy_alive(copy):
    before = pid_of(copy(b""))
    with pytest.raises(EngineFailed, match="no such phonème"):
        copy(b"fail")
    assert pid_of(copy(b"")) == before


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (b"signal 11", "SIGSEGV"),
        (b"signal 9", "SIGKILL"),
        (b"hang", "longer than 1 s"),
        (b"err", "unexpectedly"),
    ],
)
def test_a_kept_copy_that_ends_is_a_failure_and_the_next_call_gets_a_new_one(copy, question, told):
    before = pid_of(copy(b""))
    with pytest.raises(EngineFailed, match=told):
        copy(question)
    assert pid_of(copy(b"")) != before


def test_no_call_is_in_a_copy_in_which_another_was(fresh):
    assert len({pid_of(fresh(b"")) for _ in range(20)}) == 20
    until(lambda: fresh(b"") and len(copies_of(fresh)) <= 3, "those that were called have ended", 10)


def test_a_fresh_copy_waits_for_the_next_call(fresh):
    fresh.start()
    [waiting] = copies_of(fresh)
    assert pid_of(fresh(b"")) == waiting
    assert pid_of(fresh(b"")) != waiting


@pytest.mark.parametrize("question", [b"signal 11", b"hang", b"err", b"fail"])
def test_after_a_failure_the_next_call_is_in_a_fresh_copy(fresh, question):
    with pytest.raises(EngineFailed):
        fresh(question)
    assert fresh(b"well").endswith(b"well")


@pytest.mark.parametrize("function", ["copy", "fresh"])
def test_a_copy_that_was_ended_while_it_waited_is_replaced(function, request):
    called = request.getfixturevalue(function)
    called.start()
    [waiting] = copies_of(called)
    os.kill(waiting, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(waiting), "it has ended", 10)
    assert called(b"well").endswith(b"well")


@pytest.mark.parametrize("function", ["copy", "fresh"])
def test_copies_that_were_all_ended_while_they_waited_are_replaced(function, request):
    called = request.getfixturevalue(function)
    for _ in range(2):
        called(b"")
    until(lambda: len(copies_of(called)) == 2, "two wait, one of them to be ended or asked again", 10)
    for copy in copies_of(called):
        os.kill(copy, signal.SIGKILL)
        until(lambda copy=copy: has_ended(copy), "it has ended", 10)
    assert [called(b"well")[-4:] for _ in range(3)] == [b"well"] * 3


@pytest.mark.parametrize("function", ["copy", "fresh"])
def test_a_server_that_was_ended_is_replaced(function, request):
    called, before = request.getfixturevalue(function), children()
    called.start()
    [server] = children() - before
    os.kill(server, signal.SIGKILL)
    until(lambda: has_ended(server), "it has ended", 10)
    assert [called(b"well")[-4:] for _ in range(3)] == [b"well"] * 3


def test_an_attempt_that_ends_otherwise_ends_its_copy(copy):
    """As when Celery's time limit or Ctrl-C interrupts the wait."""
    before = pid_of(copy(b""))
    signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    with pytest.raises(KeyboardInterrupt):
        copy(b"hang")
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    until(lambda: has_ended(before), "it ends", 10)
    assert pid_of(copy(b"")) != before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_stop_of_the_whole_group_lets_the_kept_copy_answer(copy, number):
    assert copy(b"signal %d" % number)


@pytest.mark.parametrize("last_words", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_kept_copies_end_with_whoever_made_them(last_words):
    program = (
        "import os; from workers.providers.forked import ForkedFunction\n"
        "copy, other = (ForkedFunction(os.getpid, limit_s=5) for _ in range(2))\n"
        "print(copy(), other(), flush=True)\n"
        f"{last_words}"
    )
    owner = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    for copy in map(int, owner.stdout.split()):
        until(lambda copy=copy: not psutil.pid_exists(copy), f"{copy} has ended", 10)
