"""What a model folder tells of what lies in it."""

from __future__ import annotations

import pytest

from shared.piper_voices import KNOWN_VOICES
from shared.weights.catalog import find_model
from shared.weights.installation import Completeness, Installation, installations

STYLETTS2 = find_model("styletts2")


@pytest.fixture
def installation(tmp_path):
    """One that was pulled."""
    for file in STYLETTS2.files:
        (tmp_path / file.kept).parent.mkdir(exist_ok=True)
        (tmp_path / file.kept).write_bytes(b"12345")
    Installation(STYLETTS2, tmp_path).note("somewhere", "main")
    return Installation(STYLETTS2, tmp_path)


def test_a_model_whose_files_are_all_there_is_installed(installation):
    assert (installation.completeness, installation.size_bytes) == (Completeness.INSTALLED, 10)
    assert all(map(installation.is_intact, STYLETTS2.files))


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"1234")])
def test_a_model_that_lacks_something_is_incomplete(installation, damage):
    [_, weights] = STYLETTS2.files
    damage(installation.path(weights))
    assert installation.completeness is Completeness.INCOMPLETE
    assert installation.lacking == [weights]
    assert not installation.is_intact(weights)


def test_what_was_changed_is_found_by_reading_it(installation):
    [config, _] = STYLETTS2.files
    installation.path(config).write_bytes(b"54321")
    assert installation.completeness is Completeness.INSTALLED
    assert not installation.is_intact(config)


def test_what_is_fetched_anew_is_of_the_revision_that_is_here(installation):
    assert installation.pinned == STYLETTS2, "it is from somewhere else"
    installation.note(STYLETTS2.repository, "a" * 40)
    assert installation.pinned.revision == "a" * 40


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": {}}'])
def test_records_that_cannot_be_read_are_none(installation, content):
    (installation.folder / "manifest.json").write_text(content)
    without = Installation(STYLETTS2, installation.models)
    assert without.manifest is None
    assert without.completeness is Completeness.INSTALLED


def test_the_acceptance_of_a_licence_is_of_that_licence(tmp_path):
    xtts = Installation(find_model("xtts_v2"), tmp_path)
    assert not xtts.has_accepted(xtts.model.licence)
    xtts.accept(xtts.model.licence)
    assert xtts.has_accepted(xtts.model.licence)
    assert not xtts.has_accepted(STYLETTS2.licence)
    assert xtts.completeness is Completeness.ABSENT


def test_everything_known_is_listed_and_whatever_else_is_there(tmp_path):
    (tmp_path / "piper").mkdir()
    for name in ("de_DE-thorsten-high.onnx", "my voice.onnx.json", "._en_US-amy-medium.onnx", "notes.txt"):
        (tmp_path / "piper" / name).touch()
    listed = {one.model.name: one.completeness for one in installations(tmp_path)}
    assert list(listed)[:2] == ["xtts_v2", "styletts2"]
    assert {voice.name for voice in KNOWN_VOICES.voices} < set(listed)
    assert {name for name, state in listed.items() if state is not Completeness.ABSENT} == {
        "de_DE-thorsten-high",
        "my voice",
    }
