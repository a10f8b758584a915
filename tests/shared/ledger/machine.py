"""A model of everything that can go wrong around the ledger, for hypothesis to drive."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from decimal import Decimal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.circuits import CIRCUITS, PROBE_AFTER_MS, CircuitState
from shared.errors import IdempotencyMismatch
from shared.ledger import Attempt, Idempotency, Ledger, Result, Status, Sweep, Waiting
from shared.ledger.intake import RING_AGAIN_MS
from shared.ledger.records import cache_key_of
from shared.ledger.store import KEEP_LIVE_MS
from shared.models import AudioFormat, Fallback, Quality, SpeechRequest, Utterance
from shared.presence import RollCall, Worker
from shared.priorities import Priority
from shared.turns import LOSSES_PER_PROVIDER
from shared.usage import STREAM, Usage

CHAIN = ("first", "second")
KEYS = [letter * 64 for letter in "abc"]
LEASE_MS = 15_000
DEADLINE_MS = 600_000
# What is made for the cache has time.
PREWARM_DEADLINE_MS = 2 * DEADLINE_MS
JOB_TTL_MS = 3_600_000
DAY_MS = 86_400_000
# Redis lets keys expire by its own clock, which goes on while the machine's stands still.
SLACK_MS = 10_000
OWNERS = ("ann", "bob")
UTTERANCE = Utterance(
    text="Hello.",
    personality_id="00000000-0000-0000-0001-000000000001",
    voice_revision=1,
    language="en",
    speed=1.0,
    pitch=0.0,
    quality=Quality.HIGH,
    fallback=Fallback.ANY,
    provider=None,
    format=AudioFormat.WAV,
)


def make_ledger(redis, *, max_backlog=1000, broker_db=None) -> Ledger:
    """Make a ledger whose clock stands still until a test moves it."""
    times = {"lease_ms": LEASE_MS, "deadline_ms": DEADLINE_MS, "job_ttl_ms": JOB_TTL_MS}
    ledger = Ledger(redis, **times, max_backlog=max_backlog, broker_db=broker_db)
    ledger.frozen_ms = 1_800_000_000_000
    return ledger


def submit(
    ledger, key, *, job_id=None, owner="owner", looked_ago_ms=0, provider=CHAIN[0], idempotency=None,
    personality_id=UTTERANCE.personality_id, may_begin=True, draft=None,
):  # fmt: skip
    """Submit a job of its own; gives its ID and what became of it."""
    submitted = ledger.submit(
        key, UTTERANCE, CHAIN, provider, job_id=job_id or str(uuid.uuid4()), owner=owner,
        request=SpeechRequest(text="Hello.", personality_id=personality_id, language="en"),
        looked_at_ms=ledger.frozen_ms - looked_ago_ms, idempotency=idempotency, may_begin=may_begin,
        draft=draft,
    )  # fmt: skip
    return submitted.job_id, submitted


def prewarm(ledger, key, *, job_id=None, provider=CHAIN[0], max_backlog=None):
    """Submit a job for the cache; gives its ID and what became of it."""
    submitted = ledger.submit(
        key, UTTERANCE, CHAIN, provider, job_id=job_id or str(uuid.uuid4()), owner="batch",
        request=SpeechRequest(text="Hello.", personality_id=UTTERANCE.personality_id, language="en"),
        looked_at_ms=ledger.frozen_ms, priority=Priority.PREWARM, deadline_ms=PREWARM_DEADLINE_MS,
        max_backlog=max_backlog,
    )  # fmt: skip
    return submitted.job_id, submitted


def queue_of(provider, priority):
    """Name the queue in which a rendering with these fields waits; audio that was cached has no priority."""
    return Priority((priority or b"interactive").decode()).queue(provider.decode())


def keep(ledger, key, *, job_id=None, owner="owner", idempotency=None):
    """Record a job of a hit; gives its ID."""
    submitted = ledger.keep(
        result(key), b"abc", job_id=job_id or str(uuid.uuid4()), owner=owner,
        request=SpeechRequest(text="Hello.", personality_id=UTTERANCE.personality_id, language="en"),
        idempotency=idempotency,
    )  # fmt: skip
    return submitted.job_id


def listed(ledger, *, limit=200, **wanted):
    """Give the IDs of the jobs on all pages of a list."""
    ids, before = [], None
    while True:
        jobs, before = ledger.page(limit=limit, before=before, **wanted)
        ids += [job.id for job in jobs]
        if before is None:
            return ids


def result(key, provider="first") -> Result:
    return Result(key, provider, "wav", 3, 100, 22050, False, "0" * 64, True)  # noqa: FBT003


def usage_of(claim) -> Usage:
    """Give what an attempt used."""
    return Usage(
        claim.rendering_id, claim.attempt, claim.provider, UTTERANCE.personality_id, 6, 100, 5, Decimal("0.1")
    )


class Bell:
    """The broker between the ledger and the workers: messages can be lost, doubled, and come in any order."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    def ring(self, queue, rendering_id) -> bool:
        self.messages.append((queue, rendering_id))
        return True

    def backlog(self, queue) -> int:
        return sum(1 for where, _ in self.messages if where == queue)


