"""Text as an engine can read it."""

# ruff: noqa: RUF001  these marks are meant

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Where a text may be cut, best first; a match ends where the next part begins.
_PARAGRAPH_ENDS = re.compile(r"\n\n")
# Marks that end sentences (Unicode's property Sentence_Terminal) in the scripts that Google's voices read;
# behind those of scripts without spaces nothing need follow. A full stop behind an initial or a common
# abbreviation ends none, nor does one before a small letter.
_SENTENCE_ENDS = re.compile(
    r"""(?: (?<!\b[^\W\d_])
            (?<!\b(?:[MDSJ]r|Ms|St|vs|No|Nr|ca|cf|Mt|Lt))
            (?<!\b(?:Mrs|Mme|etc|bzw|Sra|Col|Gen|Rev))
            (?<!\bProf)
            \.
        | [!?…؟۔։።។।॥]
        ) [.!?…]* ["'”’»)\]]* \s+ (?=[^a-z\s])
      | [。！？｡．] [」』”’）】》]* \s*
    """,
    re.VERBOSE,
)
_CLAUSE_ENDS = re.compile(r"[,;:—–،؛]\s+|[，、；：]\s*")
_WORD_ENDS = re.compile(r"\s+")
_ENDS = (_PARAGRAPH_ENDS, _SENTENCE_ENDS, _CLAUSE_ENDS, _WORD_ENDS)
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def split_text(text: str, max_bytes: int) -> Iterator[str]:
    """Give a text in parts of at most `max_bytes` of UTF-8; joined they are the text.

    A part ends with a paragraph if one ends in its second half, else with a sentence, a clause, a word; only
    a word that is too long itself is cut, and then between two characters as readers see them.
    """

    def reach(begin: int) -> int:
        return begin + len(text[begin : begin + max_bytes].encode()[:max_bytes].decode(errors="ignore"))

    return _split(text, reach)


def split_by_characters(text: str, max_characters: int) -> Iterator[str]:
    """Give a text in parts of at most so many characters, cut as `split_text` cuts."""
    return _split(text, lambda begin: min(begin + max_characters, len(text)))


def _split(text: str, reach: Callable[[int], int]) -> Iterator[str]:
    """Cut a text; `reach` gives where a part that begins there must end at the latest."""
    begin = 0
    while begin < len(text):
        limit = reach(begin)
        end = limit if limit == len(text) else _cut(text, begin, limit)
        yield text[begin:end]
        begin = end


def split_sentences(text: str) -> Iterator[str]:
    """Give a text sentence by sentence; joined they are the text."""
    begin = 0
    for end in (*(match.end() for match in _SENTENCE_ENDS.finditer(text)), len(text)):
        if end > begin:
            yield text[begin:end]
        begin = end


def split_phonemes(sentence: Sequence[str], limit: int) -> Iterator[Sequence[str]]:
    """Cut a sentence that is too long at the last mark within the limit, else between words, else there."""
    while len(sentence) > limit:
        spaces = [at for at in range(limit // 2, limit) if sentence[at] == " "]
        marks = [at for at in spaces if sentence[at - 1] in ",;:"]
        cut = (marks or spaces or [limit - 1])[-1] + 1
        yield sentence[:cut]
        sentence = sentence[cut:]
    yield sentence


def is_sound(phoneme: str) -> bool:
    """Tell a sound from a mark of punctuation, stress or length."""
    return any(unicodedata.category(c)[0] in "LN" and unicodedata.category(c) != "Lm" for c in phoneme)


def _cut(text: str, begin: int, limit: int) -> int:
    """Give the best place for a cut up to `limit`."""
    middle = (begin + limit) // 2
    ends = [_last_end(kind, text, begin, limit) for kind in _ENDS]
    late = [end for end in ends if end > middle]
    if late or any(end > begin for end in ends):
        return late[0] if late else max(ends)
    return next((at for at in range(limit, begin, -1) if _is_between_characters(text, at)), limit)


def _last_end(kind: re.Pattern[str], text: str, begin: int, limit: int) -> int:
    """Give where the last such end within the limit is; `begin` when there is none."""
    # Behind the limit there must be something to look ahead to.
    ends = (match.end() for match in kind.finditer(text, begin, min(limit + 2, len(text))))
    return max((end for end in ends if end <= limit), default=begin)


def _is_between_characters(text: str, at: int) -> bool:
    after = text[at]
    is_joined = _JOINER in {text[at - 1], after}
    return not (is_joined or unicodedata.category(after)[0] == "M" or ord(after) in _SKIN_TONES)


def plain_forms(text: str) -> str:
    """Give letters and digits that are only written in another form in their plain one.

    Digits of every script, and full-width, circled and mathematical letters and digits, become what Unicode's
    compatibility mapping (NFKC) names; engines skip them or spell them out. Everything else stays.
    """
    return "".join(map(_plain_form, text))


def _plain_form(character: str) -> str:
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    form = unicodedata.normalize("NFKC", character)
    is_other_form = unicodedata.decomposition(character).startswith(("<wide>", "<circle>", "<font>"))
    return form if is_other_form and form.isalnum() else character
