"""How a Piper pool grows with its processes, against bare processes that do nothing but speak."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from statistics import median
from typing import TYPE_CHECKING

import httpx

from shared.settings import Settings
from tests.bench.medium_voice import make_medium_voice
from tests.bench.report import Row
from tests.farm import running_farm
from tests.workers.utterances import utterance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workers.providers.piper import PiperProvider

SENTENCES, ROUNDS = 24, 3
_SENTENCE = "Round {}, sentence {}: the coffee is ready, the train is on time, and nobody has to wait for it."

_provider: PiperProvider


def measure(folder: Path) -> Iterator[Row]:
    """Let one process and two speak as many sentences, bare and as a pool, in turns."""
    make_medium_voice(folder / "models")
    rounds = []
    for number in range(ROUNDS):
        texts = [_SENTENCE.format(number, sentence) for sentence in range(SENTENCES)]
        bare_one, bare_two = (_bare(folder, processes, texts) for processes in (1, 2))
        one, two = (_pool(folder / f"{number}-{processes}", folder, processes, texts) for processes in (1, 2))
        rounds.append((two / one, bare_two / bare_one))
    ours, theirs = (median(gains) for gains in zip(*rounds, strict=True))
    yield Row(
        "Piper, two processes over one: gain in throughput",
        f"{ours:.2f} times",
        f"bare processes: {theirs:.2f} times",
        median(gain / bare for gain, bare in rounds),
        "≥ 0.9",
    )


def _bare(folder: Path, processes: int, texts: list[str]) -> float:
    """Give sentences a second of processes that hold the provider and nothing else."""
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_load, initargs=(folder / "models",)
    ) as pool:
        list(pool.map(_speak, ["Warm up."] * processes * 2))
        began = time.perf_counter()
        list(pool.map(_speak, texts))
        return len(texts) / (time.perf_counter() - began)


def _load(models: Path) -> None:
    from workers.providers.piper import PiperProvider  # noqa: PLC0415  only a process that speaks needs it

    global _provider  # noqa: PLW0603  what an initializer leaves for the tasks
    _provider = PiperProvider.from_settings(Settings.load(VOICEFARM_MODEL_DIR=str(models)))
    _provider.load()


def _speak(text: str) -> int:
    return sum(len(chunk.samples) for chunk in _provider.synthesize(utterance(text)))


def _pool(state: Path, folder: Path, processes: int, texts: list[str]) -> float:
    """Give sentences a second of a farm whose Piper pool has so many processes."""
    env = {
        "VOICEFARM_MODEL_DIR": str(folder / "models"),
        "VOICEFARM_PIPER_PROCESSES": str(processes),
        "VOICEFARM_RATE_LIMIT_PER_MINUTE": "0",
    }
    with running_farm(state, workers=("piper",), env=env) as farm, farm.client() as http:
        http.timeout = 120

        def ask(text: str) -> None:
            body = {"text": text, "provider": "piper"}
            answer = http.post("/api/voice/synthesize", json=body, headers={"Prefer": "wait=100"})
            assert answer.status_code == httpx.codes.OK, answer.text

        with ThreadPoolExecutor(8) as clients:
            list(clients.map(ask, [f"Warm up {number}." for number in range(2 * processes)]))
            began = time.perf_counter()
            list(clients.map(ask, texts))
            return len(texts) / (time.perf_counter() - began)
