"""A real Chromium, and farms for it to look at."""

from __future__ import annotations

import io
import re
import shutil
import wave
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from shared.connections import front_client
from shared.ledger import Attempt, Ledger, Result
from shared.presence import Presence, Worker
from tests.farm import RunningFarm, running_farm
from tests.shared.samples.sounds import encoded, speech

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    from playwright.sync_api import Browser, BrowserType, Locator, Page

    from shared.ledger import Claim

expect.set_options(timeout=20_000)

# A voice as a file that a browser's file chooser gives.
WAV = {"name": "ann.wav", "mimeType": "audio/wav", "buffer": encoded(speech())}

# Where Flower is said to be, its user and the password.
FLOWER = ("http://127.0.0.1:5555", "admin", "a-password-for-flower")


# Whether all of a dialog is within it, and it within the window.
FITS = """dialog => [dialog, dialog.firstElementChild].every((box) => box.scrollWidth <= box.clientWidth)
    && dialog.offsetWidth <= innerWidth"""


def launch(
    chromium: BrowserType, autoplay: str, *more: str, program: str = "chromium-headless-shell"
) -> Browser:
    """Start Chromium without what it does for its maker; it cannot sandbox itself where tests run as root.

    The shell of it alone opens a page in a fraction of the whole one's time, but knows no microphone.
    `more`: options of its command line.
    """
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    options = ["--no-sandbox", "--no-first-run", *(f"--disable-{what}" for what in quiet)]
    return chromium.launch(
        executable_path=shutil.which(program), args=[*options, *more, f"--autoplay-policy={autoplay}"]
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
    url, user, password = FLOWER
    env = {"VOICEFARM_FLOWER_URL": url, "FLOWER_BASIC_AUTH": f"{user}:{password}"}
    with running_farm(tmp_path_factory.mktemp("farm"), env=env) as farm:
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


@contextmanager
def watched_page(browser: Browser, complaints: list[str], **options: object) -> Iterator[Page]:
    """Open a page without a session; nothing may go wrong in it but requests that were refused."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource: ")] == []


@pytest.fixture
def page(browser, complaints) -> Iterator[Page]:
    """A page as `watched_page` opens it."""
    with watched_page(browser, complaints) as page:
        yield page


@pytest.fixture(scope="package")
def hearing_browser(chromium, tmp_path_factory) -> Iterator[Browser]:
    """A browser whose microphone hears espeak, over and over."""
    heard = tmp_path_factory.mktemp("microphone") / "speech.wav"
    heard.write_bytes(encoded(speech()))
    microphone = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={heard}")
    browser = launch(chromium, "no-user-gesture-required", *microphone, program="chromium")
    yield browser
    browser.close()


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    """A client of the farm with the admin's key."""
    with farm.client() as client:
        yield client


@pytest.fixture
def ann(http) -> Iterator[str]:
    """The address of a personality Ann without a sample, who is gone afterwards."""
    made = http.post("/api/voice/personalities", json={"name": "ann", "personality_name": "Ann"})
    yield made.headers["Location"]
    http.delete(made.headers["Location"])


@pytest.fixture
def speaking(page, farm) -> Page:
    """The page, opened with the printed link of a farm that speaks."""
    page.goto(farm.link())
    return page


@pytest.fixture
def voices(page, farm) -> Page:
    """The part Voices of the page."""
    page.goto(f"{farm.link()}#voices")
    expect(row(page, "Marcel")).to_be_visible()
    return page


@pytest.fixture
def given(ann, voices, http) -> Page:
    """The dialog of Ann, who has a sample already."""
    files = {"audio": (WAV["name"], WAV["buffer"])}
    http.put(f"{ann}/voice", files=files, data={"consent": "true"}).raise_for_status()
    voices.reload()
    open_voice(voices)
    return voices


def row(page: Page, shown_name: str) -> Locator:
    """Give what the part Voices shows of a personality."""
    heading = page.get_by_role("heading", name=re.compile(f"^{shown_name}( (Default|Inactive))?$"), level=3)
    return page.locator("#roster").get_by_role("listitem").filter(has=heading)


def open_voice(page: Page) -> Locator:
    """Open the dialog of Ann."""
    row(page, "Ann").get_by_role("button", name=re.compile("voice", re.IGNORECASE)).click()
    return page.get_by_role("dialog", name="The voice of Ann")


def choose(page: Page, file: dict) -> None:
    page.get_by_text("Upload a file", exact=True).click()
    page.get_by_label("Drop a file here").set_input_files(file)


def send(page: Page) -> None:
    page.get_by_label("Whoever speaks in it agrees").check()
    page.get_by_role("button", name="Use this voice").click()


def refusal(page: Page) -> Locator:
    """Give what the open dialog says against what was attempted last."""
    return page.get_by_role("dialog").locator(".refusal")


def expect_taken(page: Page) -> None:
    expect(page.get_by_role("heading", name=re.compile("^The sample is (good|excellent)$"))).to_be_focused()


class PlayedWorker:
    """A worker of a pool that does what the test tells it, through the ledger as any worker does."""

    def __init__(self, farm: RunningFarm, provider: str = "espeak") -> None:
        self._redis = front_client(farm.settings.state_url)
        self._ledger = Ledger.from_settings(farm.settings, self._redis)
        self._presence = Presence(self._redis)
        self._worker = Worker(name="test", provider=provider, slots=1, device="cpu", pid=0)
        self.beat()

    def beat(self) -> None:
        """Say that it lives, for some seconds."""
        self._presence.beat(self._worker)

    def has(self, job_id: str) -> bool:
        """Tell whether there is such a job."""
        return self._ledger.job(job_id) is not None

    def claim(self, job_id: str) -> Claim:
        job = self._ledger.job(job_id)
        assert job
        claim = self._ledger.claim(job.rendering_id, "espeak", "test")
        assert claim
        assert claim.rendering_id == job.rendering_id
        return claim

    def speak(self, claim: Claim, *, degraded: bool = False) -> None:
        """Finish with half a second of sound that no cache holds, a WAV whatever was asked for."""
        data = _half_a_second()
        result = Result(
            key=claim.cache_key,
            provider="espeak",
            format=claim.utterance.format,
            size_bytes=len(data),
            duration_ms=500,
            sample_rate=8000,
            degraded=degraded,
            sha256="0" * 64,
        )
        self._ledger.succeed(claim, result, data)

    def fail(self, claim: Claim, detail: str, *passed_over: Attempt) -> None:
        attempts = [*passed_over, Attempt("espeak", "engine_failed", detail, 1234)]
        self._ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "It failed.", attempts)

    def leave(self) -> None:
        self._presence.leave(self._worker)
        self._redis.close()


