"""Jobs as their callers see them: shown, listed, cancelled, waited for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from shared.errors import Conflict, NotFound, QueueFull, StateUnavailable
from shared.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Generator

    from shared.keys import ApiKey
    from shared.ledger import Job, Ledger, Status, TransitionReader

# How soon after Redis failed those who wait for a job ask again.
_PATIENCE_S = 0.5

log = structlog.get_logger()


class Jobs:
    """Everybody's jobs. Every method raises `StateUnavailable` when Redis cannot be reached."""

    def __init__(self, ledger: Ledger, transitions: TransitionReader, *, max_waiters: int) -> None:
        """See to the ledger's jobs; up to `max_waiters` wait for one at once in this process."""
        self._ledger = ledger
        self.transitions = transitions
        self.waiters = threading.BoundedSemaphore(max_waiters)

    def find(self, job_id: str) -> Job:
        """Give a job.

        Raises:
            NotFound: there is no such job, or it is no longer kept.
        """
        return _kept(self._ledger.job(job_id), job_id)

    def get(self, job_id: str, *, caller: ApiKey) -> Job:
        """Give a job that the caller may see.

        Raises:
            NotFound: there is no such job, it is no longer kept, or it is another key's.
        """
        job = self.find(job_id)
        if job.owner != caller.id and not caller.scope.allows(Scope.ADMIN):
            raise NotFound(f"There is no job {job_id}.")
        return job

    def page(
        self,
        *,
        caller: ApiKey,
        limit: int,
        before: int | None,
        status: Status | None,
        personality_id: str | None,
    ) -> tuple[list[Job], int | None]:
        """Give a page of the caller's jobs, of everyone's for an admin; see `JobReader.page`."""
        owner = None if caller.scope.allows(Scope.ADMIN) else caller.id
        return self._ledger.page(
            limit=limit, before=before, owner=owner, status=status, personality_id=personality_id
        )

    def cancel(self, job_id: str, *, caller: ApiKey) -> Job:
        """Cancel a job that the caller may see, and give it; nobody speaks for it alone any more.

        Raises:
            NotFound: there is no such job, it is no longer kept, or it is another key's.
            Conflict: it has ended.
        """
        job = self.get(job_id, caller=caller)
        if self._ledger.leave(job.id) != "left":
            raise Conflict(f"The job {job.id} has ended already.")
        log.info("job_cancelled", job_id=job.id)
        return self.find(job.id)

    def wait(self, job: Job, timeout_s: float) -> Job | None:
        """Give a job that was read just now once it has ended, with its audio, or as it is after `timeout_s`.

        None when too many wait already.
        """
        until = time.monotonic() + timeout_s
        if job.status.has_ended:
            return job
        if not self.waiters.acquire(blocking=False):
            return None
        try:
            while not job.status.has_ended and (left_s := until - time.monotonic()) > 0:
                job = self._await_end(job, left_s)
        finally:
            self.waiters.release()
        return job

    def _await_end(self, job: Job, timeout_s: float) -> Job:
        try:
            return _kept(self._ledger.await_end(job, timeout_s), job.id)
        except StateUnavailable:
            if timeout_s < _PATIENCE_S:
                raise
            time.sleep(_PATIENCE_S)  # Redis may be started again
            return job

    def follow(self, job: Job, *, every_s: float) -> Generator[Job]:
        """Give the job now and after each change, until it has ended.

        It is given after `every_s` without a change, too, which makes up for an announcement that was lost.

        Raises:
            QueueFull: at the first step: it has not ended, and too many wait in this process already.
        """
        if job.status.has_ended:
            yield job
            return
        if not self.waiters.acquire(blocking=False):
            raise QueueFull("Too many requests wait here already.")
        try:
            with self.transitions.watching(job.rendering_id) as moved:
                while True:
                    job = self.find(job.id)
                    yield job
                    if job.status.has_ended:
                        return
                    # At the job's own deadline, too, which nobody announces.
                    moved.wait(min(every_s, job.left_ms / 1000))
                    moved.clear()
        finally:
            self.waiters.release()

    def audio(self, job: Job) -> bytes:
        """Give the audio of a job that has succeeded; its `result` describes it.

        Raises:
            NotFound: it is no longer kept.
        """
        if job.audio is not None:
            return job.audio
        audio = self._ledger.audio(job.rendering_id)
        if audio is None:
            raise NotFound(f"The audio of job {job.id} is no longer kept.")
        return audio


def _kept(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job
