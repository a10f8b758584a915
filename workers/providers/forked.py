"""Runs a function in a copy of this process: what it crashes, leaks or leaves behind ends with the copy."""

from __future__ import annotations

import faulthandler
import os
import signal
from threading import Lock, get_ident
from typing import TYPE_CHECKING, NoReturn

from shared.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable

# Held from pipe to close: a copy made between them would inherit the writing end and keep it open.
_one_fork_at_a_time = Lock()

# The copy that each thread waits for, until it is reaped.
_copies: dict[int, int] = {}
_copies_lock = Lock()


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
    if exit_code == -signal.SIGALRM:
        raise EngineFailed(f"the engine took longer than {limit_s} s")
    if exit_code < 0:
        raise EngineFailed(f"the engine crashed ({signal.Signals(-exit_code).name})")
    if exit_code > 0:
        raise EngineFailed(answer.decode() or "the engine failed unexpectedly")
    return answer


def end_copy(thread: int) -> None:
    """End the copy that this thread waits for, if there is one; its `run_forked` raises EngineFailed."""
    with _copies_lock:
        if thread in _copies:
            os.kill(_copies[thread], signal.SIGKILL)


def _answer_and_exit(work: Callable[[], bytes], writing: int, limit_s: int) -> NoReturn:
    exit_code = 1
    try:
        # A handler in Python could not run while the engine's C code hangs; the default action can.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit_s)
        faulthandler.disable()  # the parent tells of a crash, in one line
        # Ctrl-C and a stop of the whole group are for the worker, which lets its rendering end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with os.fdopen(writing, "wb") as pipe:
            try:
                pipe.write(work())
                exit_code = 0
            except EngineFailed as error:
                pipe.write(error.detail.encode())
    finally:
        os._exit(exit_code)
