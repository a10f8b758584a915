"""Runs a function in copies of this process: what it crashes, leaks or leaves behind ends with the copy.

This process → its fork server, a copy that only makes copies → copies that call the function. The server is
small and idle, so that forks are cheap; this process would pay for each with page faults at every page to
which it writes afterwards.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import socket
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Lock, RLock, get_ident
from typing import TYPE_CHECKING, Generic, NoReturn, ParamSpec
from weakref import WeakSet

from shared.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")

_ANSWER, _FAILURE = b"+", b"-"
_FORK, _WAIT = b"fork", b"wait "
_MESSAGE_BYTES = 64

# This process's ends of its pipes. A fork server inherits them, and must not keep them open for the others.
_ends: WeakSet[Connection | socket.socket] = WeakSet()
# Held while one is opened or closed, so that a server inherits them as this process knows them. Reentrant,
# because a garbage collection may close one at any moment.
_ends_lock = RLock()

_waited_for: dict[int, _Copy] = {}
_waited_for_lock = Lock()


class ForkedFunction(Generic[P]):
    """A function that is called in a copy of this process, one call at a time in each.

    The copy is kept from call to call; a call that crashes it or takes too long ends it, and the next gets a
    new one. With `always_fresh` every call has a copy in which no other was; it was made during the call
    before, so that nobody waits for a fork.

    Copies are what this process was at the first `start` or call, with one thread. The function must not take
    a lock that another thread may have held then; its arguments are pickled.
    """

    def __init__(self, work: Callable[P, bytes], *, limit_s: int, always_fresh: bool = False) -> None:
        self._work = work
        self._limit_s = limit_s
        self._always_fresh = always_fresh
        self._lock = Lock()
        self._server: _ForkServer | None = None
        self._idle: list[_Copy] = []

    def start(self) -> None:
        """Make the first copy; all end with this process or object, whatever ends that."""
        with self._lock:
            self._running_server()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> bytes:
        """Give what the function returns.

        Raises:
            EngineFailed: it raised it, crashed, or took longer than `limit_s`.
        """
        with self._lock:
            copy = self._idle.pop() if self._idle else self._fresh()
            if copy.has_ended():
                copy = self._fresh()
        with _at_work(copy):
            answer = copy.ask(args, kwargs)
        if answer is None:
            raise self._failure(copy)
        if self._always_fresh:
            copy.close()
        else:
            self._idle.append(copy)
        if answer[:1] == _FAILURE:
            raise EngineFailed(answer[1:].decode())
        return answer[1:]

    def _running_server(self) -> _ForkServer:
        if self._server is None:
            self._server = _ForkServer(self._work, self._limit_s)
        return self._server

    def _fresh(self) -> _Copy:
        try:
            return self._running_server().copy()
        except OSError:  # somebody ended it
            self._server = None
            return self._running_server().copy()

    def _failure(self, copy: _Copy) -> EngineFailed:
        """Give what an end before the answer means."""
        copy.close()
        with self._lock:
            exit_code = self._server.wait(copy.pid) if self._server else 0
        if exit_code == -signal.SIGALRM:
            return EngineFailed(f"the engine took longer than {self._limit_s} s")
        if exit_code < 0:
            return EngineFailed(f"the engine crashed ({signal.Signals(-exit_code).name})")
        return EngineFailed("the engine failed unexpectedly")


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
    """This process's view of a copy, which answers until its pipe is closed."""

    def __init__(self, pid: int, end: int) -> None:
        self.pid = pid
        self._pipe = Connection(end)
        with _ends_lock:
            _ends.add(self._pipe)

    def has_ended(self) -> bool:
        """Tell whether somebody ended it while it waited."""
        return self._pipe.poll()

    def ask(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes | None:
        """Give the answer; None when it ended before that."""
        try:
            self._pipe.send((args, kwargs))
            return self._pipe.recv_bytes()
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        with _ends_lock:
            self._pipe.close()

    __del__ = close


class _ForkServer:
    """This process's view of its fork server; there is always one copy more than were taken."""

    def __init__(self, work: Callable[..., bytes], limit_s: int) -> None:
        with _ends_lock:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            _ends.add(self._socket)
            self._pid = os.fork()
            if self._pid == 0:
                _serve(theirs, work, limit_s)
            theirs.close()
        self._copies: list[_Copy] = []
        self._socket.send(_FORK)

    def copy(self) -> _Copy:
        """Give a copy and order the next.

        Raises:
            OSError: the server has ended.
        """
        self._socket.send(_FORK)
        while not self._copies:
            self._receive()
        return self._copies.pop(0)

    def wait(self, pid: int) -> int:
        """Give the exit code of a copy, negative for the signal that ended it; 0 if nobody knows."""
        try:
            self._socket.send(_WAIT + b"%d" % pid)
            while (exit_code := self._receive()) is None:
                pass
        except OSError:
            return 0
        return exit_code

    def _receive(self) -> int | None:
        """Take in a copy, or give the exit code that was asked for."""
        message, ends, _, _ = socket.recv_fds(self._socket, _MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        if not message:
            raise ConnectionResetError("The fork server has ended.")
        if not ends:
            return int(message)
        self._copies.append(_Copy(int(message), ends[0]))
        return None

    def __del__(self) -> None:
        with _ends_lock:
            self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _serve(orders: socket.socket, work: Callable[..., bytes], limit_s: int) -> NoReturn:
    """Make copies until the other end is closed."""
    try:
        for end in _ends:
            end.close()
        _guard()
        failed: dict[int, int] = {}
        signal.signal(signal.SIGCHLD, lambda *_: failed.update(_reap()))
        while order := orders.recv(_MESSAGE_BYTES):
            if order == _FORK:
                ours, theirs = Pipe()
                pid = os.fork()
                if pid == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    orders.close()
                    ours.close()
                    _answer(theirs, work, limit_s)
                theirs.close()
                socket.send_fds(orders, [b"%d" % pid], [ours.fileno()])
                ours.close()
            else:
                pid = int(order.removeprefix(_WAIT))
                with suppress(ChildProcessError):
                    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                failed.update(_reap())
                status = failed.pop(pid, 0)
                orders.send(b"%d" % os.waitstatus_to_exitcode(status))
    finally:
        os._exit(0)


def _reap() -> Iterator[tuple[int, int]]:
    """Take note of the children that have ended; give those that failed, with their wait statuses."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[1]:
                yield ended


def _answer(pipe: Connection, work: Callable[..., bytes], limit_s: int) -> NoReturn:
    """Answer one question after another until the other end is closed."""
    exit_code = 1
    try:
        while True:
            try:
                args, kwargs = pipe.recv()
            except EOFError:
                exit_code = 0
                break
            signal.alarm(limit_s)
            try:
                answer = _ANSWER + work(*args, **kwargs)
            except EngineFailed as error:
                answer = _FAILURE + error.detail.encode()
            signal.alarm(0)
            pipe.send_bytes(answer)
    finally:
        os._exit(exit_code)


def _guard() -> None:
    """Let a copy of this process end by its own alarm and crashes, and by nothing else."""
    gc.freeze()  # a collection would write to, and so copy, what is shared with the parent
    # A handler in Python could not run while the engine's C code hangs; the default action can.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.disable()  # the parent tells of a crash, in one line
    # Ctrl-C and a stop of the whole group are for the worker, which lets its rendering end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
