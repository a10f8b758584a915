"""`voicefarm models` against a server that behaves like the hub: what it does, and what it tells."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from shared.cli import main
from shared.log import configure_logging
from shared.piper_voices import piper_equipment
from shared.settings import Settings
from shared.weights.catalog import find_model
from tests.hub_server import running_hub
from tests.voices import make_voice

AMY, AMY_IN_THE_HUB = "en_US-amy-medium", "en/en_US/amy/medium/en_US-amy-medium"
XTTS = {
    "config.json": b'{"model": "xtts"}',
    "model.pth": b"weights" * 100_000,
    "vocab.json": b"{}",
    "speakers_xtts.pth": b"speakers" * 1000,
}
STYLETTS2 = {"Models/LibriTTS/config.yml": b"a: 1", "Models/LibriTTS/epochs_2nd_00020.pth": b"weights" * 1000}


@pytest.fixture
def hub(tmp_path):
    """A hub with both checkpoints and a voice that speaks."""
    make_voice(tmp_path / "made", AMY)
    voice = {
        f"{AMY_IN_THE_HUB}{suffix}": (tmp_path / "made" / "piper" / f"{AMY}{suffix}").read_bytes()
        for suffix in (".onnx", ".onnx.json")
    }
    repositories = {
        "coqui__XTTS-v2": XTTS,
        "yl4579__StyleTTS2-LibriTTS": STYLETTS2,
        "rhasspy__piper-voices": voice,
    }
    with running_hub(**repositories) as hub:
        hub.revisions = {find_model(name).revision for name in ("xtts_v2", "styletts2", AMY)}
        yield hub


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def voicefarm(hub, tmp_path, models, monkeypatch):
    """Run `voicefarm models` in a folder of its own; gives what came of it."""
    monkeypatch.chdir(tmp_path)
    ours = {"VOICEFARM_MODEL_DIR": str(models), "HF_ENDPOINT": hub.url}

    def run(*arguments, **env):
        return CliRunner().invoke(main, ["models", *arguments], env=ours | env, prog_name="voicefarm")

    yield run
    configure_logging("warning", "console")  # which commands keep quiet


def row(listed, name):
    """Give the line of the table that is about a model, cell by cell."""
    [line] = [line for line in listed.stdout.splitlines() if line.startswith(f"{name} ")]
    return re.split("  +", line)


def test_a_voice_is_pulled_listed_verified_and_can_speak(voicefarm, models):
    pulled = voicefarm("pull", AMY)
    assert pulled.exit_code == 0, pulled.stderr
    assert f"{AMY} is complete in {models}/piper" in pulled.stdout
    assert f"/{AMY_IN_THE_HUB.rpartition('/')[0]}/MODEL_CARD" in pulled.stdout
    assert pulled.stdout.splitlines()[-1] == "Start the farm, anew if it runs already: make up"
    equipment = piper_equipment(Settings.load(VOICEFARM_MODEL_DIR=str(models)))
    assert (equipment.problem, equipment.languages) == (None, {"en-US"})
    assert row(voicefarm("list"), AMY)[1:4:2] == ["installed", "rhasspy/piper-voices"]
    verified = voicefarm("verify")
    assert (verified.exit_code, verified.stdout) == (0, f"ok      {AMY}\n")


def test_what_is_complete_is_said_so_and_not_fetched(voicefarm, hub):
    voicefarm("pull", AMY)
    hub.asked.clear()
    again = voicefarm("pull", AMY)
    assert again.exit_code == 0
    assert re.fullmatch(rf"{AMY} is complete and undamaged in \S+; nothing was fetched\.\n", again.stdout)
    assert hub.asked == []


def test_several_are_pulled_at_once(voicefarm):
    pulled = voicefarm("pull", "styletts2", AMY, "styletts2")
    assert pulled.exit_code == 0, pulled.stderr
    assert "listeners" in pulled.stdout
    assert pulled.stdout.splitlines()[-1].endswith('make up ENGINES="styletts2"')
    listed = voicefarm("list")
    assert [row(listed, name)[1] for name in ("styletts2", AMY)] == ["installed"] * 2


@pytest.mark.parametrize("source", ["hub", "folder"])
def test_nothing_is_fetched_before_the_licence_is_accepted(voicefarm, hub, models, tmp_path, source):
    for name, content in XTTS.items():
        (tmp_path / name).write_bytes(content)
    where = ("--from", str(tmp_path)) if source == "folder" else ()
    refused = voicefarm("pull", AMY, "xtts_v2", *where)
    assert refused.exit_code == 1
    for told in ("Coqui Public Model License", "https://", "commercial", "--accept-licence"):
        assert told in refused.stderr
    assert hub.asked == []
    assert not models.exists()

    begun = datetime.now(UTC)
    accepted = voicefarm("pull", "xtts_v2", "--accept-licence", *where)
    assert accepted.exit_code == 0, accepted.stderr
    assert accepted.stdout.splitlines()[-1].endswith('make up ENGINES="xtts_v2"')
    record = json.loads((models / "xtts_v2" / "licence.json").read_text())
    assert "Coqui Public Model License" in record["licence"]
    assert begun <= datetime.fromisoformat(record["accepted_at"]) <= datetime.now(UTC)
    assert {name: (models / "xtts_v2" / name).read_bytes() for name in XTTS} == XTTS

    (models / "xtts_v2" / "vocab.json").unlink()
    assert voicefarm("pull", "xtts_v2", *where).exit_code == 0, "who has accepted it is not asked again"


@pytest.mark.parametrize("layout", ["published", "kept"])
def test_a_folder_takes_the_place_of_the_network(voicefarm, hub, tmp_path, layout):
    for file, content in zip(find_model("styletts2").files, STYLETTS2.values(), strict=True):
        path = tmp_path / "brought" / getattr(file, layout)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    pulled = voicefarm("pull", "styletts2", "--from", "brought", HF_ENDPOINT="http://127.0.0.1:9")
    assert pulled.exit_code == 0, pulled.stderr
    assert hub.asked == []
    assert row(voicefarm("list"), "styletts2")[1:4:2] == ["installed", str(tmp_path / "brought")]
    assert voicefarm("verify", "styletts2").exit_code == 0


def test_the_list_tells_what_is_not_whole_and_what_was_put_there(voicefarm, models):
    voicefarm("pull", "styletts2")
    (models / "styletts2" / "model.pth").unlink()
    make_voice(models, "my-voice")
    (models / "piper" / "de_DE-thorsten-high.onnx").touch()
    listed = voicefarm("list")
    assert row(listed, "NAME") == ["NAME", "STATE", "SIZE", "SOURCE", "LICENCE"]
    assert row(listed, "styletts2")[1] == "incomplete: no whole model.pth"
    assert row(listed, "my-voice")[1::2] == ["installed", "put there by hand"]
    assert row(listed, "my-voice")[-1] == "unknown"
    assert row(listed, "de_DE-thorsten-high")[1] == "incomplete: no whole de_DE-thorsten-high.onnx.json"
    assert row(listed, "xtts_v2")[1:4] == ["not installed", "about 1.9 GB", "coqui/XTTS-v2"]
    assert "must be accepted" in row(listed, "xtts_v2")[4]
    assert str(models) in listed.stderr


def test_what_is_missing_or_damaged_is_found_and_named_with_the_remedy(voicefarm, models):
    voicefarm("pull", "xtts_v2", "styletts2", "--accept-licence")
    make_voice(models, "my-voice")
    (models / "xtts_v2" / "model.pth").write_bytes(b"damaged" * 100_000)
    (models / "styletts2" / "config.yml").unlink()
    everything = voicefarm("verify")
    assert everything.exit_code == 1
    assert everything.stdout.splitlines() == [
        f"broken  {models}/xtts_v2/model.pth is damaged. Run: voicefarm models pull xtts_v2 --accept-licence",
        f"broken  {models}/styletts2/config.yml is missing. Run: voicefarm models pull styletts2",
        "unknown my-voice was put there by hand: there is no checksum to compare it with.",
    ]
    assert voicefarm("pull", "xtts_v2", "styletts2").exit_code == 0
    named = voicefarm("verify", "xtts_v2", "my-voice", AMY)
    assert named.exit_code == 1
    assert named.stdout.splitlines() == [
        "ok      xtts_v2",
        "unknown my-voice was put there by hand: there is no checksum to compare it with.",
        f"broken  {AMY} is not installed. Run: voicefarm models pull {AMY}",
    ]


def test_where_there_is_no_model_there_is_nothing_to_verify(voicefarm, models):
    verified = voicefarm("verify")
    assert verified.exit_code == 0
    assert verified.stdout.startswith(f"There is no model in {models}; 'voicefarm models list'")


@pytest.mark.parametrize(
    ("arguments", "env", "code", "told"),
    [
        ((), {}, 2, "Missing argument 'NAME...'"),
        (("xtts",), {}, 1, "There is no model 'xtts'; there are xtts_v2, styletts2, and Piper's voices"),
        (("en_US-nobody-low",), {}, 1, "There is no en/en_US/nobody/low/en_US-nobody-low.onnx in rhasspy/"),
        ((AMY, "--from", "nowhere"), {}, 2, "'nowhere' does not exist"),
        ((AMY, "--from", "."), {}, 1, "does not hold all of en_US-amy-medium"),
        ((AMY,), {"HF_ENDPOINT": "http://127.0.0.1:9"}, 1, "cannot be reached"),
        ((AMY,), {"VOICEFARM_MODEL_DIR": "/dev/null/models"}, 1, "/dev/null/models: Not a directory"),
        (
            ("xtts_v2", "--accept-licence"),
            {"VOICEFARM_MODEL_DIR": "/dev/null/models"},
            1,
            "/dev/null/models/xtts_v2: Not a directory",
        ),
    ],
)
def test_what_cannot_be_pulled_is_told_in_plain_words(voicefarm, arguments, env, code, told):
    answer = voicefarm("pull", *arguments, **env)
    assert answer.exit_code == code
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr
    assert code == 2 or len(answer.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", [(), ("list",), ("pull",), ("verify",)])
def test_every_command_about_models_explains_itself(voicefarm, command):
    answer = voicefarm(*command, "--help")
    assert answer.exit_code == 0
    assert answer.stdout.startswith("Usage: voicefarm models")
