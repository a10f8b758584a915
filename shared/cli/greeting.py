"""What a farm tells whoever started it, once it can speak."""

from __future__ import annotations

import asyncio
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

SILENCE_S = 60
"""A farm that is not ready by then says what it lacks."""
_ASK_EVERY_S = 0.2


def greeting(url: str, flower_url: str, state: Path, code: str) -> str:
    """Give the lines to click and to paste; `code` opens the dashboard once."""
    folder = shlex.quote(str(state))
    key, password = (shlex.quote(str(state / name)) for name in ("admin.key", "flower.password"))
    voicefarm = shlex.quote(str(Path(sys.executable).with_name("voicefarm")))
    return f"""
The farm is ready; Ctrl-C stops it.

  Open    {url}/?code={code}
  Again   VOICEFARM_STATE_DIR={folder} {voicefarm} link

  Paste   curl -H "Authorization: Bearer $(cat {key})" -H 'Content-Type: application/json' \
-H 'Prefer: wait=30' -d '{{"text":"Hello from the farm."}}' {url}/api/voice/synthesize -o hello.wav

  State   {state}
  Flower  {flower_url}, user admin, password in {password}
"""


async def wait_until_ready(url: str, say: Callable[[str], None]) -> None:
    """Return when `url`/readyz says so; after a while `say` what is missing, and go on waiting."""
    now_s = asyncio.get_running_loop().time
    silent_until_s = now_s() + SILENCE_S
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        while missing := await _missing(client, f"{url}/readyz"):
            if now_s() >= silent_until_s:
                say(f"not ready yet: {missing}")
                silent_until_s = math.inf
            await asyncio.sleep(_ASK_EVERY_S)


async def _missing(client: httpx.AsyncClient, url: str) -> str:
    try:
        answer = await client.get(url)
    except httpx.HTTPError as error:
        return f"{url} does not answer ({type(error).__name__})"
    return "" if answer.is_success else answer.text.strip()
