"""The audio cache: which key an utterance has, what lies under it in the cache Redis, and its history."""

from shared.cache.history import CacheHistory, CacheRecord
from shared.cache.invalidations import Invalidations
from shared.cache.key import cache_key
from shared.cache.store import AudioCache, CachedAudio, CacheStats, Metadata, Stored

__all__ = [
    "AudioCache",
    "CacheHistory",
    "CacheRecord",
    "CacheStats",
    "CachedAudio",
    "Invalidations",
    "Metadata",
    "Stored",
    "cache_key",
]
