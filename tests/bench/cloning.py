"""What the farm adds to XTTS v2's own time, what a known voice saves, and how fast a full-size network is."""

from __future__ import annotations

import subprocess
import uuid
from statistics import median
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.database import Database
from shared.usage.table import SynthesisRow
from tests.bench.caller import Caller
from tests.bench.report import Row
from tests.checkpoints import PYTHON, place_checkpoint
from tests.farm import ROOT, running_farm, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.farm import RunningFarm

TIMES = 20
TEXT = "We were away, number {}."
SPEAKER = "Claribel Dervla"
_BARE = (PYTHON, "-m", "tests.bench.bare_xtts")


def measure(folder: Path) -> Iterator[Row]:
    """Use a small checkpoint, on which the farm's own time shows."""
    release = folder / "models" / "xtts_v2"
    place_checkpoint("xtts_v2", release)
    yield _overhead(folder)
    yield _known_voice(folder)
    yield _full_size(folder / "full")


def _overhead(folder: Path) -> Row:
    with running_farm(folder, workers=("xtts_v2",)) as farm:
        voice = _personality(farm)
        texts = [TEXT.format(uuid.uuid4().hex[:6]) for _ in range(TIMES + 1)]
        with Caller(farm) as caller:
            answers = [caller.ask(text=text, personality_id=voice, provider="xtts_v2") for text in texts]
        assert {(a.status, a.headers["X-Cache-Status"]) for a in answers} == {(200, "MISS")}
        farm_ms = [answer.took_ms for answer in answers]
        database = Database(farm.settings.database_url)
        until(lambda: len(_engine_ms(database)) == len(texts), "what was used is in SQL")
        engine_ms = _engine_ms(database)
        database.close()
    # Without the first one, which warms it up.
    overhead_ms = median(ours - its for ours, its in zip(farm_ms[1:], engine_ms[1:], strict=True))
    return Row(
        "Miss with `Prefer: wait`, XTTS v2 (small): median time beyond the engine's",
        f"{median(farm_ms[1:]):.0f} ms, {overhead_ms:.1f} ms of it the farm's",
        f"the engine: {median(engine_ms[1:]):.0f} ms",
        overhead_ms,
        "≤ 10",
    )


def _engine_ms(database: Database) -> list[int]:
    with database.session() as session:
        return list(session.scalars(select(SynthesisRow.compute_ms).order_by(SynthesisRow.at)))


def _personality(farm: RunningFarm) -> str:
    """Make one that speaks with the speaker whom the library uses."""
    config = {"voices": {"xtts_v2": SPEAKER}}
    with farm.client() as http:
        made = http.post("/api/voice/personalities", json={"name": "bench", "voice_config": config})
        return made.raise_for_status().json()["id"]


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
        "≥ 1",
    )


def _run(command: str, folder: Path) -> str:
    return subprocess.run(
        [*_BARE, command, folder], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
