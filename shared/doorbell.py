"""Rings a provider's queue: a Celery message that carries a rendering's key and nothing else.

Where the broker is on the ledger's server, the ledger rings itself, with a message that was drafted here.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import structlog
from celery import Celery
from celery.utils import uuid
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from kombu.messaging import Producer
from kombu.transport import virtual
from kombu.utils.json import dumps

from shared.errors import StateUnavailable
from shared.ledger.records import log_fields
from shared.priorities import Priority

TASK = "voicefarm.synthesize"

log = structlog.get_logger()


class Doorbell:
    """Sends and counts messages. A failed ring is not an error: the sweep rings again."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._drafter = Producer(Connection(transport=_Drafts).channel())
        connection = app.connection()
        self._errors = (OperationalError, *connection.connection_errors, *connection.channel_errors)

    @classmethod
    def for_front(cls, broker_url: str, timeout_s: float) -> Doorbell:
        """Make one whose broker may hang without holding up a request for longer than `timeout_s` a step."""
        app = Celery("voicefarm")
        app.config_from_object("celeryconfig")
        app.conf.broker_url = broker_url
        app.conf.broker_transport_options |= {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "max_retries": 0,
        }
        app.conf.broker_connection_timeout = timeout_s
        return cls(app)

    def ring(self, queue: str, rendering_id: str) -> bool:
        """Send one message to a provider's queue; False when the broker did not take it."""
        try:
            with self._app.producer_pool.acquire(block=True) as producer:
                _keep_client(producer.channel)
                self._publish(producer, queue, rendering_id)
        except self._errors as error:
            error_name = type(error).__name__
            log.warning("ring_failed", queue=queue, error=error_name, **log_fields(rendering_id))
            return False
        return True

    def draft(self, queue: str, rendering_id: str) -> str:
        """Give the message that rings, as it is to be put at the head of the queue's list."""
        return str(self._publish(self._drafter, queue, rendering_id))

    def _publish(self, producer: Producer, queue: str, rendering_id: str) -> object:
        """Publish what Celery's `send_task` does, which looks for a route and declares the queue first."""
        message = self._app.amqp.create_task_message(
            uuid(), TASK, args=[rendering_id], kwargs={}, ignore_result=True, **_looks(queue, rendering_id)
        )
        return producer.publish(
            message.body, routing_key=queue, headers=message.headers, serializer="json", **message.properties
        )

    def ping(self) -> None:
        """Connect once.

        Raises:
            StateUnavailable: the broker does not answer.
        """
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=1)
        except self._errors as error:
            raise StateUnavailable("It does not answer.") from error

    def backlog(self, queue: str) -> int:
        """Count the messages in a queue; 0 when the broker knows none or does not answer."""
        try:
            with self._app.connection_for_write() as connection:
                return int(connection.default_channel.queue_declare(queue, passive=True).message_count)
        except self._errors:
            return 0


class _DraftChannel(virtual.Channel):
    """Gives back what is published, in the form in which kombu's Redis transport holds it."""

    def _put(self, queue: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002  # as there
        return dumps(message)


class _Drafts(virtual.Transport):
    """Leads nowhere."""

    Channel = _DraftChannel


def _keep_client(channel: Any) -> None:
    """Have kombu's channel make one client; it would make one for each message, which takes 0.1 ms."""
    if "_create_client" not in vars(channel):
        channel._create_client = cache(channel._create_client)  # noqa: SLF001  kombu has no other way


def _looks(queue: str, rendering_id: str) -> dict[str, str]:
    """Give what Flower shows of a message: the queue in its name, and for arguments what log lines have."""
    provider = queue.removesuffix(Priority.PREWARM.queue(""))
    about = log_fields(rendering_id)
    return {
        "shadow": f"{TASK}[{queue}]",
        "argsrepr": f"('{provider}', '{about['rendering']}')",
        "kwargsrepr": f"{{'job_id': '{about['job_id']}'}}",
    }
