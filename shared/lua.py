"""Loads Lua scripts that lie beside the module that calls them, and runs one among other commands."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis
    from redis.client import Pipeline
    from redis.commands.core import Script

# What is too large to go through a script is sent as a draft, which lives so long until a script takes it.
DRAFT_MS = 10_000


def load_script(redis: Redis, package: str, name: str) -> Script:
    """Give the script `name`.lua of `package`, behind its `common.lua`; sends nothing yet."""
    folder = files(package)
    source = [(folder / f"{part}.lua").read_text() for part in ("common", name)]
    return redis.register_script("\n".join(source))


def run_piped(
    redis: Redis,
    script: Script,
    args: Sequence[str | int],
    *,
    before: Callable[[Pipeline], object] = lambda _: None,
    after: Callable[[Pipeline], object] = lambda _: None,
) -> list[Any]:
    """Run a script, and what is queued `before` and `after` it, in one round trip; give all answers.

    For values of many kilobytes, which a script copies when it takes or gives them. Where the server does not
    know the script yet, all of it is sent again, so the commands must be such as may come twice. (A script of
    redis-py's in a pipeline asks the server every time whether it is known.)
    """

    def run() -> list[Any]:
        with redis.pipeline(transaction=False) as pipe:
            before(pipe)
            pipe.evalsha(script.sha, 0, *args)
            after(pipe)
            return pipe.execute()

    try:
        return run()
    except NoScriptError:
        redis.script_load(script.script)
        return run()
