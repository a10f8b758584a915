"""The Celery app of the clock: it rings, and loads nothing of what a worker needs to answer."""

from __future__ import annotations

from typing import Any

from celery import Celery, signals

from shared.log import configure_logging
from shared.settings import Settings

app = Celery("voicefarm")
app.config_from_object("celeryconfig")


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    settings = Settings.load()
    configure_logging(settings.log_level, settings.log_format)
