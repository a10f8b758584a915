"""What syntheses use and cost: from the state Redis, where workers write it down, to SQL, where it stays."""

from shared.usage.budget import BudgetWatch
from shared.usage.outbox import STREAM, Outbox
from shared.usage.records import Usage
from shared.usage.report import UsageReport, UsageSum, add_up
from shared.usage.table import SynthesisRow
from shared.usage.writer import UsageWriter

__all__ = [
    "STREAM",
    "BudgetWatch",
    "Outbox",
    "SynthesisRow",
    "Usage",
    "UsageReport",
    "UsageSum",
    "UsageWriter",
    "add_up",
]
