"""Which providers hold a voice in memory, having them take it or let go; and clearing what it has spoken."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from shared.connections import front_client
from shared.presence import Presence, Worker
from shared.voice_holding import CHANNEL, Wish
from tests.browser.conftest import WAV, choose, expect_taken, open_voice, row, send

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cloner(farm) -> Iterator[None]:
    """A worker of XTTS v2 that takes voices into memory and lets go of them, and never speaks."""
    worker = Worker(name="cloner", provider="xtts_v2", slots=1, device="cpu", pid=0)
    is_over = threading.Event()
    with closing(front_client(farm.settings.state_url)) as redis:
        presence = Presence(redis)
        channel = redis.pubsub(ignore_subscribe_messages=True)
        channel.subscribe(CHANNEL)

        def live() -> None:
            voices: tuple[str, ...] = ()
            while not is_over.is_set():
                presence.beat(replace(worker, voices=voices))
                message = channel.get_message(timeout=0.2)
                if message:
                    wish = Wish.from_json(message["data"])
                    voices = (wish.sample_id,) if wish.what == "hold" else ()

        presence.beat(worker)
        thread = threading.Thread(target=live)
        thread.start()
        yield
        is_over.set()
        thread.join()
        channel.close()
        presence.leave(worker)


def provider(page: Page, title: str) -> Locator:
    return page.locator("#holding").get_by_role("listitem").filter(has_text=title)


@pytest.mark.usefixtures("cloner")
def test_a_voice_is_loaded_and_unloaded_by_one_provider(given):
    xtts = provider(given, "XTTS v2")
    expect(xtts).to_contain_text("takes it when asked to speak")
    expect(provider(given, "StyleTTS2")).to_contain_text("does not run here")
    expect(provider(given, "StyleTTS2").get_by_role("button")).to_be_hidden()

    xtts.get_by_role("button", name="Load: XTTS v2").click()
    expect(xtts).to_contain_text("has it in memory")
    expect(given.locator("#holding-news")).to_have_text("xtts_v2: every worker holds the voice of ann.")
    expect(xtts.get_by_role("button", name="Unload: XTTS v2")).to_be_focused()
    given.keyboard.press("Enter")
    expect(xtts).to_contain_text("takes it when asked to speak")
    expect(given.locator("#holding-news")).to_have_text("xtts_v2: no worker holds the voice of ann any more.")


def nobody_clones(page: Page) -> Locator:
    return page.get_by_role("dialog").get_by_text("Nobody here clones voices now")


@pytest.mark.usefixtures("ann")
def test_where_nobody_clones_that_is_told_before_and_after_a_voice_is_given(voices):
    open_voice(voices)
    expect(nobody_clones(voices).locator("visible=true")).to_contain_text(
        "it will be spoken in a voice of the provider's own. The part Farm says how"
    )
    choose(voices, WAV)
    send(voices)
    expect_taken(voices)
    expect(nobody_clones(voices).locator("visible=true")).to_have_count(1)
    expect(voices.get_by_text("A provider that clones voices speaks with it")).to_be_hidden()
    assert Axe().run(voices).violations_count == 0
    voices.get_by_role("link", name="The part Farm").locator("visible=true").click()
    expect(voices.get_by_role("dialog")).to_be_hidden()
    expect(voices.get_by_role("heading", name="Farm", exact=True)).to_be_visible()


@pytest.mark.usefixtures("cloner", "ann")
def test_where_somebody_clones_nobody_is_told_otherwise(voices):
    with voices.expect_response("**/providers/status"):
        open_voice(voices)
    choose(voices, WAV)
    send(voices)
    expect_taken(voices)
    expect(voices.get_by_text("A provider that clones voices speaks with it")).to_be_visible()
    expect(nobody_clones(voices).locator("visible=true")).to_have_count(0)


@pytest.mark.usefixtures("cloner")
def test_a_lost_connection_is_told_where_the_voice_should_be_loaded(given):
    load = provider(given, "XTTS v2").get_by_role("button")
    expect(load).to_be_visible()
    given.context.set_offline(True)
    load.click()
    expect(given.locator("#holding-news")).to_contain_text("The farm does not answer.")


def test_what_one_has_spoken_is_forgotten_when_asked(ann, voices, http):
    who = ann.rpartition("/")[2]
    body = {"text": "Forget this.", "personality_id": who}
    http.post("/api/voice/synthesize?wait=30", json=body).raise_for_status()
    row(voices, "Ann").get_by_role("button", name="Edit").click()
    voices.get_by_role("button", name="Clear cached audio").click()
    expect(voices.get_by_text(re.compile("^Deleted 1 cached entries of ann"))).to_be_visible()
    assert http.post("/api/voice/synthesize", json=body).headers["X-Cache-Status"] != "HIT"
