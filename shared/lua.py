"""Loads Lua scripts that lie beside the module that calls them."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script


def load_script(redis: Redis, package: str, name: str) -> Script:
    """Give the script `name`.lua of `package`, behind its `common.lua`; sends nothing yet."""
    folder = files(package)
    source = [(folder / f"{part}.lua").read_text() for part in ("common", name)]
    return redis.register_script("\n".join(source))
