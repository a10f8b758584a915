"""The cache Redis: look, store, drop, count."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self, cast

import redis

from shared.cache.requests import RequestCounter
from shared.connections import Line
from shared.lua import DRAFT_MS, load_script, run_script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.connections import Command
    from shared.models import Audio, Utterance
    from shared.settings import Settings

_DROP_BATCH = 500
_ASKED_AT_ONCE = 1000
_EXTENDED_AT_ONCE = 100
# What storing ends with; else there is no such voice any more.
_STORED, _NO_AUDIO = b"stored", b"no audio"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is known of cached audio without reading it."""

    personality_id: str
    voice_revision: int
    provider: str
    format: str
    duration_ms: int
    sample_rate: int
    degraded: bool
    sha256: str
    expires_ms: int

    @classmethod
    def from_json(cls, text: str | bytes) -> Self | None:
        """Decode what the cache holds; None when it is no metadata of this version."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class CachedAudio:
    """A whole entry."""

    key: str
    data: bytes
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of audio that was to be kept."""

    is_kept: bool
    told: bytes | None = None
    """What the ledger answered, if it was told in the same round trip."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The cache's counters; `entries` and `size_bytes` are what it holds now."""

    hits: int
    misses: int
    coalesced: int
    sets: int
    entries: int
    size_bytes: int

    @property
    def total_requests(self) -> int:
        """Requests for speech, pre-warming left out."""
        return self.hits + self.misses + self.coalesced

    @property
    def hit_rate(self) -> float:
        """Percentage of requests answered from the cache."""
        return round(100 * self.hits / self.total_requests, 2) if self.total_requests else 0.0


