"""Keeps commands running: prefixes their output, starts again what dies, and at the end leaves no process."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from shared.cli.child import Child
from shared.cli.errors import EndedTooSoon

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
    from pathlib import Path

OWN_NAME = "farm"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a supervisor waits."""

    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    healthy_after_s: float = 60.0
    """A process that has lived so long starts counting its deaths anew."""
    grace_s: float = 4.0
    """From SIGTERM to SIGKILL; a farm ends in three steps, and in 15 s at most."""

    def pause_s(self, deaths: int) -> float:
        """Give the pause after so many deaths in a row; the first is 1."""
        return float(min(self.longest_pause_s, self.first_pause_s * 2 ** (deaths - 1)))


async def _at_once() -> None:
    """Be ready from the start."""


class Supervisor:
    """Runs commands in one folder and environment; their output goes to one stream."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        patience: Patience | None = None,
        output: IO[str] = sys.stdout,
    ) -> None:
        self._folder = folder
        self._env = env
        self._patience = patience or Patience()
        self._output = output
        self._printer = Printer(output, width=len(OWN_NAME))
        self._colours = get_colours()
        self._ending: set[Child] = set()

    @asynccontextmanager
    async def running(
        self, commands: Mapping[str, str], ready: Coroutine[Any, Any, None] | None = None
    ) -> AsyncIterator[None]:
        """Keep the commands, lines of a Procfile, running while the block runs; after it none of them is.

        The block begins when `ready` has returned.

        Raises:
            EndedTooSoon: a command ended before that; it is not started again.
        """
        self._printer.width = max(self._printer.width, *map(len, commands))
        stopped = asyncio.get_running_loop().create_future()
        getting_ready = asyncio.create_task(ready or _at_once())
        keeping = [
            asyncio.create_task(self._keep_running(*item, getting_ready, stopped))
            for item in commands.items()
        ]
        try:
            done, _ = await asyncio.wait({getting_ready, *keeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            yield
        finally:
            getting_ready.cancel()
            stopped.set_result(None)
            await asyncio.wait({getting_ready, *keeping})

    def hurry(self) -> None:
        """Give those that are being ended no more time."""
        for child in self._ending:
            child.kill()

    def say(self, text: str) -> None:
        """Write a line of the supervisor's own."""
        self._write_line(OWN_NAME, None, text)

    def show(self, text: str) -> None:
        """Write a text that is there to be copied, so without a prefix."""
        with self._unheard():
            self._output.write(text)
            self._output.flush()

    async def _keep_running(
        self, name: str, command: str, ready: asyncio.Future[None], stopped: asyncio.Future[None]
    ) -> None:
        write_line = partial(self._write_line, name, next(self._colours))
        deaths = 0
        while not stopped.done():
            started_s = stopped.get_loop().time()
            child = await Child.start(command, self._folder, self._env, write_line)
            await asyncio.wait({child.exited, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await self._end(child)
            if not stopped.done():
                if not ready.done():
                    raise EndedTooSoon(name, child.fate)
                lived_s = stopped.get_loop().time() - started_s
                deaths = 1 if lived_s >= self._patience.healthy_after_s else deaths + 1
                pause_s = self._patience.pause_s(deaths)
                self.say(f"{name} {child.fate}; starting it again in {pause_s:g} s")
                await asyncio.wait({stopped}, timeout=pause_s)

    async def _end(self, child: Child) -> None:
        self._ending.add(child)
        await child.end(self._patience.grace_s)
        self._ending.discard(child)

    def _write_line(self, name: str, colour: str | None, line: str) -> None:
        with self._unheard():
            self._printer.write(Message("line", line, datetime.now().astimezone(), name, colour))

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """Go on in silence when whoever read the output (a terminal, tee) is gone: there is a farm to end."""
        try:
            yield
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._output.fileno())
