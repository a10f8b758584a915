"""What was used and what it cost: by provider, personality and day; what a provider has cost since when."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import func, select

from shared.database import utc_now
from shared.dimensions import Dimension
from shared.usage.table import HAS_COST, SynthesisRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date, datetime

    from shared.database import Database
    from shared.usage.outbox import Outbox

# A worker that lost the reply of a write tries it again for a minute, so one attempt may have two entries.
_WRITTEN_TWICE_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What some syntheses used together; what they are of is None where they are of several."""

    day: date | None = None
    provider: str | None = None
    personality_id: str | None = None
    syntheses: int = 0
    characters: int = 0
    audio_ms: int = 0
    compute_ms: int = 0
    cost_usd: Decimal = Decimal(0)


class UsageReport:
    """Reads the table, and for what was spent the outbox, too.

    Every method raises `StateUnavailable` when the database, or for what was spent Redis, cannot be reached.
    """

    def __init__(
        self, database: Database, outbox: Outbox, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock

    def sums(
        self,
        first: date,
        last: date,
        by: Collection[Dimension],
        *,
        provider: str | None = None,
        personality_id: str | None = None,
    ) -> tuple[UsageSum, ...]:
        """Give the sums from one day to another, both included, in the order of `UsageSum`'s fields.

        What was used in the last moment may be missing: it is in the outbox.
        """
        row = SynthesisRow
        # In the index's own order, which needs no sorting; such groups are few, so Python adds them up.
        groups = (row.day, row.provider, row.personality_id)
        amounts = (row.characters, row.audio_ms, row.compute_ms, row.cost_usd)
        query = (
            select(*groups, func.count(), *(func.sum(amount) for amount in amounts))
            .where(row.day.between(first, last))
            .group_by(*groups)
            .order_by(*groups)
        )
        if provider is not None:
            query = query.where(row.provider == provider)
        if personality_id is not None:
            query = query.where(row.personality_id == personality_id)
        with self._database.session() as session:
            found = [UsageSum(*cast("tuple[Any, ...]", group)) for group in session.execute(query)]
        return add_up(found, by)

    def month_to_date(self, provider: str) -> Decimal:
        """Give what a provider has cost since the month began, by UTC, to the last synthesis."""
        begin = self._clock().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return self.spent_usd(provider, begin)

    def spent_usd(self, provider: str, since: datetime) -> Decimal:
        """Give what a provider's syntheses have cost since a time, to the last one.

        Each is counted once, though it may be moved to SQL meanwhile.
        """
        pending = [
            (entry.at, entry.usage)
            for batch in self._outbox.batches()
            for entry in batch
            if entry.usage and entry.usage.provider == provider and entry.at >= since
        ]
        row = SynthesisRow
        query = select(func.sum(row.cost_usd)).where(row.provider == provider, row.at >= since, HAS_COST)
        with self._database.session() as session:
            if not pending:
                return session.scalar(query) or Decimal(0)
            # Nothing older can be on its way to SQL; what is younger is told apart by its name.
            horizon = min(at for at, _ in pending) - _WRITTEN_TWICE_WITHIN
            settled = session.scalar(query.where(row.at < horizon)) or Decimal(0)
            younger = select(row.rendering_id, row.attempt, row.cost_usd).where(
                row.provider == provider, row.at >= max(since, horizon), HAS_COST
            )
            costs = {(rendering, attempt): cost for rendering, attempt, cost in session.execute(younger)}
        costs |= {(usage.rendering_id, usage.attempt): usage.cost_usd for _, usage in pending}
        return sum(costs.values(), settled)


def add_up(sums: Collection[UsageSum], by: Collection[Dimension]) -> tuple[UsageSum, ...]:
    """Give the sums of sums by fewer dimensions, by none at most one, in the order of their names."""
    found = defaultdict(list)
    for each in sums:
        name = (
            each.day if Dimension.DAY in by else None,
            each.provider if Dimension.PROVIDER in by else None,
            each.personality_id if Dimension.PERSONALITY in by else None,
        )
        found[name].append(each)
    names = sorted(found, key=lambda name: [str(part) for part in name])
    return tuple(
        UsageSum(
            *name,
            syntheses=sum(each.syntheses for each in found[name]),
            characters=sum(each.characters for each in found[name]),
            audio_ms=sum(each.audio_ms for each in found[name]),
            compute_ms=sum(each.compute_ms for each in found[name]),
            cost_usd=sum((each.cost_usd for each in found[name]), Decimal(0)),
        )
        for name in names
    )
