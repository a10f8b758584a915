"""The part Jobs when something is in the way, when there are none, and when one is gone."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import job_row, open_job
from tests.browser.test_jobs import JOBS
from tests.browser.test_trouble import stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.farm import RunningFarm

LIST = re.compile(r"/api/voice/jobs\?")


@contextmanager
def none_kept(farm: RunningFarm) -> Iterator[None]:
    """Let the farm know of no jobs meanwhile."""
    with farm.redis.client(1) as state:
        state.rename("voice:jobs", "voice:jobs:aside")
        try:
            yield
        finally:
            state.rename("voice:jobs:aside", "voice:jobs")


def test_where_nothing_was_asked_for_the_way_to_speak_is_shown(page, silent_farm, ask):
    ask("Keeps the list alive.")
    with none_kept(silent_farm):
        page.goto(f"{silent_farm.link()}#jobs")
        expect(page.get_by_role("heading", name="Nothing was asked for lately")).to_be_visible()
        assert Axe().run(page).violations_count == 0
        page.get_by_role("link", name="Speak something").click()
        expect(page.get_by_label("Text", exact=True)).to_be_visible()


def test_without_a_session_the_part_tells_where_the_link_is(page, farm):
    page.goto(f"{farm.url}/#jobs")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This page is not signed in")
    expect(alert).to_contain_text("Open the link that “make up”")
    expect(page.locator("#jobs-loading")).to_be_hidden()
    assert Axe().run(page).violations_count == 0


def test_without_the_farm_the_list_stays_and_comes_up_to_date_later(jobs, ask, worker):
    job_id = ask("Out of reach.")
    row = job_row(jobs, "Out of reach.")
    expect(row).to_contain_text("Queued")
    jobs.context.set_offline(True)
    expect(jobs.get_by_role("alert")).to_contain_text("What you see here may have changed meanwhile.")
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("The farm does not answer. It may have stopped")
    assert Axe().run(jobs).violations_count == 0
    worker.claim(job_id)
    jobs.context.set_offline(False)
    expect(row).to_contain_text("Running")
    expect(jobs.get_by_role("alert")).to_be_hidden()


def test_a_farm_that_has_stopped_can_be_asked_again(jobs, ask, silent_farm):
    ask("Here and gone.")
    with stopped(silent_farm):
        expect(jobs.get_by_role("alert")).to_contain_text("is “make up” still running?")
    jobs.get_by_role("button", name="Try again", exact=True).locator("visible=true").first.click()
    expect(jobs.get_by_role("alert")).to_be_hidden()
    expect(job_row(jobs, "Here and gone.")).to_be_visible()


def test_a_slow_answer_is_waited_for_visibly(page, silent_farm, ask):
    ask("Slow to come.")
    held: list[Route] = []
    page.route(LIST, lambda route: held.append(route))  # noqa: PLW0108  playwright marks its handlers
    page.goto(f"{silent_farm.link()}#jobs")
    expect(page.locator("#jobs-loading")).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing was asked for lately")).to_be_hidden()
    assert Axe().run(page).violations_count == 0
    for route in held:
        route.continue_()
    page.unroute(LIST)
    expect(job_row(page, "Slow to come.")).to_be_visible()
    expect(page.locator("#jobs-loading")).to_be_hidden()


def unaware(page: Page, text: str) -> None:
    """Let the page, which shows such a job, not hear of what becomes of it."""
    expect(job_row(page, text)).to_contain_text("Queued")
    page.route(LIST, lambda route: route.abort())
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_job_that_was_faster_than_its_cancellation_is_shown_as_it_ended(jobs, ask, worker):
    job_id = ask("Too fast for you.")
    unaware(jobs, "Too fast for you.")
    worker.speak(worker.claim(job_id))
    row = job_row(jobs, "Too fast for you.")
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Succeeded")
    expect(row.get_by_text("It had succeeded before it could be cancelled.")).to_be_visible()
    expect(row.locator(".job-text")).to_be_focused()


def forget(farm: RunningFarm, job_id: str) -> None:
    """Let a job be no longer kept, as it is some time after its end; it waits for nobody, either."""
    with farm.redis.client(1) as state:
        state.zrem("voice:queue:espeak", state.hget(f"voice:job:{job_id}", "rendering"))
        assert state.delete(f"voice:job:{job_id}")


def test_a_job_that_is_no_longer_kept_leaves_when_it_is_to_be_cancelled(jobs, ask, silent_farm):
    job_id = ask("Gone for good.")
    unaware(jobs, "Gone for good.")
    forget(silent_farm, job_id)
    job_row(jobs, "Gone for good.").get_by_role("button", name="Cancel").click()
    expect(job_row(jobs, "Gone for good.")).to_be_hidden()
    expect(jobs.get_by_role("status").filter(has_text="No longer kept: “Gone for good.”")).to_be_attached()


def test_a_job_that_goes_while_it_is_looked_into_is_said_to_be_gone(jobs, ask, silent_farm):
    job_id = ask("Going, going.")
    dialog = open_job(jobs, "Going, going.")
    forget(silent_farm, job_id)
    expect(dialog.get_by_role("status").first).to_contain_text("It is no longer kept.")
    expect(dialog.get_by_role("button", name="Cancel this job")).to_be_hidden()
    jobs.keyboard.press("Escape")
    expect(job_row(jobs, "Going, going.")).to_be_hidden()


def test_sound_that_is_no_longer_kept_is_said_to_be_gone(jobs, ask, worker, silent_farm):
    job_id = ask("Silence.")
    worker.speak(worker.claim(job_id))
    expect(job_row(jobs, "Silence.")).to_contain_text("Succeeded")
    forget(silent_farm, job_id)
    dialog = open_job(jobs, "Silence.")
    expect(dialog.get_by_text("Its sound is no longer kept")).to_be_visible()
    expect(dialog.get_by_label("What was spoken")).to_be_hidden()


def test_what_nobody_can_speak_now_is_said_where_it_was_asked_again(jobs, ask, silent_http, worker):
    job_id = ask("Ask me later.")
    silent_http.delete(f"{JOBS}/{job_id}")
    row = job_row(jobs, "Ask me later.")
    expect(row).to_contain_text("Cancelled")
    worker.leave()
    row.get_by_role("button", name="Try again").click()
    expect(row).to_contain_text("Nobody can speak right now. Espeak: No worker is running for it.")
    expect(row.get_by_role("button", name="Try again")).to_be_focused()
    dialog = open_job(jobs, "Ask me later.")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Nobody can speak right now")
    assert Axe().run(jobs).violations_count == 0


def test_older_jobs_that_cannot_be_had_now_can_be_asked_for_again(jobs, ask):
    for number in range(26):
        ask(f"Old {number:02}.")
    older = jobs.get_by_role("button", name="Show older jobs")
    expect(job_row(jobs, "Old 25.")).to_be_visible()
    jobs.context.set_offline(True)
    older.click()
    expect(jobs.locator("#older-note")).to_contain_text("The farm does not answer.")
    jobs.context.set_offline(False)
    older.click()
    expect(job_row(jobs, "Old 00.")).to_be_visible()
    expect(jobs.locator("#older-note")).to_be_empty()
