"""A whole farm for the tests: a Redis, and the programs of the Procfile, each a process group of its own."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
from honcho.environ import parse_procfile
from sqlalchemy import make_url

from shared.cli.migrate import migrate
from shared.sessions import issue_code
from shared.settings import Settings
from tests.servers import RedisServer, clean_environment, free_port, redis_binaries, running_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import URL

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60


def until(condition: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    """Return once the condition holds; for what can only be asked, not waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


class Program:
    """One line of the Procfile, in a process group that signals reach as a whole; its output is a file."""

    def __init__(
        self, name: str, line: str, env: Mapping[str, str], folder: Path, tree: Path, database: URL
    ) -> None:
        self.line, self.env, self.log, self.tree = line, env, folder / f"{name}.log", tree
        self.database = database
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", f"exec {self.line}"],
                cwd=self.tree,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self, grace_s: float = 15) -> None:
        """End it as a supervisor does: SIGTERM, then SIGKILL to whatever of the group is left."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self.process:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(grace_s)
        self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def pause(self) -> None:
        """Stop the whole group, between two transactions: who is amid one keeps all others from SQLite."""
        until(self._pauses_without_a_lock, "it stops between two transactions")

    def _pauses_without_a_lock(self) -> bool:
        self.signal(signal.SIGSTOP)
        until(self._has_stopped, "each of its threads stops")
        if self.database.get_backend_name() != "sqlite":
            return True
        try:
            with closing(sqlite3.connect(self.database.database, timeout=0.5)) as connection:
                connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self.resume()
            return False
        return True

    def _has_stopped(self) -> bool:
        leader = psutil.Process(self.process.pid)
        try:
            group = [p for p in (leader, *leader.children(recursive=True)) if os.getpgid(p.pid) == leader.pid]
            threads = [psutil.Process(thread.id) for process in group for thread in process.threads()]
            ends = {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}
            return all(thread.status() in ends for thread in threads)
        except (psutil.NoSuchProcess, ProcessLookupError):  # one that was about to end, and has
            return False

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, signum: signal.Signals) -> None:
        """Send it to the whole group; nothing happens when none of it lives."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signum)


class RunningFarm:
    """What a test needs to talk to a farm, and to break it."""

    def __init__(self, folder: Path, redis: RedisServer, env: Mapping[str, str], tree: Path) -> None:
        port = free_port()
        self.folder, self.redis, self.tree = folder, redis, tree
        self.url = f"http://127.0.0.1:{port}"
        self.admin_key = f"vf_{secrets.token_urlsafe(32)}"
        variables = {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(redis.port),
            "VOICEFARM_STATE_DIR": str(folder),
            "VOICEFARM_ADMIN_KEY": self.admin_key,
            **env,
        }
        # As the environment would be read.
        decoded = {
            name: json.loads(value) if value[:1] == "{" else value for name, value in variables.items()
        }
        self.settings = Settings.load(**decoded)
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        ours = {"PATH": path, "PORT": str(port), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(tree)}
        self._environment = clean_environment() | variables | ours
        self._programs: dict[str, Program] = {}

    def __getitem__(self, name: str) -> Program:
        """Give a program by its name in the Procfile; it may not have been started yet."""
        if name not in self._programs:
            lines = parse_procfile((self.tree / "Procfile").read_text()).processes
            self._programs[name] = Program(
                name, lines[name], self._environment, self.folder, self.tree,
                make_url(self.settings.database_url),
            )  # fmt: skip
        return self._programs[name]

    def wait_until_it_answers(self, path: str = "/readyz") -> None:
        """Return once `path` is answered with success; `/healthz` is without a worker, too."""
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            until(lambda: self._answers(client, path), f"{self.url}{path} answers")

    def _answers(self, client: httpx.Client, path: str) -> bool:
        for program in self._programs.values():
            if program.has_died:
                raise RuntimeError(f"{program.line!r} has ended:\n{program.log.read_text()[-4000:]}")
        try:
            return client.get(path).is_success
        except httpx.TransportError:
            return False

    def client(self) -> httpx.Client:
        """Make a client with the admin's key; the caller closes it."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def link(self) -> str:
        """Make a link that opens the dashboard once, as `voicefarm up` prints it."""
        with self.redis.client(1) as state:
            return f"{self.url}/?code={issue_code(state)}"

    @contextmanager
    def processes(self) -> Iterator[None]:
        """Have espeak speak in a pool of processes, as Piper does, instead of one of threads."""
        pool = self["espeak"]
        threads = pool.line
        assert "--pool threads" in threads
        pool.stop()
        pool.line = threads.replace("--pool threads", "--pool prefork")
        pool.start()
        self.wait_until_it_answers()
        try:
            yield
        finally:
            pool.stop()
            pool.line = threads
            pool.start()
            self.wait_until_it_answers()

    def mend(self) -> None:
        """Have what was stopped or killed run again, on the data that it left; return when it is ready."""
        for server in (self.redis, *self._programs.values()):
            server.resume()
            if server.has_died:
                server.start()
        with self.redis.client(0) as client:
            client.config_set("appendfsync", "everysec")
            client.config_set("maxmemory", 0)
        self.wait_until_it_answers()

    def stop(self) -> None:
        for program in self._programs.values():
            program.stop()


@contextmanager
def running_farm(
    folder: Path,
    *,
    workers: tuple[str, ...] = ("espeak",),
    env: Mapping[str, str] | None = None,
    tree: Path = ROOT,
) -> Iterator[RunningFarm]:
    """Run a farm in an empty folder; it is ready to speak when the block begins, and gone after it.

    `workers`: the pools that run, by their names in the Procfile. `env`: more settings. `tree`: the sources
    that it runs from.
    """
    with ExitStack() as stack:
        redis = stack.enter_context(running_redis(redis_binaries()["7"], folder / "redis"))
        farm = RunningFarm(folder, redis, env or {}, tree)
        stack.callback(farm.stop)
        migrate(farm.settings)
        for name in ("web", *workers):
            farm[name].start()
        farm.wait_until_it_answers("/readyz" if workers else "/healthz")
        yield farm
