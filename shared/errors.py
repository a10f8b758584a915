"""Every error the farm raises on purpose, each with a stable code.

    VoicefarmError
    ├── RequestError              the caller can mend it
    │   ├── MalformedJson         ├── BadRequest            ├── Unauthorized
    │   ├── Forbidden             ├── NotFound              ├── Conflict
    │   ├── BodyTooLarge          ├── UnsupportedMediaType  ├── InvalidRequest
    │   ├── PreconditionFailed    ├── BadSample             ├── IdempotencyMismatch
    │   └── LanguageNotSupported  ── NoVoiceSample ── SsmlNotSupported
    ├── Unavailable               later it works; carries `retry_after_s`
    │   └── NoProvider ── QueueFull ── RateLimited ── StateUnavailable
    ├── SynthesisFailed           every provider of the chain failed; carries `attempts`
    ├── ProviderError             one provider failed; the next may speak
    │   ├── ModelLoadFailed ── VoiceNotFound ── NothingToSay ── UtteranceRefused
    │   ├── EngineFailed ── EngineTimeout ── EngineUnavailable ── QuotaExceeded ── CredentialsRefused
    │   └── BadAudio              it gave sound that is not the speech that was asked for
    │       └── BrokenAudio ── SilentAudio ── ClippedAudio ── ImplausibleLength ── RunawayAudio ── CutOffAudio
    └── SettingsError             the environment holds a value that cannot be used

An error's docstring is its default message. `web.errors` maps the classes to status codes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """Which provider failed at an utterance, and how."""

    provider: str
    code: str
    detail: str


class VoicefarmError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str | None = None) -> None:
        self.detail = detail or cleandoc(type(self).__doc__ or "").partition("\n")[0]
        super().__init__(self.detail)


class RequestError(VoicefarmError):
    """The request cannot be served as it is."""

    code = "bad_request"


class MalformedJson(RequestError):
    """The body is not valid JSON."""

    code = "malformed_json"


class BadRequest(RequestError):
    """The request is not valid HTTP."""

    code = "bad_request"


class Unauthorized(RequestError):
    """Send a valid API key as 'Authorization: Bearer KEY'."""

    code = "unauthorized"


class Forbidden(RequestError):
    """This key's scope does not allow that."""

    code = "forbidden"


class NotFound(RequestError):
    """There is nothing here."""

    code = "not_found"


class Conflict(RequestError):
    """The thing is not in a state that allows that."""

    code = "conflict"


class PreconditionFailed(RequestError):
    """It has changed since you read it; read it again."""

    code = "precondition_failed"


class BodyTooLarge(RequestError):
    """The body is larger than this address takes."""

    code = "body_too_large"


class UnsupportedMediaType(RequestError):
    """Send the body as 'Content-Type: application/json'."""

    code = "unsupported_media_type"


class InvalidRequest(RequestError):
    """Some fields cannot be used as they are."""

    code = "invalid_request"

    def __init__(self, errors: Sequence[FieldError], detail: str | None = None) -> None:
        self.errors = tuple(errors)
        super().__init__(
            detail or "; ".join(f"{e.field}: {e.message}".removeprefix(": ") for e in self.errors)
        )


class LanguageNotSupported(RequestError):
    """No enabled provider speaks this language."""

    code = "language_not_supported"


class NoVoiceSample(RequestError):
    """This personality has no voice sample to clone; upload one or ask with another 'fallback'."""

    code = "no_voice_sample"

    def __init__(self, detail: str | None = None, *, field: str = "fallback") -> None:
        self.field = field
        super().__init__(detail)


class SsmlNotSupported(RequestError):
    """The text holds SSML; send plain text, and speed and pitch as fields."""

    code = "ssml_not_supported"

    def __init__(self, detail: str | None = None, *, field: str = "text") -> None:
        self.field = field
        super().__init__(detail)


class BadSample(RequestError):
    """No voice can be cloned from this sample; record it again."""

    code = "bad_sample"


class IdempotencyMismatch(RequestError):
    """This Idempotency-Key was sent with another body before; choose a new one for each new request."""

    code = "idempotency_mismatch"


def retry_after_s(wait_s: float) -> int:
    """Give the seconds after which a caller is told to come again: 1 to 60."""
    return min(max(math.ceil(wait_s), 1), 60)


class Unavailable(VoicefarmError):
    """The farm cannot take this now; try again later."""

    code = "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 5) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(detail)


class NoProvider(Unavailable):
    """No enabled provider can take this now; start a worker for one ('voicefarm doctor' tells which)."""

    code = "no_provider"


class QueueFull(Unavailable):
    """Too many syntheses wait for this provider already."""

    code = "queue_full"


class RateLimited(Unavailable):
    """This key has begun as many syntheses in this minute as it may."""

    code = "rate_limited"


class StateUnavailable(Unavailable):
    """Redis or the database cannot be reached; 'voicefarm doctor' tells which."""

    code = "state_unavailable"


class SynthesisFailed(VoicefarmError):
    """Every provider that could speak this failed."""

    code = "synthesis_failed"

    def __init__(self, detail: str | None = None, *, attempts: Sequence[FailedAttempt] = ()) -> None:
        self.attempts = tuple(attempts)
        super().__init__(detail)


class ProviderError(VoicefarmError):
    """The provider failed to speak."""

    code = "engine_failed"
    is_provider_fault: ClassVar[bool] = True
    """Whether it tells against the provider's health; what only the caller can mend does not."""


class ModelLoadFailed(ProviderError):
    """The provider's model or library could not be loaded."""

    code = "model_load_failed"


class VoiceNotFound(ProviderError):
    """The provider has no such voice."""

    code = "voice_not_found"
    is_provider_fault = False


class EngineFailed(ProviderError):
    """The engine reported an error or gave no sound."""

    code = "engine_failed"


class UtteranceRefused(ProviderError):
    """The engine does not take this text, or does not speak it so."""

    code = "utterance_refused"
    is_provider_fault = False


class QuotaExceeded(ProviderError):
    """The engine's quota is used up for now."""

    code = "quota_exceeded"


class CredentialsRefused(ProviderError):
    """The engine refuses the farm's credentials."""

    code = "credentials_refused"


class EngineUnavailable(ProviderError):
    """The engine cannot be reached, or cannot serve now."""

    code = "engine_unavailable"


class EngineTimeout(ProviderError):
    """The engine did not answer in time."""

    code = "timed_out"


class NothingToSay(ProviderError):
    """The provider found nothing to say in this text."""

    code = "nothing_to_say"
    is_provider_fault = False


class BadAudio(ProviderError):
    """The engine gave sound that is not the speech that was asked for."""

    code = "bad_audio"


class BrokenAudio(BadAudio):
    """The sound holds samples that are no numbers."""

    code = "broken_audio"


class SilentAudio(BadAudio):
    """Nothing can be heard."""

    code = "silent_audio"


class ClippedAudio(BadAudio):
    """The sound is clipped through and through."""

    code = "clipped_audio"


class ImplausibleLength(BadAudio):
    """The sound is too short for its text."""

    code = "implausible_length"


class RunawayAudio(BadAudio):
    """The sound goes on where its text does not: far too long, or with a tone or a silence in it."""

    code = "runaway_audio"


class CutOffAudio(BadAudio):
    """The sound ends in the middle of a word."""

    code = "cut_off_audio"


class SettingsError(VoicefarmError):
    """The environment holds a value that cannot be used."""

    code = "settings_invalid"
