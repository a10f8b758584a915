"""The one owner of a provider in a process: loads it, keeps threads apart, sees whether it gets on."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, cast

import structlog

from shared.errors import ProviderError, VoiceNotFound
from workers.provider import load_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.catalog import ProviderSpec
    from shared.models import Utterance
    from shared.settings import Settings
    from workers.provider import AudioChunk, CloningProvider, Provider

log = structlog.get_logger()


class Engine:
    """A provider that loads itself, and that one thread at a time uses unless it is thread-safe."""

    def __init__(
        self, spec: ProviderSpec, settings: Settings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.spec = spec
        self._settings = settings
        self._clock = clock
        self._provider: Provider | None = None
        self._loading = Lock()
        self._turn = nullcontext() if spec.is_thread_safe else Lock()
        self._stepped_s = self._used_s = clock()
        self._is_busy = False

    def load(self) -> Provider:
        """Give the provider, loaded.

        Raises:
            ModelLoadFailed: it cannot be; the next call tries again.
        """
        with self._loading:
            if self._provider is None:
                provider = load_provider(self.spec, self._settings)
                provider.load()
                if self.spec.clones:
                    cast("CloningProvider", provider).on_step = self._step
                self._provider = provider
                self._step()
            return self._provider

    def warm_up(self) -> None:
        """Load it before it is needed; a failure is logged, and told to every task that comes."""
        try:
            self.load()
        except ProviderError as error:
            log.warning("load_failed", provider=self.spec.name, code=error.code, detail=error.detail)

    def synthesize(self, utterance: Utterance, *, seed: int) -> Iterator[AudioChunk]:
        """Speak as `Provider.synthesize` does, once it is this thread's turn."""
        with self._in_use():
            for chunk in self.load().synthesize(utterance, seed=seed):
                self._step()
                yield chunk

    def price_usd(self, utterance: Utterance) -> float:
        """Give what speaking it costs."""
        return self.load().price_usd(utterance)

    def hold_voice(self, sample_id: str) -> None:
        """Have a sample's voice in memory, once it is this thread's turn.

        Raises:
            ProviderError: it cannot be; see `CloningProvider.hold_voice`.
        """
        if not self.spec.clones:
            raise VoiceNotFound(f"{self.spec.title} does not clone voices")
        with self._in_use():
            cast("CloningProvider", self.load()).hold_voice(sample_id)

    def drop_voice(self, sample_id: str) -> None:
        """Let go of a sample's voice, once it is this thread's turn."""
        if self._provider and self.spec.clones:
            with self._in_use():
                cast("CloningProvider", self._provider).drop_voice(sample_id)

    @property
    def held_voices(self) -> tuple[str, ...]:
        """The IDs of the samples whose voices are in memory."""
        if self._provider and self.spec.clones:
            return cast("CloningProvider", self._provider).held_voices()
        return ()

    @property
    def device(self) -> str:
        """What it computes on."""
        if self._provider and self.spec.clones:
            return cast("CloningProvider", self._provider).device
        return self.spec.device

    @property
    def device_memory_bytes(self) -> int | None:
        """What it takes of its device's own memory; None where that is the machine's."""
        if self._provider and self.spec.clones:
            return cast("CloningProvider", self._provider).device_memory_bytes()
        return None

    def is_stuck(self) -> bool:
        """Tell whether it has something to do and has made no step for too long.

        Only engines whose model tells of its steps are ever stuck.
        """
        limit_s = self._settings.torch_stall_seconds
        return self.spec.clones and self._is_busy and self._clock() - self._stepped_s > limit_s

    def unload_when_idle(self) -> None:
        """Take a model that nobody has needed for long out of memory."""
        idle_s = self._settings.torch_idle_seconds
        if not (self._provider and self.spec.clones and idle_s) or self._clock() - self._used_s < idle_s:
            return
        turn = cast("Lock", self._turn)
        if turn.acquire(blocking=False):
            try:
                cast("CloningProvider", self._provider).unload()
                self._used_s = float("inf")  # until it is used again
                log.info("model_unloaded", provider=self.spec.name, idle_s=idle_s)
            finally:
                turn.release()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._turn:
            self._step()
            self._is_busy = True
            try:
                yield
            finally:
                self._is_busy = False
                self._used_s = self._clock()

    def _step(self) -> None:
        self._stepped_s = self._clock()
