"""The supervisor, with real processes."""

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from functools import wraps

import psutil
import pytest

from shared.cli.errors import EndedTooSoon
from shared.cli.supervisor import Patience, Supervisor

SOON_S = 20
QUICK = Patience(first_pause_s=0.01, longest_pause_s=0.04, grace_s=SOON_S)


class Transcript(io.StringIO):
    """Remembers what was written, and lets a test wait for it."""

    def __init__(self):
        super().__init__()
        self._written = asyncio.Event()

    def write(self, text):
        self._written.set()
        return super().write(text)

    async def heard(self, pattern):
        """Give the first match, as soon as there is one."""
        async with asyncio.timeout(SOON_S):
            while not (found := re.search(pattern, self.getvalue())):
                self._written.clear()
                await self._written.wait()
        return found


def in_a_loop(test):
    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


def supervisor(folder, output, patience=QUICK):
    return Supervisor(folder, os.environ, patience, output)


def assert_gone(*pids):
    """Show that these processes are there no more, or not for long."""
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], SOON_S)
    assert alive == []


@in_a_loop
async def test_every_line_bears_the_name_of_its_command(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running({"one": "sh -c 'echo first; echo second; sleep 1000'"}):
        await said.heard(r"\d\d:\d\d:\d\d one  \| first\n.* one  \| second\n")


@in_a_loop
async def test_last_words_without_a_newline_are_heard(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running({"one": "printf farewell"}):
        await said.heard(r"one  \| farewell\n")


@in_a_loop
async def test_a_line_of_any_length_stays_one_line(tmp_path):
    said = Transcript()
    talkative = "sh -c 'head -c 300000 /dev/zero | tr \\\\0 x; echo'"
    async with supervisor(tmp_path, said).running({"one": talkative}):
        await said.heard(r"\| x{300000}\n")


@in_a_loop
async def test_what_dies_is_started_again_after_pauses_that_double_up_to_a_limit(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running({"pool": "sh -c 'exit 3'"}):
        await said.heard(r"(?s)in 0\.01 s.*in 0\.02 s.*in 0\.04 s.*in 0\.04 s")
        await said.heard(r"farm \| pool ended with exit code 3; starting it again in 0\.01 s")


@in_a_loop
async def test_a_long_life_is_forgiven_its_death(tmp_path):
    said = Transcript()
    forgiving = Patience(first_pause_s=0.01, healthy_after_s=0)
    async with supervisor(tmp_path, said, forgiving).running({"pool": "false"}):
        await said.heard(r"(?s)(in 0\.01 s.*){3}")
    assert "in 0.02 s" not in said.getvalue()


@in_a_loop
async def test_what_ends_before_it_is_ready_is_not_started_again(tmp_path):
    said = Transcript()
    never = asyncio.Event()
    with pytest.raises(EndedTooSoon, match="one ended with exit code 3 before it was ready"):
        async with supervisor(tmp_path, said).running({"one": "sh -c 'exit 3'"}, never.wait()):
            pass
    assert "again" not in said.getvalue()


@in_a_loop
async def test_what_dies_once_it_was_ready_is_started_again(tmp_path):
    said = Transcript()
    mortal = "sh -c 'echo ready; while [ ! -e die ]; do sleep 0.01; done'"
    async with supervisor(tmp_path, said).running({"one": mortal}, said.heard("ready")):
        (tmp_path / "die").touch()
        await said.heard("(?s)starting it again.*ready")


@in_a_loop
async def test_what_never_gets_ready_ends_with_the_reason(tmp_path):
    async def give_up():
        raise TimeoutError

    said = Transcript()
    with pytest.raises(TimeoutError):
        async with supervisor(tmp_path, said).running({"one": "sleep 1000"}, give_up()):
            pass


@in_a_loop
async def test_a_signal_is_called_by_its_name(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running({"pool": "sh -c 'kill -KILL $$'"}):
        await said.heard("pool was killed by SIGKILL")


@in_a_loop
async def test_the_others_live_on_when_one_dies(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running(
        {"ill": "false", "well": "sh -c 'echo pid $$; sleep 1000'"}
    ):
        pid = int((await said.heard(r"pid (\d+)"))[1])
        await said.heard(r"(?s)(ill ended.*){3}")
        assert psutil.pid_exists(pid)
    assert "well ended" not in said.getvalue()


@in_a_loop
async def test_grandchildren_end_with_their_command(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running({"pool": "sh -c 'sleep 1000 & echo pids $$ $!; wait'"}):
        parent, child = (await said.heard(r"pids (\d+) (\d+)")).groups()
    assert_gone(int(parent), int(child))


@in_a_loop
async def test_grandchildren_end_before_a_dead_command_is_started_again(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said).running({"pool": "sh -c 'sleep 1000 & echo pid $!; exit 1'"}):
        orphan = int((await said.heard(r"pid (\d+)"))[1])
        await said.heard("starting it again")
        assert_gone(orphan)


@in_a_loop
async def test_a_command_may_end_in_order(tmp_path):
    said = Transcript()
    orderly = "sh -c 'trap \"echo tidied up; exit 0\" TERM; echo up; while :; do sleep 0.05; done'"
    async with supervisor(tmp_path, said).running({"pool": orderly}):
        await said.heard("up")
    assert "pool | tidied up" in said.getvalue()


STUBBORN = "sh -c 'trap \"\" TERM; echo pid $$; while :; do sleep 1000; done'"


@in_a_loop
async def test_what_does_not_end_in_time_is_killed(tmp_path):
    said = Transcript()
    async with supervisor(tmp_path, said, Patience(grace_s=0.1)).running({"pool": STUBBORN}):
        pid = int((await said.heard(r"pid (\d+)"))[1])
    assert_gone(pid)


@in_a_loop
async def test_who_is_in_a_hurry_need_not_wait(tmp_path):
    said = Transcript()
    farm = supervisor(tmp_path, said, Patience(grace_s=1000))
    async with asyncio.timeout(SOON_S):
        async with farm.running({"pool": STUBBORN}):
            pid = int((await said.heard(r"pid (\d+)"))[1])
            asyncio.get_running_loop().call_later(0.1, farm.hurry)
    assert_gone(pid)


@in_a_loop
async def test_an_output_without_a_reader_does_not_stop_the_farm(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        farm = supervisor(tmp_path, nobody)
        async with farm.running({"pool": "sh -c 'echo lost; sleep 1000'"}):
            farm.say("lost too")
            farm.show("and this")


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from shared.cli.supervisor import Supervisor

async def main():
    async with Supervisor(Path.cwd(), os.environ).running({"pool": sys.argv[1]}):
        await asyncio.Event().wait()

asyncio.run(main())
"""


ORDERLY_PARENT = """sh -c '
    end() { kill $!; exit; }
    trap end TERM
    sh -c "echo pids $$ \\$\\$; exec sleep 1000" &
    wait'"""


@pytest.mark.parametrize("last_signal", [signal.SIGKILL, signal.SIGTERM])
def test_commands_end_with_a_supervisor_that_is_killed(last_signal):
    program = [sys.executable, "-c", PROGRAM, ORDERLY_PARENT]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as farm:
        pids = re.search(r"pids (\d+) (\d+)", farm.stdout.readline()).groups()
        farm.send_signal(last_signal)
        assert_gone(*map(int, pids))
