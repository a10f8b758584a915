"""Celery's settings in its own names; queues and routes follow from the catalogue."""

import os

from kombu import Queue

from shared import clock
from shared.catalog import CATALOG
from shared.priorities import Priority
from shared.settings import Settings

_settings = Settings.load()

broker_url = _settings.broker_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 5,
    "max_connections": 200,
    "queue_order_strategy": "priority",
    # The ledger recovers what a worker lost; a broker that keeps what was delivered would only repeat it.
    "ack_emulation": False,
}

task_queues = [Queue(priority.queue(name)) for name in CATALOG for priority in Priority]
task_queues.append(Queue(clock.QUEUE))
task_default_queue = next(iter(CATALOG))
task_create_missing_queues = False

# The message is a doorbell: no result, acknowledged at once, published without Celery's own retries.
task_ignore_result = True
result_backend = None
task_acks_late = False
task_publish_retry = False
task_serializer = "json"
accept_content = ["json"]

# Of a pool whose line in the Procfile does not say how many: Piper's.
worker_concurrency = _settings.piper_processes or len(os.sched_getaffinity(0))
# Loading a voice on a busy machine takes longer than the 4 s after which Celery would start the process anew.
worker_proc_alive_timeout = 60
worker_prefetch_multiplier = 1
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_send_task_events = True  # for Flower
worker_consumer = "workers.consumer:Consumer"
worker_enable_remote_control = True
# A worker process ends a synthesis that takes too long itself, or else itself; this is for one that cannot.
task_time_limit = _settings.synthesis_timeout_seconds + 15

# One that nobody could answer within its period has been followed by the next.
beat_schedule = {
    clock.TASK: {
        "task": clock.TASK,
        "schedule": _settings.rewarm_seconds,
        "options": {"queue": clock.QUEUE, "expires": _settings.rewarm_seconds},
    }
}
