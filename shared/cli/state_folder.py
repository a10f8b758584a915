"""The folder that keeps one farm between its runs: a marker, a lock, and the secrets made for it once."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from shared.cli.errors import CannotStart
from shared.cli.ports import HOST
from shared.settings import MODELS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 1
MARKER = "farm.json"
GITIGNORE = ".gitignore"
ANOTHER_FOLDER = "give this farm a folder of its own: make up STATE=…"
_SECRET = re.compile(rb"\s*([\x21-\x7e]*)\s*")


@contextmanager
def naming_the_file() -> Iterator[None]:
    """Turn an OSError of the block into a `CannotStart` that says which file it is about."""
    try:
        yield
    except OSError as error:
        file = error.filename2 or error.filename
        raise CannotStart(f"{file}: {error.strerror}; mend it, or {ANOTHER_FOLDER}") from error


class Marker(BaseModel):
    """What `farm.json` says; its presence makes a folder a farm's."""

    schema_version: int = SCHEMA_VERSION
    port: int | None = None
    """Of the API and the page, the last time."""
    redis_port: int | None = None


class StateFolder:
    """A folder that this process alone holds."""

    def __init__(self, path: Path, marker: Marker) -> None:
        self.path = path
        self.marker = marker

    def remember(self, **changes: int) -> None:
        """Keep values of the marker for the next run."""
        self.marker = self.marker.model_copy(update=changes)
        self.write_private(MARKER, self.marker.model_dump_json(indent=2) + "\n")

    def secret(self, name: str, prefix: str = "") -> str:
        """Give the secret in the file `name`; the first time, make it: 256 random bits, safe in URLs.

        Raises:
            CannotStart: the file cannot be used, or holds something else.
        """
        kept = _SECRET.fullmatch(self._read(name))
        if not kept:
            raise self.unusable_secret(name)
        if kept[1]:
            return kept[1].decode()
        made = prefix + secrets.token_urlsafe(32)
        self.write_private(name, made + "\n")
        return made

    def unusable_secret(self, name: str) -> CannotStart:
        """Make the error for a file `name` that holds something else than a secret."""
        return CannotStart(f"{self.path / name} holds no usable secret; delete it, and a new one is made")

    @naming_the_file()
    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return b""

    @naming_the_file()
    def write_private(self, name: str, content: str) -> Path:
        """Replace the file `name`, at once and readable by its owner only.

        Raises:
            CannotStart: it cannot be written.
        """
        path = self.path / name
        draft = path.with_name(path.name + ".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
        return draft.replace(path)


def names_redis(settings: Settings) -> bool:
    """Tell whether the environment names a Redis, so that the folder's own is not used."""
    return bool({"redis_host", "redis_port"} & settings.model_fields_set)


def farm_settings() -> Settings:
    """Read the environment; what it leaves open is as the farm had it that was last run on the state folder.

    That is the farm's address, and its Redis.

    Raises:
        SettingsError: naming every variable that cannot be used and why.
    """
    given = Settings.load()
    return Settings.load(**_remembered(given))


def _remembered(given: Settings) -> dict[str, str]:
    """Give the settings, by environment name, that only the state folder tells."""
    settings = {}
    try:
        marker = Marker.model_validate_json((given.state_dir / MARKER).read_bytes())
        if marker.port and "url" not in given.model_fields_set:
            settings["VOICEFARM_URL"] = f"http://{HOST}:{marker.port}"
        if marker.redis_port and not names_redis(given):
            password = (given.state_dir / "redis.password").read_text().strip()
            settings |= {"REDIS_PORT": str(marker.redis_port), "REDIS_PASSWORD": password}
    except (OSError, ValueError):
        pass
    return settings


@contextmanager
def open_state_folder(path: Path) -> Iterator[StateFolder]:
    """Make the folder or take it up again, and hold it until the block ends.

    Raises:
        CannotStart: another farm runs on it, or it belongs to something else, someone else, or a newer farm.
    """
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileExistsError as error:
        raise CannotStart(f"{path} is not a folder; {ANOTHER_FOLDER}") from error
    except OSError as error:
        raise CannotStart(f"{path}: {error.strerror}; {ANOTHER_FOLDER}") from error
    try:
        _lock(handle, path)
        with naming_the_file():
            folder = _take_up(path)
        yield folder
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStart(f"Another farm runs on {path}; stop it, or {ANOTHER_FOLDER}") from error


def _take_up(path: Path) -> StateFolder:
    try:
        marker = _read_marker(path)
        folder = StateFolder(path, marker or Marker())
        if marker is None:
            path.chmod(0o700)
            folder.remember()
        if not (path / GITIGNORE).exists():  # git is to see no secret, wherever the folder is
            folder.write_private(GITIGNORE, "*\n")
    except PermissionError as error:
        raise CannotStart(f"{path} is another user's; {ANOTHER_FOLDER}") from error
    return folder


def _read_marker(path: Path) -> Marker | None:
    try:
        marker = Marker.model_validate_json((path / MARKER).read_bytes())
    except FileNotFoundError:
        if any(item.name != MODELS for item in path.iterdir()):  # voices may be put there before
            raise CannotStart(f"{path} holds files that are not a farm's; {ANOTHER_FOLDER}") from None
        return None
    except ValidationError as error:
        raise CannotStart(f"{path / MARKER} is not a farm's; {ANOTHER_FOLDER}") from error
    if marker.schema_version > SCHEMA_VERSION:
        raise CannotStart(f"{path} was last used by a newer voicefarm; update this one, or {ANOTHER_FOLDER}")
    return marker
