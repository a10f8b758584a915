"""Logging: structlog, one event name and fields a line."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

import structlog

_STANDARD_ERROR = 2


class _StandardError:
    """Writes lines, and takes no lock, which a process forked meanwhile would find taken."""

    def msg(self, line: str) -> None:
        """Write a line; that nobody reads it any more is no fault of who has something to say."""
        left = f"{line}\n".encode(errors="backslashreplace")
        with suppress(OSError):
            while left:  # nearly always once
                left = left[os.write(_STANDARD_ERROR, left) :]

    debug = info = warning = error = critical = msg


def current_request_id() -> str:
    """Give the ID of the HTTP request that this thread serves; empty when it serves none."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def keep_logs_quiet() -> None:
    """Let no record out: for commands, which tell people in words what went wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger().addHandler(logging.NullHandler())


def configure_logging(level: str, form: str) -> None:
    """Send structlog's and the libraries' records to standard error, as console lines or JSON.

    `level` is debug, info, warning or error; `form` is console or json.
    """
    context: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
    ]
    if form == "json":  # the console's lines get their time from who shows them
        context.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    # Past Python's own logging, which takes as long again and would be on every job's way.
    structlog.configure(
        processors=[*context, *renderers],
        logger_factory=_StandardError,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=context,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # Celery and its transport say much at "info" that the farm's own events say better.
    for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat", "kombu", "amqp"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, number))
