"""Brings a model into the model folder: files appear under their names once all are here and verified."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from shared.weights.sources import PullFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shared.weights.catalog import Licence, ModelFile
    from shared.weights.installation import Installation
    from shared.weights.sources import Offer, Source

PARTIAL = ".partial"
"""The folder, in the model folder, of files that are not whole yet."""


def pull(installation: Installation, source: Callable[[], Source], tell: Callable[[Offer], None]) -> int:
    """Fetch what is missing or damaged of a model; gives how many files that were.

    `source` is called if anything is to be fetched at all; `tell` before each file.

    Raises:
        PullFailed: something is in the way; the message says what helps. What has come is kept for next time.
    """
    models = installation.models
    with _telling_of_files(models):
        models.mkdir(parents=True, exist_ok=True)
        with _alone(models):
            wanted = [file for file in installation.model.files if not installation.is_intact(file)]
            return _pull(installation, source(), wanted, tell) if wanted else 0


def accept(installation: Installation, licence: Licence) -> None:
    """Record, beside a model's files, that somebody agreed to its licence.

    Raises:
        PullFailed: it cannot be recorded.
    """
    with _telling_of_files(installation.models):
        installation.accept(licence)


@contextmanager
def _telling_of_files(models: Path) -> Iterator[None]:
    """Turn an OSError into one line with a remedy."""
    try:
        yield
    except OSError as error:
        raise PullFailed(
            f"{error.filename or models}: {error.strerror}. Let this user write there, make room, or set "
            "VOICEFARM_MODEL_DIR to another folder; then run the same command again."
        ) from error


def _pull(
    installation: Installation, source: Source, wanted: Sequence[ModelFile], tell: Callable[[Offer], None]
) -> int:
    offers = [source.offer(file) for file in wanted]
    missing = [offer for offer in offers if not _is_kept(installation, offer)]
    partials = {offer: _partial(installation.models, offer) for offer in missing}
    _check_space(installation.models, partials)
    for offer, partial in partials.items():
        tell(offer)
        source.fetch(offer, partial)
        if not offer.checksum.fits(partial):
            partial.unlink()
            raise PullFailed(
                f"{offer.file.published} came damaged: its checksum is not the published one. It was thrown "
                "away; run the same command again."
            )
    for offer, partial in partials.items():
        path = installation.path(offer.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
    installation.note(source.title, source.revision)
    with suppress(OSError):  # parts of other models may be there
        (installation.models / PARTIAL).rmdir()
    return len(missing)


@contextmanager
def _alone(models: Path) -> Iterator[None]:
    """Keep other pulls away from a model folder meanwhile."""
    folder = os.open(models, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise PullFailed(f"Another pull into {models} is under way; wait until it has ended.") from error
    finally:
        os.close(folder)


def _is_kept(installation: Installation, offer: Offer) -> bool:
    """Tell whether a file that nobody pulled is the published one.

    Raises:
        PullFailed: it is another one, which is nobody's but its owner's to delete.
    """
    path = installation.path(offer.file)
    if not path.is_file() or installation.record(offer.file):
        return False
    if offer.checksum.fits(path):
        return True
    raise PullFailed(f"{path} is there, was not pulled, and is not the published file. Move it away first.")


def _partial(models: Path, offer: Offer) -> Path:
    """Give the file that takes what comes of this content, whichever pull it comes with."""
    folder = models / PARTIAL
    folder.mkdir(exist_ok=True)
    partial = folder / f"{offer.file.name}.{offer.checksum.digits}"
    if partial.is_file() and partial.stat().st_size > (offer.size_bytes or 0):
        partial.unlink()
    return partial


def _check_space(models: Path, partials: dict[Offer, Path]) -> None:
    needed = sum(
        (offer.size_bytes or 0) - (partial.stat().st_size if partial.is_file() else 0)
        for offer, partial in partials.items()
    )
    free = shutil.disk_usage(models).free
    if needed > free:
        raise PullFailed(
            f"{models} has room for {free / 1e9:,.1f} GB, and {needed / 1e9:,.1f} GB are to be fetched. Make "
            "room, or set VOICEFARM_MODEL_DIR to a folder on another disk."
        )
