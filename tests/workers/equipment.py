"""What each provider needs to speak in a test: voices, checkpoints, a server, a sample."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.samples.store import SampleStore
from tests.shared.samples.sounds import encoded, speech

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.settings import Settings

# Imported where they are needed: each environment lacks the libraries of the other one's engines.
# ruff: noqa: PLC0415


@contextmanager
def equipped(name: str, folder: Path) -> Iterator[dict[str, str]]:
    """Give the settings under which a provider of the catalogue finds what it needs."""
    variables = {"VOICEFARM_STATE_DIR": str(folder)}
    models = folder / "models"
    if name == "google_tts":
        from tests.google_server import running_google

        with running_google() as google:
            yield variables | {"VOICEFARM_GOOGLE_ENDPOINT": google.endpoint("grpc")}
        return
    if name == "piper":
        from tests.voices import make_voices

        make_voices(models)
    elif name == "xtts_v2":
        from tests.checkpoints.xtts import make_checkpoint as make_xtts

        make_xtts(models / name)
    elif name == "styletts2":
        from tests.checkpoints.styletts2 import make_checkpoint as make_styletts2

        make_styletts2(models / name)
    yield variables


def put_sample(settings: Settings) -> str:
    """Put a voice sample where the provider looks, and give its ID."""
    return SampleStore(settings.samples_url).put(encoded(speech()))