class _Ahead:
    """Sends drafts, each thread one at a time, and is told later whether they have come."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._own = threading.local()

    def send(self, draft: str, data: bytes) -> None:
        self._own.draft, self._own.failure = draft, None
        try:
            self._line.forget()
            self._line.send(self._line.pack(_sending(draft, data)), 1)
        except redis.RedisError as error:
            self._own.failure = error

    def has_brought(self, draft: str) -> bool:
        """Tell whether this draft was sent last and has come.

        Raises:
            redis.TimeoutError: the server hangs; whoever tried again would wait as long once more.
        """
        failure, self._own.failure = getattr(self._own, "failure", None), None
        try:
            if failure:
                raise failure
            return self._line.read() == [b"OK"] and bool(self._own.draft == draft)
        except redis.TimeoutError:
            raise
        except redis.RedisError:
            return False


class AudioCache:
    """Encoded audio by cache key.

    Every method raises redis-py's errors: whether a cache that fails is a miss is for the caller to say.
    """

    def __init__(
        self,
        client: redis.Redis,
        *,
        ttl_s: float,
        degraded_ttl_s: float,
        max_size_bytes: int,
        state_db: str | None = None,
    ) -> None:
        """Keep audio in the `client`'s database; `state_db` is the ledger's, if it is on the same server."""
        self._redis = client
        self._state_db = state_db
        self._db: int = client.connection_pool.connection_kwargs.get("db", 0)
        self._line = Line(client)
        self._ahead = _Ahead(self._line)
        self.requests = RequestCounter(client)
        self.ttl_s = ttl_s
        self._degraded_ttl_s = degraded_ttl_s
        self._max_size_bytes = max_size_bytes
        self._scripts = {
            name: load_script(client, "shared.cache", name) for name in ("store", "drop", "extend", "tally")
        }

    @classmethod
    def from_settings(cls, settings: Settings, client: redis.Redis) -> Self:
        """Make the cache that the settings describe."""
        return cls(
            client,
            ttl_s=settings.cache_ttl_days * 86_400,
            degraded_ttl_s=settings.degraded_ttl_seconds,
            max_size_bytes=int(settings.cache_max_size_mb * 1_000_000),
            state_db=settings.state_db_beside_audio,
        )

    def look(self, key: str) -> CachedAudio | None:
        """Give the entry under a key, to somebody who asked for it."""
        [[data, about]] = self._line.ask(("MGET", f"voice:audio:{key}", f"voice:metadata:{key}"))
        metadata = about and Metadata.from_json(about)
        if data is None or not metadata:
            return None
        found = CachedAudio(key, data, metadata)
        self.note_asked(found)
        return found

    def note_asked(self, audio: CachedAudio) -> None:
        """Note that an entry was asked for, if that is in the second half of its time."""
        about = audio.metadata
        if about.expires_ms / 1000 - time.time() < self.ttl_s / 2 and not about.degraded:
            self.requests.note_expiring(audio.key)

    def extend(self, most: int) -> int:
        """Give up to about `most` entries that were noted their full time again; says how many live on.

        Both halves of an entry get one end. What is degraded keeps its own: it is to be made better.
        """
        looked_at = extended = 0
        while looked_at < most:
            taken, living_on = self._scripts["extend"](args=[int(self.ttl_s * 1000), _EXTENDED_AT_ONCE])
            if not taken:
                break
            looked_at, extended = looked_at + taken, extended + living_on
        return extended

    def holding(self, keys: Sequence[str]) -> list[bool]:
        """Tell of each of these keys whether it has a whole entry, without reading any."""
        held: list[bool] = []
        for start in range(0, len(keys), _ASKED_AT_ONCE):
            with self._redis.pipeline(transaction=False) as pipe:
                for key in keys[start : start + _ASKED_AT_ONCE]:
                    pipe.exists(f"voice:audio:{key}", f"voice:metadata:{key}")
                held += [halves == 2 for halves in pipe.execute()]  # noqa: PLR2004  an entry has two
        return held

    def send_ahead(self, key: str, audio: Audio) -> None:
        """Send audio that this thread may `store` next, without waiting for the answer.

        What fails is for `store` to mend; what is not stored expires soon.
        """
        if len(audio.data) <= self._max_size_bytes:
            self._ahead.send(_draft(key, audio), audio.data)

    def store(
        self, key: str, utterance: Utterance, audio: Audio, *, copy_as: str = "", then: Command | None = None
    ) -> Stored:
        """Keep audio for its time to live, unless it is too large for an entry or its voice is gone.

        The audio is sent, unless this thread has sent it ahead. If the ledger is on the same server, it gets
        a copy of what is kept under the key `copy_as`, which expires soon, and the command `then`, all in
        this round trip.
        """
        if len(audio.data) > self._max_size_bytes:
            return Stored(is_kept=False)
        ttl_s = self._degraded_ttl_s if audio.degraded else self.ttl_s
        metadata = Metadata(
            personality_id=utterance.personality_id,
            voice_revision=utterance.voice_revision,
            provider=audio.provider,
            format=audio.format,
            duration_ms=audio.duration_ms,
            sample_rate=audio.sample_rate_hz,
            degraded=audio.degraded,
            sha256=audio.sha256,
            expires_ms=int((time.time() + ttl_s) * 1000),
        )
        draft = _draft(key, audio)
        after: list[Command] = []
        if then and self._state_db is not None:
            after = [("SELECT", self._state_db), then, ("SELECT", self._db)]
        args = (
            key,
            utterance.personality_id,
            draft,
            json.dumps(asdict(metadata)),
            metadata.expires_ms,
            metadata.sha256,
            metadata.voice_revision,
            copy_as if after else "",
            self._state_db or "",
        )

        def take(*before: Command, after: Sequence[Command] = ()) -> tuple[bytes, bytes | None]:
            answers = run_script(self._line, self._scripts["store"], *args, before=before, after=after)
            stored, *told = answers[len(before) :]
            return stored, told[1] if told else None

        sending = _sending(draft, audio.data)
        before = [] if self._ahead.has_brought(draft) else [sending]
        # What was sent ahead may have expired, the ledger's command be refused: then it goes the plain way.
        try:
            stored, told = take(*before, after=after)
            if stored != _NO_AUDIO:
                return Stored(stored == _STORED, told)
        except redis.ResponseError:
            self._line.hang_up()  # the connection may be with the ledger's database still
        stored, _ = take(sending)
        return Stored(stored == _STORED)

    def drop(self, personality_id: str, *, oldest_revision: int = 0) -> int:
        """Delete every entry of a personality; says how many there were.

        From then on no audio of a voice older than `oldest_revision` is taken in, such as comes of a
        synthesis that was under way.
        """
        deleted, left = 0, 1
        while left:
            batch, left = self._scripts["drop"](args=[personality_id, _DROP_BATCH, oldest_revision])
            deleted += batch
        return deleted

    def clear(self) -> int:
        """Delete every entry; the counters stay."""
        return sum(self.drop(p.decode()) for p in cast("list[bytes]", self._redis.hkeys("voice:bytes")))

    def ping(self) -> None:
        """Return if the server answers."""
        self._redis.ping()

    def stats(self) -> CacheStats:
        """Give the counters; other processes' requests may be half a second behind."""
        self.requests.flush()
        counters, entries, size = self._scripts["tally"](args=[])
        values = dict(zip(counters[::2], counters[1::2], strict=True))
        hits, misses, coalesced, sets = (
            int(values.get(name, 0)) for name in (b"hits", b"misses", b"coalesced", b"sets")
        )
        return CacheStats(hits, misses, coalesced, sets, entries, size)


def _draft(key: str, audio: Audio) -> str:
    return f"voice:draft:{key}:{audio.sha256}"


def _sending(draft: str, data: bytes) -> Command:
    return ("SET", draft, data, "PX", DRAFT_MS)
