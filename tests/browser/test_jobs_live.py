"""The part Jobs while much happens: nothing moves under somebody's hand, no more is asked than changes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import job_row, open_job
from tests.browser.test_jobs import choose_state, press_tab_until, texts

# What the page asks for: the list's beginning, and single jobs by their IDs.
HEAD = re.compile(r"/api/voice/jobs\?.*cursor=$")
SINGLE = re.compile(r"/api/voice/jobs/[0-9a-f-]{36}$")
IN_HAND = re.compile("^In hand")


def top_of(page: Page, text: str) -> float:
    return job_row(page, text).evaluate("row => row.getBoundingClientRect().top")


def ask_now(page: Page) -> None:
    """Have the page ask the farm without waiting for its next time."""
    with page.expect_response(HEAD):
        page.evaluate("dispatchEvent(new Event('online'))")


def asked_next(page: Page) -> set[str]:
    """Give the IDs of the jobs that the page asks for one by one when it asks next."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ask_now(page)
    return {url.rpartition("/")[2] for url in asked if SINGLE.search(url)}


@pytest.fixture
def many(jobs, ask) -> tuple[Page, list[str]]:
    """The page with more jobs than its first page holds, shown to their end; and their IDs, oldest first."""
    ids = [ask(f"Many {number:02}.") for number in range(30)]
    choose_state(jobs, "Queued")
    expect(job_row(jobs, "Many 29.")).to_be_visible()
    expect(job_row(jobs, "Many 00.")).to_be_hidden()
    jobs.get_by_role("button", name="Show older jobs").click()
    expect(job_row(jobs, "Many 04.").locator(".job-text")).to_be_focused()
    expect(jobs.get_by_role("button", name="Show older jobs")).to_be_hidden()
    return jobs, ids


def test_jobs_further_down_are_followed_by_their_ids_while_they_are_looked_at(many, worker):
    page, ids = many
    page.mouse.wheel(0, 10_000)
    expect(job_row(page, "Many 00.")).to_be_in_viewport()
    worker.speak(worker.claim(ids[0]))
    expect(job_row(page, "Many 00.")).to_contain_text("Succeeded")

    assert asked_next(page) == set(ids[1:5])  # the others have ended, or are in the list's beginning
    page.evaluate("scrollTo(0, 0)")
    assert asked_next(page) == set()


def test_who_reads_further_down_is_told_of_new_jobs_and_stays_there(many, ask):
    page, _ = many
    page.mouse.wheel(0, 10_000)
    expect(job_row(page, "Many 00.")).to_be_in_viewport()
    ask("Brand new.")
    before = top_of(page, "Many 00.")
    newer = page.get_by_role("button", name="Show 1 new job")
    expect(newer).to_be_in_viewport()
    assert top_of(page, "Many 00.") == before
    expect(job_row(page, "Brand new.")).to_be_hidden()
    newer.click()
    expect(job_row(page, "Brand new.")).to_be_in_viewport()
    expect(job_row(page, "Brand new.").locator(".job-text")).to_be_focused()
    expect(job_row(page, "Many 00.")).to_be_attached()
    expect(newer).to_be_hidden()

    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    for number in range(26):
        ask(f"Flood {number:02}.")
    page.get_by_role("button", name="Show the newest jobs").click()
    expect(job_row(page, "Flood 25.").locator(".job-text")).to_be_focused()
    expect(page.locator("#job-list > li")).to_have_count(25)
    expect(page.get_by_role("button", name="Show older jobs")).to_be_visible()


@pytest.fixture
def two(jobs, ask, request) -> tuple[Page, str]:
    """The page with two jobs in line, showing only such; and the ID of the first."""
    job_id = ask(
        f"In hand. {request.node.name}"
    )  # nobody ends the rendering that a test leaves to its worker
    ask("Beside it.")
    choose_state(jobs, "Queued")
    expect(texts(jobs)).to_have_text(["Beside it.", IN_HAND])
    return jobs, job_id


def expect_held(page: Page) -> None:
    expect(job_row(page, "In hand.")).to_contain_text("Running")
    expect(page.get_by_role("button", name="Show 1 new job", include_hidden=True)).to_have_count(1)
    expect(texts(page)).to_have_text(["Beside it.", IN_HAND])


def expect_let_go(page: Page) -> None:
    expect(texts(page)).to_have_text(["Comes later.", "Beside it."])
    expect(page.locator("#newer-jobs")).to_be_hidden()


def test_no_row_comes_or_goes_while_one_has_the_focus(two, ask, worker):
    page, job_id = two
    press_tab_until(page, job_row(page, "In hand.").locator(".job-text"))
    ask("Comes later.")
    worker.claim(job_id)
    expect_held(page)
    page.get_by_role("link", name="Jobs").focus()
    expect_let_go(page)


def test_no_row_comes_or_goes_while_one_is_looked_into(two, ask, worker):
    page, job_id = two
    open_job(page, "In hand.")
    page.mouse.move(1, 1)
    ask("Comes later.")
    worker.claim(job_id)
    expect_held(page)
    page.get_by_role("dialog").get_by_role("button", name="Close").last.click()
    page.mouse.move(1, 1)
    expect_let_go(page)


def test_no_row_comes_or_goes_while_a_pointer_moves_over_them(two, ask, worker):
    page, job_id = two
    page.clock.install()
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    ask("Comes later.")
    worker.claim(job_id)
    job_row(page, "In hand.").hover()
    ask_now(page)
    expect_held(page)
    page.mouse.move(1, 1)
    ask_now(page)
    expect_let_go(page)


def test_nothing_is_asked_while_another_part_is_shown(jobs, ask):
    ask("Nobody looks at me.")
    expect(job_row(jobs, "Nobody looks at me.")).to_be_visible()
    jobs.clock.install()
    jobs.get_by_role("link", name="Speak").click()
    asked = []
    jobs.on("request", lambda request: asked.append(request.url))
    jobs.clock.run_for(60_000)
    assert [url for url in asked if "/api/voice/jobs" in url] == []
    jobs.get_by_role("link", name="Jobs").click()
    expect(job_row(jobs, "Nobody looks at me.")).to_be_visible()
    assert [url for url in asked if "/api/voice/jobs" in url] != []
