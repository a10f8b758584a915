"""Runs a function in small processes: what it crashes, leaks or leaves behind ends with them.

This process → a fork server, which has loaded the function and nothing else → its copies, which call it.
To fork a process, and to end one, takes the longer the more memory it has: 4 ms and 6 ms for a copy of a
worker, a fraction of one for a copy of a Python with espeak-ng.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar, cast

from shared.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

_FORK, _WAIT = b"fork", b"wait "
_MESSAGE_BYTES = 65_536
_STOPS = {signal.SIGINT, signal.SIGTERM}
_HERE = str(Path(__file__).parents[2])

_waited_for: dict[int, _Copy] = {}
_waited_for_lock = Lock()


class ForkedFunction(Generic[P, R]):
    """A function that is called in another process, one call at a time in each.

    The process is kept from call to call; a call that crashes it or takes too long ends it, and the next gets
    a new one. With `always_fresh` every call has a process in which no other was; it was made during the call
    before, so that nobody waits for a fork, and is ended during one after, as its end takes a processor for a
    millisecond, which the answer's way to its listener needs.

    The function is pickled, as a name in its module or a method of something that can be pickled, and loaded
    once, in the server that is forked. Its arguments and its answers are pickled, too.
    """

    def __init__(self, work: Callable[P, R], *, limit_s: int, always_fresh: bool = False) -> None:
        self._work = pickle.dumps((work, limit_s))
        self._limit_s = limit_s
        self._always_fresh = always_fresh
        self._lock = Lock()
        self._server: _ForkServer | None = None
        self._idle: list[_Copy] = []
        self._spent: list[_Copy] = []

    def start(self) -> None:
        """Have the function loaded and the first process made; all end with this object or process."""
        with self._lock:
            self._running_server()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Give what the function returns.

        Raises:
            EngineFailed: it raised it, could not be loaded, crashed, or took longer than `limit_s`.
        """
        with self._lock:
            copy = self._idle.pop() if self._idle else self._fresh()
            for _ in range(2):  # the one that is ready may have been ended while it waited, too
                if copy.has_ended():
                    copy = self._fresh()
        with _at_work(copy):
            copy.ask(args, kwargs)
            self._prepare()
            answer = copy.answer()
        if answer is None:
            raise self._failure(copy)
        (self._spent if self._always_fresh else self._idle).append(copy)
        is_well, given = answer
        if not is_well:
            raise EngineFailed(given)
        return cast("R", given)

    def _prepare(self) -> None:
        """Order a copy for the next call and end spent ones, while this call is answered."""
        with self._lock, suppress(OSError):
            while self._spent:
                self._spent.pop().close()
            if self._server and not self._idle:
                self._server.order()

    def _running_server(self) -> _ForkServer:
        if self._server is None:
            self._server = _ForkServer(self._work)
        return self._server

    def _fresh(self) -> _Copy:
        try:
            return self._running_server().copy()
        except OSError:  # somebody ended it
            self._server = None
        try:
            return self._running_server().copy()
        except OSError as error:
            self._server = None
            raise EngineFailed("the engine cannot be loaded; the worker's log says why") from error

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
    """End the process that this thread waits for, if there is one; its call raises EngineFailed."""
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

    def has_ended(self) -> bool:
        """Tell whether somebody ended it while it waited."""
        return self._pipe.poll()

    def ask(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Send a question; one that has ended gives no answer."""
        with suppress(OSError):
            self._pipe.send((args, kwargs))

    def answer(self) -> tuple[bool, Any] | None:
        """Give whether it went well, with the answer or what went wrong; None when it ended before that."""
        try:
            return cast("tuple[bool, Any]", self._pipe.recv())
        except (EOFError, OSError):
            return None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._pipe.close()

    __del__ = close


class _ForkServer:
    """This process's view of its fork server, which makes copies as they are ordered, at most one ahead."""

    def __init__(self, work: bytes) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([_HERE, *sys.path])}
        # A stop of the whole group is for the worker, which lets its rendering end; the server inherits that.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            self._process = subprocess.Popen(  # noqa: S603  it is our own
                command, env=environment, pass_fds=[theirs.fileno()]
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._copies: list[_Copy] = []
        self._is_ordered = False
        self._socket.send(work)
        self.order()

    def order(self) -> None:
        """Have a copy made, unless there is one or will be.

        Raises:
            OSError: the server has ended.
        """
        if not self._copies and not self._is_ordered:
            self._socket.send(_FORK)
            self._is_ordered = True

    def copy(self) -> _Copy:
        """Give a copy.

        Raises:
            OSError: the server has ended.
        """
        self.order()
        while not self._copies:
            self._receive()
        return self._copies.pop()

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
        self._is_ordered = False
        return None

    def __del__(self) -> None:
        self._socket.close()
        self._process.wait()


def serve(end: int) -> NoReturn:
    """Be a fork server: load the function that is sent first, then make copies until the other end closes."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
    orders = socket.socket(fileno=end)
    work, limit_s = pickle.loads(orders.recv(_MESSAGE_BYTES))  # noqa: S301  from whoever started this
    gc.freeze()  # a collection would write to, and so copy, what copies share
    failed: dict[int, int] = {}
    signal.signal(signal.SIGCHLD, lambda *_: failed.update(_reap()))
    while order := _received(orders):
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
            orders.send(b"%d" % os.waitstatus_to_exitcode(failed.pop(pid, 0)))
    os._exit(os.EX_OK)


def _received(orders: socket.socket) -> bytes:
    """Give the next order; nothing once the other end is closed."""
    try:
        return orders.recv(_MESSAGE_BYTES)
    except ConnectionResetError:  # it was closed before it had taken all copies
        return b""


def _reap() -> Iterator[tuple[int, int]]:
    """Take note of the children that have ended; give those that failed, with their wait statuses."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[1]:
                yield ended


def _answer(pipe: Connection, work: Callable[..., object], limit_s: int) -> NoReturn:
    """Answer one question after another until the other end is closed.

    What it does not expect ends this process, as any Python program, with its trace in the log.
    """
    while True:
        try:
            args, kwargs = pipe.recv()
        except EOFError:
            os._exit(os.EX_OK)
        signal.alarm(limit_s)
        try:
            answer = True, work(*args, **kwargs)
        except EngineFailed as error:
            answer = False, error.detail
        signal.alarm(0)
        pipe.send(answer)
