"""What a batch is estimated to take."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.google_voices import google_price_usd
from shared.models import AudioFormat, SpeechRequest
from shared.orders import Order
from shared.prewarm import plan
from shared.provider_stats import Synthesis
from shared.usage import Usage

TEXT = "x" * 150


def planned(farm, *requests, **more):
    return plan(farm, requests, epoch=farm.directory.read_epoch(), **more)


def test_a_provider_that_has_not_spoken_yet_is_thought_to_take_as_long_as_it_sounds(farm):
    one = planned(farm, SpeechRequest(text=TEXT))
    assert (one.seconds, one.size_bytes, one.cost_usd) == (5.0, 480_000, 0)  # ten seconds, on two slots


def test_it_takes_as_long_as_lately(farm):
    farm.stats.note_synthesis("espeak", Synthesis(service_ms=500, audio_ms=10_000))
    farm.stats.note_usage(Usage("a", 1, "espeak", "p", 100, 10_000, 500, Decimal(0)))
    assert planned(farm, SpeechRequest(text=TEXT)).seconds == pytest.approx(15 * 0.05 / 2)


def test_speed_and_format_count(farm):
    fast = planned(farm, SpeechRequest(text=TEXT, speed=2.0, format=AudioFormat.MP3))
    assert (fast.seconds, fast.size_bytes) == (2.5, 50_000)


def test_what_cannot_be_spoken_is_left_out_where_that_is_wanted(farm):
    gone = SpeechRequest(text=TEXT, personality_id="00000000-0000-0000-0001-0000000000ff")
    assert planned(farm, gone, SpeechRequest(text=TEXT), lenient=True).total == 1
    assert planned(farm, gone, lenient=True).total == 0


def test_google_is_estimated_at_its_price(farm):
    order = Order.of(
        SpeechRequest(text=TEXT, language="en-US"),
        farm.personalities.default(),
        digest="",
        owner="",
        roll_call=farm.presence.roll_call(),
    )
    assert google_price_usd(farm.settings, order.utterance) == pytest.approx(150 * 16 / 1_000_000)
