"""Where models come from: what any source must tell of a file and do, and how its content is recognised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from shared.errors import VoicefarmError
from shared.weights.installation import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from shared.weights.catalog import ModelFile


class PullFailed(VoicefarmError):
    """The model could not be fetched."""

    code = "pull_failed"


@dataclass(frozen=True, slots=True)
class Checksum:
    """How the content of a file is recognised."""

    kind: Literal["sha256", "git"]
    """git: the SHA-1 by which git knows a file, of which the hub tells where it stores it as text."""
    digits: str

    def fits(self, path: Path) -> bool:
        """Tell whether it is the checksum of this file."""
        return self.digits == (sha256_of(path) if self.kind == "sha256" else _git_blob(path))


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that a source has."""

    file: ModelFile
    checksum: Checksum
    size_bytes: int | None
    """None where the source does not tell."""


class Source(Protocol):
    """Where the files of one model come from."""

    @property
    def title(self) -> str:
        """What is recorded as the source."""

    @property
    def revision(self) -> str | None:
        """Which state of it; None where that is not known."""

    def offer(self, file: ModelFile) -> Offer:
        """Look for a file.

        Raises:
            PullFailed: it is not there, or cannot be looked for; the message says what helps.
        """

    def fetch(self, offer: Offer, partial: Path) -> None:
        """Bring a file's content into `partial`, going on behind what is there already.

        Raises:
            PullFailed: it broke off; the message says what helps.
            OSError: `partial` cannot be written.
        """


def _git_blob(path: Path) -> str:
    """Give the name of a file's content in git: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()
