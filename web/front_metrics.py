"""What the processes of this front count, in memory or, where there are several, in files that they share."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial
from itertools import chain, product
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from web.farm_metrics import FarmMetrics
from web.shared_counts import SharedCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

    from shared.farm import Farm

_ANSWERS = list(product(("HIT", "MISS", "COALESCED"), ("audio", "job")))

# From a hit in memory, some 0.3 ms, to the longest wait there is.
_TIME_BOUNDS_S = (
    *(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)


class FrontMetrics:
    """All that `/metrics` shows, and where requests are counted."""

    def __init__(self, farm: Farm, folder: Path | None) -> None:
        """Begin to count; `folder` is where several processes of one front add up."""
        disable_created_metrics()
        self._registry = CollectorRegistry()
        if folder is None:
            self._count_in(self._registry)
            pids: Callable[[], Iterable[int]] = _this_process
        else:
            shared = SharedCounts(folder)
            with shared.joining():
                self._count_in(None)
            self._registry.register(shared)
            pids = shared.pids
        self._registry.register(FarmMetrics(farm))
        self._registry.register(_Processes(pids))

    def _count_in(self, registry: CollectorRegistry | None) -> None:
        labels = ["cache_status", "outcome"]
        requests = Counter(
            "voicefarm_requests",
            "Requests for speech, by what the cache held and what came of it.",
            labels,
            registry=registry,
        )
        seconds = Histogram(
            "voicefarm_request_seconds",
            "Time to answer requests for speech with audio or a job, waiting for the audio included.",
            labels,
            buckets=_TIME_BOUNDS_S,
            registry=registry,
        )
        self._requests = requests
        # Looking up a label costs more than counting.
        self._answers = {answer: (requests.labels(*answer), seconds.labels(*answer)) for answer in _ANSWERS}

    def count_answer(self, cache_status: str, outcome: str, seconds: float) -> None:
        """Count a request that was answered with "audio" or a "job"."""
        requests, times = self._answers[cache_status, outcome]
        requests.inc()
        times.observe(seconds)

    def count_refusal(self, cache_status: str, code: str) -> None:
        """Count a request that was answered with a problem."""
        self._requests.labels(cache_status, code).inc()

    def exposition(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self._registry)


def _this_process() -> list[int]:
    return [os.getpid()]


class _Processes(Collector):
    """The standard metrics of a process, added up over those of this front."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        metrics: dict[str, Metric] = {}
        values = defaultdict(list)
        of_each = (ProcessCollector(pid=partial(int, pid), registry=None).collect() for pid in self._pids())
        for metric in chain.from_iterable(of_each):
            [sample] = metric.samples
            metrics[metric.name] = metric
            values[metric.name].append(sample.value)
        for name, metric in metrics.items():
            value = min(values[name]) if name == "process_start_time_seconds" else sum(values[name])
            metric.samples = [metric.samples[0]._replace(value=value)]
            yield metric
