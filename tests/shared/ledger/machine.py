"""A model of everything that can go wrong around the ledger, for hypothesis to drive."""

from __future__ import annotations

import uuid
from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.ledger import Attempt, Ledger, Result, Status, Sweep
from shared.ledger.store import LOSSES_PER_PROVIDER, RING_AGAIN_MS
from shared.models import AudioFormat, Fallback, Quality, SpeechRequest, Utterance

CHAIN = ("first", "second")
KEYS = [letter * 64 for letter in "abc"]
LEASE_MS = 15_000
DEADLINE_MS = 600_000
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


def make_ledger(redis, *, max_backlog=1000) -> Ledger:
    """Make a ledger whose clock stands still until a test moves it."""
    times = {"lease_ms": LEASE_MS, "deadline_ms": DEADLINE_MS, "job_ttl_ms": 3_600_000}
    ledger = Ledger(redis, **times, max_backlog=max_backlog)
    ledger.frozen_ms = 1_800_000_000_000
    return ledger


def submit(ledger, key, *, job_id=None, owner="owner", looked_ago_ms=0, provider=CHAIN[0], may_begin=True):
    """Submit a job of its own; gives its ID and what became of it."""
    job_id = job_id or str(uuid.uuid4())
    submitted = ledger.submit(
        key, UTTERANCE, CHAIN, provider, job_id=job_id, owner=owner,
        request=SpeechRequest(text="Hello."), looked_ago_ms=looked_ago_ms, may_begin=may_begin,
    )  # fmt: skip
    return job_id, submitted


def result(key, provider="first") -> Result:
    return Result(key, provider, "wav", 3, 100, 22050, False, "0" * 64, True)  # noqa: FBT003


class Bell:
    """The broker between the ledger and the workers: messages can be lost, doubled, and come in any order."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []

    def ring(self, provider, rendering_id) -> bool:
        self.messages.append((provider, rendering_id))
        return True

    def backlog(self, provider) -> int:
        return sum(1 for where, _ in self.messages if where == provider)


class Pools:
    """Who is there to speak: always somebody, whatever happens to each of them."""

    def live(self) -> frozenset[str]:
        return frozenset(CHAIN)


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
        self.sweeper = Sweep(self.ledger, Pools(), self.bell)
        self.claims = []
        self.jobs, self.cancelled, self.effects = [], set(), Counter()
        self.newest_attempt = {}

    # What fronts do

    @rule(key=st.sampled_from(KEYS), dies_before_ringing=st.booleans())
    def submit(self, key, dies_before_ringing):
        # Counted, because IDs decide the order of what is due at the same time.
        job_id, submitted = submit(self.ledger, key, job_id=str(uuid.UUID(int=len(self.jobs))))
        self.jobs.append(job_id)
        if submitted.how == "new" and not dies_before_ringing:
            self.bell.ring(CHAIN[0], submitted.rendering_id)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data):
        job_id = data.draw(st.sampled_from(self.jobs))
        if self.ledger.leave(job_id) == "left":
            self.cancelled.add(job_id)

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

    def _claim(self, provider, rendering_id):
        claim = self.ledger.claim(rendering_id, provider, "worker")
        if claim is not None:
            assert claim.attempt == self.newest_attempt.get(rendering_id, 0) + 1, "attempts are monotone"
            assert claim.attempt <= LOSSES_PER_PROVIDER * len(CHAIN), "attempts are bounded"
            self.newest_attempt[rendering_id] = claim.attempt
            self.claims.append(claim)
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
        stored, _ = self.ledger.store_result(
            claim.rendering_id, result(claim.cache_key, claim.provider), b"abc"
        )
        if self.ledger.succeed(claim, stored):
            assert self._is_current(claim), "an attempt that lost its lease to another one is fenced"
            self.effects[claim.rendering_id] += 1

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), outcome=st.sampled_from(["retry", "failed", "abandoned"]))
    def give_up(self, data, outcome):
        claim = data.draw(st.sampled_from(self.claims))
        record = Attempt(claim.provider, "engine_failed", "It broke.", 1)
        if outcome == "retry":
            answer = self.ledger.pass_on(claim.rendering_id, claim.attempt, CHAIN[1], record)
        elif outcome == "failed":
            answer = self.ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "No.", record)
        else:
            answer = self.ledger.abandon(claim)
        assert answer == "fenced" or self._is_current(claim), "an attempt that lost its lease is fenced"

    def _is_current(self, claim):
        return claim.attempt == self.newest_attempt[claim.rendering_id]

    # What time does

    @rule(ms=st.sampled_from([100, RING_AGAIN_MS, LEASE_MS, DEADLINE_MS // 4]))
    def pass_time(self, ms):
        self.ledger.frozen_ms += ms

    @rule()
    def sweep(self):
        self.sweeper.once()

    @rule()
    def hang_for_a_lease(self):
        """Every worker stops for longer than its lease; others are rung and take over."""
        self.ledger.frozen_ms += LEASE_MS
        self.sweeper.once()
        for message in self.bell.messages[-3:]:
            self._claim(*message)

    # What must always hold

    def _renderings(self):
        keys = self.redis.keys("voice:rendering:*")
        return {
            key.decode().removeprefix("voice:rendering:"): {
                name.decode(): value.decode() for name, value in self.redis.hgetall(key).items()
            }
            for key in keys
        }

    @invariant()
    def live_renderings_are_where_they_belong(self):
        if not hasattr(self, "ledger"):
            return
        renderings = self._renderings()
        live = {name for name, fields in renderings.items() if not Status(fields["state"]).has_ended}
        due = [entry.decode() for entry in self.redis.zrange("voice:due", 0, -1)]
        assert sorted(due) == sorted(live), "every live rendering has exactly one due entry"
        for provider in CHAIN:
            queued = {entry.decode() for entry in self.redis.zrange(f"voice:queue:{provider}", 0, -1)}
            assert queued == {
                name for name in live
                if renderings[name]["state"] == "queued" and renderings[name]["provider"] == provider
            }, "a queue holds the queued renderings of its provider"  # fmt: skip
        keys = Counter(renderings[name]["cache_key"] for name in live)
        assert all(count == 1 for count in keys.values()), "one live rendering a cache key"
        for name in live:
            assert self.redis.get(f"voice:live:{renderings[name]['cache_key']}").decode() == name

    @invariant()
    def effects_happen_once(self):
        assert all(count == 1 for count in getattr(self, "effects", Counter()).values())

    @invariant()
    def cancelled_jobs_stay_cancelled(self):
        for job_id in getattr(self, "cancelled", ()):
            assert self.ledger.job(job_id).status is Status.CANCELLED

    def teardown(self):
        """With workers that work and no more accidents, everything ends and nothing is left."""
        if not hasattr(self, "ledger"):
            return
        self.bell.messages.clear()
        for _ in range(LOSSES_PER_PROVIDER * len(CHAIN) * 3):
            self.ledger.frozen_ms += LEASE_MS
            self.sweeper.once()
            while self.bell.messages:
                claim = self._claim(*self.bell.messages.pop())
                if claim is not None:
                    self._succeed(claim)
        self.live_renderings_are_where_they_belong()
        assert self.redis.zcard("voice:due") == 0, "nothing is left when all is drained"
        for job_id in self.jobs:
            assert self.ledger.job(job_id).status.has_ended, "no accepted job is lost"
