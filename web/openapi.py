"""`/openapi.json`: the API described from its routes, models and docstrings; `/docs` shows it to people."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, jsonify, render_template
from pydantic.json_schema import models_json_schema

from shared.models import AudioFormat, SpeechRequest
from shared.prewarm import PrewarmRequest
from shared.profiles import Profile
from web import cache_schemas, prewarm_schemas, schemas
from web.auth import cookie_name
from web.context import farm
from web.jobs import EVENTS
from web.keys import KeyRequest
from web.queries import PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from werkzeug.routing import Rule

blueprint = Blueprint("openapi", __name__)

AUDIO = "audio"
_ABOUT = (
    "Text in, speech out. An address that answers GET answers HEAD, too; OPTIONS tells what it allows, and "
    "any other method is a 405. Every answer has an X-Request-Id, the caller's own where that is sane, and "
    "every error is a problem (RFC 9457), except that what is no valid HTTP gets a bare 400, 414 or 431."
)
_REFERENCE = "#/components/schemas/{model}"
_GUARDED = (401, 403, 503)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers; its words are its view's docstring."""

    answers: dict[int, type[BaseModel] | str]
    """Body by status: a model, `AUDIO`, or another media type."""
    problems: tuple[int, ...] = ()
    body: type[BaseModel] | None = None
    parameters: tuple[dict[str, Any], ...] = ()
    """Its headers; `web.queries` has what it takes in the query."""
    body_type: str = "application/json"
    is_open: bool = False
    """Whether it needs no key."""


_PREFER = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`wait=N` (RFC 7240).",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The `ETag` that was read; nothing is done when it has changed since.",
}
_ONCE = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The caller's name for this request: repeated within 24 hours it gives the same job.",
}
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The `id` of the event seen last; that state is not told again.",
}
_IDS = ("batch_id", "job_id", "key_id", "personality_id")
_IN_PATH: dict[str, dict[str, Any]] = {
    "key": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    **{name: {"type": "string", "format": "uuid"} for name in _IDS},
}
_SPEECH_PROBLEMS = (400, 404, 413, 415, 422, 429)

OPERATIONS: dict[str, Operation] = {
    "speech.synthesize": Operation(
        {200: AUDIO, 202: schemas.Job}, (*_SPEECH_PROBLEMS, 409, 502), SpeechRequest, (_PREFER, _ONCE)
    ),
    "speech.audio": Operation({200: AUDIO, 206: AUDIO, 304: ""}, (404, 412, 416)),
    "jobs.create": Operation({200: schemas.Job, 202: schemas.Job}, _SPEECH_PROBLEMS, SpeechRequest, (_ONCE,)),
    "jobs.index": Operation({200: schemas.Jobs}, (422,)),
    "jobs.show": Operation({200: schemas.Job}, (404,)),
    "jobs.cancel": Operation({200: schemas.Job}, (404, 409)),
    "jobs.events": Operation({200: EVENTS, 204: ""}, (404,), parameters=(_LAST_EVENT,)),
    "jobs.audio": Operation({200: AUDIO, 206: AUDIO, 304: ""}, (404, 409, 412, 416)),
    "prewarm.create": Operation(
        {200: prewarm_schemas.DryRun, 202: prewarm_schemas.Batch}, (400, 404, 413, 415, 422), PrewarmRequest
    ),
    "prewarm.suggestions": Operation({200: prewarm_schemas.Suggestions}, (422,)),
    "prewarm.index": Operation({200: prewarm_schemas.Batches}, (422,)),
    "prewarm.show": Operation({200: prewarm_schemas.Batch}, (404,)),
    "prewarm.cancel": Operation({200: prewarm_schemas.Batch}, (404, 409)),
    "personalities.index": Operation({200: schemas.Personalities}, (422,)),
    "personalities.create": Operation({201: schemas.Personality}, (400, 409, 413, 415, 422), Profile),
    "personalities.show": Operation({200: schemas.Personality}, (404,)),
    "personalities.change": Operation(
        {200: schemas.Personality},
        (400, 404, 409, 412, 413, 415, 422),
        schemas.PersonalityPatch,
        (_IF_MATCH,),
        body_type="application/merge-patch+json",
    ),
    "personalities.remove": Operation({204: ""}, (404, 409, 412), parameters=(_IF_MATCH,)),
    "voices.upload": Operation(
        {200: schemas.VoiceSample},
        (400, 404, 413, 415, 422),
        schemas.VoiceUpload,
        body_type="multipart/form-data",
    ),
    "voices.download": Operation({200: "audio/wav"}, (404,)),
    "voices.remove": Operation({204: ""}, (404,)),
    "voices.held": Operation({200: schemas.VoiceLoaded}, (404, 422)),
    "voices.load": Operation({200: schemas.VoiceLoaded}, (404, 422)),
    "voices.unload": Operation({200: schemas.VoiceUnloaded}, (404, 422)),
    "providers.status": Operation({200: schemas.ProvidersStatus}),
    "keys.create": Operation({201: schemas.NewKey}, (400, 413, 415, 422), KeyRequest),
    "keys.index": Operation({200: schemas.Keys}, (422,)),
    "keys.show": Operation({200: schemas.Key}, (404,)),
    "keys.revoke": Operation({200: schemas.Key}, (404, 409)),
    "cache.stats": Operation({200: cache_schemas.CacheStats}),
    "cache.history": Operation({200: cache_schemas.CacheHistory}, (422,)),
    "cache.clear": Operation({200: cache_schemas.Cleared}),
    "cache.drop": Operation({200: cache_schemas.PersonalityCleared}, (404,)),
    "usage.index": Operation({200: schemas.UsagePage}, (422,)),
    "flower.show": Operation({200: schemas.Flower}),
    "health.healthz": Operation({200: schemas.Health}, is_open=True),
    "health.readyz": Operation({200: schemas.Readiness, 503: schemas.Readiness}, is_open=True),
    "metrics.show": Operation({200: "text/plain"}, is_open=True),
}


