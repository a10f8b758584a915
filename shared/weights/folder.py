"""A folder on this machine as the source of a model: for machines without a network."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shared.weights.installation import Manifest, read_record, sha256_of
from shared.weights.sources import Checksum, Offer, PullFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.weights.catalog import Model, ModelFile

# What git leaves in place of a file that it keeps in Git LFS, where that is not installed.
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class FolderSource:
    """A folder that holds a model's files as its repository does, or as a model folder does."""

    def __init__(self, folder: Path, model: Model) -> None:
        """Find the files.

        Raises:
            PullFailed: some are missing.
        """
        self.title = str(folder.absolute())
        self.revision: str | None = None
        self._paths = max(_layouts(folder, model), key=lambda paths: sum(map(Path.is_file, paths.values())))
        missing = [str(path) for path in self._paths.values() if not path.is_file()]
        if missing:
            raise PullFailed(
                f"{folder} does not hold all of {model.name}: there is no {', no '.join(missing)}. It must "
                f"hold the files as {model.repository} does, or as a model folder does."
            )
        self._manifest = self._find_manifest(model)

    def offer(self, file: ModelFile) -> Offer:
        """Look at a file; its checksum is that of what is there, which must be what was recorded beside it.

        Raises:
            PullFailed: it is no whole file.
        """
        path = self._paths[file]
        try:
            with path.open("rb") as content:
                beginning = content.read(len(_LFS_POINTER))
            sha256 = sha256_of(path)
        except OSError as error:
            raise PullFailed(f"{path} cannot be read: {error.strerror}.") from error
        if not beginning:
            raise PullFailed(f"{path} is empty; copy it anew.")
        if beginning == _LFS_POINTER:
            raise PullFailed(
                f"{path} is only Git LFS's pointer to the file; run 'git lfs pull' in its folder."
            )
        recorded = self._manifest.files.get(file.name) if self._manifest else None
        if recorded and recorded.sha256 != sha256:
            raise PullFailed(f"{path} is damaged: its checksum is not the recorded one; copy it anew.")
        return Offer(file, Checksum("sha256", sha256), path.stat().st_size)

    def fetch(self, offer: Offer, partial: Path) -> None:
        """Copy a file."""
        shutil.copyfile(self._paths[offer.file], partial)

    def _find_manifest(self, model: Model) -> Manifest | None:
        beside = next(iter(self._paths.values())).parent / PurePosixPath(model.manifest).name
        manifest = read_record(beside, Manifest)
        if manifest:
            self.title, self.revision = manifest.source, manifest.revision
        return manifest


def _layouts(folder: Path, model: Model) -> Iterator[dict[ModelFile, Path]]:
    """Give where each file would lie: as published, in a model folder, in the model's part of one."""
    yield {file: folder / file.published for file in model.files}
    yield {file: folder / file.kept for file in model.files}
    yield {file: folder / file.name for file in model.files}
