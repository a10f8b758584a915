"""The owner of a provider: one thread at a time, voices on request, and whether it gets on."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from shared.catalog import CATALOG, ProviderSpec
from shared.errors import ModelLoadFailed, VoiceNotFound
from shared.settings import Settings
from tests.workers.utterances import utterance
from workers.engine import Engine
from workers.provider import AudioChunk

made = []


class Cloner:
    """A provider that hums as long as it is let, and tells what is done with it."""

    device = "cuda:0"

    def __init__(self):
        self.on_step = lambda: None
        self.loads = self.unloads = 0
        self.voices = []
        self.go_on = threading.Semaphore(0)
        self.users = 0
        self.most_users = 0
        made.append(self)

    @classmethod
    def from_settings(cls, settings):  # noqa: ARG003
        return cls()

    def load(self):
        self.loads += 1

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        self.users += 1
        self.most_users = max(self.users, self.most_users)
        try:
            for _ in utterance.text.split():
                assert self.go_on.acquire(timeout=20)
                yield AudioChunk(np.full(100, 0.1, np.float32), 24_000)
        finally:
            self.users -= 1

    def price_usd(self, _utterance):
        return 0.0

    def hold_voice(self, sample_id):
        if sample_id == "missing":
            raise VoiceNotFound("There is no such sample")
        self.voices.append(sample_id)

    def drop_voice(self, sample_id):
        self.voices.remove(sample_id)

    def held_voices(self):
        return tuple(self.voices)

    def device_memory_bytes(self):
        return 1000

    def unload(self):
        self.unloads += 1


class Broken(Cloner):
    def load(self):
        raise ModelLoadFailed("There is no model")


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    def make_engine(provider=Cloner, **settings):
        spec = ProviderSpec(
            name="cloner", title="Cloner", module=f"{__name__}:{provider.__name__}", requires=(), extra="",
            languages=frozenset({"en"}), clones=True,
        )  # fmt: skip
        names = {f"VOICEFARM_TORCH_{name.upper()}": str(value) for name, value in settings.items()}
        return Engine(spec, Settings.load(**names), clock=clock)

    made.clear()
    return make_engine


def test_it_is_loaded_once_when_it_is_needed_first(make):
    engine = make()
    assert made == []
    engine.load()
    engine.warm_up()
    assert engine.load().loads == 1


def test_a_model_that_cannot_be_loaded_is_tried_again_with_every_task(make):
    engine = make(Broken)
    engine.warm_up()
    with pytest.raises(ModelLoadFailed):
        next(engine.synthesize(utterance(), seed=0))
    assert len(made) == 2
    assert not engine.is_stuck()


def test_one_thread_uses_it_at_a_time(make):
    engine = make()
    provider = engine.load()
    threads = [
        threading.Thread(target=lambda: list(engine.synthesize(utterance("a b c"), seed=0))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    provider.go_on.release(9)
    for thread in threads:
        thread.join(20)
    assert provider.most_users == 1
    assert provider.users == 0


def test_whoever_gives_up_lets_the_next_one_in(make):
    engine = make()
    engine.load().go_on.release(2)
    given_up = engine.synthesize(utterance("a b"), seed=0)
    next(given_up)
    given_up.close()
    assert next(engine.synthesize(utterance("a"), seed=0)).sample_rate_hz == 24_000


def test_voices_are_held_and_dropped(make):
    engine = make()
    assert engine.held_voices == ()
    engine.drop_voice("one")
    engine.hold_voice("one")
    assert engine.held_voices == ("one",)
    with pytest.raises(VoiceNotFound):
        engine.hold_voice("missing")
    engine.drop_voice("one")
    assert engine.held_voices == ()


def test_its_device_is_known_once_it_is_loaded(make):
    engine = make()
    assert (engine.device, engine.device_memory_bytes) == ("cpu", None)
    engine.load()
    assert (engine.device, engine.device_memory_bytes) == ("cuda:0", 1000)


def test_what_does_not_clone_holds_no_voices():
    engine = Engine(CATALOG["espeak"], Settings.load())
    with pytest.raises(VoiceNotFound, match="espeak-ng"):
        engine.hold_voice("one")
    engine.load()
    assert (engine.held_voices, engine.device, engine.is_stuck()) == ((), "cpu", False)
    engine.unload_when_idle()


def test_it_is_stuck_when_its_model_makes_no_step_for_too_long(make, clock):
    engine = make(stall_seconds=60)
    provider = engine.load()
    clock.now_s = 1000
    assert not engine.is_stuck()  # it has nothing to do
    provider.go_on.release()
    speech = engine.synthesize(utterance("a b"), seed=0)
    next(speech)
    clock.now_s += 60
    assert not engine.is_stuck()
    clock.now_s += 1
    assert engine.is_stuck()
    provider.on_step()
    assert not engine.is_stuck()
    clock.now_s += 61
    assert engine.is_stuck()
    speech.close()
    assert not engine.is_stuck()


def test_a_model_that_nobody_needs_leaves_the_memory_once(make, clock):
    engine = make(idle_seconds=100)
    engine.unload_when_idle()
    provider = engine.load()
    clock.now_s += 99
    engine.unload_when_idle()
    assert provider.unloads == 0
    clock.now_s += 1
    for _ in range(2):
        engine.unload_when_idle()
    assert provider.unloads == 1
    engine.hold_voice("one")
    clock.now_s += 100
    engine.unload_when_idle()
    assert provider.unloads == 2


def test_a_model_at_work_stays_in_memory(make, clock):
    engine = make(idle_seconds=100)
    provider = engine.load()
    provider.go_on.release()
    speech = engine.synthesize(utterance("a"), seed=0)
    next(speech)
    clock.now_s += 1000
    engine.unload_when_idle()
    assert provider.unloads == 0


def test_a_model_stays_where_no_time_is_set(make, clock):
    engine = make()
    provider = engine.load()
    clock.now_s += 1e9
    engine.unload_when_idle()
    assert provider.unloads == 0
