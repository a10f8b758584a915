"""The hub as the source of a model, over huggingface_hub: the only file that knows the library.

It asks for ranges and not over Xet, so that downloads go on where they broke off. Import it late: it takes a
second or two.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub import logging as hub_logging
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented so

from shared.weights.sources import Checksum, Offer, PullFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.weights.catalog import Model, ModelFile

_KINDS = {40: "git", 64: "sha256"}
_DIGITS = re.compile(r"[0-9a-f]+")
_CLOSED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_AGAIN = "Run the same command again: it goes on where it stopped."
_ELSEWHERE = "set HF_ENDPOINT to a mirror, or bring the files from another machine with --from DIR"


class HubSource:
    """A repository at a hub."""

    def __init__(self, model: Model, hub_url: str) -> None:
        """Open nothing yet.

        Raises:
            PullFailed: nobody publishes this model.
        """
        if model.repository is None:
            raise PullFailed(f"Nobody is known to publish {model.name}; --from DIR takes it from a folder.")
        hub_logging.set_verbosity(logging.CRITICAL)  # what goes wrong is told in our words
        self.title = model.repository
        self.revision = model.revision
        self._endpoint = hub_url.rstrip("/")

    def offer(self, file: ModelFile) -> Offer:
        """Ask for a file's size and checksum."""
        with self._telling(file):
            found = get_hf_file_metadata(self._url(file), timeout=constants.HF_HUB_ETAG_TIMEOUT)
        kind = _KINDS.get(len(found.etag or ""))
        if not found.commit_hash or not found.etag or not kind or not _DIGITS.fullmatch(found.etag):
            raise PullFailed(
                f"{self._endpoint} does not answer as the hub does: it tells no checksum of "
                f"{file.published}. Is HF_ENDPOINT right?"
            )
        self.revision = found.commit_hash
        return Offer(file, Checksum("git" if kind == "git" else "sha256", found.etag), found.size)

    def fetch(self, offer: Offer, partial: Path) -> None:
        """Download a file, with a progress bar where there is a terminal."""
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        with partial.open("ab") as content, self._telling(offer.file):
            http_get(
                self._url(offer.file),
                content,
                resume_size=content.tell(),
                headers=headers,
                expected_size=offer.size_bytes,
                displayed_filename=offer.file.name,
            )

    def _url(self, file: ModelFile) -> str:
        return hf_hub_url(self.title, file.published, revision=self.revision, endpoint=self._endpoint)

    @contextmanager
    def _telling(self, file: ModelFile) -> Iterator[None]:
        """Turn the library's errors into one line with a remedy."""
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise PullFailed(
                "HF_HUB_OFFLINE forbids to ask the hub; unset it, or take the files from a folder (--from)."
            ) from error
        except HfHubHTTPError as error:
            raise PullFailed(self._refusal(file, error)) from error
        except httpx2.TimeoutException as error:
            raise PullFailed(
                f"{self._endpoint} is too slow: nothing came for some seconds. {_AGAIN} "
                "HF_HUB_DOWNLOAD_TIMEOUT and HF_HUB_ETAG_TIMEOUT say for how many seconds to wait (10)."
            ) from error
        except httpx2.RemoteProtocolError as error:
            raise PullFailed(f"{self._endpoint} broke off in {file.published}. {_AGAIN}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PullFailed(
                f"{self._endpoint} cannot be reached ({str(error) or type(error).__name__}). Look after the "
                f"network and its proxy (HTTPS_PROXY), {_ELSEWHERE}."
            ) from error
        except OSError as error:
            if error.errno is not None:  # it is about a file here
                raise
            raise PullFailed(f"{self._endpoint} sent no whole {file.published}. {_AGAIN}") from error

    def _refusal(self, file: ModelFile, error: HfHubHTTPError) -> str:
        status = error.response.status_code
        if isinstance(error, EntryNotFoundError):
            page = f"{self._endpoint}/{self.title}"
            return f"There is no {file.published} in {self.title}. {page} shows what there is."
        if isinstance(error, RevisionNotFoundError):
            return (
                f"{self._endpoint} has no revision {self.revision} of {self.title}. "
                "Is HF_ENDPOINT a whole mirror?"
            )
        if isinstance(error, RepositoryNotFoundError) or status in _CLOSED:
            return (
                f"{self._endpoint} does not let you have {self.title} ({status}). Is HF_ENDPOINT right? "
                "If it must know you, set HF_TOKEN."
            )
        return f"{self._endpoint} answers {status} to {file.published}. {_AGAIN}"
