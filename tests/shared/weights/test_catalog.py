"""Which models can be pulled by which names, and where each file of them is published and kept."""

from __future__ import annotations

import re

import pytest

from shared.piper_voices import KNOWN_VOICES
from shared.weights.catalog import CHECKPOINTS, find_model


def files(name):
    return {file.kept: file.published for file in find_model(name).files}


def test_checkpoints_are_kept_where_their_engines_look():
    assert set(files("xtts_v2")) == {
        f"xtts_v2/{name}" for name in ("config.json", "model.pth", "vocab.json", "speakers_xtts.pth")
    }
    assert files("styletts2") == {
        "styletts2/config.yml": "Models/LibriTTS/config.yml",
        "styletts2/model.pth": "Models/LibriTTS/epochs_2nd_00020.pth",
    }


def test_checkpoints_are_pinned():
    for model in CHECKPOINTS:
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision)


def test_what_may_not_be_used_commercially_must_be_accepted():
    [model] = [model for model in CHECKPOINTS if model.licence.must_be_accepted]
    assert model.name == "xtts_v2"
    assert "commercial" in model.licence.terms
    assert model.licence.url.startswith("https://")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("en_US-amy-medium", "en/en_US/amy/medium"),
        ("de_DE-thorsten_emotional-medium", "de/de_DE/thorsten_emotional/medium"),
        ("pt_PT-tugão-medium", "pt/pt_PT/tugão/medium"),
        ("nl_BE-nathalie-x_low", "nl/nl_BE/nathalie/x_low"),
        ("es_MX-claude-high", "es/es_MX/claude/high"),
    ],
)
def test_a_voices_name_tells_where_it_is_published(name, folder):
    assert files(name) == {
        f"piper/{name}.onnx": f"{folder}/{name}.onnx",
        f"piper/{name}.onnx.json": f"{folder}/{name}.onnx.json",
    }
    assert find_model(name).licence.url.endswith(f"/{folder}/MODEL_CARD")


def test_every_voice_that_the_farm_knows_can_be_pulled_and_is_pinned():
    for voice in KNOWN_VOICES.voices:
        assert re.fullmatch(r"[0-9a-f]{40}", find_model(voice.name).revision)
    assert find_model("en_US-lessac-medium").revision == "main"


@pytest.mark.parametrize(
    "name",
    ["", "piper", "XTTS_v2", "en_US-amy", "en-US-amy-medium", "en_US-amy-best", "../x", "en_US-../x-medium"],
)
def test_other_names_are_nobodys(name):
    assert find_model(name) is None