@blueprint.get("/openapi.json")
def document() -> Response:
    """Answer with the description of the API, for programs."""
    return jsonify(describe())


@blueprint.get("/docs")
def docs() -> str:
    """Answer with the description of the API, for people."""
    return render_template("docs.html", document=describe())


def describe() -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of the running app."""
    answers: set[type[BaseModel]] = {schemas.Problem}
    answers |= {m for op in OPERATIONS.values() for m in op.answers.values() if isinstance(m, type)}
    asked = {op.body for op in OPERATIONS.values() if op.body}
    _, definitions = models_json_schema(
        [
            *((model, "validation") for model in sorted(asked, key=str)),
            *((model, "serialization") for model in sorted(answers, key=str)),
        ],
        ref_template=_REFERENCE,
    )
    components = definitions["$defs"]
    providers = {"enum": sorted(farm().router.names)}
    for model in ("SpeechRequest", "VoiceConfig", "VoiceConfigPatch"):
        components[model]["properties"]["provider"] = {"anyOf": [providers, {"type": "null"}]}
    components["SpeechRequest"]["properties"]["text"] |= {
        "minLength": 1,
        "maxLength": farm().settings.max_text_chars,
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "voicefarm",
            "version": version("voicefarm"),
            "description": _ABOUT,
        },
        "security": [{"key": []}, {"session": []}],
        "paths": _paths(),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie_name(),
                    "description": "The page's; named by the port that the document was asked for at.",
                },
            },
        },
    }


def _paths() -> dict[str, dict[str, Any]]:
    paths: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for rule in current_app.url_map.iter_rules():
        operation = OPERATIONS.get(rule.endpoint)
        if operation:
            path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
            [method] = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            paths[path][method.lower()] = _describe(rule, operation)
            if AUDIO in operation.answers.values() and method == "GET":
                paths[path]["head"] = _describe_head(rule, operation)
    return paths


def _describe(rule: Rule, operation: Operation) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]}
        for name in sorted(rule.arguments)
    ]
    description: dict[str, Any] = {
        "operationId": rule.endpoint,
        "summary": (current_app.view_functions[rule.endpoint].__doc__ or "").partition("\n")[0],
        "parameters": [*in_path, *PARAMETERS.get(rule.endpoint, ()), *operation.parameters],
        "responses": dict(_responses(operation)),
    }
    if operation.body:
        description["requestBody"] = {
            "required": True,
            "content": _content(operation.body_type, operation.body),
        }
    if operation.is_open:
        description["security"] = []
    return description


def _describe_head(rule: Rule, operation: Operation) -> dict[str, Any]:
    """Describe what tells of audio without giving it; `Range` is for GET alone (RFC 9110, 14.2)."""
    description = _describe(rule, operation)
    responses = {
        status: answer for status, answer in description["responses"].items() if status not in {"206", "416"}
    }
    return description | {"operationId": f"{rule.endpoint}.head", "responses": responses}


def _responses(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, body in operation.answers.items():
        content: dict[str, Any] = {}
        if body == AUDIO:
            content = {audio_format.content_type: {} for audio_format in AudioFormat}
        elif isinstance(body, type):
            content = _content("application/json", body)
        elif body:
            content = {body: {}}
        yield str(status), {"description": _PHRASES[status], "content": content}
    problems = operation.problems if operation.is_open else (*_GUARDED, *operation.problems)
    for status in sorted(problems):
        yield str(status), {"description": _PHRASES[status], "content": _PROBLEM}
    yield "default", {"description": "Anything else that went wrong", "content": _PROBLEM}


def _content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


_PROBLEM = _content("application/problem+json", schemas.Problem)
_PHRASES = {
    200: "Done",
    201: "Made",
    202: "Accepted: a job or a batch will have it",
    204: "Nothing is left, or nothing will come any more",
    206: "A piece of it",
    304: "You have it already",
    400: "The body is not valid",
    401: "No valid key",
    403: "The key's scope does not allow it",
    404: "There is none",
    409: "Its state does not allow it",
    412: "It is not what If-Match names",
    413: "The body is too large",
    415: "The body is not of the type that is taken here",
    416: "There is no such piece",
    422: "A field cannot be used",
    429: "Too much was begun in this minute; see Retry-After",
    502: "Every provider failed",
    503: "Not now; see Retry-After",
}
