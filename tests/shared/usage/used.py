"""Usage as workers write it down, for the tests."""

from __future__ import annotations

from decimal import Decimal

from shared.usage import STREAM, Usage

ANN, BOB = (f"00000000-0000-0000-0001-00000000000{n}" for n in (1, 2))


def used(number: int, **fields) -> Usage:
    """Give the usage of one attempt; each number is a rendering of its own."""
    some = {
        "rendering_id": f"{number:064x}:{ANN}", "attempt": 1, "provider": "espeak", "personality_id": ANN,
        "characters": 10, "audio_ms": 1500, "compute_ms": 20, "cost_usd": Decimal("0.000160"),
    }  # fmt: skip
    return Usage(**some | fields)


def write_down(redis, *usages, at_ms="*") -> None:
    """Put usages into the outbox; `at_ms`: when, later than what is there."""
    for number, usage in enumerate(usages):
        entry_id = at_ms if at_ms == "*" else f"{at_ms}-{number}"
        redis.xadd(STREAM, {"usage": usage.to_json()}, id=entry_id)
