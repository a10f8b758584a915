"""Pulling over HTTP from a server that behaves like the hub, with the hub's own client."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from http import HTTPStatus

import pytest
from huggingface_hub import constants

from shared.weights.catalog import Licence, Model, ModelFile
from shared.weights.hub import HubSource
from shared.weights.installation import Completeness, Installation, sha256_of
from shared.weights.pull import pull
from shared.weights.sources import PullFailed
from tests.hub_server import COMMIT, running_hub
from tests.servers import free_port

CONFIG, WEIGHTS = "deep/config.json", "deep/epochs_20.pth"
CONTENT = {CONFIG: b'{"channels": 64}' * 99, WEIGHTS: bytes(range(256)) * 3000}
MODEL = Model(
    "tiny",
    "xtts_v2",
    (ModelFile(CONFIG, "tiny/config.json"), ModelFile(WEIGHTS, "tiny/model.pth")),
    "tiny/manifest.json",
    repository="ann/tiny",
    licence=Licence("a licence", "http://127.0.0.1/licence"),
)
LARGE = bytes(range(256)) * 90_000
"""Three of the pieces in which the hub's client writes what comes."""
PIECE = constants.DOWNLOAD_CHUNK_SIZE
KEPT = {"config.json": CONTENT[CONFIG], "model.pth": CONTENT[WEIGHTS]}


@pytest.fixture
def hub():
    with running_hub(ann__tiny=CONTENT) as hub:
        yield hub


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def bring(models, hub, model=MODEL, url=None):
    """Pull; gives how many files were fetched."""
    return pull(Installation(model, models), lambda: HubSource(model, url or hub.url), lambda _: None)


def kept(models):
    """Give what lies under the files' own names."""
    return {path.name: path.read_bytes() for path in models.glob("tiny/*") if path.name in KEPT}


def refused(models, hub, **more):
    """Give what is told when it cannot be pulled."""
    with pytest.raises(PullFailed) as failed:
        bring(models, hub, **more)
    assert kept(models) == {}
    return failed.value.detail


def test_what_is_pulled_is_what_is_published_and_is_recorded(hub, models):
    assert bring(models, hub) == 2
    assert kept(models) == KEPT
    recorded = json.loads((models / "tiny" / "manifest.json").read_text())
    assert (recorded["source"], recorded["revision"]) == ("ann/tiny", COMMIT)
    assert {name: file["sha256"] for name, file in recorded["files"].items()} == {
        name: sha256_of(models / "tiny" / name) for name in KEPT
    }
    assert not (models / ".partial").exists()
    assert Installation(MODEL, models).completeness is Completeness.INSTALLED


def test_what_is_complete_is_not_asked_for_again(hub, models):
    bring(models, hub)
    hub.asked.clear()
    assert bring(models, hub) == 0
    assert hub.asked == []


def test_a_pinned_revision_is_what_is_asked_for(hub, models):
    pinned = "f" * 40
    model = Model("tiny", "xtts_v2", MODEL.files, MODEL.manifest, repository="ann/tiny", revision=pinned)
    assert f"no revision {pinned}" in refused(models, hub, model=model)
    hub.revisions.add(pinned)
    bring(models, hub, model=model)
    assert Installation(model, models).manifest.revision == pinned


def test_a_download_that_breaks_off_goes_on_by_itself(hub, models):
    hub.repositories["ann/tiny"] = CONTENT | {WEIGHTS: LARGE}
    hub.cuts[WEIGHTS] = [PIECE + 1000, PIECE + 500, len(LARGE)]
    bring(models, hub)
    assert kept(models) == KEPT | {"model.pth": LARGE}
    assert [asked.range for asked in hub.asked_of_store] == [None, f"bytes={PIECE}-", f"bytes={2 * PIECE}-"]


def test_a_pull_that_was_broken_off_goes_on_where_it_stopped(hub, models):
    hub.repositories["ann/tiny"] = CONTENT | {WEIGHTS: LARGE}
    hub.cuts[WEIGHTS] = [PIECE + 1000, 0]
    assert "Run the same command again: it goes on where it stopped." in refused(models, hub)
    assert [path.name.rpartition(".")[0] for path in sorted(models.glob(".partial/*"))] == list(KEPT)
    hub.cuts.clear()
    hub.asked_of_store.clear()
    hub.asked.clear()
    bring(models, hub)
    assert kept(models) == KEPT | {"model.pth": LARGE}
    assert [asked.range for asked in hub.asked_of_store] == [f"bytes={PIECE}-"]
    assert hub.downloads() == [WEIGHTS], "what was whole is not fetched again"


def test_a_part_that_is_not_the_files_beginning_is_found_out(hub, models):
    (models / ".partial").mkdir(parents=True)
    part = models / ".partial" / f"model.pth.{hashlib.sha256(CONTENT[WEIGHTS]).hexdigest()}"
    part.write_bytes(b"x" * 1000)
    assert "came damaged" in refused(models, hub)
    bring(models, hub)
    assert kept(models) == KEPT


def test_where_the_size_is_not_told_it_begins_anew(hub, models):
    (models / ".partial").mkdir(parents=True)
    part = models / ".partial" / f"model.pth.{hashlib.sha256(CONTENT[WEIGHTS]).hexdigest()}"
    part.write_bytes(CONTENT[WEIGHTS])
    hub.headers["X-Linked-Size"] = None
    bring(models, hub)
    assert kept(models) == KEPT
    assert [asked.range for asked in hub.asked_of_store] == [None]


