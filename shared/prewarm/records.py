"""The records of pre-warming."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from shared.models import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.ledger import Status


class BatchStatus(StrEnum):
    """How a batch is doing."""

    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    """What had begun by then may still be made."""


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of audio that a batch is to make; personality and language are filled in."""

    number: int
    """Its own within the batch."""
    request: SpeechRequest

    def job_id(self, batch_id: str) -> str:
        """Name its job: always the same, so that it is submitted once however often that is tried."""
        return str(uuid.uuid5(uuid.UUID(batch_id), str(self.number)))

    def encode(self) -> str:
        """Encode for the list of those that wait."""
        return f"{self.number} {self.request.model_dump_json()}"

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Decode what `encode` gave."""
        number, _, request = text.decode().partition(" ")
        return cls(int(number), SpeechRequest.from_json(request))


@dataclass(frozen=True, slots=True)
class FailedItem:
    """What a batch could not make, and why."""

    phrase: str
    personality_id: str
    quality: str
    format: str
    code: str
    detail: str

    @classmethod
    def of(cls, item: Item, code: str, detail: str) -> Self:
        """Tell why an item failed."""
        about = item.request
        return cls(about.text, about.personality_id or "", about.quality, about.format, code, detail)

    def to_json(self) -> str:
        """Encode for the list of those that failed."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Decode what `to_json` gave."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stands now. Times are milliseconds since 1970."""

    id: str
    owner: str
    status: BatchStatus
    total: int
    already_cached: int
    counts: Mapping[Status, int]
    """Items by state, adding up to the total; cached ones have succeeded."""
    failed: tuple[FailedItem, ...]
    eta_seconds: float | None
    """None once it has ended."""
    created_ms: int
    finished_ms: int | None
    """When nothing of it was left to do."""
