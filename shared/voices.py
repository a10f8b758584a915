"""Tables of voices: which one speaks a language, and with whose gender."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Self

from shared.languages import closest_language

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


class Gender(StrEnum):
    """Whose voice it sounds like."""

    FEMALE = "female"
    MALE = "male"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a provider, by the provider's own name for it."""

    name: str
    language: str
    """Its BCP 47 tag."""
    gender: Gender | None = None


@dataclass(frozen=True)
class VoiceTable:
    """The voices of a provider; of those that would do equally well, the first one speaks."""

    voices: tuple[Voice, ...]

    @classmethod
    def of(cls, by_language: Mapping[str, Mapping[str, Gender | None]]) -> Self:
        """Make a table from genders by voice name by language, as settings write it."""
        return cls(
            tuple(
                Voice(name, language, gender)
                for language, voices in by_language.items()
                for name, gender in voices.items()
            )
        )

    @cached_property
    def languages(self) -> frozenset[str]:
        """The BCP 47 tags that its voices speak."""
        return frozenset(voice.language for voice in self.voices)

    def only(self, names: Collection[str]) -> VoiceTable:
        """Give the table without the voices that are not among `names`."""
        return VoiceTable(tuple(voice for voice in self.voices if voice.name in names))

    def choose(self, language: str, *, wanted: str | None, gender: Gender | None) -> Voice | None:
        """Give the voice that speaks a language: the exact locale's, else that of the closest one.

        Among those it is the one that is `wanted` by name, else the first one of that gender, else the first.
        Without a gender it is that of the wanted voice, which then speaks another language. None: no voice
        speaks the language.
        """
        speaking = list(self._speaking(language))
        named = [voice for voice in self.voices if voice.name == wanted]
        gender = gender or next((voice.gender for voice in named), None)
        best = [voice for voice in named if closest_language(language, frozenset({voice.language}))]
        best += [voice for voice in speaking if gender is not None and voice.gender is gender]
        return next(iter(best or speaking), None)

    def _speaking(self, language: str) -> Iterator[Voice]:
        closest = closest_language(language, self.languages)
        return (voice for voice in self.voices if voice.language == closest)
