"""Files of phrases: UTF-8, one a line, with comments after '#'; `# language: de` tells what they are in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.environments import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTS = PROJECT / "deploy" / "phrases"
"""The farm's own, each NAME.txt."""

_LANGUAGE = re.compile(r"#\s*language:\s*(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PhraseList:
    """What such a file holds; the phrases are not checked."""

    phrases: tuple[str, ...]
    """Each once, in their order."""
    language: str | None
    """As it is written there, if it is."""

    @classmethod
    def parse(cls, lines: Iterable[str]) -> PhraseList:
        """Take them from the lines of a file; `lines` may raise UnicodeDecodeError on the way."""
        phrases: dict[str, None] = {}
        language = None
        for line in map(str.strip, lines):
            if header := _LANGUAGE.fullmatch(line):
                language = header[1]
            elif line and not line.startswith("#"):
                phrases[line] = None
        return cls(tuple(phrases), language)


def find_list(name: str) -> Path:
    """Give the file of one of the farm's own lists, or, when there is a slash in it, the one at that path.

    Raises:
        FileNotFoundError: there is none; the message names those that there are.
    """
    path = Path(name) if "/" in name else LISTS / f"{name}.txt"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LISTS.glob("*.txt")))
        raise FileNotFoundError(f"there is no list {name}; there are {known}, and paths with a slash in them")
    return path