class Pools:
    """Who is there to speak: always somebody works for each provider, whatever happens to each of them."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger

    def roll_call(self) -> RollCall:
        workers = tuple(Worker(name=name, provider=name, slots=1, device="cpu", pid=1) for name in CHAIN)
        circuits = self._ledger.redis.zrange(CIRCUITS, 0, -1, withscores=True)
        probes_ms = {name.decode(): int(probe_ms) for name, probe_ms in circuits}
        return RollCall(self._ledger.frozen_ms, workers, probes_ms, {})


class Unheeded:
    """Who is told of lost workers and does nothing about it; circuits open by a rule of their own."""

    def failed(self, provider, code):
        pass


class LedgerMachine(RuleBasedStateMachine):
    """Fronts and workers that die, hang and come back, doorbells that vanish or double; time."""

    redis = None
    mutate = staticmethod(lambda _ledger: None)

    @initialize()
    def begin(self):
        self.redis.flushdb()
        self.ledger = make_ledger(self.redis)
        self.mutate(self.ledger)
        self.bell = Bell()
        self.sweeper = Sweep(self.ledger, Pools(self.ledger), self.bell, Unheeded())
        self.claims = []
        self.cancelled, self.effects = set(), defaultdict(set)
        self.newest_attempt = {}
        self.used = set()  # attempts that made sound, by rendering and number
        self.jobs = {}  # owner by job, oldest first
        self.prewarmed = []  # jobs for the cache
        self.reserved = {}  # body, job and time by owner and idempotency key
        self.seen, self.ended, self.gone = {}, {}, set()  # what was told of each job last, how it ended
        self.announced_until = "-"

    # What fronts do

    def _new_id(self):
        # Counted, because IDs decide the order of what is due at the same time.
        return str(uuid.UUID(int=len(self.jobs)))

    @rule(
        key=st.sampled_from(KEYS),
        owner=st.sampled_from(OWNERS),
        looked_ago_ms=st.sampled_from([0, KEEP_LIVE_MS]),
        dies_before_ringing=st.booleans(),
    )
    def submit(self, key, owner, looked_ago_ms, dies_before_ringing):
        job_id, submitted = submit(
            self.ledger, key, job_id=self._new_id(), owner=owner, looked_ago_ms=looked_ago_ms
        )
        self.jobs[job_id] = owner
        if submitted.how == "new" and not dies_before_ringing:
            self.bell.ring(CHAIN[0], submitted.rendering_id)
        if submitted.urged and not dies_before_ringing:
            self.bell.ring(submitted.urged, submitted.rendering_id)

    @rule(key=st.sampled_from(KEYS), dies_before_ringing=st.booleans())
    def prewarm(self, key, dies_before_ringing):
        job_id, submitted = prewarm(self.ledger, key, job_id=str(uuid.UUID(int=2**64 + len(self.prewarmed))))
        self.prewarmed.append(job_id)
        assert not submitted.urged, "nobody waits for what is made for the cache"
        if submitted.how == "new" and not dies_before_ringing:
            self.bell.ring(Priority.PREWARM.queue(CHAIN[0]), submitted.rendering_id)

    @precondition(lambda self: self.prewarmed)
    @rule(data=st.data())
    def withdraw(self, data):
        job_id = data.draw(st.sampled_from(self.prewarmed))
        before, answer = self.ledger.job(job_id), self.ledger.leave(job_id, if_queued=True)
        after = self.ledger.job(job_id)
        if before is None or before.status.has_ended:
            assert answer in {"gone", "ended"}
        elif before.status is Status.RUNNING:
            assert (answer, after.status) == ("running", Status.RUNNING), "what has begun goes on"
        else:
            assert (answer, after.status) == ("left", Status.CANCELLED)

    @rule(key=st.sampled_from(KEYS), owner=st.sampled_from(OWNERS))
    def hit(self, key, owner):
        self.jobs[keep(self.ledger, key, job_id=self._new_id(), owner=owner)] = owner

    @rule(
        key=st.sampled_from(KEYS),
        owner=st.sampled_from(OWNERS),
        name=st.sampled_from("xy"),
        hit=st.booleans(),
    )
    def name_a_request(self, key, owner, name, hit):
        new_id = self._new_id()
        body, first, since_ms = self.reserved.get((owner, name), (key, new_id, 0))
        if self.ledger.frozen_ms - since_ms > DAY_MS - SLACK_MS:
            body, first = key, new_id
        expected = first if first in self.jobs and self.ledger.job(first) else new_id
        order = keep if hit else lambda *args, **more: submit(*args, **more)[0]
        try:
            job_id = order(self.ledger, key, job_id=new_id, owner=owner, idempotency=Idempotency(name, key))
        except IdempotencyMismatch:
            assert body != key, "a key is free for a day's first request"
            return
        self.jobs[job_id] = owner
        assert body == key, "a key stands for one request"
        assert job_id == expected, "a request that is repeated makes one job"
        if job_id == new_id:
            self.reserved[owner, name] = key, job_id, self.ledger.frozen_ms

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data):
        job_id = data.draw(st.sampled_from(list(self.jobs)))
        if self.ledger.leave(job_id) == "left":
            assert job_id not in self.ended, "what has ended cannot be cancelled"
            self.cancelled.add(job_id)

    @rule(status=st.sampled_from([None, *Status]), owner=st.sampled_from(OWNERS), limit=st.integers(1, 3))
    def list_jobs(self, status, owner, limit):
        kept = [job for job in self.ledger.page(limit=200)[0] if job.owner == owner]
        wanted = [job.id for job in kept if status in {None, job.status}]
        found = listed(self.ledger, owner=owner, status=status, limit=limit)
        assert found == wanted, "an owner's list is whole"
        left = self.redis.zcard(f"voice:jobs:{owner}")
        assert left == len(kept), "an owner's index, once read, has nothing else"

    # What the broker does

    @precondition(lambda self: self.bell.messages)
    @rule(data=st.data())
    def lose_message(self, data):
        self.bell.messages.remove(data.draw(st.sampled_from(self.bell.messages)))

    @precondition(lambda self: self.bell.messages)
    @rule(data=st.data())
    def double_message(self, data):
        self.bell.messages.append(data.draw(st.sampled_from(self.bell.messages)))

    # What workers do; a claim stays in the list after it was used, as a zombie that may act again

    @precondition(lambda self: self.bell.messages)
    @rule(data=st.data())
    def answer_bell(self, data):
        message = data.draw(st.sampled_from(self.bell.messages))
        self.bell.messages.remove(message)
        self._claim(*message)

    def _claim(self, queue, rendering_id):
        roll_call, provider = Pools(self.ledger).roll_call(), queue.partition(".")[0]
        is_waited_for = self.ledger.queued(provider) > 0
        claim = self.ledger.claim(rendering_id, provider, "worker")
        if claim is not None:
            could_wait = self.redis.hget(f"voice:rendering:{claim.rendering_id}", "priority") == b"prewarm"
            assert not (could_wait and is_waited_for), "what somebody waits for goes first"
            rung_for, rendering_id = rendering_id, claim.rendering_id
            if rung_for != rendering_id:
                self.bell.ring(Priority.PREWARM.queue(provider), rung_for)
        if isinstance(claim, Waiting):
            assert roll_call.circuit(provider) is CircuitState.OPEN
            self.bell.ring(self.ledger.redirect(claim, roll_call) or provider, rendering_id)
            return None
        if claim is not None:
            assert claim.attempt == self.newest_attempt.get(rendering_id, 0) + 1, "attempts are monotone"
            assert claim.attempt <= LOSSES_PER_PROVIDER * len(CHAIN), "attempts are bounded"
            self.newest_attempt[rendering_id] = claim.attempt
            self.claims.append(claim)
            assert roll_call.circuit(provider) is not CircuitState.OPEN, "an open circuit lets nobody through"
            assert claim.is_probe == (roll_call.circuit(provider) is CircuitState.HALF_OPEN)
            if claim.is_probe:
                assert Pools(self.ledger).roll_call().circuit(provider) is CircuitState.OPEN, "one at a time"
        return claim

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def renew(self, data):
        claim = data.draw(st.sampled_from(self.claims))
        answer = self.ledger.renew(claim)
        assert answer == "fenced" or self._is_current(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def succeed(self, data):
        self._succeed(data.draw(st.sampled_from(self.claims)))

    def _succeed(self, claim):
        about, usage = result(claim.cache_key, claim.provider), self._use(claim, sounds=True)
        if self.ledger.succeed(claim, about, b"abc", usage=usage):
            assert self._is_current(claim), "an attempt that lost its lease to another one is fenced"
            # It may be told so again, as to somebody whom the first answer did not reach.
            self.effects[claim.rendering_id].add(claim.attempt)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from(["retry", "failed", "abandoned"]), sounds=st.booleans())
    def give_up(self, data, outcome, sounds):
        claim = data.draw(st.sampled_from(self.claims))
        this, record = (claim.rendering_id, claim.attempt), Attempt(claim.provider, "engine_failed", "No.", 1)
        usage = self._use(claim, sounds=sounds)
        if outcome == "retry":
            answer = self.ledger.pass_on(*this, CHAIN[1], [record], usage=usage)
        elif outcome == "failed":
            answer = self.ledger.fail(*this, "synthesis_failed", "No.", [record], usage=usage)
        else:
            answer = self.ledger.abandon(claim, usage)
        assert answer == "fenced" or self._is_current(claim), "an attempt that lost its lease is fenced"

    def _use(self, claim, *, sounds):
        if not sounds:
            return None
        self.used.add((claim.rendering_id, claim.attempt))
        return usage_of(claim)

    def _is_current(self, claim):
        return claim.attempt == self.newest_attempt[claim.rendering_id]

    # What circuit breakers do

    @rule(provider=st.sampled_from(CHAIN))
    def open_circuit(self, provider):
        self.redis.zadd(CIRCUITS, {provider: self.ledger.frozen_ms + PROBE_AFTER_MS})

    @rule(provider=st.sampled_from(CHAIN))
    def close_circuit(self, provider):
        self.redis.zrem(CIRCUITS, provider)

    # What time does

    @rule(ms=st.sampled_from([100, RING_AGAIN_MS, LEASE_MS, DEADLINE_MS // 4, JOB_TTL_MS]))
    def pass_time(self, ms):
        """Move the ledger's clock, and bring what expires as much nearer to its end."""
        self.ledger.frozen_ms += ms
        keys = self.redis.keys()
        pipe = self.redis.pipeline()
        for key in keys:
            pipe.pttl(key)
        for key, left_ms in zip(keys, pipe.execute(), strict=True):
            if left_ms >= 0:
                pipe.pexpire(key, left_ms - ms)
        pipe.execute()

    @rule()
    def sweep(self):
        self.sweeper.once()

    @rule()
    def hang_for_a_lease(self):
        """Every worker stops for longer than its lease; others are rung and take over."""
        self.pass_time(LEASE_MS)
        self.sweeper.once()
        for message in self.bell.messages[-3:]:
            self._claim(*message)

    # What must always hold

    @invariant()
    def live_renderings_are_where_they_belong(self):
        if not hasattr(self, "ledger"):
            return
        names = [
            key.decode().removeprefix("voice:rendering:") for key in self.redis.keys("voice:rendering:*")
        ]
        pipe = self.redis.pipeline()
        pipe.zrange("voice:due", 0, -1)
        for provider in CHAIN:
            for priority in Priority:
                pipe.zrange(f"voice:queue:{priority.queue(provider)}", 0, -1)
        for name in names:
            pipe.hmget(f"voice:rendering:{name}", "state", "provider", "priority")
            pipe.get(f"voice:live:{cache_key_of(name)}")
        due, *replies = pipe.execute()
        queue_names = [priority.queue(provider) for provider in CHAIN for priority in Priority]
        queues, replies = replies[: len(queue_names)], replies[len(queue_names) :]
        states = {name: (Status(state.decode()), queue_of(at, priority))
                  for name, (state, at, priority) in zip(names, replies[::2], strict=True)}  # fmt: skip
        live = {name for name, (state, _) in states.items() if not state.has_ended}
        assert sorted(map(bytes.decode, due)) == sorted(live), (
            "every live rendering has exactly one due entry"
        )
        for queue_name, queue in zip(queue_names, queues, strict=True):
            assert set(map(bytes.decode, queue)) == {
                name for name, state in states.items() if state == (Status.QUEUED, queue_name)
            }, "a queue holds the queued renderings of its provider and priority"
        keys = Counter(map(cache_key_of, live))
        assert all(count == 1 for count in keys.values()), "one live rendering a cache key"
        reachable = dict(zip(names, replies[1::2], strict=True))
        assert all(reachable[name] == name.encode() for name in live)

    @invariant()
    def effects_happen_once(self):
        assert all(len(attempts) == 1 for attempts in getattr(self, "effects", {}).values())

    @invariant()
    def what_was_used_is_written_down(self):
        if hasattr(self, "ledger"):
            usages = [Usage.from_json(fields[b"usage"]) for _, fields in self.redis.xrange(STREAM)]
            written = {(usage.rendering_id, usage.attempt) for usage in usages}
            assert written == self.used, "what an attempt used is written down, whatever became of it"

    @invariant()
    def jobs_keep_their_word(self):
        """What has ended stays as it is, with its audio, for its time to live; changes are announced."""
        if not hasattr(self, "ledger"):
            return
        jobs = {job.id: job for job in self.ledger.page(limit=200)[0]}
        self._gone_rightly(self.jobs.keys() - jobs.keys() - self.gone)
        assert list(jobs) == [job_id for job_id in reversed(self.jobs) if job_id not in self.gone], "in order"
        moved = set()
        for job_id, job in jobs.items():
            if job.status.has_ended:
                end = self.ended.setdefault(job_id, (job.status, job.finished_ms))
                assert end == (job.status, job.finished_ms), "what has ended stays as it is"
                age_ms = self.ledger.frozen_ms - job.finished_ms
                assert age_ms <= JOB_TTL_MS + KEEP_LIVE_MS, "a job is not kept for longer"
            assert (job_id in self.cancelled) == (job.status is Status.CANCELLED)
            state = job.status, job.queue, len(job.attempts)
            # Nobody announces that a job's own deadline has come, if its rendering goes on.
            if self.seen.get(job_id, state) != state and not (job.error and job.left_ms == 0):
                moved.add(job.rendering_id)
            self.seen[job_id] = state
        assert moved <= self._announced(), "every change is announced"
        pipe = self.redis.pipeline(transaction=False)
        for rendering in {job.rendering_id for job in jobs.values() if not job.status.has_ended}:
            pipe.hget(f"voice:rendering:{rendering}", "priority")
        assert set(pipe.execute()) <= {b"interactive"}, "what somebody waits for is urgent"
        audio = {f"voice:result:{job.rendering_id}" for job in jobs.values() if job.result}
        assert not audio or self.redis.exists(*audio) == len(audio), "as long as a job its audio is kept"

    def _gone_rightly(self, job_ids):
        for job_id in job_ids:
            assert self.ledger.job(job_id) is None, "every job that is kept is listed"
            age_ms = self.ledger.frozen_ms - self.ended[job_id][1]
            assert age_ms >= JOB_TTL_MS - SLACK_MS, "a job is kept for its time to live after its end"
            self.gone.add(job_id)

    def _announced(self):
        entries = self.redis.xrange("voice:transitions", min=self.announced_until)
        if entries:
            self.announced_until = f"({entries[-1][0].decode()}"
        return {fields[b"rendering"].decode() for _, fields in entries}

    def teardown(self):
        """With workers that work and no more accidents, everything ends and nothing is left."""
        if not hasattr(self, "ledger"):
            return
        self.bell.messages.clear()
        self.redis.delete(CIRCUITS)
        for _ in range(LOSSES_PER_PROVIDER * len(CHAIN) * 3):
            self.pass_time(LEASE_MS)
            self.sweeper.once()
            while self.bell.messages:
                claim = self._claim(*self.bell.messages.pop())
                if claim is not None:
                    self._succeed(claim)
        self.live_renderings_are_where_they_belong()
        assert self.redis.zcard("voice:due") == 0, "nothing is left when all is drained"
        self.jobs_keep_their_word()
        assert self.ended.keys() == self.jobs.keys(), "no accepted job is lost"
        kept = filter(None, map(self.ledger.job, self.prewarmed))
        assert all(job.status.has_ended for job in kept), "nor one for the cache"
        self.pass_time(DAY_MS)
        counters = {"voice:transitions", "voice:ended", STREAM, *(f"voice:provider:{name}" for name in CHAIN)}
        left = {key.decode() for key in self.redis.scan_iter()}
        assert left <= counters, "in the end everything has expired"
