"""`/api/voice/providers/status`: how everybody who speaks is doing."""

from __future__ import annotations

from flask import Blueprint, Response

from shared.provider_status import ProviderStatus, provider_statuses
from shared.scopes import Scope
from web import schemas
from web.auth import requires
from web.context import farm
from web.responses import as_json

blueprint = Blueprint("providers", __name__)


@blueprint.get("/api/voice/providers/status")
@requires(Scope.SPEAK)
def status() -> Response:
    """Answer with every provider that a request may name; counted since the state Redis began."""
    statuses = provider_statuses(farm())
    providers = {name: _describe(one) for name, one in statuses.items()}
    return as_json(
        schemas.ProvidersStatus(
            providers=providers,
            total_requests=sum(provider.requests for provider in providers.values()),
            total_cost=sum(provider.cost for provider in providers.values()),
        )
    )


def _describe(one: ProviderStatus) -> schemas.ProviderStatus:
    totals = one.totals
    failures = sum(totals.failures.values())
    return schemas.ProviderStatus(
        enabled=one.is_enabled,
        available=one.is_available,
        reason=one.reason,
        workers=one.workers,
        device=one.device,
        queue_depth=one.queue_depth,
        circuit=one.circuit,
        requests=sum(totals.syntheses_by_time) + failures,
        failures=failures,
        latency_ms=schemas.Latency(p50=one.latency_ms(50), p95=one.latency_ms(95)),
        real_time_factor=totals.real_time_factor,
        characters=totals.characters,
        cost=float(totals.cost_usd),
    )
