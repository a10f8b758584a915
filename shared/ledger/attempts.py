"""What a provider's turn came to that gave no audio, as a job tells it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


class PassedOver(StrEnum):
    """Why a provider that goes before another in a chain was not even tried."""

    NO_WORKER = "no_worker"
    CIRCUIT_OPEN = "circuit_open"
    LANGUAGE = "language_not_supported"
    VOICE = "voice_not_cloned"
    SAMPLE = "no_voice_sample"

    @property
    def detail(self) -> str:
        """It in a sentence."""
        return _DETAILS[self]


_DETAILS = {
    PassedOver.NO_WORKER: "No worker is running for it.",
    PassedOver.CIRCUIT_OPEN: "Its circuit is open, so it is not asked now.",
    PassedOver.LANGUAGE: "It does not speak this language.",
    PassedOver.VOICE: "It does not speak with a cloned voice.",
    PassedOver.SAMPLE: "It speaks with cloned voices only, and the personality has no voice sample.",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider's turn that gave no audio: it tried and failed, or was passed over."""

    provider: str
    code: str
    detail: str
    duration_ms: int

    @classmethod
    def passed_over(cls, provider: str, why: PassedOver, reason: str = "") -> Self:
        """Record that a provider was not tried, and the reason behind it if there is one."""
        return cls(provider, why, f"{why.detail} {reason}".rstrip(), 0)

    @property
    def was_tried(self) -> bool:
        """Whether the provider tried."""
        return self.code not in set(PassedOver)


def join_attempts(attempts: Iterable[Attempt]) -> str:
    """Encode attempts as the scripts append them."""
    return ",".join(json.dumps(asdict(attempt), ensure_ascii=False) for attempt in attempts)


def parse_attempts(text: str | bytes) -> tuple[Attempt, ...]:
    """Decode the comma-joined JSON objects that the scripts append to."""
    joined = text.decode() if isinstance(text, bytes) else text
    return tuple(Attempt(**item) for item in json.loads(f"[{joined}]"))
