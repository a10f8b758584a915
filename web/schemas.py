"""The JSON that goes out, as the API shows it; the OpenAPI document is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.circuits import CircuitState
from shared.ledger import Status
from shared.models import AudioFormat, Fallback, Quality
from shared.profiles import Profile
from shared.scopes import Scope
from shared.voice_config import VoiceConfig

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
CacheStatus = Literal["HIT", "MISS", "COALESCED"]


class Body(BaseModel):
    """What every answer's body has in common."""

    # What somebody said stays out of errors, and so out of logs.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FieldProblem(Body):
    """What is wrong with one field."""

    field: str
    message: str


class FailedAttempt(Body):
    """One provider's try that gave no audio."""

    provider: str
    code: str
    detail: str


class Problem(Body):
    """An error, after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[FieldProblem] | None = None
    attempts: list[FailedAttempt] | None = None


class Attempt(FailedAttempt):
    """One provider's try that gave no audio, and how long it took."""

    duration_ms: int


class Asked(Body):
    """What the caller asked for, with what was left out filled in."""

    text: str
    personality_id: Id
    language: str
    speed: float
    pitch: float
    quality: Quality
    format: AudioFormat
    provider: str | None
    fallback: Fallback


class Queue(Body):
    """Where a job waits."""

    name: str
    position: int
    eta_seconds: float


class JobAudio(Body):
    """The audio of a job that has succeeded."""

    url: str
    format: AudioFormat
    bytes: int
    duration_ms: int
    sample_rate: int


class JobError(Body):
    """Why a job failed."""

    code: str
    detail: str


class Job(Body):
    """What one caller asked for, as it stands now."""

    id: Id
    status: Status
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    request: Asked
    cache_status: CacheStatus
    provider: str | None
    attempts: list[Attempt]
    queue: Queue | None
    degraded: bool
    audio: JobAudio | None
    error: JobError | None


class Jobs(Body):
    """A page of jobs."""

    items: list[Job]
    next_cursor: str | None


class Personality(Body):
    """Somebody who can speak."""

    id: Id
    name: str
    personality_name: str
    is_active: bool
    is_default: bool
    language: str
    voice_config: VoiceConfig
    voice_revision: int
    created_at: Timestamp
    updated_at: Timestamp


class Personalities(Body):
    """A page of personalities."""

    items: list[Personality]
    next_cursor: str | None


def _partial(schema: dict[str, Any]) -> None:
    """Let every field be left out, which does not set it to its default."""
    schema.pop("required", None)
    for field in schema["properties"].values():
        field.pop("default", None)


class VoiceConfigPatch(VoiceConfig):
    """A patch of how a personality sounds."""

    model_config = ConfigDict(json_schema_extra=_partial)

    voices: dict[str, str | None] = Field({})  # type: ignore[assignment]


class PersonalityPatch(Profile):
    """A JSON merge patch (RFC 7396) of a profile: `null` takes away what need not be."""

    model_config = ConfigDict(json_schema_extra=_partial)

    voice_config: VoiceConfigPatch = VoiceConfigPatch()


class VoiceUpload(Body):
    """A sample of somebody's voice."""

    audio: Annotated[
        bytes,
        Field(
            description="WAV, FLAC, OGG or MP3 of 5 to 30 seconds, at least 16 kHz, at most 10 MB.",
            json_schema_extra={"format": "binary"},
        ),
    ]
    consent: Annotated[Literal["true"], Field(description="Whoever speaks in it agrees to its use.")]


class VoiceSample(Body):
    """What was found in a sample that was taken."""

    score: Annotated[float, Field(ge=0, le=100, description="How well a provider can clone it.")]
    rating: str
    warnings: Annotated[list[str], Field(description="What would make it better.")]
    duration_seconds: float
    sample_rate: Annotated[int, Field(description="Of what was uploaded; it is kept at 24 kHz.")]
    voice_revision: int


class Key(Body):
    """An API key, without its secret."""

    id: Id
    name: str
    scope: Scope
    prefix: Annotated[str | None, Field(description="How the secret begins; null for the admin's own key.")]
    created_at: Timestamp
    expires_at: Timestamp | None
    last_used_at: Annotated[Timestamp | None, Field(description="Up to a minute behind.")]
    revoked_at: Timestamp | None


class NewKey(Key):
    """An API key that was just made."""

    secret: Annotated[str, Field(description="What goes after `Bearer`; it is told this once.")]


class Keys(Body):
    """A page of API keys."""

    items: list[Key]
    next_cursor: str | None


class Latency(Body):
    """How long syntheses take, in milliseconds; null until there was one."""

    p50: float | None
    p95: float | None


class ProviderStatus(Body):
    """How a provider is doing."""

    enabled: bool
    available: Annotated[bool, Field(description="Whether it would take work now.")]
    reason: Annotated[str | None, Field(description="Why not, and what helps.")]
    workers: Annotated[int, Field(description="Live worker pools.")]
    device: str | None
    queue_depth: int
    circuit: CircuitState
    requests: Annotated[int, Field(description="Attempts, those that failed among them.")]
    failures: int
    latency_ms: Annotated[Latency, Field(description="Of the newest 100 syntheses.")]
    real_time_factor: float | None
    characters: int
    cost: Annotated[float, Field(description="In US dollars.")]


class ProvidersStatus(Body):
    """How every provider is doing."""

    success: bool = True
    providers: dict[str, ProviderStatus]
    total_requests: int
    total_cost: float


class VoiceLoaded(Body):
    """Which providers hold a personality's voice in memory now."""

    success: Annotated[bool, Field(description="Whether at least one does.")]
    personality_id: Id
    personality_name: str
    providers_loaded: dict[str, bool]
    message: str


class VoiceUnloaded(Body):
    """Which providers let go of a personality's voice; afterwards none holds it."""

    success: bool = True
    personality_id: Id
    personality_name: str
    providers_unloaded: dict[str, bool]
    message: str


class UsageAmounts(Body):
    """What some syntheses used together; one is an attempt that made sound, heard or not."""

    syntheses: int
    characters: Annotated[int, Field(description="Of the texts that were spoken.")]
    audio_seconds: Annotated[float, Field(description="Length of what was spoken.")]
    compute_seconds: Annotated[float, Field(description="How long the engines took.")]
    cost_usd: Annotated[float, Field(description="To the millionth of a dollar.")]


class Usage(UsageAmounts):
    """What syntheses used, and of whom; what they are not grouped by is null."""

    provider: str | None
    personality_id: Annotated[Id | None, Field(description="Perhaps of one that is deleted since.")]
    day: Annotated[str | None, Field(description="By UTC.", json_schema_extra={"format": "date"})]


class UsagePage(Body):
    """A page of sums, and the total of all pages."""

    items: list[Usage]
    next_cursor: str | None
    total: UsageAmounts


class Flower(Body):
    """Where Flower is and what to sign in with; null where this farm does not know."""

    success: bool = True
    url: Annotated[str | None, Field(description="As seen from the machine that Flower runs on.")]
    user: str | None
    password: str | None


class Health(Body):
    """Whether the process lives."""

    status: Literal["ok"] = "ok"


class Readiness(Body):
    """Whether the farm can serve, and if not, why."""

    status: Literal["ready", "unavailable"]
    reasons: list[str]
