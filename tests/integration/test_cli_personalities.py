"""`voicefarm personalities` and `voicefarm voice`, beside a running farm."""

from __future__ import annotations

import uuid

import pytest

from shared.scopes import Scope
from tests.integration.test_cli import voicefarm
from tests.shared.samples.sounds import encoded, silence, speech

assert voicefarm  # a fixture


@pytest.fixture
def ann(voicefarm):
    """The name of a personality that is gone afterwards."""
    name = f"ann {uuid.uuid4().hex[:6]}"
    added = voicefarm(
        "personalities", "add", name, "--title", "Ann", "--voice", "espeak=f3", "--speed", "1.1"
    )
    assert added.returncode == 0, added.stderr
    yield name
    voicefarm("personalities", "remove", name)


def show(voicefarm, name):
    shown = voicefarm("personalities", "show", name)
    assert shown.returncode == 0, shown.stderr
    return {line[:16].strip(): line[16:].strip() for line in shown.stdout.splitlines()}


def test_a_personality_is_added_listed_shown_changed_heard_and_removed(voicefarm):
    name = f"bo {uuid.uuid4().hex[:6]}"
    added = voicefarm("personalities", "add", name, "--language", "en-gb", "--provider", "espeak")
    assert (added.returncode, name in added.stderr) == (0, True)
    head, *rows = voicefarm("personalities", "list").stdout.splitlines()
    assert head.split() == ["ID", "NAME", "TITLE", "LANGUAGE", "PROVIDER", "SAMPLE", "STATE"]
    [row] = [row for row in rows if name in row]
    assert row.split()[0] in added.stderr
    assert row.split()[-4:] == ["en-GB", "espeak", "none", "active"]
    assert [row.split()[1] for row in rows if row.endswith("default")] == ["marcel"]

    changes = ("--voice", "espeak=m3", "--pitch", "-2", "--fallback-chain", "piper, espeak", "--title", "Bo")
    changed = voicefarm("personalities", "set", name, *changes, "--name", f"{name}!")
    assert (changed.returncode, "voice revision is 2" in changed.stderr) == (0, True)
    shown = show(voicefarm, f"{name}!")
    assert (shown["title"], shown["language"], shown["voices"]) == ("Bo", "en-GB", "espeak=m3")
    assert (shown["speed, pitch"], shown["fallback chain"]) == ("1, -2", "piper, espeak")
    assert voicefarm("say", "Hello", "--personality", f"{name}!").returncode == 0

    voicefarm(
        "personalities",
        "set",
        f"{name}!",
        "--provider",
        "",
        "--fallback-chain",
        "",
        "--inactive",
        "--gender",
        "male",
    )
    shown = show(voicefarm, f"{name}!")
    assert (shown["provider"], shown["fallback chain"], shown["state"]) == (
        "by quality",
        "by quality",
        "inactive",
    )

    assert shown["gender"] == "male"
    removed = voicefarm("personalities", "remove", f"{name}!")
    assert (removed.returncode, f"Removed {name}!" in removed.stderr) == (0, True)
    assert name not in voicefarm("personalities", "list").stdout


def test_a_voice_is_uploaded_and_removed(voicefarm, tmp_path, ann):
    (tmp_path / "ann.flac").write_bytes(encoded(speech(), container="FLAC"))
    uploaded = voicefarm("voice", "upload", ann, "ann.flac", "--consent")
    assert uploaded.returncode == 0, uploaded.stderr
    assert "of 100, 9." in uploaded.stdout
    assert show(voicefarm, ann)["sample"].startswith("9.")
    removed = voicefarm("voice", "remove", ann)
    assert (removed.returncode, "no voice sample any more" in removed.stderr) == (0, True)
    assert show(voicefarm, ann)["sample"] == "none"


def test_what_would_make_a_sample_better_is_told(voicefarm, tmp_path, ann):
    (tmp_path / "short.wav").write_bytes(encoded(speech()[: 6 * 24_000]))
    uploaded = voicefarm("voice", "upload", ann, "short.wav", "--consent")
    assert uploaded.returncode == 0, uploaded.stderr
    assert "Warning: " in uploaded.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("personalities", "add"), 2, "Missing argument"),
        (("personalities", "add", "marcel"), 1, "'marcel'"),
        (("personalities", "add", ""), 1, "name: must have at least 1 character"),
        (("personalities", "add", "x", "--provider", "polly"), 1, "must name one of espeak"),
        (("personalities", "add", "x", "--voice", "f2"), 2, "not like espeak=f2"),
        (("personalities", "add", "x", "--speed", "9"), 2, "0.25"),
        (("personalities", "show", "nobody"), 1, "marcel, "),
        (("personalities", "set", "zac"), 2, "Say what to change"),
        (("personalities", "set", "zac", "--language", "?"), 1, "language: "),
        (("personalities", "set", "marcel", "--inactive"), 1, "make another one the default first"),
        (("personalities", "remove", "marcel"), 1, "make another one the default first"),
        (("voice", "upload", "zac", "no.wav", "--consent"), 2, "does not exist"),
        (("voice", "upload", "zac", "silence.wav"), 2, "--consent"),
        (("voice", "upload", "nobody", "silence.wav", "--consent"), 1, "There is no personality"),
        (("voice", "upload", "zac", "huge.wav", "--consent"), 1, "larger than the 10 MB"),
        (("voice", "upload", "zac", "/dev/zero", "--consent"), 1, "larger than the 10 MB"),
        (("voice", "remove", "zac"), 1, "zac has no voice sample"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value)[:20],
)
def test_what_cannot_be_done_is_told_in_plain_words(voicefarm, tmp_path, arguments, code, told):
    (tmp_path / "silence.wav").write_bytes(encoded(silence(10)))
    (tmp_path / "huge.wav").write_bytes(bytes(10_000_001))
    answer = voicefarm(*arguments)
    assert answer.returncode == code
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_sample_that_cannot_be_used_is_refused_with_the_reason(voicefarm, tmp_path):
    (tmp_path / "silence.wav").write_bytes(encoded(silence(10)))
    answer = voicefarm("voice", "upload", "zac", "silence.wav", "--consent")
    assert answer.returncode == 1
    assert len(answer.stderr) > 40
    assert answer.stdout == ""


def test_a_key_that_may_only_speak_sees_but_does_not_change(voicefarm, keys):
    _, secret = keys.create(Scope.SPEAK, "speaker")
    assert voicefarm("personalities", "list", VOICEFARM_KEY=secret).returncode == 0
    answer = voicefarm("personalities", "set", "zac", "--pitch", "1", VOICEFARM_KEY=secret)
    assert (answer.returncode, "scope manage; yours is speak" in answer.stderr) == (1, True)


@pytest.mark.parametrize(
    "command",
    [
        "personalities", "personalities list", "personalities add", "personalities show", "personalities set",
        "personalities remove", "voice", "voice upload", "voice remove",
    ],
)  # fmt: skip
def test_every_command_explains_itself(voicefarm, command):
    answer = voicefarm(*command.split(), "--help")
    assert answer.returncode == 0
    assert answer.stdout.startswith(f"Usage: voicefarm {command}")
