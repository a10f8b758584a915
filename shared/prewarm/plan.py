"""What a batch comes to: which items are cached already, and what the others will take."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.connections import state_errors
from shared.errors import NoProvider, StateUnavailable, VoicefarmError
from shared.models import AudioFormat
from shared.orders import Order
from shared.prewarm.records import Item

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.farm import Farm
    from shared.models import SpeechRequest, Utterance
    from shared.personalities import Personality
    from shared.presence import RollCall
    from shared.provider_stats import ProviderTotals

# Until a provider has spoken: about 160 words a minute, spoken as fast as it sounds.
CHARACTERS_A_SECOND = 15.0
_REAL_TIME_FACTOR = 1.0
# Of mono speech at 24 kHz; the compressed ones as the README has them.
_BYTES_A_SECOND = {
    AudioFormat.WAV: 48_000,
    AudioFormat.PCM: 48_000,
    AudioFormat.FLAC: 24_000,
    AudioFormat.MP3: 10_000,
    AudioFormat.OPUS: 8_000,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch that could be begun, with estimates of what it takes."""

    items: tuple[Item, ...]
    """Those that are to be made."""
    already_cached: int
    seconds: float
    """With every worker at it alone."""
    cost_usd: float
    size_bytes: int

    @property
    def total(self) -> int:
        """How many there are, cached ones included."""
        return len(self.items) + self.already_cached


def plan(
    farm: Farm,
    requests: Sequence[SpeechRequest],
    *,
    epoch: bytes,
    lenient: bool = False,
    patient: bool = False,
) -> Plan:
    """Work out what it takes to have all these in the cache.

    `lenient` leaves out what cannot be spoken; `patient` takes in what only waits for somebody to speak it.

    Raises:
        NotFound, NoVoiceSample, LanguageNotSupported, NoProvider: as when one of them was asked for.
        StateUnavailable: Redis or the database cannot be reached.
    """
    routed = list(_routed(farm, requests, epoch, lenient=lenient, patient=patient))
    with state_errors():
        held = farm.cache.holding([order.key for order, _ in routed])
    missing = [pair for pair, is_held in zip(routed, held, strict=True) if not is_held]
    estimate = _Estimate(farm, routed[0][0].roll_call if routed else None)
    for order, provider in missing:
        estimate.add(order.utterance, provider)
    return Plan(
        items=tuple(Item(number, order.request) for number, (order, _) in enumerate(missing)),
        already_cached=len(routed) - len(missing),
        seconds=round(estimate.seconds, 3),
        cost_usd=round(estimate.cost_usd, 6),
        size_bytes=round(estimate.size_bytes),
    )


def _routed(
    farm: Farm, requests: Sequence[SpeechRequest], epoch: bytes, *, lenient: bool, patient: bool
) -> Iterator[tuple[Order, str | None]]:
    """Give each request worked out, with who would speak it now."""
    roll_call = farm.presence.roll_call()
    found: dict[str | None, Personality] = {}
    providers: dict[tuple[object, ...], str | None] = {}
    for request in requests:
        try:
            whose = request.personality_id
            if whose not in found:
                found[whose] = farm.directory.personality(epoch, whose)
            order = Order.of(request, found[whose], digest=farm.router.digest, owner="", roll_call=roll_call)
            spoken = order.utterance
            alike = (spoken.personality_id, spoken.language, spoken.quality, spoken.provider, spoken.fallback)
            if alike not in providers:
                providers[alike] = _speaker(farm, order, patient=patient)
        except StateUnavailable:
            raise
        except VoicefarmError:
            if not lenient:
                raise
        else:
            yield order, providers[alike]


def _speaker(farm: Farm, order: Order, *, patient: bool) -> str | None:
    try:
        return farm.router.route(order.utterance, order.voice, order.roll_call).provider
    except NoProvider:
        if not patient:
            raise
        return None


class _Estimate:
    """Adds up what syntheses will take, by what the providers' latest ones took."""

    def __init__(self, farm: Farm, roll_call: RollCall | None) -> None:
        self._settings, self._catalog = farm.settings, farm.router.catalog
        self._totals = farm.stats.totals(farm.router.names)
        self._slots: defaultdict[str | None, int] = defaultdict(int)
        for worker in roll_call.workers if roll_call else ():
            self._slots[worker.provider] += worker.slots
        self._busy_s: defaultdict[str | None, float] = defaultdict(float)
        self.cost_usd = self.size_bytes = 0.0

    @property
    def seconds(self) -> float:
        """Until the last provider is done."""
        return max((busy_s / max(self._slots[name], 1) for name, busy_s in self._busy_s.items()), default=0.0)

    def add(self, utterance: Utterance, provider: str | None) -> None:
        totals = self._totals[provider] if provider else None
        audio_s = len(utterance.text) / _characters_a_second(totals) / utterance.speed
        busy_s = totals.busy_s(audio_s) if totals else None
        self._busy_s[provider] += _REAL_TIME_FACTOR * audio_s if busy_s is None else busy_s
        self.size_bytes += audio_s * _BYTES_A_SECOND[utterance.format]
        price_usd = self._catalog[provider].price_usd if provider else None
        if price_usd is not None:
            self.cost_usd += price_usd(self._settings, utterance)


def _characters_a_second(totals: ProviderTotals | None) -> float:
    if totals and totals.characters and totals.audio_s:
        return totals.characters / totals.audio_s
    return CHARACTERS_A_SECOND
