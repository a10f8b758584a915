"""What the tests have called in other processes, which load this module and nothing else for it."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from shared.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path

_answered: list[object] = []


def echo(question: bytes = b"") -> bytes:
    """Answer with the process and the question, or do what the question says."""
    if question == b"fail":
        raise EngineFailed("no such phonème")
    if question == b"err":
        raise ZeroDivisionError
    if question == b"hang":
        signal.pause()
    if question.startswith(b"signal "):
        os.kill(os.getpid(), int(question.split()[1]))
    return b"%d %s" % (os.getpid(), question)


def given(answer: object) -> object:
    """Give the argument back."""
    return answer


def so_far(call: object) -> list[object]:
    """Give the arguments of all calls in this process."""
    _answered.append(call)
    return _answered


def hang(path: Path) -> None:
    """Tell that it has begun by making a file, then hang."""
    path.touch()
    signal.pause()


def modules() -> set[str]:
    """Name what this process has loaded."""
    return set(sys.modules)


class Loaded:
    """Something with a state of its own, which is made where its pickle is read."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def __reduce__(self) -> tuple[type[Loaded], tuple[()]]:
        return Loaded, ()

    def loaded_in(self) -> tuple[int, int]:
        """Give the process that loaded it, and the one that calls this."""
        return self.pid, os.getpid()


class Broken:
    """What cannot be loaded elsewhere."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _refuse, ("its library is missing",)

    def speak(self) -> None:
        """Never be reached."""


def _refuse(why: str) -> Broken:
    raise OSError(why)
