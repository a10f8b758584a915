"""Samples in a folder and in S3 (moto's server): there as a whole, or not at all."""

from __future__ import annotations

import stat

import boto3
import fsspec
import pytest
from moto.server import ThreadedMotoServer

from shared.errors import NotFound, StateUnavailable
from shared.samples.store import SAMPLE, SampleStore
from shared.settings import Settings
from tests.servers import free_port

NOBODYS = "0" * 32
NO_IDS = ["", ".", "..", "../" + NOBODYS, "/etc/passwd", NOBODYS + "\0", NOBODYS + "/..", "a\0b", "A" * 32]


@pytest.fixture(scope="module")
def s3_server():
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_url(s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "voicefarm")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "voicefarm")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="voices")
    return "s3://voices/samples"


@pytest.fixture(params=["folder", "s3"])
def url(request, tmp_path):
    return str(tmp_path / "samples") if request.param == "folder" else request.getfixturevalue("s3_url")


@pytest.fixture
def store(url):
    return SampleStore(url)


def names(url):
    place, root = fsspec.url_to_fs(url, use_listings_cache=False)
    return place.find(root)


def test_what_was_put_is_there_until_it_is_deleted(store):
    sample_id = store.put(b"RIFF one")
    other_id = store.put(b"RIFF two")
    assert store.get(sample_id) == b"RIFF one"
    assert store.exists(sample_id)
    store.delete(sample_id)
    assert not store.exists(sample_id)
    with pytest.raises(NotFound):
        store.get(sample_id)
    assert store.get(other_id) == b"RIFF two"
    store.delete(other_id)


def test_other_processes_and_machines_see_it_at_once(store, url):
    seen_elsewhere = SampleStore(url)
    sample_id = store.put(b"RIFF")
    assert seen_elsewhere.get(sample_id) == b"RIFF"
    seen_elsewhere.delete(sample_id)
    assert not store.exists(sample_id)


def test_deleting_what_is_not_there_is_no_error(store):
    store.delete(NOBODYS)
    sample_id = store.put(b"RIFF")
    store.delete(sample_id)
    store.delete(sample_id)


def test_what_was_made_from_a_sample_goes_with_it(store, url):
    sample_id = store.put(b"RIFF")
    place, root = fsspec.url_to_fs(url)
    place.makedirs(f"{root}/{sample_id}/conditioning", exist_ok=True)
    place.pipe_file(f"{root}/{sample_id}/conditioning/xtts_v2.safetensors", b"latents")
    store.delete(sample_id)
    assert not [name for name in names(url) if sample_id in name]


def test_ids_are_random_and_never_come_again(store):
    ids = {store.put(b"the same") for _ in range(5)}
    assert len(ids) == 5
    for sample_id in ids:
        store.delete(sample_id)


@pytest.mark.parametrize("no_id", NO_IDS, ids=repr)
def test_what_is_no_id_reaches_no_file(store, no_id):
    kept = store.put(b"RIFF")
    assert not store.exists(no_id)
    with pytest.raises(NotFound):
        store.get(no_id)
    store.delete(no_id)
    assert store.get(kept) == b"RIFF"
    store.delete(kept)


def test_a_folder_is_its_owners_alone(tmp_path):
    sample_id = SampleStore(str(tmp_path / "state" / "samples")).put(b"RIFF")
    folder = tmp_path / "state" / "samples"
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (folder, folder / sample_id, folder / sample_id / SAMPLE)
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    store = SampleStore(str(tmp_path))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StateUnavailable, match="VOICEFARM_SAMPLES_URL"):
        store.put(b"RIFF")
    assert not list(tmp_path.rglob("*"))


def test_a_place_that_is_no_folder_is_unavailable(tmp_path):
    (tmp_path / "samples").write_text("a file")
    store = SampleStore(str(tmp_path / "samples"))
    with pytest.raises(StateUnavailable, match="VOICEFARM_SAMPLES_URL"):
        store.put(b"RIFF")


def test_a_check_leaves_nothing_behind(store, url):
    kept = store.put(b"RIFF")
    before = names(url)
    store.check()
    assert names(url) == before
    store.delete(kept)


def test_a_check_of_a_folder_that_is_still_to_be_made_makes_none(tmp_path):
    SampleStore(str(tmp_path / "state" / "samples")).check()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["nonsense://samples", "s3://no-such-bucket/samples"])
@pytest.mark.usefixtures("s3_url")
def test_a_place_that_does_not_exist_is_unavailable(url):
    for use in (lambda store: store.put(b"RIFF"), SampleStore.check):
        with pytest.raises(StateUnavailable, match="VOICEFARM_SAMPLES_URL"):
            use(SampleStore(url))


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.put(b"RIFF"),
        lambda store: store.get(NOBODYS),
        lambda store: store.exists(NOBODYS),
        lambda store: store.delete(NOBODYS),
    ],
    ids=["put", "get", "exists", "delete"],
)
def test_a_server_that_is_away_is_unavailable_for_every_use(use, monkeypatch, s3_url):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    s3 = fsspec.get_filesystem_class("s3")
    s3.clear_instance_cache()
    with pytest.raises(StateUnavailable, match="VOICEFARM_SAMPLES_URL"):
        use(SampleStore(s3_url))
    s3.clear_instance_cache()


def test_samples_are_in_the_state_folder_unless_the_setting_names_another_place(tmp_path):
    by_default = Settings.load(VOICEFARM_STATE_DIR=str(tmp_path))
    assert by_default.samples_url == str(tmp_path / "samples")
    assert Settings.load(VOICEFARM_SAMPLES_URL="s3://voices").samples_url == "s3://voices"


def test_what_was_made_from_a_sample_stays_beside_it_and_goes_with_it(store, url):
    sample_id = store.put(b"RIFF")
    assert store.made(sample_id, "engine.npz") is None
    store.put_made(sample_id, "engine.npz", b"first")
    store.put_made(sample_id, "engine.npz", b"second")
    assert store.made(sample_id, "engine.npz") == b"second"
    assert len(names(url)) == 2
    store.delete(sample_id)
    assert names(url) == []


def test_nothing_is_left_of_what_was_made_from_a_sample_that_went_meanwhile(store, url):
    sample_id = store.put(b"RIFF")
    store.delete(sample_id)
    with pytest.raises(NotFound):
        store.put_made(sample_id, "engine.npz", b"made")
    assert names(url) == []
