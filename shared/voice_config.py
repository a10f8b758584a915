"""How a personality's voice is set up: the records of `voice_config`, as they are stored and shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from shared.models import PITCH_RANGE_SEMITONES, SPEED_RANGE, check_printable
from shared.voices import Gender


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class VoiceSettings(_Frozen):
    """What a request's speed is multiplied with, and what is added to its pitch (semitones)."""

    speed: Annotated[float, Field(ge=SPEED_RANGE[0], le=SPEED_RANGE[1], allow_inf_nan=False)] = 1.0
    pitch: Annotated[
        float, Field(ge=PITCH_RANGE_SEMITONES[0], le=PITCH_RANGE_SEMITONES[1], allow_inf_nan=False)
    ] = 0.0


def _to_the_millisecond(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(_to_the_millisecond, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class SampleMetadata(_Frozen):
    """What the server found in a voice sample."""

    duration: float
    sample_rate: int
    channels: int
    bit_depth: int | None = None
    """None where the format has none, such as MP3."""
    file_size_mb: float
    uploaded_at: Timestamp


_Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_printable)]


class VoiceConfig(_Frozen):
    """How a personality sounds."""

    provider: _Name | None = None
    """Goes first in the chain."""
    fallback_chain: Annotated[tuple[_Name, ...], Field(strict=False, min_length=1, max_length=20)] | None = (
        None
    )
    """Follows the provider, in place of the quality's chain."""
    voice_settings: VoiceSettings = VoiceSettings()
    voices: dict[str, _Name] = {}
    """Its voice name at each provider that has names."""
    gender: Annotated[Gender | None, Field(strict=False)] = None
    """Whose voice a provider chooses where none is named."""
    sample_path: Annotated[str | None, Field(json_schema_extra={"readOnly": True})] = None
    sample_metadata: Annotated[SampleMetadata | None, Field(json_schema_extra={"readOnly": True})] = None
