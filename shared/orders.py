"""What a request comes to: what is to be spoken, its key, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from shared.cache import cache_key
from shared.errors import NotFound, NoVoiceSample
from shared.models import Fallback, Utterance
from shared.resolution import resolve

if TYPE_CHECKING:
    from shared.ledger import Idempotency
    from shared.models import SpeechRequest
    from shared.personalities import Personality
    from shared.presence import RollCall
    from shared.voice_config import VoiceConfig


@dataclass(slots=True)
class Order:
    """A request, worked out."""

    key: str
    utterance: Utterance
    voice: VoiceConfig
    """The personality's: who it would have speak."""
    request: SpeechRequest
    """As it was sent, with personality and language filled in."""
    owner: str
    idempotency: Idempotency | None
    roll_call: RollCall
    """Who can take work, a moment before the cache is asked."""
    looked_at_ms: int
    """That moment by the ledger's clock; audio made since will do."""

    @property
    def normalized(self) -> SpeechRequest:
        """The request with its text as it is spoken, so that requests for the same are the same."""
        return self.request.model_copy(update={"text": self.utterance.text})

    @classmethod
    def of(
        cls,
        request: SpeechRequest,
        personality: Personality,
        *,
        digest: str,
        owner: str,
        roll_call: RollCall,
        idempotency: Idempotency | None = None,
    ) -> Self:
        """Work it out; `digest` is that of the settings that decide who speaks.

        Raises:
            NotFound: the personality is not active.
            NoVoiceSample: it has none, and no other voice will do.
        """
        if not personality.is_active:
            raise NotFound(f"There is no active personality {personality.id}.")
        if request.fallback is Fallback.SAME_VOICE and not personality.has_sample:
            raise NoVoiceSample
        utterance = resolve(request, personality)
        resolved = {"personality_id": utterance.personality_id, "language": utterance.language}
        return cls(
            key=cache_key(utterance, digest),
            utterance=utterance,
            voice=personality.voice_config,
            request=request.model_copy(update=resolved),
            owner=owner,
            idempotency=idempotency,
            roll_call=roll_call,
            looked_at_ms=roll_call.now_ms,
        )
