"""A real PostgreSQL for the tests, with its data in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


def postgres_programs() -> Path:
    """Give the folder of initdb and pg_ctl; Debian keeps them off the PATH, one folder a version."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = debian[-1] if debian else shutil.which("initdb")
    if found is None:
        raise RuntimeError("the tests need PostgreSQL: apt-get install postgresql")
    return Path(found).parent


def _other_user() -> dict[str, Any]:
    """Give subprocess's arguments for whom PostgreSQL runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres", known["nobody"])
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class PostgresServer:
    """A PostgreSQL that trusts everybody on the loopback, and can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._programs = postgres_programs()
        self._numbers = count()
        self._user = _other_user()
        if self._user:
            os.chown(folder, self._user["user"], self._user["group"])
        self._run(
            "initdb", "--auth=trust", "--username=voicefarm", "--encoding=UTF8", "--locale=C", "--no-sync"
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        self._run("pg_ctl", "start", "--wait", f"--log={self.folder / 'log'}", f"--options={options}")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def new_database(self) -> str:
        """Give the URL of an empty database."""
        name = f"test_{next(self._numbers)}"
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="voicefarm", dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {name} TEMPLATE template0")
        connection.close()
        return f"postgresql://voicefarm@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, f"--pgdata={self.folder / 'data'}", *arguments],
            check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self._user,
        )  # fmt: skip


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    # Not below pytest's own folders, which the other user may not enter.
    with tempfile.TemporaryDirectory(prefix="voicefarm-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()
