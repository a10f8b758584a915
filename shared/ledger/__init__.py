"""The ledger: what was asked for (jobs), what is being made (renderings), and who is at it.

Celery's message is only a doorbell; the truth is here, in the state Redis, moved by six small scripts.
"""

from shared.ledger.census import take_census
from shared.ledger.finishes import FinishReader
from shared.ledger.records import Attempt, Claim, Job, Result, Status, Submitted, Waiting, log_fields
from shared.ledger.store import KEEP_LIVE_MS, Ledger
from shared.ledger.sweep import Sweep

__all__ = [
    "KEEP_LIVE_MS",
    "Attempt",
    "Claim",
    "FinishReader",
    "Job",
    "Ledger",
    "Result",
    "Status",
    "Submitted",
    "Sweep",
    "Waiting",
    "log_fields",
    "take_census",
]
