"""The state folder: whose it is, and what it keeps."""

import json
import os
import stat
import subprocess

import pytest

from shared.cli.errors import CannotStart
from shared.cli.state_folder import SCHEMA_VERSION, farm_settings, open_state_folder
from tests.servers import clean_environment


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def environment(monkeypatch):
    """Set variables in an environment that has no other of the farm's."""

    def only(**variables):
        for name in os.environ.keys() - clean_environment().keys():
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return only


def test_a_new_folder_is_its_owners_alone(tmp_path):
    with open_state_folder(tmp_path / "deep" / "var") as folder:
        folder.secret("admin.key")
    assert mode(tmp_path / "deep" / "var") == 0o700
    assert mode(tmp_path / "deep" / "var" / "admin.key") == 0o600
    assert mode(tmp_path / "deep" / "var" / "farm.json") == 0o600


def test_an_empty_folder_may_be_there_already(tmp_path):
    tmp_path.chmod(0o755)
    with open_state_folder(tmp_path):
        assert mode(tmp_path) == 0o700


def test_a_secret_is_made_once(tmp_path):
    with open_state_folder(tmp_path / "var") as folder:
        first = folder.secret("admin.key", prefix="vf_")
    with open_state_folder(tmp_path / "var") as folder:
        assert folder.secret("admin.key", prefix="vf_") == first
    assert first.startswith("vf_")
    assert len(first) == len("vf_") + 43


@pytest.mark.parametrize("content", [b"a key and more", b"\xff\xfe", "schlüssel".encode()])
def test_a_file_that_holds_no_secret_is_named_with_the_remedy(tmp_path, content):
    with open_state_folder(tmp_path) as folder:
        (tmp_path / "flower.password").write_bytes(content)
        with pytest.raises(CannotStart, match=r"/flower\.password holds no usable secret; delete it"):
            folder.secret("flower.password")


def test_a_secret_that_is_a_folder_is_named(tmp_path):
    with open_state_folder(tmp_path) as folder:
        (tmp_path / "admin.key").mkdir()
        with pytest.raises(CannotStart, match=r"/admin\.key: Is a directory; .*STATE="):
            folder.secret("admin.key")


def test_what_is_remembered_is_there_the_next_time(tmp_path):
    with open_state_folder(tmp_path / "var") as folder:
        folder.remember(redis_port=6400)
    with open_state_folder(tmp_path / "var") as folder:
        assert folder.marker.redis_port == 6400


def test_commands_find_the_farm_that_was_last_run_on_the_folder(tmp_path, environment):
    with open_state_folder(tmp_path) as folder:
        folder.remember(port=8001, redis_port=6400)
        password = folder.secret("redis.password")
    environment(VOICEFARM_STATE_DIR=str(tmp_path))
    found = farm_settings()
    assert found.url == "http://127.0.0.1:8001"
    assert (found.redis_port, found.redis_password.get_secret_value()) == (6400, password)


def test_what_the_environment_names_is_not_looked_up_in_the_folder(tmp_path, environment):
    with open_state_folder(tmp_path) as folder:
        folder.remember(port=8001, redis_port=6400)
        folder.secret("redis.password")
    environment(VOICEFARM_STATE_DIR=str(tmp_path), VOICEFARM_URL="http://farm.test", REDIS_HOST="redis.test")
    found = farm_settings()
    assert (found.url, found.redis_host) == ("http://farm.test", "redis.test")
    assert (found.redis_port, found.redis_password) == (6379, None)


@pytest.mark.parametrize("marker", [None, "{", '{"port": "none"}', '{"schema_version": 1}'])
def test_a_folder_that_remembers_nothing_leaves_the_settings_as_they_are(tmp_path, environment, marker):
    if marker:
        (tmp_path / "farm.json").write_text(marker)
    environment(VOICEFARM_STATE_DIR=str(tmp_path))
    assert (farm_settings().url, farm_settings().redis_port) == ("http://127.0.0.1:8000", 6379)


def test_git_sees_nothing_of_a_folder_new_or_old(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for name in ("new", "old"):
        with open_state_folder(tmp_path / name) as folder:
            folder.secret("admin.key")
    (tmp_path / "old" / ".gitignore").unlink()
    seen = ["git", "-C", tmp_path, "status", "--short", "--untracked-files=all"]
    assert b"old/admin.key" in subprocess.run(seen, check=True, capture_output=True).stdout
    with open_state_folder(tmp_path / "old"):
        assert subprocess.run(seen, check=True, capture_output=True).stdout == b""


def test_a_gitignore_of_the_owners_is_kept(tmp_path):
    with open_state_folder(tmp_path):
        (tmp_path / ".gitignore").write_text("redis/\n")
    with open_state_folder(tmp_path):
        assert (tmp_path / ".gitignore").read_text() == "redis/\n"


def test_two_farms_never_share_a_folder(tmp_path):
    with (
        open_state_folder(tmp_path),
        pytest.raises(CannotStart, match=r"Another farm runs on .* make up STATE="),
    ):
        open_state_folder(tmp_path).__enter__()
    with open_state_folder(tmp_path):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("of great worth")
    with pytest.raises(CannotStart, match="not a farm's"):
        open_state_folder(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("content", ["", "{", '"a string"', '{"schema_version": "new"}'])
def test_a_marker_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "farm.json").write_text(content)
    with pytest.raises(CannotStart, match=r"farm\.json is not a farm's"):
        open_state_folder(tmp_path).__enter__()


def test_a_newer_farms_folder_is_refused(tmp_path):
    newer = json.dumps({"schema_version": SCHEMA_VERSION + 1, "something": "new"})
    (tmp_path / "farm.json").write_text(newer)
    with pytest.raises(CannotStart, match="newer voicefarm"):
        open_state_folder(tmp_path).__enter__()
    assert (tmp_path / "farm.json").read_text() == newer


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "var").touch()
    with pytest.raises(CannotStart, match=r"var is not a folder; .*STATE="):
        open_state_folder(tmp_path / "var").__enter__()
