"""What is known farm-wide, read from the two Redis servers at every scrape; the same at every front."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TYPE_CHECKING

import redis
import structlog
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from shared.circuits import CircuitState
from shared.errors import StateUnavailable
from shared.ledger import Status, take_census
from shared.provider_stats import TIME_BOUNDS_S
from shared.usage import Outbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from decimal import Decimal

    from prometheus_client.metrics_core import Metric

    from shared.farm import Farm
    from shared.ledger.census import Census
    from shared.presence import RollCall
    from shared.prewarm import Batch
    from shared.provider_stats import ProviderTotals

log = structlog.get_logger()


class FarmMetrics(Collector):
    """Workers, queues, providers and cache; what a server that does not answer holds is left out."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._outbox = Outbox(farm.state)

    def collect(self) -> Iterator[Metric]:
        """Read it all, in a second at most."""
        with ThreadPoolExecutor(2) as pool:  # both servers may hang, each until its timeout
            reading = {"state": pool.submit(self._state), "audio": pool.submit(self._cache)}
            found = {name: future.result() for name, future in reading.items()}
        is_up = GaugeMetricFamily(
            "voicefarm_redis_up",
            "Whether a Redis answered; without it, what it knows of the farm is missing here.",
            labels=["redis"],
        )
        for name, metrics in found.items():
            is_up.add_metric([name], metrics is not None)
        yield is_up
        for metrics in found.values():
            yield from metrics or ()

    def _state(self) -> list[Metric] | None:
        providers = sorted(self._farm.router.enabled)
        try:
            roll_call = self._farm.presence.roll_call()
            census = take_census(self._farm.state, self._farm.router.names)
            totals = self._farm.stats.totals(providers)
            pending = self._outbox.size()
            batches, ended = self._farm.batches.open(), self._farm.batches.ended()
        except StateUnavailable:
            return None
        return [
            *_of_workers(providers, roll_call),
            *_of_renderings(providers, census),
            *_of_syntheses(totals),
            *_of_usage(totals),
            *_of_budgets(totals, self._farm.settings.monthly_budgets_usd),
            *_of_batches(batches, ended),
            GaugeMetricFamily("voicefarm_usage_pending", "Syntheses whose usage is not in SQL yet.", pending),
        ]

    def _cache(self) -> list[Metric] | None:
        try:
            stats = self._farm.cache.stats()
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
            return None
        requests = CounterMetricFamily(
            "voicefarm_cache_requests", "Requests for speech by what the cache held.", labels=["cache_status"]
        )
        for status, count in (
            ("HIT", stats.hits),
            ("MISS", stats.misses),
            ("COALESCED", stats.coalesced),
        ):
            requests.add_metric([status], count)
        return [
            requests,
            CounterMetricFamily("voicefarm_cache_stores", "Entries stored.", stats.sets),
            GaugeMetricFamily("voicefarm_cache_entries", "Entries held now.", stats.entries),
            GaugeMetricFamily("voicefarm_cache_bytes", "Size of the audio held now.", stats.size_bytes),
        ]


def _of_workers(providers: list[str], roll_call: RollCall) -> Iterator[Metric]:
    alive = GaugeMetricFamily("voicefarm_workers", "Live worker pools.", labels=["provider"])
    slots = GaugeMetricFamily("voicefarm_worker_slots", "Syntheses they do at once.", labels=["provider"])
    circuit = GaugeMetricFamily(
        "voicefarm_circuit_open",
        "Whether a provider is left alone: it kept failing, or its budget is spent.",
        labels=["provider"],
    )
    for name in providers:
        of_provider = [worker.slots for worker in roll_call.workers if worker.provider == name]
        alive.add_metric([name], len(of_provider))
        slots.add_metric([name], sum(of_provider))
        circuit.add_metric([name], roll_call.circuit(name) is not CircuitState.CLOSED)
    yield from (alive, slots, circuit)
    yield _memory(roll_call)


def _memory(roll_call: RollCall) -> Metric:
    """Give what pools of threads take; the processes of the others come and go."""
    memory = GaugeMetricFamily(
        "voicefarm_worker_memory_bytes",
        "What a worker takes of its machine's memory, and of its device's where that has its own.",
        labels=["worker", "provider", "memory"],
    )
    for worker in roll_call.workers:
        for kind, size_bytes in (("host", worker.memory_bytes), ("device", worker.device_memory_bytes)):
            if size_bytes is not None:
                memory.add_metric([worker.name, worker.provider, kind], size_bytes)
    return memory


