"""What every provider has done, farm-wide: counted in the state Redis at the end of each attempt."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from statistics import linear_regression
from typing import TYPE_CHECKING, cast

from shared.connections import Line, state_errors
from shared.usage.table import dollars, micro_dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis import Redis

    from shared.connections import Command
    from shared.usage import Usage

# Upper bounds of the histogram's buckets.
TIME_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, inf)
# How many of the newest syntheses tell how fast a provider is now.
RECENT = 100

_BUCKET, _FAILURES = "bucket:", "failures:"


@dataclass(frozen=True, slots=True)
class Synthesis:
    """How long a worker was busy with one utterance, from claim to stored audio, and how long that sounds."""

    service_ms: float
    audio_ms: int


@dataclass(frozen=True, slots=True)
class ProviderTotals:
    """What one provider has done since the state Redis began."""

    service_s: float = 0.0
    audio_s: float = 0.0
    syntheses_by_time: tuple[int, ...] = (0,) * len(TIME_BOUNDS_S)
    """Syntheses in each bucket of `TIME_BOUNDS_S`; their sum is all of them."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Failed tries by code; an attempt whose sound was refused may try once more."""
    characters: int = 0
    """Of the texts that were spoken, in failed attempts, too."""
    cost_usd: Decimal = Decimal(0)
    """Of them all; SQL has it by the day."""
    month_cost_usd: Decimal | None = None
    """What its budget's watch saw spent in this month; None where there is no budget."""
    recent: tuple[Synthesis, ...] = ()
    """The newest syntheses, newest first."""

    @property
    def real_time_factor(self) -> float | None:
        """Time to make audio divided by its length, lately; None until there was a synthesis."""
        audio_ms = sum(synthesis.audio_ms for synthesis in self.recent)
        return sum(synthesis.service_ms for synthesis in self.recent) / audio_ms if audio_ms else None

    def busy_s(self, audio_s: float) -> float | None:
        """Estimate how long a worker is busy with so much audio; None until there was a synthesis.

        By the line through the newest ones (least squares), as each of them takes some time however short it
        is; where they make no such line, in proportion.
        """
        factor = self.real_time_factor
        lengths_s = [synthesis.audio_ms / 1000 for synthesis in self.recent]
        if factor is None or len(set(lengths_s)) == 1:
            return factor and factor * audio_s
        each_s, a_second = reversed(
            linear_regression(lengths_s, [synthesis.service_ms / 1000 for synthesis in self.recent])
        )
        return each_s + a_second * audio_s if min(each_s, a_second) > 0 else factor * audio_s


class ProviderStats:
    """Counters that workers write, one round trip an attempt, and fronts read.

    voice:provider:{name}  hash    service_us, audio_ms, bucket:{upper bound}, failures:{code}, characters,
                                   cost_micro_usd
    voice:recent:{name}    list    "service_us audio_ms" of the newest syntheses, newest first
    voice:spent:{name}     string  what it has cost this month, in millionths of a dollar, until that ends

    Every method raises `StateUnavailable` when Redis cannot be reached.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._line = Line(redis)

    def note_synthesis(self, provider: str, synthesis: Synthesis) -> None:
        """Count an utterance that was spoken."""
        with state_errors():
            self._line.ask(*counting(provider, synthesis))

    def note_failure(self, provider: str, code: str) -> None:
        """Count a try that gave no audio; one whose worker was lost is counted by the sweep."""
        with state_errors():
            self._redis.hincrby(_totals_key(provider), f"{_FAILURES}{code}", 1)

    def note_usage(self, usage: Usage) -> None:
        """Count what an attempt used that made sound, whatever became of it."""
        with state_errors():
            self._line.ask(*counting_usage(usage))

    def note_month(self, provider: str, cost_usd: Decimal, until_ms: int) -> None:
        """Take down what a provider has cost in the month that ends then (milliseconds since 1970)."""
        with state_errors():
            self._redis.set(_month_key(provider), micro_dollars(cost_usd), pxat=until_ms)

    def service_ms(self, provider: str) -> float:
        """Give the mean time of a synthesis lately; one second until there was one."""
        with state_errors():
            recent = _parse_recent(cast("list[bytes]", self._redis.lrange(_recent_key(provider), 0, -1)))
        return sum(synthesis.service_ms for synthesis in recent) / len(recent) if recent else 1000.0

    def totals(self, providers: Iterable[str]) -> dict[str, ProviderTotals]:
        """Give what each of these providers has done, in one round trip."""
        names = list(providers)
        with state_errors(), self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hgetall(_totals_key(name))
                pipe.lrange(_recent_key(name), 0, -1)
                pipe.get(_month_key(name))
            replies = pipe.execute()
        return {
            name: _parse_totals(*of_provider)
            for name, *of_provider in zip(names, replies[::3], replies[1::3], replies[2::3], strict=True)
        }


def counting(provider: str, synthesis: Synthesis) -> list[Command]:
    """Give the commands that count an utterance that was spoken."""
    service_us = round(synthesis.service_ms * 1000)
    bound_s = TIME_BOUNDS_S[bisect_left(TIME_BOUNDS_S, synthesis.service_ms / 1000)]
    totals, recent = _totals_key(provider), _recent_key(provider)
    return [
        ("HINCRBY", totals, "service_us", service_us),
        ("HINCRBY", totals, "audio_ms", synthesis.audio_ms),
        ("HINCRBY", totals, f"{_BUCKET}{bound_s}", 1),
        ("LPUSH", recent, f"{service_us} {synthesis.audio_ms}"),
        ("LTRIM", recent, 0, RECENT - 1),
    ]


def counting_usage(usage: Usage) -> list[Command]:
    """Give the commands that count what an attempt used."""
    totals = _totals_key(usage.provider)
    return [
        ("HINCRBY", totals, "characters", usage.characters),
        ("HINCRBY", totals, "cost_micro_usd", micro_dollars(usage.cost_usd)),
    ]


def _totals_key(provider: str) -> str:
    return f"voice:provider:{provider}"


def _recent_key(provider: str) -> str:
    return f"voice:recent:{provider}"


def _month_key(provider: str) -> str:
    return f"voice:spent:{provider}"


def _parse_totals(
    fields: Mapping[bytes, bytes], recent: Iterable[bytes], month: bytes | None
) -> ProviderTotals:
    counts = {name.decode(): int(value) for name, value in fields.items()}
    return ProviderTotals(
        service_s=counts.get("service_us", 0) / 1e6,
        audio_s=counts.get("audio_ms", 0) / 1e3,
        syntheses_by_time=tuple(counts.get(f"{_BUCKET}{bound_s}", 0) for bound_s in TIME_BOUNDS_S),
        failures={
            name.removeprefix(_FAILURES): count
            for name, count in counts.items()
            if name.startswith(_FAILURES)
        },
        characters=counts.get("characters", 0),
        cost_usd=dollars(counts.get("cost_micro_usd", 0)),
        month_cost_usd=None if month is None else dollars(int(month)),
        recent=_parse_recent(recent),
    )


def _parse_recent(entries: Iterable[bytes]) -> tuple[Synthesis, ...]:
    pairs = (entry.split() for entry in entries)
    return tuple(Synthesis(int(service_us) / 1000, int(audio_ms)) for service_us, audio_ms in pairs)
