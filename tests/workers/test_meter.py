"""What an attempt uses, measured while its engine speaks."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from shared.errors import EngineFailed
from shared.ledger import Claim
from tests.shared.ledger.machine import CHAIN, KEYS, UTTERANCE
from workers.meter import Meter
from workers.provider import AudioChunk

CLAIM = Claim(f"{KEYS[0]}:1", 2, CHAIN[0], replace(UTTERANCE, text="Grüezi!"), CHAIN, (), "")
QUARTER_S = AudioChunk(np.zeros(4000, np.float32), 16000)


def price(utterance):
    return len(utterance.text) * Decimal("0.000016")


def speak(chunks, *, fails=False):
    for _ in range(chunks):
        yield QUARTER_S
    if fails:
        raise EngineFailed("out of breath")


def test_what_is_measured_is_passed_on_and_counted():
    meter = Meter(CLAIM, price)
    assert list(meter.measure(speak(3))) == [QUARTER_S] * 3
    usage = meter.usage()
    assert (usage.rendering_id, usage.attempt, usage.provider) == (CLAIM.rendering_id, 2, CHAIN[0])
    assert usage.personality_id == UTTERANCE.personality_id
    assert (usage.characters, usage.audio_ms, usage.cost_usd) == (7, 750, Decimal("0.000112"))


def test_an_attempt_without_sound_has_used_nothing():
    meter = Meter(CLAIM, price)
    assert meter.usage() is None
    with pytest.raises(EngineFailed):
        list(meter.measure(speak(0, fails=True)))
    assert meter.usage() is None


def test_sound_before_a_failure_is_charged_as_the_whole_text():
    meter = Meter(CLAIM, price)
    with pytest.raises(EngineFailed):
        list(meter.measure(speak(1, fails=True)))
    assert (meter.usage().characters, meter.usage().audio_ms) == (7, 250)
    assert meter.usage().cost_usd == price(CLAIM.utterance)


def test_who_speaks_twice_in_one_attempt_has_used_twice():
    meter = Meter(CLAIM, price)
    for _ in range(2):
        list(meter.measure(speak(1)))
    assert (meter.usage().characters, meter.usage().audio_ms) == (14, 500)
    assert meter.usage().cost_usd == 2 * price(CLAIM.utterance)


def test_the_engines_time_is_counted_and_not_its_callers():
    now_s = 0.0

    def engine():
        nonlocal now_s
        for _ in range(2):
            now_s += 0.01
            yield QUARTER_S
        now_s += 0.005

    meter = Meter(CLAIM, clock=lambda: now_s)
    for _ in meter.measure(engine()):
        now_s += 60
    assert meter.usage().compute_ms == 25
    assert meter.usage().cost_usd == 0
