"""The audio cache: which key an utterance has, and what lies under it in the cache Redis."""

from shared.cache.key import cache_key
from shared.cache.store import AudioCache, CachedAudio, CacheStats, Metadata

__all__ = ["AudioCache", "CacheStats", "CachedAudio", "Metadata", "cache_key"]
