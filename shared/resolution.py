"""What a request comes to when its personality speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.models import (
    PITCH_RANGE_SEMITONES,
    SPEED_RANGE,
    Utterance,
    normalize_language,
    normalize_text,
)

if TYPE_CHECKING:
    from shared.models import SpeechRequest
    from shared.personalities import Personality

DEFAULT_LANGUAGE = "en"


def resolve(request: SpeechRequest, personality: Personality) -> Utterance:
    """Combine a request with its personality, leaving nothing to default."""
    voice = personality.voice_config
    return Utterance(
        text=normalize_text(request.text),
        personality_id=personality.id,
        voice_revision=personality.voice_revision,
        language=request.language or normalize_language(personality.language or DEFAULT_LANGUAGE),
        speed=_clamp(request.speed * voice.voice_settings.speed, SPEED_RANGE),
        pitch=_clamp(request.pitch + voice.voice_settings.pitch, PITCH_RANGE_SEMITONES),
        quality=request.quality,
        fallback=request.fallback,
        provider=request.provider,
        format=request.format,
        voices=dict(voice.voices),
        gender=voice.gender,
        sample_id=voice.sample_path,
    )


def _clamp(value: float, bounds: tuple[float, float]) -> float:
    # Rounded, so that 1.1 * 1.05 and 1.155 are one key.
    return round(min(max(value, bounds[0]), bounds[1]), 6)
