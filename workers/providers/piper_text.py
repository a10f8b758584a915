"""Text as Piper's voices read it: phonemes, sentence by sentence, in pieces that a voice can bear."""

# ruff: noqa: RUF001  these marks are meant

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import structlog
from piper.config import PhonemeType
from piper.phonemize_espeak import ESPEAK_DATA_DIR, EspeakPhonemizer
from piper.tashkeel import TASHKEEL_DIR, TashkeelDiacritizer, TashkeelError

from shared.errors import EngineFailed, ModelLoadFailed
from workers.providers.forked import ForkedFunction
from workers.providers.piper_voice import open_session
from workers.text import is_sound, plain_forms, split_phonemes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from piper.config import PiperConfig

SENTENCE_PAUSE_S = 0.2
PARAGRAPH_PAUSE_S = 0.6

# Twelve seconds of speech or so; a network's memory grows with the length of what it speaks at once.
MAX_PHONEMES = 300

_LIMIT_S = 60  # the slowest language that was found, Georgian, takes 2 s for 3,000 letters

# piper.espeakbridge 1.8 knows the marks of ASCII and a few others; at these it loses the pause, and the
# boundary between the words on both sides. Behind a mark of its own it needs a space.
_MARKS = str.maketrans(
    {
        "，": ", ", "、": ", ", "；": "; ", "：": ": ", "。": ". ", "！": "! ", "？": "? ",
        "।": ". ", "॥": ". ", "…": ", ", "¡": " ", "¿": " ",
    }
)  # fmt: skip


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Piece:
    """What a voice speaks at once: a sentence, or a part of a very long one."""

    phonemes: tuple[str, ...]
    pause_s: float
    """The silence that follows, at speed 1."""


class _Espeak(EspeakPhonemizer):
    """Piper's espeak-ng, which is started anew where its pickle is read."""

    def __init__(self) -> None:
        super().__init__(ESPEAK_DATA_DIR)

    def __reduce__(self) -> tuple[type[Self], tuple[()]]:
        return type(self), ()


class PiperReader:
    """Reads text to any voice.

    espeak-ng makes the phonemes. Some texts crash it (many emoji, in German), so it does so in a process of
    its own.
    """

    def __init__(self) -> None:
        """Load espeak-ng.

        Raises:
            ModelLoadFailed: its data is missing.
        """
        if not (ESPEAK_DATA_DIR / "phontab").is_file():  # without it the library ends the process
            raise ModelLoadFailed(f"espeak-ng's data is not at {ESPEAK_DATA_DIR}: install piper-tts again")
        self._espeak = _Espeak()
        self._phonemize = ForkedFunction(self._espeak.phonemize, limit_s=_LIMIT_S)
        self._phonemize.start()

    def check(self, config: PiperConfig, source: Path) -> None:
        """Return if this can read for the voice that `source` describes.

        Raises:
            ModelLoadFailed: it cannot; the message names the remedy.
        """
        kind = config.phoneme_type
        if kind not in {PhonemeType.ESPEAK, PhonemeType.TEXT}:
            raise ModelLoadFailed(
                f"{source} asks for {kind.value} phonemes, which are not made here; take an espeak voice"
            )
        try:
            self._espeak.phonemize(config.espeak_voice, "")
        except (RuntimeError, TypeError) as error:
            raise ModelLoadFailed(
                f"{source} asks for the unknown espeak voice {config.espeak_voice!r}; correct it"
            ) from error

    def read(self, text: str, config: PiperConfig) -> list[Piece]:
        """Give the pieces of a text in the voice's own phonemes; none if it holds nothing to say.

        Raises:
            EngineFailed: the text cannot be read.
        """
        paragraphs = [
            [sentence for sentence in sentences if any(map(is_sound, sentence))]
            for sentences in self._sentences(text, config)
        ]
        *others, last = [sentences for sentences in paragraphs if sentences] or [[]]
        spoken = [piece for sentences in others for piece in _pieces(sentences, PARAGRAPH_PAUSE_S)]
        return spoken + list(_pieces(last, 0.0))

    def _sentences(self, text: str, config: PiperConfig) -> list[list[list[str]]]:
        """Give the phonemes that the voice knows, by paragraph and sentence."""
        paragraphs = plain_forms(text).translate(_MARKS).split("\n\n")
        if config.phoneme_type is PhonemeType.TEXT:
            read = [[list(unicodedata.normalize("NFD", paragraph))] for paragraph in paragraphs]
        else:
            if config.espeak_voice == "ar":
                paragraphs = [self._with_vowels(paragraph) for paragraph in paragraphs]
            voice, clusters = config.espeak_voice, config.vowel_clusters
            read = [self._phonemize(voice, paragraph, clusters) for paragraph in paragraphs]
        known = config.phoneme_id_map
        if unknown := sum(phoneme not in known for part in read for sentence in part for phoneme in sentence):
            log.warning("phonemes_left_out", count=unknown)
        return [[[phoneme for phoneme in sentence if phoneme in known] for sentence in part] for part in read]

    def _with_vowels(self, text: str) -> str:
        """Add what written Arabic leaves out."""
        try:
            return self._tashkeel(text)
        except TashkeelError as error:
            raise EngineFailed(f"Piper cannot add vowels to this text: {error}") from error

    @cached_property
    def _tashkeel(self) -> TashkeelDiacritizer:
        diacritizer = TashkeelDiacritizer()
        diacritizer.session = open_session(TASHKEEL_DIR / "model.onnx")  # its own takes every core
        return diacritizer


def _pieces(sentences: list[list[str]], pause_s: float) -> Iterator[Piece]:
    """Give a paragraph's pieces, with this pause after the last one."""
    for number, sentence in enumerate(sentences, start=1):
        *parts, last = split_phonemes(sentence, MAX_PHONEMES)
        yield from (Piece(tuple(part), 0.0) for part in parts)
        yield Piece(tuple(last), pause_s if number == len(sentences) else SENTENCE_PAUSE_S)
