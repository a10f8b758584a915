"""Text as XTTS reads it: in pieces that its network speaks to their end, nothing of it lost."""

# ruff: noqa: RUF001  these marks are meant

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import EngineFailed
from shared.models import is_speakable
from workers.text import plain_forms, split_by_characters

if TYPE_CHECKING:
    from collections.abc import Iterator

SENTENCE_PAUSE_S = 0.2
PARAGRAPH_PAUSE_S = 0.6

# The network says 28 s at most at once: so many letters at a slow speaker's 12 a second. A text within its
# language's limit may hold more where numbers and symbols become words.
MAX_LETTERS = 336

_SENTENCE_END = re.compile(r"[.!?…؟۔։።。！？｡．।॥][\"'”’»)\]」』】》]*\s*$")
_FULL_STOP_BEHIND_DIGIT = re.compile(r"(?<=\d)\.(?!\d)")
_DIGIT = re.compile(r"\d")
# A number that nobody would read as one.
_LONG_NUMBER = re.compile(r"\d{16,}")
# num2words, which reads numbers for coqui-tts, knows no Hindi.
_HINDI_DIGITS = ("शून्य", "एक", "दो", "तीन", "चार", "पाँच", "छह", "सात", "आठ", "नौ")
# What an utterance writes in brackets is no token of the network's own, such as a change of language.
_BRACKETS = str.maketrans("[]", "()")

# What num2words raises at numbers that it cannot read (NotImplementedError is a RuntimeError), coqui-tts
# where a language's libraries are missing, and those libraries at odd characters.
_READING_ERRORS = (RuntimeError, ValueError, LookupError, ArithmeticError, TypeError, ImportError)


@dataclass(frozen=True, slots=True)
class Piece:
    """What the network speaks at once."""

    text: str
    pause_s: float
    """The silence that follows, at speed 1."""


class XttsReader:
    """Reads text to a network by its tokenizer, a `VoiceBpeTokenizer`; `max_tokens` are too many for it."""

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens

    def read(self, text: str, code: str) -> list[Piece]:
        """Give the pieces of a text in the language of a code of XTTS's; none if there is nothing to say.

        Raises:
            EngineFailed: the text cannot be read.
        """
        plain = _LONG_NUMBER.sub(lambda number: " ".join(number[0]), plain_forms(text).translate(_BRACKETS))
        paragraphs = [list(self._sayable(paragraph, code)) for paragraph in plain.split("\n\n")]
        *others, last = [parts for parts in paragraphs if parts] or [[]]
        spoken = [piece for parts in others for piece in _pieces(parts, PARAGRAPH_PAUSE_S)]
        return spoken + _pieces(last, 0.0)

    def _sayable(self, paragraph: str, code: str) -> Iterator[str]:
        limit = self._tokenizer.char_limits[code.partition("-")[0]]
        return (part for part in self._parts(paragraph, code, limit) if self._is_sayable(part, code))

    def _parts(self, text: str, code: str, limit: int) -> Iterator[str]:
        for part in split_by_characters(text, limit):
            readable = self._readable(part, code)
            if len(part) == 1 or self._fits(readable, code):
                yield readable
            else:
                yield from self._parts(part, code, len(part) // 2)

    def _fits(self, text: str, code: str) -> bool:
        return (
            len(self._tokens(text, code)) < self._max_tokens and len(self._letters(text, code)) <= MAX_LETTERS
        )

    def _is_sayable(self, text: str, code: str) -> bool:
        """Tell whether the network knows a letter or digit of it; at anything else it babbles."""
        return is_speakable(self._tokenizer.decode(self._tokens(text, code)[1:]))

    def _readable(self, text: str, code: str) -> str:
        """Give the text itself, or with its numbers so that they can be read: as cardinals, or by digit."""
        plainly = _FULL_STOP_BEHIND_DIGIT.sub(" .", text)
        for readable in (text, plainly, _DIGIT.sub(lambda digit: f" {_name(digit[0], code)} ", plainly)):
            try:
                self._letters(readable, code)
            except _READING_ERRORS as error:
                problem = error
            else:
                return readable
        raise EngineFailed(f"XTTS v2 cannot read a text in {code}: {problem!r}") from problem

    def _letters(self, text: str, code: str) -> str:
        return str(self._tokenizer.preprocess_text(text.strip().lower(), code.partition("-")[0]))

    def _tokens(self, text: str, code: str) -> list[int]:
        return list(self._tokenizer.encode(text.strip().lower(), lang=code))


def _name(digit: str, code: str) -> str:
    return _HINDI_DIGITS[int(digit)] if code == "hi" else digit


def _pieces(parts: list[str], pause_s: float) -> list[Piece]:
    """Give a paragraph's pieces, with this pause after the last one."""
    pauses = [SENTENCE_PAUSE_S if _SENTENCE_END.search(part) else 0.0 for part in parts]
    pauses[-1:] = [pause_s] * len(pauses[-1:])
    return [Piece(part, pause) for part, pause in zip(parts, pauses, strict=True)]
