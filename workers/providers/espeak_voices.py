"""espeak-ng's voices: which one speaks a language, and at what pitch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from math import exp2
from typing import TYPE_CHECKING

from shared.errors import VoiceNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The tags of shared.catalog's ESPEAK_LANGUAGES whose voice has another name than the tag. The language
# zh-HK is written Chinese and spoken Cantonese, as with the speech services of the large clouds.
_OTHER_NAMES: Mapping[str, str] = {
    "ca-valencia": "ca-va",
    "en-GB": "en",
    "pt-PT": "pt",
    "zh": "cmn",
    "zh-HK": "yue",
    "zh-TW": "cmn",
}

_PITCH_LINE = re.compile(rb"^pitch\s+(-?\d+)\s+(-?\d+)", re.MULTILINE)
# What a voice file without a pitch line speaks with: VoiceReset in espeak-ng 1.52's voices.c.
_DEFAULT_PITCH = (80, 118)


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice as the library takes it, with the two numbers of its file's pitch line (about Hz)."""

    name: str
    low: int
    high: int

    def fundamental_hz(self, pitch: int) -> float:
        """Give the fundamental about which its intonation moves at a base pitch of 0 to 99.

        In espeak-ng 1.52 V_PITCH (voices.c) makes base and range of the pitch line, SetPitch2 (wavegen.c)
        scales the base by pitch_adjust_tab, which is 2 ** (pitch / 50 - 1), and widens the range about 18.
        """
        return (self.low - 9) * exp2(pitch / 50 - 1) + (self.high - self.low) * 108 * 18 / 4096


class Voices:
    """The voices and their variants (`f2`, `m3`, `whisper`, …) in one folder of espeak-ng data."""

    def __init__(self, data: Path) -> None:
        self._languages = data / "lang"
        self._variants = data / "voices" / "!v"
        # By lower case, which is how the library itself compares names.
        self._files = {path.name.lower(): path for path in self._languages.rglob("*") if path.is_file()}
        self.variants = frozenset(path.name for path in self._variants.glob("*"))

    def find(self, language: str, wanted: str | None = None) -> Voice:
        """Give the voice of a language of the catalogue, or the one that is wanted by name.

        `wanted` is a variant (`f2`), a voice (`en-us`) or both (`en-us+f2`).

        Raises:
            VoiceNotFound: there is no such voice.
        """
        own = _OTHER_NAMES.get(language, language)
        if wanted is None:
            wanted = own
        elif wanted in self.variants:
            wanted = f"{own}+{wanted}"
        name, plus, variant = wanted.partition("+")
        file = self._files.get(name.lower())
        if file is None or (plus and variant not in self.variants):
            raise VoiceNotFound(
                f"espeak-ng has no voice {wanted!r}; name a variant such as 'f2', "
                "a voice such as 'en-us', or both as 'en-us+f2'"
            )
        identifier = file.relative_to(self._languages).as_posix()
        pitch = _pitch_of(self._variants / variant if plus else file)
        return Voice(f"{identifier}{plus}{variant}", *pitch)


@cache
def _pitch_of(file: Path) -> tuple[int, int]:
    lines = _PITCH_LINE.findall(file.read_bytes())
    return (int(lines[-1][0]), int(lines[-1][1])) if lines else _DEFAULT_PITCH
