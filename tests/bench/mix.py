"""The same phrases again and again, as an assistant says them: the farm against Piper's own HTTP server."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from tests.bench.medium_voice import NAME, make_medium_voice
from tests.bench.report import Row
from tests.farm import running_farm, until
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REQUESTS, PHRASES, CLIENTS, EXPONENT, SEED = 300, 60, 8, 1.0, 7
_PHRASE = "Number {}: the coffee is ready, the train is on time, and nobody has to wait for it."


def requests() -> list[str]:
    """Draw the phrases by Zipf's law, the same ones each time."""
    weights = [1 / rank**EXPONENT for rank in range(1, PHRASES + 1)]
    drawn = random.Random(SEED).choices(range(PHRASES), weights, k=REQUESTS)  # noqa: S311  no secret
    return [_PHRASE.format(number) for number in drawn]


def measure(folder: Path) -> Iterator[Row]:
    """Send the same requests to the one, then to the other, both with the same voice and every core."""
    models = folder / "models"
    make_medium_voice(models)
    texts = requests()
    with _piper_server(models) as url, httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
        theirs_s = _time(texts, lambda text: http.post("/synthesize", json={"text": text}))
    env = {"VOICEFARM_MODEL_DIR": str(models)}
    with running_farm(folder / "farm", workers=("piper",), env=env) as farm, farm.client() as http:
        http.timeout = 120

        def ask(text: str) -> httpx.Response:
            body = {"text": text, "provider": "piper"}
            return http.post("/api/voice/synthesize", json=body, headers={"Prefer": "wait=60"})

        ask("Warm up.")
        ours_s = _time(texts, ask)
    yield Row(
        f"{REQUESTS} requests for {len(set(texts))} phrases (Zipf), {CLIENTS} clients, Piper: throughput",
        f"{REQUESTS / ours_s:.1f}/s",
        f"Piper's own HTTP server: {REQUESTS / theirs_s:.1f}/s",
        theirs_s / ours_s,
        "≥ 4",
    )


def _time(texts: list[str], ask: Callable[[str], httpx.Response]) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        for answer in clients.map(ask, texts):
            assert answer.status_code == httpx.codes.OK, answer.text
            assert answer.content.startswith(b"RIFF")
    return time.perf_counter() - began


@contextmanager
def _piper_server(models: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = ["-m", "piper.http_server", "--model", models / "piper" / f"{NAME}.onnx"]
    with (models / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, *command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=models, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: _is_up(url), "Piper's server answers")
        yield url
    finally:
        server.terminate()
        server.wait()


def _is_up(url: str) -> bool:
    try:
        answer = httpx.post(f"{url}/synthesize", json={"text": "Warm up."}, timeout=60, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.is_success