def test_a_server_that_stalls_is_told_as_slow(hub, models, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.05)
    hub.stalled[WEIGHTS] = 10
    told = refused(models, hub)
    assert "is too slow" in told
    assert "HF_HUB_DOWNLOAD_TIMEOUT" in told


def test_a_server_that_never_answers_is_told_as_slow(hub, models, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.05)
    hub.is_silent = True
    assert "is too slow" in refused(models, hub)


@pytest.mark.parametrize("path", [CONFIG, WEIGHTS])
def test_what_comes_damaged_gets_no_name_and_is_thrown_away(hub, models, path):
    hub.damaged.add(path)
    told = refused(models, hub)
    assert f"{path} came damaged" in told
    hub.damaged.clear()
    hub.asked.clear()
    bring(models, hub)
    assert kept(models) == KEPT
    assert CONFIG not in hub.downloads() or path == CONFIG


def test_what_is_missing_or_was_changed_is_fetched_and_nothing_else(hub, models):
    bring(models, hub)
    for damage in (
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"x" + CONTENT[WEIGHTS][1:]),
        lambda path: path.write_bytes(b""),
    ):
        damage(models / "tiny" / "model.pth")
        hub.asked.clear()
        assert bring(models, hub) == 1
        assert hub.downloads() == [WEIGHTS]
        assert kept(models) == KEPT


def test_a_file_that_was_put_there_by_hand_is_taken_if_it_is_the_published_one(hub, models):
    (models / "tiny").mkdir(parents=True)
    (models / "tiny" / "model.pth").write_bytes(CONTENT[WEIGHTS])
    assert bring(models, hub) == 1
    assert hub.downloads() == [CONFIG]
    assert Installation(MODEL, models).is_intact(MODEL.files[1])


def test_another_file_that_was_put_there_by_hand_is_left_alone(hub, models):
    (models / "tiny").mkdir(parents=True)
    (models / "tiny" / "model.pth").write_bytes(b"a fine-tuned one")
    with pytest.raises(
        PullFailed, match=r"model\.pth is there, was not pulled, and is not the published file"
    ):
        bring(models, hub)
    assert kept(models) == {"model.pth": b"a fine-tuned one"}
    assert hub.downloads() == []


@pytest.mark.parametrize("path", [CONFIG, WEIGHTS])
def test_a_file_that_is_not_published_is_told(hub, models, path):
    hub.repositories["ann/tiny"] = {name: content for name, content in CONTENT.items() if name != path}
    assert refused(models, hub) == f"There is no {path} in ann/tiny. {hub.url}/ann/tiny shows what there is."


def test_a_repository_that_is_not_there_or_closed_is_told(hub, models):
    hub.repositories.clear()
    told = refused(models, hub)
    assert f"{hub.url} does not let you have ann/tiny (401)" in told
    assert "HF_TOKEN" in told


@pytest.mark.parametrize("status", [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY])
def test_a_hub_that_is_ill_is_told(hub, models, status):
    hub.refusal = status
    assert f"answers {status.value} to {CONFIG}. Run the same command again" in refused(models, hub)


@pytest.mark.parametrize("header", ["ETag", "X-Repo-Commit"])
def test_a_server_that_is_no_hub_is_told(hub, models, header):
    hub.headers[header] = None
    assert f"{hub.url} does not answer as the hub does" in refused(models, hub)


def test_a_checksum_of_another_kind_is_not_trusted(hub, models):
    hub.headers["ETag"] = '"5d41402abc4b2a76b9719d911017c592"'
    assert "it tells no checksum" in refused(models, hub)


@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}", "nonsense", "http://a b"])
def test_a_hub_that_cannot_be_reached_is_told_with_every_way_out(hub, models, address):
    url = address.format(port=free_port())
    told = refused(models, hub, url=url)
    assert told.startswith(f"{url} cannot be reached")
    for way_out in ("HTTPS_PROXY", "HF_ENDPOINT", "--from DIR"):
        assert way_out in told


def test_too_little_room_is_told_before_anything_is_fetched(hub, models):
    hub.told_sizes[WEIGHTS] = 10**18
    told = refused(models, hub)
    assert "1,000,000,000.0 GB are to be fetched" in told
    assert "VOICEFARM_MODEL_DIR" in told
    assert hub.downloads() == []


def test_a_secret_token_goes_to_the_hub_and_no_further(hub, models, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    bring(models, hub)
    assert all(asked.has_token for asked in hub.asked)
    assert not any(asked.has_token for asked in hub.asked_of_store)


def test_two_pulls_at_once_do_not_meet(hub, models):
    models.mkdir()
    held = os.open(models, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert "Another pull" in refused(models, hub)
    os.close(held)
    assert bring(models, hub) == 2


def test_a_folder_that_cannot_be_one_is_told(hub, models):
    models.write_text("")
    with pytest.raises(PullFailed, match=r"models: File exists\. .*VOICEFARM_MODEL_DIR"):
        bring(models, hub)


def test_a_model_that_nobody_publishes_is_told(hub, models):
    mine = Model("mine", "piper", (ModelFile("", "piper/mine.onnx"),), "piper/mine.manifest.json")
    assert "Nobody is known to publish mine" in refused(models, hub, model=mine)
