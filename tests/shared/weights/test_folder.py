"""A folder as the source of a model: in which layouts, and what is not taken from it."""

from __future__ import annotations

import pytest

from shared.weights.catalog import find_model
from shared.weights.folder import FolderSource
from shared.weights.installation import Completeness, Installation
from shared.weights.pull import pull
from shared.weights.sources import PullFailed

STYLETTS2 = find_model("styletts2")
AMY = find_model("en_US-amy-medium")


def lay(folder, paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.rpartition("/")[2].encode())


def bring(folder, models, model=STYLETTS2):
    return pull(Installation(model, models), lambda: FolderSource(folder, model), lambda _: None)


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "brought").mkdir()
    return tmp_path / "brought"


@pytest.mark.parametrize("model", [STYLETTS2, AMY, find_model("xtts_v2")])
@pytest.mark.parametrize("layout", ["published", "kept", "name"])
def test_files_are_found_as_published_and_as_kept(folder, models, model, layout):
    lay(folder, [getattr(file, layout) for file in model.files])
    assert bring(folder, models, model) == len(model.files)
    installation = Installation(model, models)
    assert installation.completeness is Completeness.INSTALLED
    assert all(map(installation.is_intact, model.files))
    assert installation.manifest.source == str(folder)
    assert bring(folder, models, model) == 0


def test_a_folder_that_lacks_a_file_is_refused_with_what_is_missing(folder, models):
    lay(folder, ["Models/LibriTTS/config.yml"])
    with pytest.raises(
        PullFailed, match=r"does not hold all of styletts2: there is no \S+/epochs_2nd_00020\.pth"
    ):
        bring(folder, models)
    assert Installation(STYLETTS2, models).completeness is Completeness.ABSENT


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "git lfs pull")],
)
def test_what_is_no_whole_file_is_not_taken(folder, models, content, told):
    lay(folder, ["config.yml"])
    (folder / "model.pth").write_bytes(content)
    with pytest.raises(PullFailed, match=told):
        bring(folder, models)
    assert Installation(STYLETTS2, models).completeness is Completeness.ABSENT


def test_from_another_model_folder_only_what_was_recorded_there_is_taken(folder, models, tmp_path):
    lay(tmp_path / "hub", [file.published for file in STYLETTS2.files])
    bring(tmp_path / "hub", folder)
    (folder / "styletts2" / "config.yml").write_text("changed")
    with pytest.raises(PullFailed, match=r"config\.yml is damaged"):
        bring(folder, models)
    (folder / "styletts2" / "config.yml").write_text("config.yml")
    assert bring(folder, models) == 2
    assert Installation(STYLETTS2, models).manifest.source == str(tmp_path / "hub"), (
        "where it is from at first"
    )
