"""The part Pre-warm when something fails, costs, is cancelled, or is in the way."""

# ruff: noqa: RUF001  these signs are meant

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from shared.cli.migrate import migrate
from tests.browser.conftest import PlayedWorker
from tests.browser.test_prewarm import (
    BATCHES,
    batches,
    estimate,
    forget,
    fresh,
    make,
    open_part,
    phrases_field,
    write,
)
from tests.farm import RunningFarm, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def part(page, silent_farm, worker) -> Page:  # noqa: ARG001  the worker makes the farm take requests
    """The part Pre-warm of a farm whose only worker does what the test tells it, with nothing in it."""
    forget(silent_farm)
    open_part(page, silent_farm)
    return page


def begin(part: Page, worker: PlayedWorker, phrases: list[str]) -> list[str]:
    """Begin a batch of these; gives the IDs of its jobs, all of which are queued."""
    write(part, phrases)
    worker.beat()
    with part.expect_response(lambda answer: answer.status == 202) as begun:
        make(part)
    batch_id = uuid.UUID(begun.value.json()["id"])
    jobs = [str(uuid.uuid5(batch_id, str(number))) for number in range(len(phrases))]
    until(lambda: worker.beat() or all(map(worker.has, jobs)), "every item has a job")
    return jobs


def test_progress_failures_and_what_is_cancelled_are_told(part, worker):
    phrases = fresh(4)
    jobs = begin(part, worker, phrases)
    row = batches(part)
    expect(row).to_contain_text("0 of 4 · about")
    claim = worker.claim(jobs[0])
    worker.fail(worker.claim(jobs[1]), "The engine lost its voice.")
    worker.speak(worker.claim(jobs[2]))  # which no cache holds
    expect(row).to_contain_text("2 of 4 · 2 failed · about")
    assert row.get_by_role("progressbar").evaluate("bar => [bar.value, bar.max]") == [2, 4]

    row.get_by_role("button", name="Cancel").click()
    dialog = part.get_by_role("alertdialog", name="Cancel the batch of 4?")
    expect(dialog).to_contain_text("What has begun is still made, and what is there stays. Not made: 1 of 4.")
    dialog.get_by_role("button", name="Let it go on").click()
    row.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel the batch").click()
    expect(row).to_contain_text("Cancelled")
    expect(row.get_by_role("heading")).to_be_focused()
    expect(row).to_contain_text("0 of 4 are there · 2 failed · 1 still being made")
    worker.fail(claim, "The engine lost its voice.")
    expect(row).to_contain_text("0 of 4 are there · 3 failed · took")

    row.get_by_text("What failed, and why").click()
    reasons = row.get_by_role("group", name="What failed")
    expect(reasons.get_by_role("heading")).to_have_text(
        ["2 × Nobody managed to speak it", "1 × The cache did not take it"]
    )
    expect(reasons).to_contain_text("It failed. espeak: The engine lost its voice. (synthesis_failed)")
    expect(reasons.get_by_role("listitem").filter(has_text=phrases[1])).to_contain_text("Marcel · high · wav")
    assert Axe().run(part).violations_count == 0

    part.get_by_role("checkbox", name="Shante").check()
    row.get_by_role("button", name="Try the failed ones again").click()
    part.get_by_role("alertdialog").get_by_role("button", name="Replace").click()
    expect(phrases_field(part)).to_be_focused()
    assert sorted(phrases_field(part).input_value().split("\n")) == sorted(phrases[:3])
    expect(part.get_by_role("checkbox", name="Shante")).not_to_be_checked()
    expect(part.get_by_role("checkbox", name="Marcel")).to_be_checked()


def test_a_farm_without_workers_begins_nothing(page, silent_farm):
    forget(silent_farm)
    open_part(page, silent_farm)
    write(page, fresh())
    make(page)
    alert = page.locator("#prewarm-form").get_by_role("alert").last
    expect(alert).to_contain_text("Nobody can speak right now")
    expect(page.get_by_role("heading", name="Nothing was pre-warmed lately")).to_be_visible()
    assert Axe().run(page).violations_count == 0


def test_without_the_farm_what_is_shown_stays_and_comes_up_to_date_later(part, worker, silent_farm):
    begin(part, worker, fresh())
    part.context.set_offline(True)
    expect(part.locator("#prewarm-problem")).to_contain_text("What you see here may have changed meanwhile.")
    expect(batches(part)).to_contain_text("Running")
    estimate(part)
    expect(part.locator("#prewarm-form").get_by_role("alert").last).to_contain_text(
        "The farm does not answer"
    )
    with silent_farm.client() as http:
        [batch] = http.get(BATCHES).json()["items"]
        http.delete(f"{BATCHES}/{batch['id']}")
    part.context.set_offline(False)
    expect(batches(part)).to_contain_text("Cancelled")
    expect(part.locator("#prewarm-problem")).to_be_hidden()
    expect(phrases_field(part)).not_to_have_value("")


def test_without_a_session_the_part_tells_where_the_link_is(page, farm):
    page.goto(f"{farm.url}/#prewarm")
    expect(page.get_by_role("alert")).to_contain_text("Open the link that “make up”")
    expect(phrases_field(page)).to_be_disabled()
    assert Axe().run(page).violations_count == 0


@pytest.fixture
def dear_farm(silent_farm, tmp_path) -> Iterator[tuple[RunningFarm, PlayedWorker]]:
    """A front beside the silent farm's, where Google can be asked, which costs, and a worker that does."""
    env = {"VOICEFARM_GOOGLE_ENDPOINT": "http://127.0.0.1:9"}
    farm = RunningFarm(tmp_path, silent_farm.redis, env, silent_farm.tree)
    migrate(farm.settings)
    farm["web"].start()
    worker = PlayedWorker(farm, "google_tts")
    try:
        farm.wait_until_it_answers("/healthz")
        yield farm, worker
    finally:
        farm.stop()
        worker.leave()


def test_what_costs_is_begun_only_by_who_agrees_to_it(page, dear_farm):
    farm, worker = dear_farm
    forget(farm)
    open_part(page, farm)
    write(page, ["x" * 1000, "y" * 1000])
    worker.beat()
    make(page)
    dialog = page.get_by_role("alertdialog", name="Pre-warm for about $0.03?")
    expect(dialog).to_contain_text(
        "2 pieces of audio are to be made. Time: about 2 minutes. Cost: about $0.03."
    )
    assert Axe().run(page).violations_count == 0
    dialog.get_by_role("button", name="Not now").click()
    expect(page.locator("#prewarm-estimated")).to_contain_text("about $0.03")
    with farm.client() as http:
        assert http.get(BATCHES).json()["items"] == []
    worker.beat()
    make(page)
    dialog.get_by_role("button", name="Pre-warm for about $0.03").click()
    expect(batches(page)).to_contain_text("0 of 2")
    forget(farm)
