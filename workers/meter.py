"""Measures what one attempt uses while its engine speaks."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

from shared.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.ledger import Claim
    from shared.models import Utterance
    from workers.provider import AudioChunk


def free(_utterance: Utterance) -> Decimal:
    """Give the price of an utterance where nobody asks for money."""
    return Decimal(0)


class Meter:
    """What one attempt has used so far; it may let its engine speak more than once."""

    def __init__(
        self,
        claim: Claim,
        price_usd: Callable[[Utterance], Decimal] = free,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._claim = claim
        self._price_usd = price_usd
        self._clock = clock
        self._begun_s = clock()
        self._characters = 0
        self._audio_s = self._compute_s = 0.0
        self._cost_usd = Decimal(0)

    @property
    def elapsed_ms(self) -> float:
        """How long the attempt has taken."""
        return (self._clock() - self._begun_s) * 1000

    def measure(self, chunks: Iterator[AudioChunk]) -> Iterator[AudioChunk]:
        """Give the engine's sound of the claim's utterance as it comes, once more if it was measured before.

        From the first sound on the whole text counts, as services charge for it.
        """
        has_sounded = False
        while (chunk := self._time(chunks)) is not None:
            if not has_sounded:
                has_sounded = True
                self._characters += len(self._claim.utterance.text)
                self._cost_usd += self._price_usd(self._claim.utterance)
            self._audio_s += len(chunk.samples) / chunk.sample_rate_hz
            yield chunk

    def _time(self, chunks: Iterator[AudioChunk]) -> AudioChunk | None:
        begun = self._clock()
        try:
            return next(chunks, None)
        finally:
            self._compute_s += self._clock() - begun

    def usage(self) -> Usage | None:
        """Give what was used; None while nothing has sounded."""
        if not self._characters:
            return None
        return Usage(
            rendering_id=self._claim.rendering_id,
            attempt=self._claim.attempt,
            provider=self._claim.provider,
            personality_id=self._claim.utterance.personality_id,
            characters=self._characters,
            audio_ms=round(self._audio_s * 1000),
            compute_ms=round(self._compute_s * 1000),
            cost_usd=self._cost_usd,
        )
