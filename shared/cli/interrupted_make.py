"""Notices when the `make` that waits for this process is interrupted alone, as `kill -INT` does.

A terminal's Ctrl-C reaches both. But a make that gets SIGINT by itself waits for its child for ever: it
passes on SIGTERM only. What shows is that it blocks SIGINT while its handler runs (`fatal_error_signal` in
GNU make's commands.c).
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

_LOOK_EVERY_S = 0.5


async def interrupted_make() -> None:
    """Return once the make that started this process has been sent SIGINT; never without such a make."""
    parent = Path("/proc", str(os.getppid()))
    with suppress(OSError):  # it has gone
        while (parent / "comm").read_text().strip() in {"make", "gmake"}:
            if _blocked_signals(parent) & 1 << (signal.SIGINT - 1):
                return
            await asyncio.sleep(_LOOK_EVERY_S)
    await asyncio.Event().wait()


def _blocked_signals(process: Path) -> int:
    fields = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
    return int(fields["SigBlk"], 16)
