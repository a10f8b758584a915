"""Runs a function in copies of this process: what it crashes, leaks or leaves behind ends with the copy."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
from collections import deque
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from threading import Lock, RLock, get_ident
from typing import TYPE_CHECKING, ClassVar, Generic, NoReturn, ParamSpec
from weakref import WeakSet

from shared.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection

P = ParamSpec("P")

# Held while pipes are opened or closed, so that every copy inherits them as this process knows them.
# Reentrant, because a garbage collection may close one at any moment.
_pipes_lock = RLock()

_waited_for: dict[int, _Copy] = {}
_waited_for_lock = Lock()
_ANSWER, _FAILURE = b"+", b"-"


class ForkedFunction(Generic[P]):
    """A function that is called in a copy of this process, one call at a time in each.

    The copy is kept from call to call; a call that crashes it or takes too long ends it, and the next gets a
    new one. With `always_fresh` every call has a copy that no other was in: the next one's is made while this
    one works, so that nobody waits for a fork.

    The copy has one thread only. The function must not import, log, or take a lock that another thread may
    hold; its arguments are pickled.
    """

    def __init__(self, work: Callable[P, bytes], *, limit_s: int, always_fresh: bool = False) -> None:
        self._work = work
        self._limit_s = limit_s
        self._always_fresh = always_fresh
        self._lock = Lock()
        self._idle: _Copy | None = None

    def start(self) -> None:
        """Make a copy, unless one waits; it ends with this process or object, whatever ends that."""
        with self._lock:
            if self._idle is None:
                self._idle = _Copy(self._work, self._limit_s)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Give what the function returns.

        Raises:
            EngineFailed: it raised it, crashed, or took longer than `limit_s`.
        """
        copy = self._take()
        with _at_work(copy):
            copy.send(args, kwargs)
            if self._always_fresh:
                self.start()
            answer = copy.receive()
        if answer is None:
            raise copy.failure()
        if self._always_fresh:
            copy.close()
        else:
            self._put_back(copy)
        if answer[:1] == _FAILURE:
            raise EngineFailed(answer[1:].decode())
        return answer[1:]

    def _take(self) -> _Copy:
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is None or idle.has_ended():
            return _Copy(self._work, self._limit_s)
        return idle

    def _put_back(self, copy: _Copy) -> None:
        with self._lock:
            other, self._idle = self._idle, copy
        if other:
            other.close()


def end_copy(thread: int) -> None:
    """End the copy that this thread waits for, if there is one; its call raises EngineFailed."""
    with _waited_for_lock:
        if thread in _waited_for:
            _waited_for[thread].kill()


@contextmanager
def _at_work(copy: _Copy) -> Iterator[None]:
    with _waited_for_lock:
        _waited_for[get_ident()] = copy
    try:
        yield
    except BaseException:
        copy.kill()
        raise
    finally:
        with _waited_for_lock:
            del _waited_for[get_ident()]


class _Copy:
    """A copy of this process that answers until the other end of its pipe is closed."""

    _pipes: ClassVar[WeakSet[Connection]] = WeakSet()
    """This process's ends, which every copy inherits, and which it would keep open for the others."""
    _leaving: ClassVar[deque[int]] = deque()
    """Closed ones that may not have ended yet: it takes a moment, which need hold up nobody."""

    def __init__(self, work: Callable[..., bytes], limit_s: int) -> None:
        self._limit_s = limit_s
        with _pipes_lock:
            self._reap()
            self._pipe, theirs = Pipe()
            self._pipes.add(self._pipe)
            self._pid = os.fork()
            if self._pid == 0:
                _answer_until_closed(work, theirs, limit_s, unneeded=self._pipes)
            theirs.close()

    def has_ended(self) -> bool:
        """Tell whether somebody ended it while it was idle."""
        if os.waitpid(self._pid, os.WNOHANG)[0] == 0:
            return False
        self._close_pipe()
        return True

    def send(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        with suppress(OSError):  # it has ended: nothing will be received
            self._pipe.send((args, kwargs))

    def receive(self) -> bytes | None:
        """Give the answer; None when it ended before that."""
        try:
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def close(self) -> None:
        """Let it end; nobody waits for that."""
        if self._close_pipe():
            self._leaving.append(self._pid)

    def _close_pipe(self) -> bool:
        """Close this end; False when it was closed before."""
        with _pipes_lock:
            was_open = not self._pipe.closed
            self._pipe.close()
        return was_open

    def __del__(self) -> None:
        self.close()

    def _reap(self) -> None:
        for pid in [self._leaving.popleft() for _ in range(len(self._leaving))]:
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                self._leaving.append(pid)

    def failure(self) -> EngineFailed:
        """Give what its end before the answer means."""
        self._close_pipe()
        exit_code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if exit_code == -signal.SIGALRM:
            return EngineFailed(f"the engine took longer than {self._limit_s} s")
        if exit_code < 0:
            return EngineFailed(f"the engine crashed ({signal.Signals(-exit_code).name})")
        return EngineFailed("the engine failed unexpectedly")


def _answer_until_closed(
    work: Callable[..., bytes], pipe: Connection, limit_s: int, *, unneeded: Iterable[Connection]
) -> NoReturn:
    try:
        for other in unneeded:
            other.close()
        _guard()
        while True:
            args, kwargs = pipe.recv()
            signal.alarm(limit_s)
            try:
                answer = _ANSWER + work(*args, **kwargs)
            except EngineFailed as error:
                answer = _FAILURE + error.detail.encode()
            signal.alarm(0)
            pipe.send_bytes(answer)
    finally:
        os._exit(1)  # at EOFError, because the other end was closed, nobody looks


def _guard() -> None:
    """Let a copy of this process end by its own alarm and crashes, and by nothing else."""
    gc.freeze()  # a collection would write to, and so copy, what it shares with its parent
    # A handler in Python could not run while the engine's C code hangs; the default action can.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.disable()  # the parent tells of a crash, in one line
    # Ctrl-C and a stop of the whole group are for the worker, which lets its rendering end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
