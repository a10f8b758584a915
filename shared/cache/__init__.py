"""The audio cache: which key an utterance has, and what lies under it in the cache Redis."""

from shared.cache.invalidations import Invalidations
from shared.cache.key import cache_key
from shared.cache.store import AudioCache, CachedAudio, CacheStats, Metadata

__all__ = ["AudioCache", "CacheStats", "CachedAudio", "Invalidations", "Metadata", "cache_key"]
