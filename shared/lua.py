"""Loads Lua scripts that lie beside the module that calls them, and runs one among other commands."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from redis.commands.core import Script

    from shared.connections import Command, Line

# What is too large to go through a script is sent as a draft, which lives so long until a script takes it.
DRAFT_MS = 10_000


def load_script(redis: Redis, package: str, name: str) -> Script:
    """Give the script `name`.lua of `package`, behind its `common.lua`; sends nothing yet."""
    folder = files(package)
    source = [(folder / f"{part}.lua").read_text() for part in ("common", name)]
    return redis.register_script("\n".join(source))


def script_call(script: Script, *args: str | int) -> Command:
    """Give the command that runs a script that the server knows."""
    return ("EVALSHA", script.sha, 0, *args)


def run_script(
    line: Line,
    script: Script,
    *args: str | int,
    before: Sequence[Command] = (),
    after: Sequence[Command] = (),
    block_s: float = 0.0,
) -> list[Any]:
    """Run a script, and the commands `before` and `after` it, in one round trip; give all answers.

    Such commands are for values of many kilobytes, which a script copies when it takes or gives them, or
    block, up to `block_s` seconds. Where the server does not know the script yet, that is sent again with
    what comes after it, and None stands for the answers to what came before.
    """
    then = [script_call(script, *args), *after]
    try:
        return line.ask(*before, *then, block_s=block_s)
    except NoScriptError:  # what came before it was done all the same
        script.registered_client.script_load(script.script)
        return [None] * len(before) + line.ask(*then, block_s=block_s)
