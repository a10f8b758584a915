"""What a caller may say of a personality: the whole of a new one, or a patch of one there is."""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
)

from shared.database import utc_now
from shared.errors import FieldError, InvalidRequest
from shared.models import UUID_PATTERN, LanguageTag, check_printable, field_errors
from shared.personalities import Personality
from shared.voice_config import VoiceConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

# The farm's own part of a voice configuration.
_SERVER_FIELDS = frozenset({"sample_path", "sample_metadata"})
# What has entries under names of the caller's choice instead of fields.
_TABLES = frozenset({"voices"})


def _compose(name: object) -> object:
    """Give the one spelling of what looks the same."""
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else name


def _check_no_uuid(name: str) -> str:
    if UUID_PATTERN.fullmatch(name):
        raise ValueError("must not look like an ID")
    return name


_Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    BeforeValidator(_compose),
    AfterValidator(check_printable),
]


class Profile(BaseModel):
    """Who a personality is to be; a field left out is at its default."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[_Name, AfterValidator(_check_no_uuid)]
    """Unique."""
    personality_name: _Name | None = None
    """What people read; the name when left out."""
    is_active: bool = True
    is_default: bool = False
    language: LanguageTag = "en"
    voice_config: VoiceConfig = VoiceConfig()

    @classmethod
    def parse(cls, body: object, *, providers: Collection[str]) -> Self:
        """Check a decoded JSON body.

        Raises:
            InvalidRequest: with one entry for every field that cannot be used.
        """
        if not isinstance(body, dict):
            raise InvalidRequest([FieldError("", "the body must be a JSON object")])
        errors: list[FieldError] = []
        if isinstance(voice := body.get("voice_config"), dict):
            errors += _voice_errors(voice, providers)
            body = body | {"voice_config": {k: v for k, v in voice.items() if k not in _SERVER_FIELDS}}
        named = {error.field for error in errors}
        try:
            profile = cls.model_validate(body)
        except ValidationError as error:
            errors += (each for each in field_errors(error) if each.field not in named)
            raise InvalidRequest(errors) from error
        if errors:
            raise InvalidRequest(errors)
        return profile

    @classmethod
    def parse_patch(cls, patch: object, before: Personality, *, providers: Collection[str]) -> Self:
        """Check a decoded JSON merge patch (RFC 7396) of a personality's profile.

        A `null` takes away what need not be; for what must be something it is an error.

        Raises:
            InvalidRequest: with one entry for every field that cannot be used, alone or with the others.
        """
        if not isinstance(patch, dict):
            raise InvalidRequest([FieldError("", "the body must be a JSON object")])
        voice = patch.get("voice_config")
        if isinstance(voice, dict) and (errors := list(_server_fields(voice))):
            raise InvalidRequest(errors)
        return cls.parse(_merge(_document(before), patch), providers=providers)

    def new(self) -> Personality:
        """Give a personality with this profile and an ID of its own."""
        now = utc_now()
        return Personality(
            id=str(uuid.uuid4()),
            name=self.name,
            personality_name=self.personality_name or self.name,
            is_active=self.is_active,
            is_default=self.is_default,
            language=self.language,
            voice_config=self.voice_config,
            voice_revision=1,
            created_at=now,
            updated_at=now,
        )

    def of(self, personality: Personality) -> Personality:
        """Give the personality with this profile; its sample stays."""
        voice = personality.voice_config
        sample = {"sample_path": voice.sample_path, "sample_metadata": voice.sample_metadata}
        return replace(
            personality,
            name=self.name,
            personality_name=self.personality_name or self.name,
            is_active=self.is_active,
            is_default=self.is_default,
            language=self.language,
            voice_config=self.voice_config.model_copy(update=sample),
        )


def _document(personality: Personality) -> dict[str, Any]:
    return {
        "name": personality.name,
        "personality_name": personality.personality_name,
        "is_active": personality.is_active,
        "is_default": personality.is_default,
        "language": personality.language,
        "voice_config": personality.voice_config.model_dump(
            mode="json", exclude=set(_SERVER_FIELDS), exclude_none=True
        ),
    }


def _merge(target: dict[str, Any], patch: dict[str, Any], *, is_table: bool = False) -> dict[str, Any]:
    """Apply a merge patch; `null` takes an entry out of a table, and else stays for the model to judge."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None and is_table:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merge(merged[name], value, is_table=name in _TABLES)
        else:
            merged[name] = value
    return merged


def _server_fields(voice: dict[str, Any]) -> Iterator[FieldError]:
    for name in sorted(_SERVER_FIELDS & voice.keys()):
        yield FieldError(f"voice_config.{name}", "is set by the farm; upload a sample instead")


def _voice_errors(voice: dict[str, Any], providers: Collection[str]) -> Iterator[FieldError]:
    """Find what the model cannot know to be wrong."""
    yield from _server_fields(voice)
    chain, voices = voice.get("fallback_chain"), voice.get("voices")
    named = {"provider": voice.get("provider")}
    named |= {f"fallback_chain.{n}": each for n, each in enumerate(chain)} if isinstance(chain, list) else {}
    named |= {f"voices.{each}": each for each in voices} if isinstance(voices, dict) else {}
    for field, name in named.items():
        if isinstance(name, str) and name not in providers:
            known = ", ".join(sorted(providers))
            yield FieldError(f"voice_config.{field}", f"must name one of {known}")
