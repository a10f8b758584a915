"""What the farm adds to an engine's own time when it has to speak."""

from __future__ import annotations

import time
import uuid
from statistics import median
from typing import TYPE_CHECKING

from shared.models import AudioFormat
from tests.bench.caller import Caller
from tests.bench.report import Row
from tests.farm import running_farm
from tests.workers.utterances import utterance
from workers.audio import join
from workers.encoding import encode
from workers.providers.espeak import EspeakProvider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMES = 200
# Some 130 kB of WAV, as in the benchmark of hits.
TEXT = "The coffee is ready for number {}."


def measure(folder: Path) -> Iterator[Row]:
    """Let the engine alone and the farm speak the same sentences, in turns."""
    engine = EspeakProvider()
    engine.load()
    bare_ms, farm_ms = [], []
    with running_farm(folder) as farm, Caller(farm) as caller:
        for _ in range(TIMES):
            text = TEXT.format(uuid.uuid4().hex[:6])
            began = time.perf_counter()
            encode(join(engine.synthesize(utterance(text, voices={"espeak": "m3"}))), AudioFormat.WAV)
            bare_ms.append((time.perf_counter() - began) * 1000)
            answer = caller.ask(text=text)
            farm_ms.append(answer.took_ms)
            assert (answer.status, answer.headers["X-Cache-Status"]) == (200, "MISS")
    overhead_ms = median(ours - theirs for ours, theirs in zip(farm_ms, bare_ms, strict=True))
    yield Row(
        "Miss with `Prefer: wait`, espeak: median time beyond the engine's",
        f"{median(farm_ms):.1f} ms, {overhead_ms:.1f} ms of it the farm's",
        f"engine alone: {median(bare_ms):.1f} ms",
        overhead_ms,
        "≤ 8",
    )