def _of_renderings(providers: list[str], census: Census) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "voicefarm_queue_depth", "Renderings that wait for a provider.", labels=["provider"]
    )
    age = GaugeMetricFamily(
        "voicefarm_queue_oldest_age_seconds", "How long the oldest of them waits.", labels=["provider"]
    )
    prewarm_depth = GaugeMetricFamily(
        "voicefarm_prewarm_queue_depth",
        "Renderings for the cache that wait behind those.",
        labels=["provider"],
    )
    for name in providers:
        depth.add_metric([name], census.queues[name].depth)
        prewarm_depth.add_metric([name], census.queues[name].prewarm_depth)
        age.add_metric([name], census.queues[name].oldest_age_s)
    live = GaugeMetricFamily("voicefarm_renderings", "Renderings under way.", labels=["state"])
    queued = sum(queue.depth + queue.prewarm_depth for queue in census.queues.values())
    live.add_metric(["queued"], queued)
    live.add_metric(["running"], census.running)
    ended = CounterMetricFamily(
        "voicefarm_renderings_ended", "Renderings that have ended, by their last state.", labels=["state"]
    )
    for status, count in census.ended.items():
        ended.add_metric([status], count)
    yield from (depth, age, prewarm_depth, live, ended)


def _of_syntheses(totals: Mapping[str, ProviderTotals]) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        "voicefarm_synthesis_seconds",
        "Time of a synthesis in its worker, from claim to stored audio.",
        labels=["provider"],
    )
    audio = CounterMetricFamily("voicefarm_audio_seconds", "Length of what was spoken.", labels=["provider"])
    factor = GaugeMetricFamily(
        "voicefarm_real_time_factor",
        "Time of the last 100 syntheses divided by the length of their audio.",
        labels=["provider"],
    )
    failures = CounterMetricFamily(
        "voicefarm_synthesis_failures", "Tries that gave no audio.", labels=["provider", "code"]
    )
    for name, of_provider in totals.items():
        bounds = map(floatToGoString, TIME_BOUNDS_S)
        buckets = list(zip(bounds, accumulate(of_provider.syntheses_by_time), strict=True))
        seconds.add_metric([name], buckets, of_provider.service_s)
        audio.add_metric([name], of_provider.audio_s)
        if of_provider.real_time_factor is not None:
            factor.add_metric([name], of_provider.real_time_factor)
        for code, count in of_provider.failures.items():
            failures.add_metric([name, code], count)
    yield from (seconds, audio, factor, failures)


def _of_usage(totals: Mapping[str, ProviderTotals]) -> Iterator[Metric]:
    characters = CounterMetricFamily(
        "voicefarm_characters", "Characters of what was spoken, heard or not.", labels=["provider"]
    )
    cost = CounterMetricFamily("voicefarm_cost_dollars", "What that cost.", labels=["provider"])
    for name, of_provider in totals.items():
        characters.add_metric([name], of_provider.characters)
        cost.add_metric([name], float(of_provider.cost_usd))
    yield from (characters, cost)


def _of_budgets(totals: Mapping[str, ProviderTotals], limits_usd: Mapping[str, Decimal]) -> Iterator[Metric]:
    limit = GaugeMetricFamily(
        "voicefarm_budget_dollars", "What a provider may cost in a month.", labels=["provider"]
    )
    spent = GaugeMetricFamily(
        "voicefarm_budget_spent_dollars", "What it has cost this month, by UTC.", labels=["provider"]
    )
    for name, of_provider in totals.items():
        if name in limits_usd:
            limit.add_metric([name], float(limits_usd[name]))
            if of_provider.month_cost_usd is not None:
                spent.add_metric([name], float(of_provider.month_cost_usd))
    yield from (limit, spent)


def _of_batches(batches: Collection[Batch], ended_items: Mapping[Status, int]) -> Iterator[Metric]:
    yield GaugeMetricFamily("voicefarm_batches", "Batches of pre-warming that have work left.", len(batches))
    items = GaugeMetricFamily(
        "voicefarm_batch_items", "Items of these batches that have not ended.", labels=["state"]
    )
    for state in (Status.QUEUED, Status.RUNNING):
        items.add_metric([state], sum(batch.counts[state] for batch in batches))
    ended = CounterMetricFamily(
        "voicefarm_batch_items_ended",
        "Items of batches, by how they have ended.",
        labels=["state"],
    )
    for state, count in ended_items.items():
        ended.add_metric([state], count)
    yield from (items, ended)
