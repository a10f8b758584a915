"""Processes that count into one folder, live and die there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from web import shared_counts
from web.shared_counts import SharedCounts

# Counts once for each line that it reads, and says so; ends with its input. It loads this one file, because
# the whole front would take seconds.
COUNTING = """
import sys
from pathlib import Path
from runpy import run_path
from prometheus_client import Counter

SharedCounts = run_path(sys.argv[2])["SharedCounts"]
with SharedCounts(Path(sys.argv[1])).joining():
    counter = Counter("lines", "Lines.", registry=None)
print("ready", flush=True)
for line in sys.stdin:
    counter.inc()
    print("counted", flush=True)
"""


class Counting:
    """A process that counts."""

    def __init__(self, folder) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, folder, shared_counts.__file__],
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def count(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "counted\n"

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "metrics"


@pytest.fixture
def counting(folder):
    """Start processes that count in the folder; they end with the test."""
    started = []

    def start():
        started.append(Counting(folder))
        return started[-1]

    yield start
    for process in started:
        process.end()


def total(folder) -> float:
    [metric] = SharedCounts(folder).collect()
    [sample] = metric.samples
    return sample.value


def test_what_all_have_counted_is_added_up(folder, counting):
    first, second = counting(), counting()
    first.count()
    second.count()
    second.count()
    assert total(folder) == 3
    assert SharedCounts(folder).pids() == {first.process.pid, second.process.pid}


def test_what_the_dead_have_counted_stays_in_one_file(folder, counting):
    living = counting()
    for _ in range(3):
        passing = counting()
        passing.count()
        passing.end()
        assert passing.process.pid not in SharedCounts(folder).pids()
    counting()
    living.count()
    assert total(folder) == 4
    assert len(list(folder.glob("counter_*.db"))) == 3, "of two that live and of the dead"


def test_a_run_begins_with_nothing_when_the_last_has_ended(folder, counting):
    for _ in range(2):
        process = counting()
        process.count()
        process.end()
    assert total(folder) == 1


def test_a_file_that_its_process_did_not_come_to_fill_is_no_trouble(folder, counting):
    counting().count()
    (folder / f"counter_{2**22 + 1}.db").touch()
    counting()
    assert total(folder) == 1


def test_a_number_that_another_process_has_by_now_does_not_live(folder, counting):
    process = counting()
    process.count()
    process.end()
    [file] = folder.glob("counter_*.db")
    reused = file.rename(folder / f"counter_{os.getpid()}.db")
    os.utime(reused, (0, 0))
    assert SharedCounts(folder).pids() == set()
