"""What is made when the farm starts: the phrase lists that a setting names, in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import structlog

from shared.connections import state_errors
from shared.errors import InvalidRequest, SettingsError, VoicefarmError
from shared.phrases import PhraseList, find_list
from shared.prewarm.plan import plan
from shared.prewarm.request import MAX_ITEMS, PrewarmRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.farm import Farm
    from shared.models import SpeechRequest
    from shared.settings import Settings

OWNER = "farm"
"""Whose batches and jobs those are that nobody asked for: no API key has this ID."""

_SETTING = "VOICEFARM_PREWARM_AT_START"
_LAST_BATCH = "voice:batches:start"

log = structlog.get_logger()


def read_start_lists(settings: Settings) -> tuple[PrewarmRequest, ...]:
    """Give a request for each list, without a personality.

    Raises:
        SettingsError: a list cannot be used, or they hold too much.
    """
    lists = tuple(_read(name, settings.max_text_chars) for name in settings.prewarm_at_start)
    speakers = len(settings.prewarm_personalities) or 1
    if (number := speakers * sum(len(each.requests()) for each in lists)) > MAX_ITEMS:
        raise SettingsError(f"{_SETTING}: makes {number} combinations; at most {MAX_ITEMS} are taken")
    return lists


def _read(name: str, max_text_chars: int) -> PrewarmRequest:
    try:
        with find_list(name).open(encoding="utf-8") as file:
            listed = PhraseList.parse(file)
        body = {"phrases": listed.phrases} | ({"language": listed.language} if listed.language else {})
        return PrewarmRequest.parse(body, max_text_chars=max_text_chars)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{_SETTING}: {name} is not valid UTF-8") from error
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {error}") from error
    except InvalidRequest as error:
        first = error.errors[0]
        raise SettingsError(f"{_SETTING}: {name}: {first.field} {first.message}") from error
    except VoicefarmError as error:
        raise SettingsError(f"{_SETTING}: {name}: {error.detail}") from error


def begin_start_batch(farm: Farm) -> None:
    """Begin a batch of what the lists hold and the cache does not.

    None while that of the last start goes on, so that fronts that start one after another begin one. What
    nobody can speak now waits in it.

    Raises:
        StateUnavailable: Redis or the database failed; nothing was begun.
    """
    with state_errors():
        last = cast("bytes | None", farm.state.get(_LAST_BATCH))
    if last and any(batch.id == last.decode() for batch in farm.batches.open()):
        return
    requests = list(_requests(farm))
    planned = plan(farm, requests, epoch=farm.directory.read_epoch(), lenient=True, patient=True)
    if left_out := len(requests) - planned.total:
        log.warning("start_phrases_left_out", count=left_out, reason="no provider speaks their language")
    if not planned.items:
        return
    batch_id = farm.batches.begin(
        planned.items, owner=OWNER, already_cached=planned.already_cached, estimated_s=planned.seconds
    )
    with state_errors():
        farm.state.set(_LAST_BATCH, batch_id)
    log.info("batch_begun", batch=batch_id, total=planned.total, already_cached=planned.already_cached)


def _requests(farm: Farm) -> Iterator[SpeechRequest]:
    wanted = list(dict.fromkeys(farm.settings.prewarm_personalities))
    everyone = farm.personalities.list() if wanted else ()
    ids = {known: one.id for one in everyone for known in (one.id, one.name)}
    if unknown := [name for name in wanted if name not in ids]:
        log.warning("start_personalities_unknown", names=unknown)
    speakers = [ids[name] for name in wanted if name in ids] if wanted else [None]
    for asked in farm.start_lists:
        for request in asked.requests():
            for speaker in speakers:
                yield request.model_copy(update={"personality_id": speaker})
