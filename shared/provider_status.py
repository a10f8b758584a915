"""How every provider is doing: what the status page, its API and the metrics tell."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING

from shared.circuits import CircuitState
from shared.ledger import take_census
from shared.ledger.attempts import PassedOver

if TYPE_CHECKING:
    from shared.farm import Farm
    from shared.presence import RollCall
    from shared.provider_stats import ProviderTotals


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """One provider at one moment."""

    is_enabled: bool
    is_available: bool
    """Whether it would take work now."""
    reason: str | None
    """Why it would not, and what helps; or that it is being tried again."""
    workers: int
    device: str | None
    """What its workers compute on; None without one."""
    queue_depth: int
    circuit: CircuitState
    totals: ProviderTotals

    def latency_ms(self, percentile: int) -> float | None:
        """Give this percentile of the newest syntheses' times; None until there was one."""
        times_ms = [synthesis.service_ms for synthesis in self.totals.recent]
        if len(times_ms) < 2:  # noqa: PLR2004  one has no quantiles
            return times_ms[0] if times_ms else None
        return quantiles(times_ms, n=100, method="inclusive")[percentile - 1]


def provider_statuses(farm: Farm) -> dict[str, ProviderStatus]:
    """Look at every provider that a request may name.

    Raises:
        StateUnavailable: Redis cannot be reached.
    """
    names = sorted(farm.router.names)
    roll_call = farm.presence.roll_call()
    totals = farm.stats.totals(names)
    queues = take_census(farm.state, names).queues
    return {
        name: ProviderStatus(
            is_enabled=name in farm.router.enabled,
            is_available=name in farm.router.enabled and roll_call.obstacle(name) is None,
            reason=_reason(farm, roll_call, name),
            workers=sum(worker.provider == name for worker in roll_call.workers),
            device=next((worker.device for worker in roll_call.workers if worker.provider == name), None),
            queue_depth=queues[name].depth,
            circuit=roll_call.circuit(name),
            totals=totals[name],
        )
        for name in names
    }


def _reason(farm: Farm, roll_call: RollCall, name: str) -> str | None:
    if name not in farm.router.catalog:
        return "This version does not have it."
    equipment = farm.router.equipment[name]
    if name not in farm.router.enabled:
        if equipment.problem is None:
            return "It is not enabled. Name it in VOICEFARM_PROVIDERS."
        return f"{equipment.problem} {equipment.remedy}"
    if not roll_call.has_worker(name):
        return f"No worker is running for it. {equipment.remedy or 'Start one; the Procfile has its line.'}"
    if roll_call.circuit(name) is CircuitState.CLOSED:
        return None
    return roll_call.reasons.get(name, PassedOver.CIRCUIT_OPEN.detail)
