"""Runs a function in a copy of this process: what it crashes, leaks or leaves behind ends with the copy."""

from __future__ import annotations

import faulthandler
import os
import signal
from multiprocessing import Pipe
from threading import Lock, get_ident
from typing import TYPE_CHECKING, NoReturn

from shared.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

# Held from pipe to close: a copy made between them would inherit the writing end and keep it open.
_one_fork_at_a_time = Lock()

# The copy that each thread waits for, until it is reaped.
_copies: dict[int, int] = {}
_copies_lock = Lock()
_ANSWER, _FAILURE = b"+", b"-"


def run_forked(work: Callable[[], bytes], *, limit_s: int) -> bytes:
    """Give what `work` returns when it is called in a copy of this process.

    The copy has this thread only. `work` must not import, log, or take a lock that another thread may hold.

    Raises:
        EngineFailed: `work` raised it, crashed, or took longer than `limit_s`.
    """
    with _one_fork_at_a_time:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _answer_and_exit(work, writing, limit_s)
        with _copies_lock:
            _copies[get_ident()] = child
        os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        with _copies_lock:
            del _copies[get_ident()]
        exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if exit_code:
        raise _failure(exit_code, answer, limit_s)
    return answer


def end_copy(thread: int) -> None:
    """End the copy that this thread waits for, if there is one; its `run_forked` raises EngineFailed."""
    with _copies_lock:
        if thread in _copies:
            os.kill(_copies[thread], signal.SIGKILL)


class ForkedFunction:
    """A function that is called in one copy of this process, which is kept from call to call.

    A call that crashes it or takes too long ends the copy, and the next call gets a new one. The function is
    as restricted as `run_forked`'s; unlike there, the copy pays but once for how large this process is.
    """

    def __init__(self, work: Callable[[bytes], bytes], *, limit_s: int) -> None:
        self._work = work
        self._limit_s = limit_s
        self._copy: tuple[int, Connection] | None = None

    def start(self) -> None:
        """Make the copy, unless there is one; it ends with this process or object, whatever ends that."""
        self._running()

    def __call__(self, question: bytes) -> bytes:
        """Give what the function returns.

        Raises:
            EngineFailed: it raised it, crashed, or took longer than `limit_s`.
        """
        child, pipe = self._running()
        try:
            pipe.send_bytes(question)
            answer = pipe.recv_bytes()
        except (EOFError, OSError) as error:
            self._copy = None
            pipe.close()
            exit_code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            raise _failure(exit_code, b"", self._limit_s) from error
        if answer[:1] == _FAILURE:
            raise EngineFailed(answer[1:].decode())
        return answer[1:]

    def _running(self) -> tuple[int, Connection]:
        if self._copy is None:
            with _one_fork_at_a_time:
                ours, theirs = Pipe()
                child = os.fork()
                if child == 0:
                    ours.close()
                    _answer_until_closed(self._work, theirs, self._limit_s)
                theirs.close()
            self._copy = child, ours
        return self._copy


def _failure(exit_code: int, told: bytes, limit_s: int) -> EngineFailed:
    if exit_code == -signal.SIGALRM:
        return EngineFailed(f"the engine took longer than {limit_s} s")
    if exit_code < 0:
        return EngineFailed(f"the engine crashed ({signal.Signals(-exit_code).name})")
    return EngineFailed(told.decode() or "the engine failed unexpectedly")


def _answer_and_exit(work: Callable[[], bytes], writing: int, limit_s: int) -> NoReturn:
    exit_code = 1
    try:
        _guard()
        signal.alarm(limit_s)
        with os.fdopen(writing, "wb") as pipe:
            try:
                pipe.write(work())
                exit_code = 0
            except EngineFailed as error:
                pipe.write(error.detail.encode())
    finally:
        os._exit(exit_code)


def _answer_until_closed(work: Callable[[bytes], bytes], pipe: Connection, limit_s: int) -> NoReturn:
    try:
        _guard()
        while True:
            question = pipe.recv_bytes()
            signal.alarm(limit_s)
            try:
                answer = _ANSWER + work(question)
            except EngineFailed as error:
                answer = _FAILURE + error.detail.encode()
            signal.alarm(0)
            pipe.send_bytes(answer)
    finally:
        os._exit(1)  # at EOFError, because the other end was closed, nobody looks


def _guard() -> None:
    """Let a copy of this process end by its own alarm and crashes, and by nothing else."""
    # A handler in Python could not run while the engine's C code hangs; the default action can.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.disable()  # the parent tells of a crash, in one line
    # Ctrl-C and a stop of the whole group are for the worker, which lets its rendering end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
