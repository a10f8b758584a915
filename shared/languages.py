"""Which of some languages is, for a listener, the one that was asked for."""

from __future__ import annotations

from functools import lru_cache

from langcodes import closest_supported_match

# Distance of langcodes (CLDR's language matching) up to which two tags are one language for a listener:
# en-NZ and en-GB are 3 apart, zh and cmn 0, Norwegian no and nb 1; af and nl, merely related, 24.
MAX_LANGUAGE_DISTANCE = 9


@lru_cache(maxsize=4096)
def closest_language(tag: str, languages: frozenset[str]) -> str | None:
    """Give the one of `languages` (BCP 47) that a listener of `tag` accepts as the same language."""
    if tag in languages:
        return tag
    return closest_supported_match(tag, sorted(languages), max_distance=MAX_LANGUAGE_DISTANCE)
