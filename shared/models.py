"""The records of speech: what a caller said (`SpeechRequest`) and what is to be spoken (`Utterance`)."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from langcodes import standardize_tag
from langcodes.tag_parser import LanguageTagError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.errors import FieldError, InvalidRequest, SsmlNotSupported
from shared.voices import Gender

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SPEED_RANGE = (0.25, 4.0)
PITCH_RANGE_SEMITONES = (-20.0, 20.0)
UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Elements of SSML 1.1 (W3C) and the vendors' own that are no ordinary words between angle brackets.
_SSML = re.compile(
    r"<\s*/?\s*(?:speak|voice|prosody|break|emphasis|say-as|phoneme|sub|audio|mark|lang|lexicon|desc|p|s"
    r"|(?:amazon|mstts|google):[\w-]+)(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*/?>"
    r"|<\?xml\b",
    re.IGNORECASE,
)
# Categories Cc and Cs, but for white space.
_UNSPOKEN = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_PARAGRAPH_BREAK = re.compile(r"\s*\n\s*\n\s*")
_WHITE_SPACE = re.compile(r"[^\S\n]*\n[^\S\n]*|[^\S\n]+")


class Quality(StrEnum):
    """How good it should sound; each names a chain of providers."""

    HIGHEST = "highest"
    HIGH = "high"
    MEDIUM = "medium"
    FAST = "fast"


class Fallback(StrEnum):
    """Who may speak when the first provider of the chain cannot."""

    ANY = "any"
    SAME_VOICE = "same_voice"
    NEVER = "never"


class AudioFormat(StrEnum):
    """How the audio is encoded."""

    WAV = "wav"
    MP3 = "mp3"
    OPUS = "opus"
    """In Ogg."""
    FLAC = "flac"
    PCM = "pcm"
    """16-bit little-endian samples without a header."""

    @property
    def content_type(self) -> str:
        """The media type of an answer in this format."""
        return _CONTENT_TYPES[self]


_CONTENT_TYPES = {
    AudioFormat.WAV: "audio/wav",
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.PCM: "audio/pcm",
}


def normalize_text(text: str) -> str:
    """Give the text as it is spoken and cached.

    NFC, trimmed, control characters out; a run of white space with a blank line in it is one
    paragraph break (two newlines), any other one space; case kept.
    """
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _UNSPOKEN.sub("", text)
    paragraphs = (_WHITE_SPACE.sub(" ", part).strip() for part in _PARAGRAPH_BREAK.split(text))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def is_speakable(text: str) -> bool:
    """Tell whether the text holds a letter or a number."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def normalize_language(tag: str) -> str:
    """Give a BCP 47 or XTTS language code in BCP 47's own spelling (`zh-cn` is `zh-CN`, `EN` is `en`).

    Raises:
        ValueError: the tag is not well formed.
    """
    try:
        return standardize_tag(tag)
    except LanguageTagError as error:
        raise ValueError("must be a language tag such as en or en-GB") from error


def check_printable(value: str) -> str:
    """Give a name back.

    Raises:
        ValueError: it holds something that cannot be seen, such as a control character.
    """
    if not value.isprintable():
        raise ValueError("must hold printable characters only")
    return value


def _check_uuid(value: str) -> str:
    if not UUID_PATTERN.fullmatch(value):
        raise ValueError("must be a UUID such as 00000000-0000-0000-0001-000000000001")
    return value.lower()


Uuid = Annotated[str, AfterValidator(_check_uuid), Field(json_schema_extra={"format": "uuid"})]
LanguageTag = Annotated[str, Field(min_length=1, max_length=35), AfterValidator(normalize_language)]


