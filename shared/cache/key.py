"""The cache key: a hash over everything that changes the sound."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.models import Utterance

# Raised when the same utterance comes to sound otherwise: a new way to join, stretch or encode.
SCHEMA_VERSION = 1


def cache_key(utterance: Utterance, settings_digest: str) -> str:
    """Give the SHA-256, in hex, of the utterance and of the settings that decide who speaks it and how.

    Quality and fallback count only where they choose the provider. The personality's own voices and settings
    are in `voice_revision`, which moves with each of their changes.
    """
    inputs: dict[str, object] = {
        "schema": SCHEMA_VERSION,
        "settings": settings_digest,
        "text": utterance.text,
        "personality": utterance.personality_id,
        "revision": utterance.voice_revision,
        "language": utterance.language,
        # + 0.0 makes -0.0 the same as 0.0
        "speed": float(utterance.speed) + 0.0,
        "pitch": float(utterance.pitch) + 0.0,
        "format": utterance.format,
    }
    if utterance.provider:
        inputs["provider"] = utterance.provider
    else:
        inputs |= {"quality": utterance.quality, "fallback": utterance.fallback}
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
