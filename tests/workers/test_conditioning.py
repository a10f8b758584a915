"""What engines make of voice samples: once for all workers, and not too much of it in memory."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import soundfile

from shared.errors import VoiceNotFound
from shared.samples.store import SampleStore
from workers.conditioning import Conditionings

RATE_HZ = 24_000


class Engine:
    """Makes its arrays of a sample, and counts how often."""

    def __init__(self):
        self.calls = 0

    def make(self, samples, rate_hz):
        self.calls += 1
        return {"level": np.array([np.abs(samples).max()]), "seconds": np.array([len(samples) / rate_hz])}


@pytest.fixture
def store(tmp_path):
    return SampleStore(str(tmp_path / "samples"))


@pytest.fixture
def engine():
    return Engine()


def put(store, level=0.5):
    file = BytesIO()
    soundfile.write(file, np.full(RATE_HZ, level, np.float32), RATE_HZ, format="WAV", subtype="PCM_16")
    return store.put(file.getvalue())


def worker(store, made_by="engine-1", resident=4):
    return Conditionings(store, made_by=made_by, resident=resident)


def test_a_sample_is_worked_on_once_for_all_workers(store, engine):
    sample_id = put(store)
    first, second = worker(store), worker(store)
    made = [w.get(sample_id, engine.make) for w in (first, first, second)]
    assert engine.calls == 1
    for arrays in made:
        assert arrays["level"] == pytest.approx([0.5], abs=1e-3)
        assert arrays["seconds"] == [1.0]


def test_another_model_makes_its_own(store, engine):
    sample_id = put(store)
    for made_by in ("engine-1", "engine-2"):
        worker(store, made_by).get(sample_id, engine.make)
    assert engine.calls == 2


def test_the_latest_are_held_and_the_others_come_from_the_store(store, engine):
    samples = [put(store, level) for level in (0.1, 0.2, 0.3)]
    held = worker(store, resident=2)
    for sample_id in (*samples, samples[1]):
        held.get(sample_id, engine.make)
    assert held.held() == (samples[2], samples[1])
    assert held.get(samples[0], engine.make)["level"] == pytest.approx([0.1], abs=1e-3)
    assert engine.calls == 3


def test_what_was_dropped_is_no_longer_held_and_need_not_be_made_again(store, engine):
    sample_id = put(store)
    held = worker(store)
    held.get(sample_id, engine.make)
    held.drop(sample_id)
    held.drop(sample_id)
    assert held.held() == ()
    held.get(sample_id, engine.make)
    assert engine.calls == 1


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"no archive"])
def test_what_was_damaged_in_the_store_is_made_again(store, engine, content):
    sample_id = put(store)
    store.put_made(sample_id, "engine-1.npz", content)
    worker(store).get(sample_id, engine.make)
    worker(store).get(sample_id, engine.make)
    assert engine.calls == 1


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_sample_that_is_gone_is_no_voice(store, engine, when):
    sample_id = put(store)

    def make(samples, rate_hz):
        store.delete(sample_id)
        return engine.make(samples, rate_hz)

    if when == "before":
        store.delete(sample_id)
    held = worker(store)
    with pytest.raises(VoiceNotFound):
        held.get(sample_id, make)
    assert held.held() == ()
