"""One command with everything it starts: a process group whose output is read line by line."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Self, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# How long the rest of its output may take once it has ended; longer means that a process which left the group
# holds the pipe open.
_LAST_WORDS_S = 1.0


class Child(asyncio.SubprocessProtocol):
    """A running command. It gets SIGTERM, too, when the process that started it dies."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self.exited = asyncio.get_running_loop().create_future()
        self._drained = asyncio.get_running_loop().create_future()
        self._write_line = write_line
        self._unfinished = b""

    @classmethod
    async def start(
        cls, command: str, folder: Path, env: Mapping[str, str], write_line: Callable[[str], None]
    ) -> Self:
        """Start a simple command, expanded by the shell, as the leader of a session of its own."""
        _, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(write_line),
            *("setpriv", "--pdeathsig", "TERM", "sh", "-c", f"exec {command}"),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            cwd=folder,
            env=env,
            start_new_session=True,
        )
        return child

    async def end(self, grace_s: float) -> None:
        """End the group: its leader has `grace_s` to do so in order, then all that is left is killed."""
        with suppress(ProcessLookupError):
            self._transport.terminate()
        await asyncio.wait({self.exited}, timeout=grace_s)
        self.kill()
        await asyncio.wait({self._drained}, timeout=_LAST_WORDS_S)
        self._transport.close()

    def kill(self) -> None:
        """End the whole group at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    @property
    def fate(self) -> str:
        """How it ended, in words."""
        code = self._transport.get_returncode() or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._group = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002, D102
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._write_line(line.decode(errors="replace"))

    def process_exited(self) -> None:  # noqa: D102
        self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        if self._unfinished:
            self._write_line(self._unfinished.decode(errors="replace"))
        self._drained.set_result(None)
