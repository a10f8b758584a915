"""What one attempt used."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Usage:
    """What one attempt at a rendering used to make sound, whether or not anybody got to hear it."""

    rendering_id: str
    attempt: int
    """With `rendering_id` its name: there is one usage an attempt."""
    provider: str
    personality_id: str
    characters: int
    """Of the text that was spoken, as often as the attempt spoke it."""
    audio_ms: int
    compute_ms: int
    """How long the engine took, loading not counted."""
    cost_usd: Decimal

    def to_json(self) -> str:
        """Encode for the outbox."""
        return json.dumps(asdict(self) | {"cost_usd": str(self.cost_usd)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decode what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: this version cannot have written it.
        """
        fields: dict[str, Any] = json.loads(text)
        return cls(**fields | {"cost_usd": Decimal(fields["cost_usd"])})
