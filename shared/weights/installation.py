"""What of a model lies in the model folder: files, what was recorded when they came, an accepted licence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pydantic import AwareDatetime, BaseModel, ValidationError

from shared.piper_voices import KNOWN_VOICES
from shared.weights.catalog import CHECKPOINTS, PIPER, made_by_hand, piper_voice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.weights.catalog import Licence, Model, ModelFile

LICENCE = "licence.json"
_SUFFIXES = (".manifest.json", ".onnx.json", ".onnx")


class FileRecord(BaseModel):
    """A file as it was when it was pulled."""

    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """What is recorded beside a model's files when they are pulled."""

    source: str
    """The repository, or the folder that they were taken from."""
    revision: str | None
    pulled_at: AwareDatetime
    files: dict[str, FileRecord]


class Acceptance(BaseModel):
    """That somebody agreed to a licence."""

    licence: str
    url: str
    accepted_at: AwareDatetime


class Completeness(StrEnum):
    """How much of a model is there."""

    ABSENT = "not installed"
    INCOMPLETE = "incomplete"
    INSTALLED = "installed"


Record = TypeVar("Record", bound=BaseModel)


class Installation:
    """A model in a model folder, or the room for it."""

    def __init__(self, model: Model, models: Path) -> None:
        self.model = model
        self.models = models
        self.folder = models / model.folder
        self.manifest = read_record(models / model.manifest, Manifest)

    def path(self, file: ModelFile) -> Path:
        """Give where a file of it belongs."""
        return self.models / file.kept

    def record(self, file: ModelFile) -> FileRecord | None:
        """Give how a file was when it was pulled; None where it was not."""
        return self.manifest.files.get(file.name) if self.manifest else None

    @property
    def pinned(self) -> Model:
        """The model in the revision that was pulled, so that what is fetched anew fits what is here."""
        if self.manifest and self.manifest.revision and self.manifest.source == self.model.repository:
            return replace(self.model, revision=self.manifest.revision)
        return self.model

    @property
    def there(self) -> list[ModelFile]:
        """The files that are there, whole or not."""
        return [file for file in self.model.files if self.path(file).is_file()]

    @property
    def lacking(self) -> list[ModelFile]:
        """The files that are missing or, by their size, are not those that were pulled."""
        return [file for file in self.model.files if not self._has_its_size(file)]

    @property
    def completeness(self) -> Completeness:
        """How much is there, without reading it."""
        if not self.there and self.manifest is None:
            return Completeness.ABSENT
        return Completeness.INCOMPLETE if self.lacking else Completeness.INSTALLED

    @property
    def size_bytes(self) -> int:
        """What its files take here."""
        return sum(self.path(file).stat().st_size for file in self.there)

    def is_intact(self, file: ModelFile) -> bool:
        """Tell, by reading all of it, whether a file is what was pulled; without a record it is not."""
        record = self.record(file)
        return record is not None and self._has_its_size(file) and sha256_of(self.path(file)) == record.sha256

    def note(self, source: str, revision: str | None) -> None:
        """Record the files as they are now."""
        files = {file.name: _record(self.path(file)) for file in self.model.files}
        now = datetime.now(UTC)
        self.manifest = Manifest(source=source, revision=revision, pulled_at=now, files=files)
        _write(self.models / self.model.manifest, self.manifest)

    def has_accepted(self, licence: Licence) -> bool:
        """Tell whether somebody agreed to this licence here."""
        accepted = read_record(self.folder / LICENCE, Acceptance)
        return accepted is not None and (accepted.licence, accepted.url) == (licence.name, licence.url)

    def accept(self, licence: Licence) -> None:
        """Record that somebody agreed to this licence now."""
        agreed = Acceptance(licence=licence.name, url=licence.url, accepted_at=datetime.now(UTC))
        _write(self.folder / LICENCE, agreed)

    def _has_its_size(self, file: ModelFile) -> bool:
        path, record = self.path(file), self.record(file)
        return path.is_file() and (record is None or path.stat().st_size == record.size_bytes)


def installations(models: Path) -> Iterator[Installation]:
    """Give every model that the farm knows, and what else lies in a model folder."""
    voices = [voice.name for voice in KNOWN_VOICES.voices]
    others = sorted(set(_piper_names(models / PIPER)) - set(voices))
    for model in (*CHECKPOINTS, *(piper_voice(name) or made_by_hand(name) for name in (*voices, *others))):
        yield Installation(model, models)


def _piper_names(folder: Path) -> Iterator[str]:
    for file in folder.glob("[!.]*"):
        suffix = next((suffix for suffix in _SUFFIXES if file.name.endswith(suffix)), None)
        if suffix:
            yield file.name.removesuffix(suffix)


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _record(path: Path) -> FileRecord:
    return FileRecord(size_bytes=path.stat().st_size, sha256=sha256_of(path))


def read_record(path: Path, kind: type[Record]) -> Record | None:
    """Read a record; None where there is none, or one that cannot be understood."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, record: BaseModel) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(record.model_dump_json(indent=2) + "\n")
    draft.replace(path)
