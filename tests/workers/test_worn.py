"""A process whose engine leaks memory is ended after so many syntheses, as a supervisor would end it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from shared import clock
from shared.doorbell import TASK
from workers.app import _end_when_worn

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Tell whether this process was asked to end, in place of ending it."""
    told = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: told.set())
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("most", "done", "ends"), [(3, 2, False), (3, 3, True), (0, 20, False)])
def test_a_process_ends_after_so_many_syntheses(most, done, ends):
    count = _end_when_worn(most)
    with told_to_end() as told:
        for _ in range(done):
            count(sender=SimpleNamespace(name=TASK))
        assert told.is_set() is ends


def test_what_the_clock_has_it_do_wears_nothing():
    count = _end_when_worn(1)
    with told_to_end() as told:
        count(sender=SimpleNamespace(name=clock.TASK))
        assert not told.is_set()
