"""The embedded Redis: both supported lines, and what a killed farm leaves."""

import asyncio
import shlex
import subprocess
from contextlib import contextmanager, suppress

import psutil
import pytest
import redis

from shared.cli import embedded_redis
from shared.cli.errors import CannotStart
from shared.cli.ports import is_free
from shared.cli.state_folder import open_state_folder
from tests.servers import redis_binaries


@pytest.fixture(params=["6.2", "7"])
def path_to_redis(request, tmp_path, monkeypatch):
    """A PATH on which there is this line of Redis and nothing else."""
    return only_on_path(redis_binaries()[request.param], tmp_path, monkeypatch)


def only_on_path(binary, tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "redis-server").unlink(missing_ok=True)
    (programs / "redis-server").symlink_to(binary)
    monkeypatch.setenv("PATH", str(programs))
    return str(programs / "redis-server")


@contextmanager
def started(server):
    process = subprocess.Popen(shlex.split(server.command))
    try:
        asyncio.run(server.wait_until_ready())
        yield process
    finally:
        process.kill()
        process.wait()


def client(server, **options):
    return redis.Redis(port=server.port, password=server.password, decode_responses=True, **options)


def test_it_keeps_its_data_port_and_password(tmp_path, path_to_redis):
    with open_state_folder(tmp_path / "a state") as folder:
        before = embedded_redis.prepare(folder)
        assert shlex.split(before.command)[0] == path_to_redis
        with started(before) as process, client(before) as connection:
            connection.set("word", "kept")
            process.terminate()
            process.wait()
        after = embedded_redis.prepare(folder)
        assert after == before
        with started(after), client(after) as connection:
            assert connection.get("word") == "kept"


@pytest.mark.usefixtures("path_to_redis")
def test_it_asks_for_its_password_and_never_evicts(tmp_path):
    with open_state_folder(tmp_path / "var") as folder:
        server = embedded_redis.prepare(folder)
        with started(server), redis.Redis(port=server.port, retry=None) as stranger, client(server) as owner:
            with pytest.raises(redis.AuthenticationError):
                stranger.ping()
            assert owner.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert owner.config_get("appendonly") == {"appendonly": "yes"}
            assert owner.config_get("bind") == {"bind": "127.0.0.1"}


def test_one_that_a_killed_farm_left_is_ended(tmp_path):
    with open_state_folder(tmp_path / "var") as folder:
        server = embedded_redis.prepare(folder)
        with started(server) as leftover:
            again = embedded_redis.prepare(folder)
            leftover.wait(10)
            assert again == server
        with started(again):
            pass


def test_one_that_hangs_is_ended_too(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_redis, "_END_TIMEOUT_S", 0.1)
    with open_state_folder(tmp_path / "var") as folder:
        server = embedded_redis.prepare(folder)
        with started(server) as leftover:
            psutil.Process(leftover.pid).suspend()
            embedded_redis.prepare(folder)
            assert not psutil.pid_exists(leftover.pid)


def test_another_process_with_its_old_number_is_left_alone(tmp_path):
    with open_state_folder(tmp_path / "var") as folder, subprocess.Popen(["sleep", "1000"]) as stranger:
        (folder.path / "redis").mkdir()
        (folder.path / "redis" / "redis.pid").write_text(f"{stranger.pid}\n")
        embedded_redis.prepare(folder)
        with suppress(subprocess.TimeoutExpired):
            assert stranger.wait(0.1) is None
        stranger.kill()


def test_a_port_that_somebody_took_meanwhile_is_changed(tmp_path):
    with open_state_folder(tmp_path / "var") as folder, open_state_folder(tmp_path / "other") as other:
        before = embedded_redis.prepare(folder)
        other.remember(redis_port=before.port)
        with started(embedded_redis.prepare(other)):
            assert not is_free(before.port)
            assert embedded_redis.prepare(folder).port not in (None, before.port)


def test_data_of_a_newer_redis_is_not_silently_ignored(tmp_path, monkeypatch):
    with open_state_folder(tmp_path / "var") as folder:
        only_on_path(redis_binaries()["7"], tmp_path, monkeypatch)
        with started(embedded_redis.prepare(folder)):
            pass
        only_on_path(redis_binaries()["6.2"], tmp_path, monkeypatch)
        with pytest.raises(CannotStart, match="install redis-server 7"):
            embedded_redis.prepare(folder)


@pytest.mark.parametrize(
    "name", ["redis", "redis/redis.pid", "redis.conf", "redis.conf.new", "redis.password"]
)
def test_what_is_of_the_wrong_kind_is_named(tmp_path, name):
    with open_state_folder(tmp_path / "var") as folder:
        wrong = folder.path / name
        if name == "redis":
            wrong.touch()
        else:
            wrong.mkdir(parents=True)
        with pytest.raises(CannotStart, match=rf"^{wrong}: .*STATE=…$"):
            embedded_redis.prepare(folder)


def test_redislites_server_runs_where_there_is_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_state_folder(tmp_path / "var") as folder:
        assert shlex.split(embedded_redis.prepare(folder).command)[0] == redis_binaries()["6.2"]


def test_a_redis_that_cannot_load_its_data_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_redis, "START_TIMEOUT_S", 0.5)
    with open_state_folder(tmp_path / "var") as folder, pytest.raises(CannotStart, match=r"see .*redis\.log"):
        asyncio.run(embedded_redis.prepare(folder).wait_until_ready())
