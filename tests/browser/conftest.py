"""A real Chromium, and farms for it to look at."""

from __future__ import annotations

import io
import shutil
import wave
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from shared.connections import front_client
from shared.ledger import Attempt, Ledger, Result
from shared.presence import Presence, Worker
from tests.farm import RunningFarm, running_farm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserType, Page

    from shared.ledger import Claim

expect.set_options(timeout=20_000)


def launch(chromium: BrowserType, autoplay: str) -> Browser:
    """Start Chromium without what it does for its maker; it cannot sandbox itself where tests run as root."""
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    options = ["--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
    return chromium.launch(
        executable_path=shutil.which("chromium"), args=[*options, f"--autoplay-policy={autoplay}"]
    )


@pytest.fixture(scope="package")
def chromium() -> Iterator[BrowserType]:
    """The program. Ends with this folder: while it runs, no other test can run an event loop."""
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture(scope="package")
def browser(chromium) -> Iterator[Browser]:
    """A browser that plays sound as soon as a page wants it."""
    browser = launch(chromium, "no-user-gesture-required")
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm that speaks, shared by this folder."""
    with running_farm(tmp_path_factory.mktemp("farm")) as farm:
        yield farm


@pytest.fixture(scope="package")
def silent_farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm without workers, shared by this folder."""
    with running_farm(tmp_path_factory.mktemp("silent-farm"), workers=()) as farm:
        yield farm


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says; among it every breach of the content security policy."""
    return []


@pytest.fixture
def page(browser, complaints) -> Iterator[Page]:
    """A page without a session; nothing may go wrong in it but requests that were refused."""
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource: ")] == []


@pytest.fixture
def speaking(page, farm) -> Page:
    """The page, opened with the printed link of a farm that speaks."""
    page.goto(farm.link())
    return page


class PlayedWorker:
    """A worker of the espeak pool that does what the test tells it, through the ledger as any worker does."""

    def __init__(self, farm: RunningFarm) -> None:
        self._redis = front_client(farm.settings.state_url)
        self._ledger = Ledger.from_settings(farm.settings, self._redis)
        self._presence = Presence(self._redis)
        self._worker = Worker(name="test", provider="espeak", slots=1, device="cpu", pid=0)
        self.beat()

    def beat(self) -> None:
        """Say that it lives, for some seconds."""
        self._presence.beat(self._worker)

    def claim(self, job_id: str) -> Claim:
        job = self._ledger.job(job_id)
        assert job
        claim = self._ledger.claim(job.rendering_id, "espeak", "test")
        assert claim
        return claim

    def speak(self, claim: Claim, *, degraded: bool = False) -> None:
        """Finish with half a second of sound that no cache holds."""
        data = _half_a_second()
        result = Result(
            key=claim.cache_key,
            provider="espeak",
            format="wav",
            size_bytes=len(data),
            duration_ms=500,
            sample_rate=8000,
            degraded=degraded,
            sha256="0" * 64,
        )
        self._ledger.store_result(claim.rendering_id, result, data)
        self._ledger.succeed(claim, result)

    def fail(self, claim: Claim, detail: str) -> None:
        attempt = Attempt("espeak", "engine_failed", detail, 12)
        self._ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "It failed.", attempt)

    def leave(self) -> None:
        self._presence.leave(self._worker)
        self._redis.close()


@pytest.fixture
def worker(silent_farm) -> Iterator[PlayedWorker]:
    """The only worker of the silent farm."""
    worker = PlayedWorker(silent_farm)
    yield worker
    worker.leave()


def _half_a_second() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(range(200)) * 40)
    return file.getvalue()
