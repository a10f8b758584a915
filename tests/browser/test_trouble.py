"""The page at `/` when something is in the way: it says what, and what to do."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.test_speaking import expect_sound, form, speak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.farm import RunningFarm


def expect_problem(page: Page, title: str, detail: str) -> None:
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(detail)


def queue(page: Page, text: str) -> str:
    """Ask for speech that nobody makes yet; gives the job's ID."""
    with page.expect_response("**/api/voice/synthesize") as answer:
        speak(page, text)
    return answer.value.json()["id"]


@pytest.fixture
def waiting(page, silent_farm, worker) -> Page:  # noqa: ARG001  the worker makes the farm take requests
    """The page of a farm whose only worker does what the test tells it."""
    page.goto(silent_farm.link())
    return page


def test_without_a_session_the_page_tells_where_the_link_is(page, farm):
    page.goto(farm.url)
    expect_problem(page, "This page is not signed in", "Open the link that “make up”")
    expect(page.get_by_label("Text", exact=True)).to_be_disabled()
    assert Axe().run(page).violations_count == 0


def test_a_used_link_says_that_it_was_used(page, browser, farm):
    link = farm.link()
    with closing(browser.new_context()) as somebody_else:
        somebody_else.new_page().goto(link)
    page.goto(link)
    expect_problem(page, "This page is not signed in", "The link you opened was used before")


def test_a_used_link_just_opens_the_page_where_it_was_used(page, farm):
    link = farm.link()
    page.goto(link)
    page.goto(link)
    speak(page, "Twice.")
    expect_sound(page, "MISS")
    assert page.url == f"{farm.url}/"


def test_a_session_that_ends_leaves_the_text_and_asks_for_a_new_link(speaking, farm):
    expect(speaking.get_by_label("Text", exact=True)).to_be_enabled()
    speaking.context.clear_cookies()
    speak(speaking, "Do not lose this.")
    expect_problem(speaking, "This page is not signed in", "Each link works once")
    with closing(speaking.context.new_page()) as another_tab:
        another_tab.goto(farm.link())
    speaking.get_by_role("button", name="Try again").click()
    expect_sound(speaking, "MISS")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("?!", "Must hold something that can be spoken"),
        ("", "Must hold something that can be spoken"),
        ("x" * 3001, "Must be at most 3000 characters, is 3001."),
        ("<speak>Hello</speak>", "The text holds SSML; send plain text"),
    ],
)
def test_a_text_that_cannot_be_spoken_is_marked_with_the_reason(speaking, text, message):
    speak(speaking, text)
    expect_problem(speaking, "That cannot be spoken as it is", "See the marked field.")
    field = speaking.get_by_label("Text", exact=True)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(re.escape(message)))
    expect(speaking.get_by_role("button", name="Try again")).to_be_hidden()
    speak(speaking, f"Mended, after {len(text)} characters.")
    expect_sound(speaking, "MISS")
    expect(field).not_to_have_attribute("aria-invalid", "true")


def test_a_farm_without_workers_says_when_to_try_again(page, silent_farm):
    page.goto(silent_farm.link())
    speak(page, "Is anybody there?")
    expect_problem(page, "Nobody can speak right now", "Espeak: No worker is running for it.")
    expect(page.get_by_role("status")).to_contain_text("It may work in 5 seconds.")


def test_a_farm_that_stops_in_mid_way_is_missed_and_found_again(waiting, silent_farm, worker):
    job_id = queue(waiting, "Nobody answers.")
    with stopped(silent_farm):
        expect_problem(waiting, "The farm does not answer", "make up")
    worker.beat()
    waiting.get_by_role("button", name="Try again").click()
    expect(waiting.get_by_role("heading", name="Waiting…")).to_be_visible()
    worker.speak(worker.claim(job_id))
    expect_sound(waiting, "COALESCED")


@contextmanager
def stopped(farm: RunningFarm) -> Iterator[None]:
    """Let nobody answer meanwhile."""
    farm["web"].stop()
    try:
        yield
    finally:
        farm["web"].start()
        farm.wait_until_it_answers("/healthz")


def test_a_link_that_was_opened_while_redis_was_away_can_be_tried_again(page, silent_farm):
    silent_farm.redis.client(1).config_set("appendfsync", "always")
    link = silent_farm.link()
    silent_farm.redis.kill()
    try:
        page.goto(link)
        expect_problem(page, "A part of the farm does not answer", "The state Redis failed")
    finally:
        silent_farm.redis.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Ready")).to_be_visible()
    expect(form(page).get_by_label("Personality")).to_have_value("00000000-0000-0000-0001-000000000001")


def test_who_waits_sees_the_place_in_line_and_then_that_it_is_spoken(waiting, worker):
    job_id = queue(waiting, "In line.")
    expect(waiting.get_by_role("status")).to_contain_text(
        re.compile(r"Number \d+ in line for espeak; about \d+ seconds?\.")
    )
    claim = worker.claim(job_id)
    expect(waiting.get_by_role("heading", name="Speaking…")).to_be_visible()
    worker.speak(claim)
    expect_sound(waiting, "MISS")
    expect(waiting.locator("#duration")).to_have_text("0.5 s")


def test_a_lesser_voice_is_told(waiting, worker):
    worker.speak(worker.claim(queue(waiting, "Not the best voice.")), degraded=True)
    expect_sound(waiting, "MISS")
    expect(waiting.get_by_text("A better voice for this quality was not available")).to_be_visible()


def test_a_job_that_failed_lists_who_tried(waiting, worker):
    worker.fail(worker.claim(queue(waiting, "Hoarse.")), "The engine lost its voice.")
    expect_problem(waiting, "Nobody managed to speak it", "It failed.")
    expect(waiting.get_by_role("listitem")).to_have_text("espeak: The engine lost its voice. (engine_failed)")


def test_what_was_asked_last_is_what_is_shown(waiting, worker):
    earlier = queue(waiting, "Never mind.")
    latest = queue(waiting, "Rather this.")
    asked = []
    waiting.on("request", lambda request: asked.append(request.url))
    worker.speak(worker.claim(earlier))
    worker.speak(worker.claim(latest))
    expect_sound(waiting, "MISS")
    expect(waiting.get_by_role("listitem")).to_have_count(1)
    expect(waiting.get_by_role("listitem")).to_contain_text("Rather this.")
    assert [url for url in asked if earlier in url] == []
