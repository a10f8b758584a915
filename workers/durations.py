"""How long it may take to say a text: from what is surely too short to what is surely too long.

Each character adds seconds by its kind. What texts took that hold little else, a character at speed 1, and
what the bounds take of each:

                                              measured          taken         typical
    letter of the language's own script       0.046 - 0.26      0.02 - 0.35   0.08
    the same of a script that writes          0.046 - 0.42      0.02 - 0.7    0.2
      syllables, or no space between words
    letter that may be spelt out              0.004 - 1.1       0    - 1.3    0.15
    letter of a foreign script                0.05  - 2.3       0    - 3.5    0.65
    digit                                     0.027 - 0.93      0.01 - 1.5    0.37
    symbol, emoji                             0.13  - 2.0       0    - 4.0    0.28
    mark, pause                               0     - 0.6       0    - 1.0    0.02

Measured of espeak-ng in its 130 languages and of Piper; `python -m tests.workers.measures` measures anew, and
tells how much room is left. What is said at another speed is as much longer or shorter.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from langcodes import Language

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.models import Utterance

# Pauses before and after; engines that draw noise vary more on little text.
_MARGIN_S = 2.5
# An engine's rounding, and what stretching adds, do not shrink with speed.
_FIXED_MARGIN_S = 0.5
# Longer words, and letters said on and on, are read by no rule: "aaaaaah", "wordwordword".
_LONGEST_WORD, _DRAWN_OUT = 20, 3
_DRAWN_OUT_SOUND = re.compile(rf"(\w)\1{{{_DRAWN_OUT}}}")

# The scripts of ISO 15924 as the names of Unicode's characters begin; one that is missing counts as foreign,
# of which the bounds are wide.
_SCRIPTS = {
    "Arab": ("ARABIC",),
    "Armn": ("ARMENIAN",),
    "Beng": ("BENGALI",),
    "Cyrl": ("CYRILLIC",),
    "Deva": ("DEVANAGARI",),
    "Ethi": ("ETHIOPIC",),
    "Geor": ("GEORGIAN",),
    "Grek": ("GREEK",),
    "Gujr": ("GUJARATI",),
    "Guru": ("GURMUKHI",),
    "Hans": ("CJK",),
    "Hant": ("CJK",),
    "Hebr": ("HEBREW",),
    "Jpan": ("HIRAGANA", "KATAKANA"),
    "Knda": ("KANNADA",),
    "Kore": ("HANGUL",),
    "Latn": ("LATIN",),
    "Mlym": ("MALAYALAM",),
    "Mymr": ("MYANMAR",),
    "Orya": ("ORIYA",),
    "Sinh": ("SINHALA",),
    "Taml": ("TAMIL",),
    "Telu": ("TELUGU",),
    "Thai": ("THAI",),
}
_OF_SYLLABLES_OR_WITHOUT_SPACES = {
    *("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "ETHIOPIC", "THAI", "MYANMAR", "DEVANAGARI", "BENGALI"),
    *("GUJARATI", "GURMUKHI", "KANNADA", "MALAYALAM", "ORIYA", "SINHALA", "TAMIL", "TELUGU"),
}
_READ_ALOUD = frozenset("@&%#*/\\§†‡•‰")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the most seconds that something takes."""

    least_s: float
    most_s: float


LETTER = Bounds(0.02, 0.35)
SYLLABLE = Bounds(0.02, 0.7)
SPELT_LETTER = Bounds(0.0, 1.3)
FOREIGN_LETTER = Bounds(0.0, 3.5)
DIGIT = Bounds(0.01, 1.5)
SYMBOL = Bounds(0.0, 4.0)
MARK = Bounds(0.0, 1.0)


def plausible_duration(utterance: Utterance) -> Bounds:
    """Give how long it may take to say an utterance, from its first sound to its last."""
    kinds = list(character_kinds(utterance.text, utterance.language))
    least_s, most_s = sum(kind.least_s for kind in kinds), sum(kind.most_s for kind in kinds)
    return Bounds(least_s / utterance.speed, (most_s + _MARGIN_S) / utterance.speed + _FIXED_MARGIN_S)


def has_drawn_out_sound(text: str) -> bool:
    """Tell whether a letter or digit stands in the text so often on end that it may sound on and on."""
    return _DRAWN_OUT_SOUND.search(text) is not None


def character_kinds(text: str, language: str) -> Iterator[Bounds]:
    """Give how long each character may take, but for one space between words."""
    script = _script(language)
    for word in text.split():
        has_one_letter = sum(map(str.isalpha, word)) == 1
        for place, character in enumerate(word):
            kind = _kind(character, script)
            is_drawn_out = word[max(0, place - _DRAWN_OUT + 1) : place + 1] == character * _DRAWN_OUT
            if kind is LETTER and (has_one_letter or place >= _LONGEST_WORD or is_drawn_out):
                kind = SPELT_LETTER
            yield kind


@lru_cache(maxsize=512)
def _script(language: str) -> tuple[str, ...]:
    return _SCRIPTS.get(Language.get(language).maximize().script or "", ())


@lru_cache(maxsize=16_384)
def _kind(character: str, script: tuple[str, ...]) -> Bounds:
    category = unicodedata.category(character)
    if category[0] == "N":
        return DIGIT if character.isdecimal() else SYMBOL
    if category[0] == "S" or character in _READ_ALOUD:
        return SYMBOL
    if category[0] not in "LM":
        return MARK
    name = unicodedata.name(character, "").partition(" ")[0]
    if name in script:
        if name in _OF_SYLLABLES_OR_WITHOUT_SPACES:
            return SYLLABLE
        # Voices spell out the capitals of an abbreviation, and letters that are not their language's own.
        is_spelt = category == "Lu" or (name == "LATIN" and not character.isascii())
        return SPELT_LETTER if is_spelt else LETTER
    return SPELT_LETTER if name == "LATIN" else FOREIGN_LETTER
