"""Cached audio from the farm, against the same bytes from nginx as a static file."""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.load import Load, load, running_nginx
from tests.bench.report import Row
from tests.farm import running_farm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYNTHESIZE = "/api/voice/synthesize"
# 130 kB of WAV, three seconds of espeak-ng.
TEXT = "The coffee is ready, the train is on time, and nobody waits."
ROUNDS = 5
SECONDS = 3


def measure(folder: Path) -> Iterator[Row]:
    """Compare them in turns, first with one client, then with sixteen; what counts is the median turn."""
    with running_farm(folder / "farm") as farm, farm.client() as http:
        body = {"text": TEXT}
        http.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=30"})
        audio = http.post(SYNTHESIZE, json=body).content
        headers = {"Authorization": f"Bearer {farm.admin_key}", "Content-Type": "application/json"}
        hit = {"url": farm.url + SYNTHESIZE, "body": json.dumps(body).encode(), "headers": headers}
        size = f"{len(audio) / 1000:.0f} kB"
        with running_nginx(folder / "nginx", {"audio.wav": audio}) as nginx:
            static = {"url": f"{nginx}/audio.wav"}

            def rounds(clients: int) -> list[tuple[Load, Load]]:
                how = {"folder": folder, "clients": clients, "seconds": SECONDS}
                return [(load(**static, **how), load(**hit, **how)) for _ in range(ROUNDS)]

            one = rounds(1)
            theirs_us, ours_us = (median(turn[who].median_us for turn in one) for who in (0, 1))
            yield Row(
                f"Hit, {size}, 1 client: median time",
                f"{ours_us:.0f} µs",
                f"nginx, static file: {theirs_us:.0f} µs",
                median(turn[1].median_us / turn[0].median_us for turn in one),
                "≤ 3.5",
            )
            many = rounds(16)
            theirs, ours = (median(turn[who].per_s for turn in many) for who in (0, 1))
            yield Row(
                f"Hit, {size}, 16 clients: throughput",
                f"{ours:,.0f}/s",
                f"nginx, static file: {theirs:,.0f}/s",
                median(turn[1].per_s / turn[0].per_s for turn in many),
                "≥ 0.15",
            )
