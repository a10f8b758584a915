"""The commands, as somebody at a terminal uses them beside a running farm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest
import soundfile

from shared.cli.state_folder import open_state_folder
from shared.keys import ADMIN_ID
from shared.scopes import Scope
from tests.farm import running_farm
from tests.servers import clean_environment, free_port

VOICEFARM = Path(sys.executable).with_name("voicefarm")
SHANTE = "00000000-0000-0000-0001-000000000002"


@pytest.fixture
def voicefarm(farm, tmp_path):
    """Run the command in an empty folder against the farm; gives the finished process."""

    def run(*arguments, **env):
        ours = {
            "VOICEFARM_URL": farm.url,
            "VOICEFARM_KEY": farm.admin_key,
            "REDIS_PORT": str(farm.redis.port),
        }
        return subprocess.run(
            [VOICEFARM, *arguments],
            cwd=tmp_path, env=clean_environment() | ours | {"VOICEFARM_STATE_DIR": str(farm.folder)} | env,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_say_writes_speech_and_tells_who_spoke(voicefarm, tmp_path):
    text = f"Hello {uuid.uuid4().hex[:6]}."
    first = voicefarm("say", text)
    assert first.returncode == 0, first.stderr
    assert soundfile.info(tmp_path / "speech.wav").duration > 0.5
    assert "espeak" in first.stderr
    assert "cache MISS" in first.stderr
    again = voicefarm("say", text, "-o", "again.wav")
    assert "cache HIT" in again.stderr
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "speech.wav").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "file", "kind"),
    [
        (("--format", "mp3"), "speech.mp3", "MP3"),
        (("--format", "opus"), "speech.opus", "OGG"),
        (("-o", "hello.FLAC"), "hello.FLAC", "FLAC"),
        (("-o", "hello.ogg"), "hello.ogg", "OGG"),
        (("-o", "hello.wav"), "hello.wav", "WAV"),
        (("-o", "hello"), "hello", "WAV"),
        (("-o", "hello.audio", "--format", "mp3"), "hello.audio", "MP3"),
        (("-o", "hello.wav", "--format", "flac"), "hello.wav", "FLAC"),
    ],
)
def test_say_writes_the_format_that_is_asked_for_or_that_the_file_is_named_after(
    voicefarm, tmp_path, arguments, file, kind
):
    answer = voicefarm("say", "Hello", *arguments)
    assert answer.returncode == 0, answer.stderr
    assert soundfile.info(tmp_path / file).format == kind


def test_say_writes_raw_samples(voicefarm, tmp_path):
    for name in ("hello.wav", "hello.pcm"):
        assert voicefarm("say", "Hello again", "-o", name).returncode == 0
    pcm = (tmp_path / "hello.pcm").read_bytes()
    assert len(pcm) == 2 * soundfile.info(tmp_path / "hello.wav").frames


@pytest.mark.parametrize("personality", ["shante", "Shante", SHANTE])
def test_say_knows_personalities_by_name_and_by_id(voicefarm, personality):
    answer = voicefarm("say", "Hello", "--personality", personality, "--speed", "1.5", "--pitch", "-3")
    assert answer.returncode == 0, answer.stderr


def test_say_can_write_to_a_pipe(farm):
    answer = subprocess.run(
        ["sh", "-c", 'voicefarm say "Hello" -o - | head -c 4'],
        env=clean_environment() | {
            "VOICEFARM_URL": farm.url, "VOICEFARM_KEY": farm.admin_key,
            "PATH": f"{VOICEFARM.parent}{os.pathsep}{os.environ['PATH']}",
        },
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert answer.stdout == b"RIFF"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("say", "Hello", "--personality", "nobody"), "marcel, shante, zac"),
        (("say", "..."), "a letter or a number"),
        (("say", "\udcff"), "not valid UTF-8"),
        (("say", "Hello", "--language", "xx"), "cannot speak 'xx'"),
        (("say", "Hello", "-o", "no/such/folder/x.wav"), "cannot be written"),
        (("say", "Hello", "-o", "hello.m4a"), "--format"),
        (("say", "Hello", "--format", "m4a"), "'mp3', 'opus'"),
        (("say", "Hello", "--speed", "9"), "0.25"),
        (("say", "Hello", "--speed", "nan"), "'nan' is not a number"),
        (("say", "Hello", "--speed", "inf"), "0.25"),
        (("say", "Hello", "--pitch", "nan"), "'nan' is not a number"),
        (("say",), "Missing argument"),
    ],
)
def test_what_cannot_be_said_is_told_in_plain_words(voicefarm, arguments, told):
    answer = voicefarm(*arguments)
    assert answer.returncode != 0
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"VOICEFARM_URL": "http://127.0.0.1:9"}, "make up"),
        (
            {"VOICEFARM_KEY": "x" * 40},
            "refuses the key from VOICEFARM_KEY: It has no such API key. Set VOICEFARM_KEY to another key",
        ),
        ({"VOICEFARM_KEY": "", "VOICEFARM_STATE_DIR": "nowhere"}, "VOICEFARM_KEY"),
        ({"VOICEFARM_KEY": "é"}, "VOICEFARM_KEY: must be visible ASCII characters"),
        ({"REDIS_PORT": "many"}, "REDIS_PORT"),
        ({"VOICEFARM_CHAINS": "{"}, "VOICEFARM_CHAINS: is not valid JSON"),
    ],
)
def test_a_farm_that_cannot_be_talked_to_is_told_with_the_remedy(voicefarm, env, told):
    answer = voicefarm("say", "Hello", **env)
    assert answer.returncode == 1
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_key_of_another_farms_folder_is_named_beside_the_farm_that_refuses_it(voicefarm, farm, tmp_path):
    (tmp_path / "admin.key").write_text("x" * 40)
    answer = voicefarm("say", "Hello", VOICEFARM_KEY="", VOICEFARM_STATE_DIR=str(tmp_path))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert f"The farm at {farm.url} refuses the key from {tmp_path / 'admin.key'}: " in answer.stderr
    assert "VOICEFARM_STATE_DIR to its state folder" in answer.stderr


def test_a_command_that_is_given_the_state_folder_finds_its_farm(voicefarm, farm, tmp_path):
    with open_state_folder(tmp_path / "other") as folder:
        folder.remember(port=int(farm.url.rpartition(":")[2]))
        folder.write_private("admin.key", farm.admin_key)
    other = {"VOICEFARM_STATE_DIR": str(tmp_path / "other"), "VOICEFARM_KEY": "", "VOICEFARM_URL": ""}
    said = voicefarm("say", "Hello", **other)
    assert said.returncode == 0, said.stderr
    first, *_ = voicefarm("doctor", **other).stdout.splitlines()
    assert first == f"The state folder is {tmp_path / 'other'}, the farm is at {farm.url}."


def test_a_link_opens_the_dashboard_once(voicefarm, farm):
    made = voicefarm("link", VOICEFARM_KEY="")
    assert (made.returncode, made.stderr) == (0, "")
    link = made.stdout.removesuffix("\n")
    assert re.fullmatch(rf"{farm.url}/\?code=[\w-]{{43}}", link), "standard output is the link alone"
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        assert browser.get(link).status_code == 200
        assert browser.get(f"{farm.url}/api/voice/keys").status_code == 200
    with httpx.Client(trust_env=False) as another:
        assert another.get(link).headers["Location"] == "/#code-used"
    assert voicefarm("link").stdout != made.stdout


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"REDIS_PORT": ""}, "No farm has run on .*; start one with 'make up', or set VOICEFARM_STATE_DIR"),
        ({"VOICEFARM_URL": "http://127.0.0.1:9"}, "No farm answers at http://127.0.0.1:9; start one with"),
        ({"REDIS_PORT": "9"}, "The farm at .* answers, but the Redis .* does not; set VOICEFARM_STATE_DIR"),
    ],
)
def test_a_link_to_no_farm_is_told_with_the_remedy(voicefarm, env, told):
    answer = voicefarm("link", **env)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert re.match(f"Error: {told}", answer.stderr)
    assert len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", ["", "schlüssel", "a key"])
def test_a_key_file_that_holds_no_key_is_told_with_the_remedy(voicefarm, tmp_path, content):
    (tmp_path / "admin.key").write_text(content)
    answer = voicefarm("say", "Hello", VOICEFARM_KEY="", VOICEFARM_STATE_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"Error: There is no key in {tmp_path / 'admin.key'}; set VOICEFARM_KEY")


def test_a_key_is_made_used_listed_and_revoked(voicefarm):
    name = f"shop {uuid.uuid4().hex[:6]}"
    made = voicefarm("keys", "create", "--scope", "speak", "--name", name, "--expires", "90d")
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert re.fullmatch(r"vf_[0-9a-f]{8}_[\w-]{43}", secret), "standard output is the secret alone"
    assert name in made.stderr
    assert "VOICEFARM_KEY" in made.stderr
    assert secret not in made.stderr
    assert voicefarm("say", "Hello", VOICEFARM_KEY=secret).returncode == 0

    listed = voicefarm("keys", "list")
    assert secret not in listed.stdout
    head, *rows = listed.stdout.splitlines()
    assert head.split()[:3] == ["ID", "BEGINS", "WITH"]
    [row] = [row for row in rows if name in row]
    key_id = row.split()[0]
    assert key_id in made.stderr
    assert re.search(r"\bspeak\b.*\bgood until 20", row)  # used never, or just now
    assert any("admin" in row and row.endswith("good") for row in rows)

    revoked = voicefarm("keys", "revoke", key_id)
    assert (revoked.returncode, name in revoked.stderr) == (0, True)
    refused = voicefarm("say", "Hello", VOICEFARM_KEY=secret)
    assert (refused.returncode, "revoked" in refused.stderr) == (1, True)
    [row] = [row for row in voicefarm("keys", "list").stdout.splitlines() if name in row]
    assert re.search(r"revoked 20", row)


@pytest.mark.parametrize("when", ["30m", "12h", "4w", "2999-01-31", "2999-01-31T12:00+02:00"])
def test_a_key_can_be_made_for_a_time(voicefarm, when):
    made = voicefarm("keys", "create", "--scope", "manage", "--expires", when)
    assert made.returncode == 0, made.stderr
    assert "good until" in made.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("create",), 2, "--scope"),
        (("create", "--scope", "root"), 2, "'speak', 'manage', 'admin'"),
        (("create", "--scope", "speak", "--expires", "soon"), 2, "90d"),
        (("create", "--scope", "speak", "--expires", "9999999999d"), 2, "90d"),
        (("create", "--scope", "speak", "--expires", "2001-01-31"), 1, "must be in the future"),
        (("create", "--scope", "speak", "--name", ""), 1, "name: "),
        (("revoke",), 2, "Missing argument"),
        (("revoke", "shop"), 2, "not a valid UUID"),
        (("revoke", str(uuid.UUID(int=0))), 1, "There is no API key"),
        (("revoke", ADMIN_ID), 1, "the key that you ask with"),
    ],
)
def test_what_cannot_be_done_with_keys_is_told_in_plain_words(voicefarm, arguments, code, told):
    answer = voicefarm("keys", *arguments)
    assert answer.returncode == code
    assert told in answer.stderr
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr


def test_a_key_that_is_no_admins_manages_none(voicefarm, keys):
    _, secret = keys.create(Scope.MANAGE, "manager")
    for arguments in (("list",), ("create", "--scope", "speak"), ("revoke", ADMIN_ID)):
        answer = voicefarm("keys", *arguments, VOICEFARM_KEY=secret)
        assert (answer.returncode, "scope admin; yours is manage" in answer.stderr) == (1, True)


@pytest.mark.parametrize("command", ["create", "list", "revoke"])
def test_every_command_about_keys_explains_itself(voicefarm, command):
    answer = voicefarm("keys", command, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"Usage: voicefarm keys {command}")


def test_the_doctor_tells_of_a_setting_that_is_not_json(voicefarm):
    answer = voicefarm("doctor", VOICEFARM_CHAINS="{")
    assert answer.returncode == 1
    assert "settings: VOICEFARM_CHAINS: is not valid JSON" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_the_doctor_finds_a_healthy_farm_well(voicefarm):
    answer = voicefarm("doctor")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "broken" not in answer.stdout
    for part in (
        *("settings", "state folder", "state Redis", "audio Redis", "broker", "database", "workers"),
        *("voice samples", "espeak", "web"),
    ):
        assert f"ok      {part}" in answer.stdout.replace("provider ", "")


def test_the_doctor_says_first_where_it_looks(voicefarm, farm):
    first, *_ = voicefarm("doctor").stdout.splitlines()
    assert first == f"The state folder is {farm.folder}, the farm is at {farm.url}."


@pytest.mark.parametrize(("redis_port", "word"), [("", "broken"), ("9", "absent")])
def test_the_doctor_in_another_folder_says_how_to_point_to_the_right_one(
    voicefarm, tmp_path, redis_port, word
):
    answer = voicefarm("doctor", VOICEFARM_STATE_DIR="", REDIS_PORT=redis_port)
    first, *findings = answer.stdout.splitlines()
    assert str(tmp_path / "var") in first
    [finding] = [line for line in findings if "state folder:" in line]
    assert finding.startswith(f"{word}  state folder: There is no folder {tmp_path / 'var'}.")
    assert "VOICEFARM_STATE_DIR" in finding
    assert not list(tmp_path.iterdir())


def test_the_doctor_tries_the_sample_store_and_leaves_nothing_there(voicefarm, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "samples").mkdir()
    for samples in ("", str(tmp_path / "samples")):
        answer = voicefarm("doctor", VOICEFARM_STATE_DIR="state", VOICEFARM_SAMPLES_URL=samples)
        assert "ok      voice samples" in answer.stdout
        assert [path.name for path in (tmp_path / "samples").rglob("*")] == []
        assert not (tmp_path / "state" / "samples").exists()


@pytest.mark.parametrize(
    ("samples", "reason"), [("a file", "File exists"), ("nonsense://samples", "nonsense")]
)
def test_the_doctor_tells_why_no_sample_can_be_kept(voicefarm, tmp_path, samples, reason):
    (tmp_path / "a file").touch()
    answer = voicefarm("doctor", VOICEFARM_SAMPLES_URL=samples)
    assert answer.returncode == 1
    [finding] = [line for line in answer.stdout.splitlines() if "voice samples" in line]
    assert finding.startswith("broken  voice samples: ")
    assert reason in finding
    assert "VOICEFARM_SAMPLES_URL" in finding


def test_the_doctor_says_first_that_no_farm_runs_and_not_what_a_start_would_mend(voicefarm, tmp_path):
    with open_state_folder(tmp_path) as folder:
        folder.remember(port=free_port(), redis_port=free_port())
        folder.secret("redis.password")
        url = f"http://127.0.0.1:{folder.marker.port}"
    ours = {"VOICEFARM_STATE_DIR": str(tmp_path), "VOICEFARM_URL": "", "REDIS_PORT": ""}
    answer = voicefarm("doctor", **ours)
    assert answer.returncode == 1
    first, *others = answer.stdout.splitlines()
    assert first == f"broken  farm: No farm runs: nothing answers at {url}. Start one with 'make up'."
    assert not [line for line in others if line.startswith("broken") or "Redis" in line or "Procfile" in line]


def test_the_doctor_names_what_is_broken_and_what_mends_it(voicefarm):
    answer = voicefarm(
        "doctor", REDIS_PORT="9", VOICEFARM_URL="http://127.0.0.1:9", VOICEFARM_PROVIDERS=","
    )  # fmt: skip
    assert answer.returncode == 1
    for remedy in ("VOICEFARM_STATE_URL", "REDIS_HOST", "CELERY_BROKER_URL", "make up", "Procfile"):
        assert remedy in answer.stdout
    assert all(re.match("The state folder|ok|broken|absent", line) for line in answer.stdout.splitlines())
    assert answer.stderr == ""


def test_a_command_tells_in_words_and_writes_no_log(voicefarm):
    answer = voicefarm("migrate", REDIS_PORT="9")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("Error: ")
    assert len(answer.stderr.splitlines()) == 1


def test_the_doctor_tells_what_a_provider_lacks_and_minds_it_only_if_it_is_enabled(voicefarm, tmp_path):
    lack = "provider piper: There is no voice in piper of the model folder (VOICEFARM_MODEL_DIR). Run 'voice"
    idle = voicefarm("doctor", VOICEFARM_MODEL_DIR=str(tmp_path))
    assert f"absent  {lack}" in idle.stdout
    assert idle.returncode == 0
    wanted = voicefarm("doctor", VOICEFARM_MODEL_DIR=str(tmp_path), VOICEFARM_PROVIDERS="piper,espeak")
    assert f"broken  {lack}" in wanted.stdout
    assert wanted.returncode == 1


def test_the_doctor_tells_of_a_model_that_is_here_by_half(voicefarm, tmp_path):
    (tmp_path / "piper").mkdir()
    (tmp_path / "piper" / "en_US-amy-medium.onnx").touch()
    answer = voicefarm("doctor", VOICEFARM_MODEL_DIR=str(tmp_path))
    [line] = [line for line in answer.stdout.splitlines() if "  model " in line]
    assert line == (
        f"absent  model en_US-amy-medium: There is no whole piper/en_US-amy-medium.onnx.json in {tmp_path}. "
        "Run: voicefarm models pull en_US-amy-medium"
    )
    assert answer.returncode == 0


def test_the_doctor_warns_of_a_ledger_that_evicts(tmp_path, voicefarm):
    with running_farm(tmp_path, workers=()) as sick:
        sick.redis.client(0).config_set("maxmemory-policy", "allkeys-lru")
        answer = voicefarm("doctor", REDIS_PORT=str(sick.redis.port), VOICEFARM_STATE_DIR=str(sick.folder))
    assert answer.returncode == 1
    assert "allkeys-lru" in answer.stdout


@pytest.mark.parametrize(
    "command", [(), ("up",), ("link",), ("say",), ("keys",), ("models",), ("doctor",), ("migrate",)]
)
def test_every_command_explains_itself(voicefarm, command):
    answer = voicefarm(*command, "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith("Usage: voicefarm")
