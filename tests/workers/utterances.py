"""Utterances to speak, with everything left at its default that a test does not name."""

from __future__ import annotations

from typing import Any

from shared.models import AudioFormat, Fallback, Quality, Utterance

# Voiced throughout but for the pause, so that its fundamental can be measured everywhere.
VOICED_TEXT = "We were away a year ago, and I will remember you all my whole life long."


def utterance(text: str = VOICED_TEXT, **fields: Any) -> Utterance:
    defaults: dict[str, Any] = {
        "personality_id": "00000000-0000-0000-0001-000000000001",
        "voice_revision": 1,
        "language": "en",
        "speed": 1.0,
        "pitch": 0.0,
        "quality": Quality.FAST,
        "fallback": Fallback.ANY,
        "provider": None,
        "format": AudioFormat.WAV,
    }
    return Utterance(text=text, **{**defaults, **fields})
