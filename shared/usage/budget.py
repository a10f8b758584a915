"""A provider's monthly budget: once it is spent, nobody asks that provider before the next month."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from shared.database import utc_now
from shared.errors import VoicefarmError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from decimal import Decimal

    from shared.circuits import Circuits
    from shared.provider_stats import ProviderStats
    from shared.usage.report import UsageReport

# How often it is looked what others have spent.
INTERVAL_S = 30.0

log = structlog.get_logger()


class BudgetWatch:
    """One process's thread that holds a provider's circuit open while its budget is spent.

    Looked at after each synthesis of this process, so several that run at once may go beyond it together.
    Without a limit it lets go of what an earlier one held.
    """

    def __init__(
        self,
        provider: str,
        limit_usd: Decimal | None,
        report: UsageReport,
        circuits: Circuits,
        stats: ProviderStats,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._provider = provider
        self._limit_usd = limit_usd
        self._report = report
        self._circuits = circuits
        self._stats = stats
        self._clock = clock
        self._woken = threading.Event()

    def start(self) -> None:
        """Look at once and from now on; the thread ends with the process."""
        self._woken.set()
        threading.Thread(target=self._run, name="budget", daemon=True).start()

    def wake(self) -> None:
        """Say that something was spent."""
        if self._limit_usd is not None:
            self._woken.set()

    def _run(self) -> None:
        while True:
            self._woken.wait(INTERVAL_S)
            self._woken.clear()
            try:
                self.once()
            except VoicefarmError as error:
                log.warning("budget_not_looked_at", code=error.code, detail=error.detail)

    def once(self) -> None:
        """Hold the circuit open until the next month if the budget is spent, else let go of it.

        Also takes down, for the metrics, how much of it is spent.

        Raises:
            StateUnavailable: Redis or the database cannot be reached; the circuit is as it was.
        """
        if self._limit_usd is None:
            self._circuits.release(self._provider)
            return
        now = self._clock()
        spent_usd = self._report.month_to_date(self._provider)
        until_ms = round(_next_month(now).timestamp() * 1000)
        self._stats.note_month(self._provider, spent_usd, until_ms)
        if spent_usd < self._limit_usd:
            self._circuits.release(self._provider)
        elif not self._circuits.is_held(self._provider):
            why = f"Its budget of {self._limit_usd:f} US dollars for {now:%B %Y} is spent ({spent_usd:f})."
            self._circuits.hold_open(self._provider, until_ms, why)
            log.warning("budget_is_spent", provider=self._provider, limit_usd=str(self._limit_usd))


def _next_month(now: datetime) -> datetime:
    """Give when the month after this one begins, by UTC."""
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (begin + timedelta(days=32)).replace(day=1)