class SpeechRequest(BaseModel):
    """What a caller asked for; a field left out is for the farm to choose."""

    # What somebody said stays out of errors, and so out of logs.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    text: str
    personality_id: Uuid | None = None
    language: LanguageTag | None = None
    speed: Annotated[float, Field(ge=SPEED_RANGE[0], le=SPEED_RANGE[1], allow_inf_nan=False)] = 1.0
    pitch: Annotated[
        float, Field(ge=PITCH_RANGE_SEMITONES[0], le=PITCH_RANGE_SEMITONES[1], allow_inf_nan=False)
    ] = 0.0
    quality: Annotated[Quality, Field(strict=False)] = Quality.HIGH
    format: Annotated[AudioFormat, Field(strict=False)] = AudioFormat.WAV
    provider: str | None = None
    fallback: Annotated[Fallback, Field(strict=False)] = Fallback.ANY
    stream: bool = False

    @field_validator("stream")
    @classmethod
    def _not_streamed(cls, stream: bool) -> bool:  # noqa: FBT001  it is the field's value
        if stream:
            raise ValueError("must be false; this version does not stream")
        return stream

    @field_validator("text")
    @classmethod
    def _speakable(cls, text: str) -> str:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError("must be valid Unicode; it holds half of a surrogate pair") from error
        if not is_speakable(normalize_text(text)):
            raise ValueError("must hold something that can be spoken: a letter or a number")
        return text

    @classmethod
    def parse(cls, body: object, *, providers: frozenset[str], max_text_chars: int) -> Self:
        """Check a decoded JSON body.

        Raises:
            InvalidRequest: with one entry for every field that cannot be used.
            SsmlNotSupported: the text is SSML.
        """
        if not isinstance(body, dict):
            raise InvalidRequest([FieldError("", "the body must be a JSON object")])
        errors: list[FieldError] = []
        text, provider = body.get("text"), body.get("provider")
        if isinstance(text, str) and max(len(text), len(normalize_text(text))) > max_text_chars:
            errors.append(FieldError("text", f"must be at most {max_text_chars} characters, is {len(text)}"))
        if isinstance(provider, str) and provider not in providers:
            errors.append(FieldError("provider", f"must be one of {', '.join(sorted(providers))}"))
        try:
            request = cls.model_validate(body)
        except ValidationError as error:
            raise InvalidRequest([*errors, *field_errors(error)]) from error
        if errors:
            raise InvalidRequest(errors)
        if _SSML.search(request.text):
            raise SsmlNotSupported
        return request

    @classmethod
    def from_json(cls, text: str) -> SpeechRequest:
        """Decode what `model_dump_json` gave; it was checked when it came, and is not checked again."""
        fields: dict[str, Any] = json.loads(text)
        fields["quality"] = Quality(fields["quality"])
        fields["format"] = AudioFormat(fields["format"])
        fields["fallback"] = Fallback(fields["fallback"])
        return cls.model_construct(**fields)


# Pydantic's types of errors; what it calls a dictionary and a tuple are JSON's object and list.
_FINDINGS = {
    "missing": "must be given",
    "extra_forbidden": "is no known field",
    "value_error": "{error}",
    "enum": "must be {expected}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "finite_number": "must be a finite number",
    "string_too_short": "must have at least {min_length} character{plural}",
    "string_too_long": "must have at most {max_length} character{plural}",
    "too_short": "must have at least {min_length} item{plural}",
    "too_long": "must have at most {max_length} item{plural}",
    "string_type": "must be a string",
    "string_unicode": "must be valid Unicode",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "tuple_type": "must be a list",
}


def field_errors(error: ValidationError) -> list[FieldError]:
    """Give pydantic's findings in the words of the API."""
    return [
        FieldError(".".join(str(part) for part in item["loc"]), _finding(item))
        for item in error.errors(include_url=False, include_input=False)
    ]


def _finding(item: ErrorDetails) -> str:
    known, context = _FINDINGS.get(item["type"]), item.get("ctx", {})
    is_one = 1 in {context.get("min_length"), context.get("max_length")}
    return known.format(**context, plural="" if is_one else "s") if known else item["msg"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One thing to be spoken, with nothing left to default.

    `text` is normalised; `speed` and `pitch` (semitones) are the request's combined with the personality's.
    """

    text: str
    personality_id: str
    voice_revision: int
    language: str
    speed: float
    pitch: float
    quality: Quality
    fallback: Fallback
    provider: str | None
    format: AudioFormat
    voices: dict[str, str] = field(default_factory=dict)
    """The personality's voice name at each provider that has names."""
    gender: Gender | None = None
    """Whose voice speaks where none is named."""
    sample_id: str | None = None
    """The personality's voice sample, by which the providers that clone speak."""

    def to_json(self) -> str:
        """Encode for the ledger."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decode what `to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        utterance = cls(**fields)
        return replace(
            utterance,
            quality=Quality(utterance.quality),
            fallback=Fallback(utterance.fallback),
            format=AudioFormat(utterance.format),
            gender=Gender(utterance.gender) if utterance.gender else None,
        )


@dataclass(frozen=True, slots=True)
class Audio:
    """Encoded audio and what an answer says of it."""

    data: bytes
    format: AudioFormat
    provider: str
    duration_ms: int
    sample_rate_hz: int
    degraded: bool
    sha256: str = ""
    """Of the data; worked out where nobody knows it yet."""

    def __post_init__(self) -> None:
        if not self.sha256:
            object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())
