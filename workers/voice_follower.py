"""A worker's thread that holds and drops voices as it is asked."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import redis
import structlog

from shared.connections import reader_client
from shared.errors import VoicefarmError
from shared.voice_holding import CHANNEL, Wish

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.engine import Engine

_POLL_S = 5.0
_RECONNECT_S = 0.5

log = structlog.get_logger()


class VoiceFollower:
    """Does what `shared.voice_holding` asks its provider for, and has that told with the next heartbeat."""

    def __init__(
        self, provider: str, engine: Engine, state_url: str, *, on_change: Callable[[], None]
    ) -> None:
        self._provider = provider
        self._engine = engine
        self._redis = reader_client(state_url, _POLL_S)
        self._on_change = on_change

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, name="voice-follower", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self._follow()
            except redis.RedisError as error:
                log.warning("wishes_lost", error=type(error).__name__)
                time.sleep(_RECONNECT_S)

    def _follow(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(CHANNEL)
            while True:
                message = channel.get_message(timeout=_POLL_S)
                if message:
                    self._fulfil(Wish.from_json(message["data"]))

    def _fulfil(self, wish: Wish) -> None:
        if self._provider not in wish.providers:
            return
        is_held = wish.sample_id in self._engine.held_voices
        if is_held == (wish.what == "hold"):
            return
        try:
            if wish.what == "hold":
                self._engine.hold_voice(wish.sample_id)
            else:
                self._engine.drop_voice(wish.sample_id)
        except VoicefarmError as error:
            log.warning("voice_not_held", code=error.code, detail=error.detail, sample_id=wish.sample_id)
        except Exception:
            # Whatever an engine does, the next wish is heard.
            log.exception("voice_not_held", sample_id=wish.sample_id)
        self._on_change()
