"""Changes of personalities, with all that hangs on them: their voice samples, and the audio made before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import redis
import structlog

from shared.errors import NotFound, StateUnavailable, VoicefarmError
from shared.samples.inspection import inspect_sample
from shared.samples.store import new_sample_id
from shared.voice_config import SampleMetadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import BinaryIO

    from shared.cache import AudioCache
    from shared.consents import Consents
    from shared.personalities import Personalities, Personality
    from shared.samples.records import Sample
    from shared.samples.store import SampleStore

log = structlog.get_logger()


class Roster:
    """What a front does to personalities. When a method returns, nobody can have audio of before any more.

    SQL decides, and the audio cache follows: audio of an older voice, or of nobody, is under no key that is
    asked for, so a cache that cannot be reached just keeps it, unheard, until it expires.

    Every method raises `StateUnavailable` when the database or Redis cannot be reached.
    """

    def __init__(
        self, personalities: Personalities, consents: Consents, samples: SampleStore, cache: AudioCache
    ) -> None:
        self._personalities = personalities
        self._consents = consents
        self._samples = samples
        self._cache = cache

    def change(self, personality_id: str, edit: Callable[[Personality], Personality]) -> Personality:
        """Change one; see `Personalities.change`."""
        before, after = self._personalities.change(personality_id, edit)
        if after.voice_revision != before.voice_revision:
            self._forget_audio(before)
        return after

    def remove(self, personality_id: str, check: Callable[[Personality], None]) -> None:
        """Delete one, with its sample and its audio; see `Personalities.remove`."""
        self._forget_voice(self._personalities.remove(personality_id, check))

    def take_sample(
        self, personality_id: str, upload: BinaryIO, *, key_id: str
    ) -> tuple[Personality, Sample]:
        """Let one speak with the voice of a sample; gives both as they are now.

        `key_id` is who said that the speaker consents.

        Raises:
            NotFound: there is no such personality (any more).
            BadSample: the sample cannot be used; nothing has changed.
        """
        sample = inspect_sample(upload)
        path = new_sample_id()
        uploaded_at = self._consents.record(path, personality_id=personality_id, key_id=key_id)
        try:
            self._samples.put(sample.pcm, path)
            before, after = self._personalities.change(
                personality_id,
                lambda personality: _with_sample(personality, path, _metadata(sample, uploaded_at)),
            )
        except VoicefarmError:
            self._discard(path)
            raise
        self._forget_voice(before)
        return after, sample

    def sample(self, personality_id: str) -> bytes:
        """Give the sample of one, as a WAV file.

        Raises:
            NotFound: it has none, or there is no such personality.
        """
        personality = self._personalities.get(personality_id)
        path = personality.voice_config.sample_path
        if path is None:
            raise NotFound(_has_none(personality))
        return self._samples.get(path)

    def remove_sample(self, personality_id: str) -> Personality:
        """Take one's sample away, with everything that was made from it; gives it as it is now.

        Raises:
            NotFound: it has none, or there is no such personality.
        """
        before, after = self._personalities.change(personality_id, _without_sample)
        self._forget_voice(before)
        return after

    def discard_left_behind(self) -> None:
        """Delete from the store what no personality speaks with, such as what a dead process put there."""
        for path in self._consents.left_behind():
            self._discard(path)

    def _forget_voice(self, before: Personality) -> None:
        self._forget_audio(before)
        if before.voice_config.sample_path is not None:
            self._discard(before.voice_config.sample_path)
        self.discard_left_behind()

    def _forget_audio(self, before: Personality) -> None:
        try:
            self._cache.drop(before.id, oldest_revision=before.voice_revision + 1)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)

    def _discard(self, path: str) -> None:
        """Delete a sample that is not in use; where that fails now, `discard_left_behind` does it later."""
        try:
            self._samples.delete(path)
            self._consents.strike(path)
        except StateUnavailable as error:
            log.warning("sample_left_behind", path=path, code=error.code)


def _with_sample(personality: Personality, path: str, metadata: SampleMetadata) -> Personality:
    sample = {"sample_path": path, "sample_metadata": metadata}
    return replace(personality, voice_config=personality.voice_config.model_copy(update=sample))


def _without_sample(personality: Personality) -> Personality:
    if personality.voice_config.sample_path is None:
        raise NotFound(_has_none(personality))
    sample = {"sample_path": None, "sample_metadata": None}
    return replace(personality, voice_config=personality.voice_config.model_copy(update=sample))


def _has_none(personality: Personality) -> str:
    return f"{personality.name} has no voice sample."


def _metadata(sample: Sample, uploaded_at: datetime) -> SampleMetadata:
    return SampleMetadata(
        duration=sample.duration_seconds,
        sample_rate=sample.sample_rate,
        channels=sample.channels,
        bit_depth=sample.bit_depth,
        file_size_mb=sample.file_size_mb,
        uploaded_at=uploaded_at,
    )