@pytest.fixture
def worker(silent_farm) -> Iterator[PlayedWorker]:
    """The only worker of the silent farm, where nobody waits for it yet.

    What is made for the cache would give way to what an earlier test has left in line, or running: that is
    back in line when its lease ends.
    """
    with silent_farm.client() as client:
        for status in ("running", "queued"):
            for job in client.get(f"/api/voice/jobs?status={status}&limit=200").json()["items"]:
                client.delete(f"/api/voice/jobs/{job['id']}")
    worker = PlayedWorker(silent_farm)
    yield worker
    worker.leave()


@pytest.fixture
def silent_http(silent_farm) -> Iterator[httpx.Client]:
    """A client of the silent farm with the admin's key."""
    with silent_farm.client() as client:
        yield client


@pytest.fixture
def ask(silent_http, worker) -> Iterator[Callable[..., str]]:
    """Ask the silent farm for a job; gives its ID. What has not ended with the test is cancelled then."""

    def ask(text: str, **fields: object) -> str:
        worker.beat()
        return (
            silent_http.post("/api/voice/jobs", json={"text": text, **fields}).raise_for_status().json()["id"]
        )

    yield ask
    for job in silent_http.get("/api/voice/jobs", params={"limit": 200}).json()["items"]:
        if job["finished_at"] is None:
            silent_http.delete(f"/api/voice/jobs/{job['id']}")


@pytest.fixture
def jobs(page, silent_farm) -> Page:
    """The part Jobs of the silent farm's page."""
    page.goto(f"{silent_farm.link()}#jobs")
    expect(page.locator("#jobs-loading")).to_be_hidden()
    return page


def job_row(page: Page, text: str) -> Locator:
    """Give what the part Jobs shows of the jobs with such a text."""
    return page.locator("#job-list > li").filter(has=page.locator(".job-text", has_text=text))


def open_job(page: Page, text: str) -> Locator:
    """Open the dialog of the newest job with such a text."""
    job_row(page, text).first.locator(".job-text").click()
    return page.get_by_role("dialog")


def _half_a_second() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(range(200)) * 40)
    return file.getvalue()
