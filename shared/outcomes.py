"""What becomes of attempts, told to those who count: the statistics and the circuit breakers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.circuits import Circuits
from shared.connections import Line, state_errors
from shared.provider_stats import ProviderStats, counting, counting_usage

if TYPE_CHECKING:
    from redis import Redis

    from shared.provider_stats import Synthesis
    from shared.usage import Usage


class Outcomes:
    """Where workers and sweeps report how attempts ended.

    Every method raises `StateUnavailable` when Redis cannot be reached.
    """

    def __init__(self, redis: Redis) -> None:
        self._line = Line(redis)
        self._stats = ProviderStats(redis)
        self._circuits = Circuits(redis)

    def spoke(
        self, provider: str, synthesis: Synthesis, usage: Usage | None = None, *, is_probe: bool = False
    ) -> None:
        """Count an utterance that was spoken, and what it used, in one round trip.

        `is_probe` tells that an open circuit let it through.
        """
        took_ms = synthesis.service_ms
        noting = self._circuits.noting(provider, has_failed=False, duration_ms=took_ms, is_probe=is_probe)
        using = counting_usage(usage) if usage else []
        with state_errors():
            *_, turn = self._line.ask(*counting(provider, synthesis), *using, noting)
        self._circuits.tell(provider, turn)

    def used(self, usage: Usage) -> None:
        """Count what an attempt used that made sound, but no speech."""
        self._stats.note_usage(usage)

    def refused(self, provider: str, code: str) -> None:
        """Count sound that was refused while the attempt goes on: the provider tries once more."""
        self._stats.note_failure(provider, code)

    def failed(
        self,
        provider: str,
        code: str,
        *,
        duration_ms: float = 0.0,
        is_provider_fault: bool = True,
        is_probe: bool = False,
    ) -> None:
        """Count an attempt that gave no audio; what is no fault of the provider leaves its circuit alone."""
        self._stats.note_failure(provider, code)
        if is_provider_fault:
            self._circuits.note(provider, has_failed=True, duration_ms=duration_ms, is_probe=is_probe)
