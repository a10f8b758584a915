"""Text as StyleTTS2 reads it: espeak-ng's phonemes with their marks, in pieces that the model can bear."""

# ruff: noqa: RUF001  these marks are meant

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import espeakng_loader
import structlog
from styletts2.text_utils import dicts

from workers.providers.espeak_library import Clause, EspeakLibrary
from workers.providers.forked import ForkedFunction
from workers.text import is_sound, plain_forms, split_phonemes, split_sentences, split_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SYMBOLS = cast("Mapping[str, int]", dicts)
"""The number by which the model knows a phoneme or mark."""

SENTENCE_PAUSE_S = 0.2
PARAGRAPH_PAUSE_S = 0.6

# The library speaks up to 420 characters at once, and its PL-BERT bears 512 with the one before the text; the
# spaces before marks come on top of this.
MAX_PHONEMES = 360
# Up to here, some ten seconds, sentences are spoken together: alone a short one gets a style of its own.
GOOD_PHONEMES = 160

_DATA = Path(espeakng_loader.__file__).parent / "espeak-ng-data"
# The checkpoint was trained with this voice's phonemes alone; a speaker's accent comes with the voice sample.
_VOICE = "gmw/en-US"
_LIMIT_S = 60

# espeak-ng bears 200 bytes of phonemes a word and 1,000 phonemes a clause, and drops the rest.
# What reaches that: numbers, words without a vowel, which are spelt, and other words.
_LONG_WORDS = re.compile(r"\d{15}(?=\d)|(?:(?![\daeiouy])\w){15}(?=\w)|\w{40}(?=\w)", re.IGNORECASE)
_CLAUSE_BYTES = 160
# What it sets around words that the voice of another language reads: (hi)…(en-us).
_LANGUAGE_FLAGS = re.compile(r"\([a-z][\w-]*\)")

_WORDS = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"[,;:.!?…—–，、；：。！？।॥۔؟؛،]")
_KNOWN_MARKS = str.maketrans("–，、；：。！？।॥۔؟؛،", "—,,;:.!?...?;,")
_BEFORE_MARKS = re.compile(r"(?=[,;:.!?…—])")
_SENTENCE_MARKS = ".!?…"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Piece:
    """What the model speaks at once: sentences, or a part of a very long one."""

    phonemes: str
    """Each of them is in `SYMBOLS`."""
    pause_s: float
    """The silence that follows, at speed 1."""


class StyleTTS2Reader:
    """Reads English text.

    Some texts crash espeak-ng, so it reads in a process of its own.
    """

    def __init__(self) -> None:
        """Load espeak-ng.

        Raises:
            ModelLoadFailed: the library or its data is missing or broken.
        """
        library = EspeakLibrary(Path(espeakng_loader.get_library_path()), _DATA)
        self._read = ForkedFunction(library.read, limit_s=_LIMIT_S)
        self._read.start()

    def read(self, text: str) -> list[Piece]:
        """Give the pieces of a text; none if it holds nothing to say.

        Raises:
            EngineFailed: the text cannot be read.
        """
        plain = _LONG_WORDS.sub(r"\g<0>, ", plain_forms(text))
        read = [self._sentences(paragraph) for paragraph in plain.split("\n\n")]
        *others, last = [pieces for part in read if (pieces := list(_together(part)))] or [[]]
        spoken = [piece for pieces in others for piece in _with_pauses(pieces, PARAGRAPH_PAUSE_S)]
        return spoken + list(_with_pauses(last, 0.0))

    def _sentences(self, paragraph: str) -> Iterator[str]:
        """Give the phonemes of each sentence in which something can be heard."""
        return filter(_has_sound, (_phonemes(self._clauses(part)) for part in split_sentences(paragraph)))

    def _clauses(self, sentence: str) -> list[Clause]:
        parts = split_text(sentence, _CLAUSE_BYTES)
        return [clause for part in parts for clause in self._read(part, _VOICE)]


def _phonemes(clauses: list[Clause]) -> str:
    """Give a sentence with its marks; a full stop within it is an abbreviation's."""
    *others, last = [clause for clause in clauses if _has_sound(clause.phonemes)] or [Clause("", "")]
    parts = [clause.phonemes + _mark(clause.text).replace(".", "") for clause in others]
    return _known(_LANGUAGE_FLAGS.sub("", " ".join([*parts, last.phonemes + (_mark(last.text) or ".")])))


def _mark(text: str) -> str:
    """Give the mark that a clause ends with as the model knows it; none where it was cut for its length."""
    *_, behind_words = _WORDS.split(text)
    marks = _MARKS.findall(behind_words)
    return "…" if marks[:2] == [".", "."] else "".join(marks[:1]).translate(_KNOWN_MARKS)


def _known(phonemes: str) -> str:
    known = "".join(phoneme for phoneme in phonemes if phoneme in SYMBOLS)
    if len(known) < len(phonemes):
        log.warning("phonemes_left_out", count=len(phonemes) - len(known))
    return known


def _has_sound(phonemes: str) -> bool:
    return any(map(is_sound, phonemes))


def _together(sentences: Iterable[str]) -> Iterator[str]:
    """Give a paragraph's sentences in pieces: short ones together, long ones cut."""
    together = ""
    for sentence in sentences:
        for part in map("".join, split_phonemes(sentence, MAX_PHONEMES)):
            if together and len(together) + len(part) >= GOOD_PHONEMES:
                yield together
                together = part
            else:
                together = f"{together} {part}"
    if together:
        yield together


def _with_pauses(pieces: list[str], end_pause_s: float) -> Iterator[Piece]:
    """Give a paragraph's pieces, with this pause after the last one; none follows a part of a sentence."""
    for number, piece in enumerate(map(str.strip, pieces), start=1):
        pause_s = SENTENCE_PAUSE_S if piece[-1] in _SENTENCE_MARKS else 0.0
        spaced = _BEFORE_MARKS.sub(" ", piece)  # as in the texts that the checkpoint was trained with
        yield Piece(spaced, end_pause_s if number == len(pieces) else pause_s)
