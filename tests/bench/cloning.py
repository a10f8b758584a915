"""What the farm adds to XTTS v2's own time, what a known voice saves, and how fast a full-size network is."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.report import Row
from tests.farm import ROOT, running_farm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.farm import RunningFarm

TIMES = 40
TEXT = "The coffee is ready, and nobody waits for number {}."
SPEAKER = "Claribel Dervla"
_PYTHON = ROOT / ".venv-torch" / "bin" / "python"
_BARE = (_PYTHON, "-m", "tests.bench.bare_xtts")


def measure(folder: Path) -> Iterator[Row]:
    """Use a small checkpoint, on which the farm's own time shows."""
    release = folder / "models" / "xtts_v2"
    subprocess.run([_PYTHON, "-m", "tests.checkpoints.xtts", release], cwd=ROOT, check=True)
    yield _overhead(folder, release)
    yield _known_voice(folder)
    yield _full_size(folder / "full")


def _overhead(folder: Path, release: Path) -> Row:
    bare_ms, farm_ms = [], []
    with _library(release) as library, running_farm(folder, workers=("xtts_v2",)) as farm:
        voice = _personality(farm)
        for number in range(TIMES + 1):
            text = TEXT.format(uuid.uuid4().hex[:6])
            theirs = _ask(library, text)
            ours = _farm_ms(farm, text, voice)
            if number:  # the first one warms them up
                bare_ms.append(theirs)
                farm_ms.append(ours)
    overhead_ms = median(ours - theirs for ours, theirs in zip(farm_ms, bare_ms, strict=True))
    return Row(
        "Miss with `Prefer: wait`, XTTS v2 (small): median time beyond the library's",
        f"{median(farm_ms):.0f} ms, {overhead_ms:.1f} ms of it the farm's",
        f"library alone: {median(bare_ms):.0f} ms",
        overhead_ms,
        "≤ 10",
    )


@contextmanager
def _library(release: Path) -> Iterator[subprocess.Popen]:
    command = [*_BARE, "turns", release, SPEAKER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as library:
        while library.stdout.readline().strip() != "ready":
            pass
        yield library
        library.stdin.close()


def _ask(library: subprocess.Popen, text: str) -> float:
    library.stdin.write(f"{text}\n")
    library.stdin.flush()
    return float(library.stdout.readline())


def _personality(farm: RunningFarm) -> str:
    """Make one that speaks with the speaker whom the library uses."""
    config = {"voices": {"xtts_v2": SPEAKER}}
    with farm.client() as http:
        made = http.post("/api/voice/personalities", json={"name": "bench", "voice_config": config})
        return made.raise_for_status().json()["id"]


def _farm_ms(farm: RunningFarm, text: str, personality_id: str) -> float:
    with farm.client() as http:
        http.get("/healthz")  # connects
        body = json.dumps({"text": text, "personality_id": personality_id, "provider": "xtts_v2"})
        headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
        began = time.perf_counter()
        answer = http.post("/api/voice/synthesize", content=body, headers=headers)
        took_ms = (time.perf_counter() - began) * 1000
        assert (answer.status_code, answer.headers["X-Cache-Status"]) == (200, "MISS")
    return took_ms


def _known_voice(folder: Path) -> Row:
    lines = _run("conditioning", folder).splitlines()
    first_ms, second_ms = (
        median(times) for times in zip(*(map(float, line.split()) for line in lines), strict=True)
    )
    return Row(
        "Voice of a sample that another worker has conditioned, XTTS v2 (small): median time",
        f"{second_ms:.1f} ms",
        f"the first conditioning: {first_ms:.0f} ms",
        second_ms / first_ms,
        "≤ 0.1",
    )


def _full_size(release: Path) -> Row:
    speed = float(_run("full", release).splitlines()[-1])
    return Row(
        "XTTS v2 at full size with random weights, one stream",
        f"{speed:.2f} s of audio a second",
        "speech as it is heard: 1 s a second",
        speed,
        "≥ 0",
    )


def _run(command: str, folder: Path) -> str:
    return subprocess.run(
        [*_BARE, command, folder], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
