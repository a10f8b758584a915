"""The Celery app of every pool: what a worker sets up before its first task and while it lives."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import psutil
import structlog
from celery import Celery, signals
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.exceptions import SecurityWarning, TimeLimitExceeded, WorkerLostError
from kombu.transport.redis import Channel

from shared import clock
from shared.cache import AudioCache
from shared.catalog import CATALOG
from shared.circuits import Circuits
from shared.connections import worker_client
from shared.database import Database
from shared.doorbell import TASK, Doorbell
from shared.errors import VoicefarmError
from shared.ledger import Ledger, Sweep, log_fields
from shared.log import configure_logging
from shared.outcomes import Outcomes
from shared.presence import HEARTBEAT_S, Presence, Worker
from shared.prewarm import Rewarmer
from shared.priorities import Priority
from shared.provider_stats import ProviderStats
from shared.settings import Settings
from shared.usage import BudgetWatch, Outbox, UsageReport, UsageWriter
from workers.engine import Engine
from workers.renderer import Renderer
from workers.voice_follower import VoiceFollower

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.catalog import ProviderSpec

# It warns of pickled messages from strangers; ours are JSON.
warnings.filterwarnings("ignore", category=SecurityWarning)

# Nor does a closing channel put back what was delivered: after a lost connection kombu fails at it
# (AttributeError in Channel._connparams, kombu 5.7.0), and the worker ends.
Channel.do_restore = False

app = Celery("voicefarm", include=["workers.tasks"])
app.config_from_object("celeryconfig")

# Less than from a supervisor's SIGTERM to its SIGKILL, which is 4 s for `voicefarm up`.
THREADS_END_IN_S = 3.0

log = structlog.get_logger()
_stopping = threading.Event()
# Set when the next heartbeat has something new to tell.
_changed = threading.Event()


def pool_spec() -> ProviderSpec:
    """Give the provider of this pool: that of the queues it consumes."""
    queues = list(app.amqp.queues.consume_from)
    if queues[0] not in CATALOG or set(queues[1:]) - {clock.QUEUE, Priority.PREWARM.queue(queues[0])}:
        raise SystemExit(
            f"A pool serves one provider: start it with --queues and one of {', '.join(CATALOG)}."
        )
    return CATALOG[queues[0]]


@signals.celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _consume_what_can_wait(**_: Any) -> None:
    """Have the pool take from the clock's queue and its provider's second one, while its first is empty."""
    queues = app.amqp.queues
    queues.select_add(queues[clock.QUEUE])
    queues.select_add(queues[Priority.PREWARM.queue(pool_spec().name)])


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logging(**_: Any) -> None:
    settings = Settings.load()
    configure_logging(settings.log_level, settings.log_format)


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _begin_to_speak(**_: Any) -> None:
    """Load the engine and connect, in the process that will speak."""
    settings = Settings.load()
    state = worker_client(settings.state_url)
    spec = pool_spec()
    database, outbox = Database(settings.database_url), Outbox(state)
    budget_usd, report = settings.monthly_budgets_usd.get(spec.name), UsageReport(database, outbox)
    followers = (
        UsageWriter(database, outbox),
        BudgetWatch(spec.name, budget_usd, report, Circuits(state), ProviderStats(state)),
    )

    def wake_followers() -> None:
        for follower in followers:
            follower.wake()

    engine = Engine(spec, settings)
    # Speech goes on without a cache, so nobody waits for one.
    cache = AudioCache.from_settings(settings, worker_client(settings.audio_url, retries=1))
    app.rewarmer = Rewarmer.from_settings(settings, state, cache, database)
    app.renderer = Renderer(
        engine,
        settings,
        worker=f"{spec.name}:{os.getpid()}",
        ledger=Ledger.from_settings(settings, state),
        cache=cache,
        presence=Presence(state),
        outcomes=Outcomes(state),
        doorbell=Doorbell(app),
        on_usage=wake_followers,
    )
    engine.warm_up()
    for follower in followers:
        follower.start()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _begin_parent(sender: Any, **_: Any) -> None:
    """Beat and sweep from the parent, whose children may be busy for long.

    A pool of threads has none: they speak here. Celery takes no task before this has returned.
    """
    engine = _begin_threads(sender) if isinstance(sender.pool, ThreadPool) else None
    settings = Settings.load()
    state = worker_client(settings.state_url)
    presence = Presence(state)
    spec = pool_spec()
    worker = Worker(
        name=sender.hostname,
        provider=spec.name,
        slots=sender.pool.num_processes,
        device=spec.device,
        pid=os.getpid(),
    )
    threading.Thread(target=_beat, args=(presence, worker, engine), name="heartbeat", daemon=True).start()
    ledger = Ledger.from_settings(settings, state)
    Sweep(ledger, presence, Doorbell(app), Outcomes(state)).start()


def _begin_threads(worker: Any) -> Engine:
    spec = pool_spec()
    if not spec.is_thread_safe and worker.pool.num_processes > 1:
        raise SystemExit(
            f"{spec.title} speaks in one thread at a time: start it with --concurrency 1 or --pool prefork."
        )
    _begin_to_speak()
    signals.worker_shutting_down.connect(_end_threads, weak=False)
    settings, engine = Settings.load(), app.renderer.engine
    if spec.clones:
        VoiceFollower(spec.name, engine, settings.state_url, on_change=_changed.set).start()
        signals.task_postrun.connect(_end_when_worn(settings.torch_tasks_per_process), weak=False)
    return cast("Engine", engine)


def _end_when_worn(tasks: int) -> Callable[..., None]:
    """Make what counts syntheses, and after so many ends this process as a supervisor would; 0: never."""
    done = itertools.count(1)

    def count(sender: Any, **_: Any) -> None:
        if sender.name == TASK and next(done) == tasks:
            log.info("worker_worn", tasks=tasks)
            os.kill(os.getpid(), signal.SIGTERM)

    return count


def _end_threads(**_: Any) -> None:
    """Wait for what is being spoken, but no longer than a supervisor does; leases recover the rest.

    Celery itself, and Python after it, would wait for every thread to its end.
    """
    ending = threading.Timer(THREADS_END_IN_S, os._exit, args=(os.EX_OK,))
    ending.daemon = True
    ending.start()


@signals.task_failure.connect  # type: ignore[untyped-decorator]
def _tell_what_was_lost(sender: Any, exception: Exception, args: Sequence[str], **_: Any) -> None:
    """Name the rendering whose process died or took too long; Celery's own line names its message only."""
    if sender.name == TASK and isinstance(exception, (TimeLimitExceeded, WorkerLostError)):
        fields = {"provider": pool_spec().name, **log_fields(args[0])}
        log.error("attempt_lost", error=type(exception).__name__, **fields)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _end(**_: Any) -> None:
    _stopping.set()
    _changed.set()


def _beat(presence: Presence, worker: Worker, engine: Engine | None) -> None:
    """Tell that this pool lives, and what its engine is like where that is in this process."""
    while not _stopping.is_set():
        try:
            presence.beat(_looked_at(worker, engine) if engine else worker)
        except VoicefarmError as error:
            log.warning("heartbeat_failed", code=error.code)
        _changed.wait(HEARTBEAT_S)
        _changed.clear()
    presence.leave(worker)


def _looked_at(worker: Worker, engine: Engine) -> Worker:
    engine.unload_when_idle()
    return replace(
        worker,
        device=engine.device,
        voices=engine.held_voices,
        memory_bytes=psutil.Process().memory_info().rss,
        device_memory_bytes=engine.device_memory_bytes,
    )
