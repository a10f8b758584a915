"""`/api/voice/personalities/ID/voice`: the sample of somebody's voice that providers clone."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from shared.errors import FieldError, InvalidRequest, NoVoiceSample
from shared.scopes import Scope
from web import schemas
from web.auth import requires
from web.context import farm
from web.personalities import checked
from web.responses import as_json, nothing
from web.uploads import uploaded_sample

if TYPE_CHECKING:
    from shared.personalities import Personality

blueprint = Blueprint("voices", __name__)


@blueprint.put("/api/voice/personalities/<personality_id>/voice")
@requires(Scope.MANAGE)
def upload(personality_id: str) -> Response:
    """Give a personality the voice of a sample: WAV, FLAC, OGG or MP3, 5 to 30 s; audio of before is gone.

    `consent` says that whoever speaks in it agrees; that is recorded with the key that said so.
    """
    farm().personalities.get(checked(personality_id))
    personality, sample = farm().roster.take_sample(
        checked(personality_id), uploaded_sample(), key_id=g.caller.id
    )
    return as_json(
        schemas.VoiceSample(
            score=sample.score,
            rating=sample.rating,
            warnings=list(sample.warnings),
            duration_seconds=sample.duration_seconds,
            sample_rate=sample.sample_rate,
            voice_revision=personality.voice_revision,
        )
    )


@blueprint.after_request
def _hang_up(response: Response) -> Response:
    """Close the connection after a refused upload: what is left of its body is no next request."""
    if request.endpoint == "voices.upload" and response.status_code >= HTTPStatus.BAD_REQUEST:
        response.headers["Connection"] = "close"
    return response


@blueprint.get("/api/voice/personalities/<personality_id>/voice")
@requires(Scope.MANAGE)
def download(personality_id: str) -> Response:
    """Answer with the sample as it is kept: mono, 24 kHz, 16 bit."""
    data = farm().roster.sample(checked(personality_id))
    return Response(data, content_type="audio/wav", headers={"Cache-Control": "no-store"})


@blueprint.delete("/api/voice/personalities/<personality_id>/voice")
@requires(Scope.MANAGE)
def remove(personality_id: str) -> Response:
    """Delete the sample and everything that was made from it."""
    farm().roster.remove_sample(checked(personality_id))
    return nothing()


@blueprint.get("/api/voice/personalities/<personality_id>/voice/load")
@requires(Scope.MANAGE)
def held(personality_id: str) -> Response:
    """Answer which providers that clone hold the sample's voice in memory now."""
    personality = farm().personalities.get(checked(personality_id))
    return _loaded(personality, farm().voice_holding.held(_sample_id(personality), _wanted()))


@blueprint.post("/api/voice/personalities/<personality_id>/voice/load")
@requires(Scope.MANAGE)
def load(personality_id: str) -> Response:
    """Have every provider that clones take the sample's voice into memory, ahead of the first synthesis.

    What they make of the sample is kept for all workers; it answers when each holds it, or after 30 s.
    """
    personality = farm().personalities.get(checked(personality_id))
    return _loaded(personality, farm().voice_holding.hold(_sample_id(personality), _wanted()))


def _sample_id(personality: Personality) -> str:
    sample_id = personality.voice_config.sample_path
    if sample_id is None:
        raise NoVoiceSample("This personality has no voice sample; upload one first.", field="personality_id")
    return sample_id


def _loaded(personality: Personality, loaded: dict[str, bool]) -> Response:
    holding = [name for name, is_loaded in loaded.items() if is_loaded]
    message = (
        f"{' and '.join(holding)}: every worker holds the voice of {personality.name}."
        if holding
        else "No provider that clones voices holds it; the status of the providers tells which run."
    )
    return as_json(
        schemas.VoiceLoaded(
            success=bool(holding),
            personality_id=personality.id,
            personality_name=personality.name,
            providers_loaded=loaded,
            message=message,
        )
    )


@blueprint.delete("/api/voice/personalities/<personality_id>/voice/unload")
@requires(Scope.MANAGE)
def unload(personality_id: str) -> Response:
    """Have every provider let go of the voice; it is taken into memory again when it is to speak."""
    personality = farm().personalities.get(checked(personality_id))
    sample_id = personality.voice_config.sample_path
    names = _wanted()
    unloaded = farm().voice_holding.drop(sample_id, names) if sample_id else dict.fromkeys(names, False)
    freed = [name for name, is_unloaded in unloaded.items() if is_unloaded]
    message = (
        f"{' and '.join(freed)}: no worker holds the voice of {personality.name} any more."
        if freed
        else f"No provider holds the voice of {personality.name}."
    )
    return as_json(
        schemas.VoiceUnloaded(
            personality_id=personality.id,
            personality_name=personality.name,
            providers_unloaded=unloaded,
            message=message,
        )
    )


def _wanted() -> list[str]:
    """Give the providers that are meant: the `provider` that is asked for, or all that clone.

    Raises:
        InvalidRequest: that one does not clone voices.
    """
    cloning, provider = _cloning(), request.args.get("provider")
    if provider is None:
        return cloning
    if provider not in cloning:
        raise InvalidRequest([FieldError("provider", f"must be one of {', '.join(cloning)}")])
    return [provider]


def _cloning() -> list[str]:
    """Give the providers that clone; those that this version does not have are such."""
    router = farm().router
    return sorted(name for name in router.names if name not in router.catalog or router.catalog[name].clones)
