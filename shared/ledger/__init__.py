"""The ledger: what was asked for (jobs), what is being made (renderings), and who is at it.

Celery's message is only a doorbell; the truth is here, in the state Redis, moved by six small scripts.
"""

from shared.ledger.attempts import Attempt
from shared.ledger.census import take_census
from shared.ledger.reading import Submitted
from shared.ledger.records import Claim, Idempotency, Job, Result, Status, Waiting, log_fields
from shared.ledger.store import ALL_FAILED, KEEP_LIVE_MS, Ledger
from shared.ledger.sweep import Sweep
from shared.ledger.transitions import TransitionReader

__all__ = [
    "ALL_FAILED",
    "KEEP_LIVE_MS",
    "Attempt",
    "Claim",
    "Idempotency",
    "Job",
    "Ledger",
    "Result",
    "Status",
    "Submitted",
    "Sweep",
    "TransitionReader",
    "Waiting",
    "log_fields",
    "take_census",
]
