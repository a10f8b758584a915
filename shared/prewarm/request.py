"""What a caller asks to have made: phrases by personalities in qualities and formats, or the top misses."""

from __future__ import annotations

from itertools import islice, product
from math import prod
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import FieldError, InvalidRequest, SsmlNotSupported
from shared.models import AudioFormat, LanguageTag, Quality, SpeechRequest, Uuid, field_errors, normalize_text

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ITEMS = 10_000
# Of a list of phrases with more errors only the first are told.
_MAX_ERRORS = 100

_Each = tuple[tuple[str, ...], tuple[str | None, ...], tuple[Quality, ...], tuple[AudioFormat, ...]]
# Pydantic itself would count the items that are right only, and so tell of two errors where there is one.
_LIST = Field(strict=False, json_schema_extra={"minItems": 1})
_Quality = Annotated[Quality, Field(strict=False)]
_Format = Annotated[AudioFormat, Field(strict=False)]


class PrewarmRequest(BaseModel):
    """What is to be in the cache before it is asked for: `phrases`, or the `top` so many suggestions."""

    # What somebody said stays out of errors, and so out of logs.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    phrases: Annotated[tuple[str, ...], _LIST, Field(max_length=MAX_ITEMS)] | None = None
    personality_ids: Annotated[tuple[Uuid, ...], _LIST] | None = None
    """Who speaks; the default personality when left out."""
    qualities: Annotated[tuple[_Quality, ...], _LIST] = (Quality.HIGH,)
    formats: Annotated[tuple[_Format, ...], _LIST] = (AudioFormat.WAV,)
    language: LanguageTag | None = None
    """Of the phrases; each personality's own when left out."""
    top: Annotated[int, Field(ge=1, le=MAX_ITEMS)] | None = None
    dry_run: bool = False

    @classmethod
    def parse(cls, body: object, *, max_text_chars: int) -> Self:
        """Check a decoded JSON body.

        Raises:
            InvalidRequest: with one entry for every field that cannot be used.
            SsmlNotSupported: a phrase is SSML.
        """
        if not isinstance(body, dict):
            raise InvalidRequest([FieldError("", "the body must be a JSON object")])
        try:
            request = cls.model_validate(body)
        except ValidationError as error:
            raise InvalidRequest(field_errors(error)[:_MAX_ERRORS]) from error
        if errors := list(islice(request.problems(max_text_chars), _MAX_ERRORS)):
            raise InvalidRequest(errors)
        return request

    def problems(self, max_text_chars: int) -> Iterator[FieldError]:
        """Tell what is wrong though each field by itself is right."""
        for name in ("phrases", "personality_ids", "qualities", "formats"):
            if getattr(self, name) == ():
                yield FieldError(name, "must have at least 1 item")
        if self.top is not None:
            for name in sorted(self.model_fields_set - {"top", "dry_run"}):
                yield FieldError(name, "must be left out with top, which tells it")
        elif self.phrases is None:
            yield FieldError("phrases", "must be given, or top instead")
        elif (number := prod(map(len, self._each()))) > MAX_ITEMS:
            yield FieldError("phrases", f"make {number} combinations; at most {MAX_ITEMS} are taken")
        for number, phrase in enumerate(self.phrases or ()):
            try:
                SpeechRequest.parse({"text": phrase}, providers=frozenset(), max_text_chars=max_text_chars)
            except InvalidRequest as error:
                yield from (FieldError(f"phrases.{number}", each.message) for each in error.errors)
            except SsmlNotSupported as error:
                raise SsmlNotSupported(field=f"phrases.{number}") from error

    def _each(self) -> _Each:
        """Give what is to be combined, each of it once."""
        return (
            tuple(dict.fromkeys(map(normalize_text, self.phrases or ()))),
            tuple(dict.fromkeys(self.personality_ids or (None,))),
            tuple(dict.fromkeys(self.qualities)),
            tuple(dict.fromkeys(self.formats)),
        )

    def requests(self) -> list[SpeechRequest]:
        """Give a request for each combination, phrase by phrase; none is there twice."""
        return [
            SpeechRequest(
                text=phrase,
                personality_id=personality_id,
                language=self.language,
                quality=quality,
                format=audio_format,
            )
            for phrase, personality_id, quality, audio_format in product(*self._each())
        ]
