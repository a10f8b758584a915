"""Where voice samples are kept, so that workers on other machines see them: any place that fsspec reaches.

    {url}/{id}/sample.wav    the sample
    {url}/{id}/…             what is made from it, which goes when it goes

An ID is random and made here; nothing that a client sends becomes part of a path.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import get_protocol

from shared.errors import NotFound, StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec import AbstractFileSystem

SAMPLE = "sample.wav"
_ID = re.compile(r"[0-9a-f]{32}")

# What a backend must be told, so that a place which does not answer is given up within seconds.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 2, "read_timeout": 10, "retries": {"max_attempts": 2}}},
}
_FAILED = (
    "The place where voice samples are kept failed; try again. It must exist and may be written to: see "
    "VOICEFARM_SAMPLES_URL."
)

log = structlog.get_logger()


def new_sample_id() -> str:
    """Give an ID that no sample has."""
    return uuid.uuid4().hex


class SampleStore:
    """Samples under opaque IDs. Making one opens nothing.

    Every method raises `StateUnavailable` when the place cannot be reached or refuses.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def put(self, pcm: bytes, sample_id: str | None = None) -> str:
        """Keep a sample and give its ID; when this returns it is there as a whole, and nobody saw less.

        Who must know the ID before takes it from `new_sample_id`. In a folder, only its owner can read it.
        """
        sample_id = sample_id or new_sample_id()
        with self._opened() as (place, root):
            path = f"{root}/{sample_id}/{SAMPLE}"
            if isinstance(place, LocalFileSystem):
                _write_private(Path(path), pcm)
            else:
                place.pipe_file(path, pcm)
        return sample_id

    def get(self, sample_id: str) -> bytes:
        """Give a sample.

        Raises:
            NotFound: there is none with that ID.
        """
        _check_id(sample_id)
        with self._opened() as (place, root):
            try:
                return cast("bytes", place.cat_file(f"{root}/{sample_id}/{SAMPLE}"))
            except FileNotFoundError as error:
                raise _no_such_sample() from error

    def made(self, sample_id: str, name: str) -> bytes | None:
        """Give what was made from a sample under a name; None when nothing was."""
        _check_id(sample_id)
        with self._opened() as (place, root):
            try:
                return cast("bytes", place.cat_file(f"{root}/{sample_id}/{name}"))
            except FileNotFoundError:
                return None

    def put_made(self, sample_id: str, name: str, content: bytes) -> None:
        """Keep what was made from a sample beside it; nobody sees less than the whole.

        Raises:
            NotFound: the sample has gone meanwhile; nothing of it is left behind.
        """
        _check_id(sample_id)
        with self._opened() as (place, root):
            path = f"{root}/{sample_id}/{name}"
            if isinstance(place, LocalFileSystem):
                _replace_private(Path(path), content)
            else:
                place.pipe_file(path, content)
        if not self.exists(sample_id):
            self.delete(sample_id)
            raise _no_such_sample()

    def exists(self, sample_id: str) -> bool:
        """Tell whether there is a sample with that ID."""
        if not _ID.fullmatch(sample_id):
            return False
        with self._opened() as (place, root):
            try:
                # Not `exists`, which takes every failure for a no.
                place.info(f"{root}/{sample_id}/{SAMPLE}")
            except FileNotFoundError:
                return False
        return True

    def delete(self, sample_id: str) -> None:
        """Delete a sample with all that was made from it; when there is none, nothing happens."""
        if not _ID.fullmatch(sample_id):
            return
        with self._opened() as (place, root):
            try:
                place.rm(f"{root}/{sample_id}", recursive=True)
            except FileNotFoundError:
                return

    def check(self) -> None:
        """Return when a sample can be kept, had again and deleted here; nothing of it is left behind."""
        tried = self._nearest()
        sample_id = tried.put(b"")
        try:
            tried.get(sample_id)
        finally:
            tried.delete(sample_id)

    def _nearest(self) -> SampleStore:
        """Give this store, or where its folder is still to be made, one in the folder that there is above."""
        with self._opened() as (place, root):
            if not isinstance(place, LocalFileSystem):
                return self
            folders = (Path(root), *Path(root).parents)
            return SampleStore(str(next(folder for folder in folders if folder.exists())))

    @contextmanager
    def _opened(self) -> Iterator[tuple[AbstractFileSystem, str]]:
        """Give the file system and the path of the root in it, and turn its errors into the farm's.

        fsspec keeps the file systems that it makes, one a process, so this opens a connection once only.
        """
        protocol = get_protocol(self._url)
        try:
            place, root = url_to_fs(self._url, use_listings_cache=False, **_OPTIONS.get(protocol, {}))
            yield place, root
        except NotFound:
            raise
        except Exception as error:
            # Backends raise what they like: OSError, botocore's errors, ImportError without the extra.
            log.warning("sample_store_failed", protocol=protocol, error=repr(error))
            raise StateUnavailable(_FAILED) from error


def _check_id(sample_id: str) -> None:
    if not _ID.fullmatch(sample_id):
        raise _no_such_sample()


def _no_such_sample() -> NotFound:
    return NotFound("There is no such voice sample.")


def _write_private(path: Path, content: bytes) -> None:
    """Write the first file of a new folder, which outlasts a power cut and is its owner's alone."""
    folder, root = path.parent, path.parent.parent
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    try:
        _replace_private(path, content)
        _sync(root)
    except OSError:
        shutil.rmtree(folder)
        raise


def _replace_private(path: Path, content: bytes) -> None:
    """Write a file that appears as a whole or not at all; several may write it at once.

    Raises:
        NotFound: its folder has gone.
    """
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(path.parent)
    except FileNotFoundError as error:
        raise _no_such_sample() from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
