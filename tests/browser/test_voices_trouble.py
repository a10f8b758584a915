"""The part Voices when something is in the way, when nobody is there, and when there are many."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from sqlalchemy import delete

from shared.cli.migrate import migrate
from shared.database import Database
from shared.personalities import PersonalityRow
from tests.browser.conftest import row
from tests.browser.test_trouble import stopped
from tests.browser.test_voices import PERSONALITIES, create

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.farm import RunningFarm


def test_without_a_session_the_part_tells_where_the_link_is(page, farm):
    page.goto(f"{farm.url}/#voices")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This page is not signed in")
    expect(alert).to_contain_text("Open the link that “make up”")
    expect(page.get_by_role("button", name="New personality")).to_be_disabled()
    assert Axe().run(page).violations_count == 0


def test_without_the_farm_the_list_stays_and_comes_up_to_date_later(ann, voices, http):
    expect(voices.get_by_role("alert")).to_be_hidden()
    voices.context.set_offline(True)
    voices.get_by_role("link", name="Speak").click()
    voices.get_by_role("link", name="Voices").click()
    expect(voices.get_by_role("alert")).to_contain_text("What you see here may have changed meanwhile.")
    expect(row(voices, "Ann")).to_be_visible()
    http.patch(ann, json={"personality_name": "Anna"})
    voices.context.set_offline(False)
    expect(row(voices, "Anna")).to_be_visible()
    expect(voices.get_by_role("alert")).to_be_hidden()


def test_a_farm_that_has_stopped_can_be_asked_again(page, silent_farm):
    page.goto(f"{silent_farm.link()}#voices")
    expect(row(page, "Marcel")).to_be_visible()
    with stopped(silent_farm):
        create(page, "lost")
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The farm does not answer")
        page.keyboard.press("Escape")
        expect(page.get_by_role("alert")).to_contain_text("is “make up” still running?")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(row(page, "lost")).to_be_hidden()


@contextmanager
def nobody(farm: RunningFarm) -> Iterator[None]:
    """Empty the table, as no API can, and put the examples back afterwards."""
    database = Database(farm.settings.database_url)
    try:
        with database.session() as session:
            session.execute(delete(PersonalityRow))
        yield
        with database.session() as session:
            session.execute(delete(PersonalityRow))
    finally:
        database.close()
        migrate(farm.settings)


def test_where_nobody_can_speak_the_first_one_is_made_here(page, silent_farm):
    with nobody(silent_farm):
        page.goto(silent_farm.link())
        expect(page.get_by_role("heading", name="Nobody can speak yet")).to_be_visible()
        expect(page.get_by_label("Text", exact=True)).to_be_disabled()
        page.get_by_role("link", name="Voices").click()
        expect(page.get_by_role("heading", name="Nobody can speak yet")).to_be_visible()
        assert Axe().run(page).violations_count == 0
        create(page, "first")
        expect(row(page, "first")).to_be_visible()
        expect(page.get_by_role("heading", name="Nobody can speak yet")).to_be_hidden()
        page.get_by_role("link", name="Speak").click()
        expect(page.get_by_label("Text", exact=True)).to_be_enabled()


def test_a_long_list_is_shown_to_its_end(page, silent_farm):
    with silent_farm.client() as http, everybody(http, 205):
        page.goto(f"{silent_farm.link()}#voices")
        expect(row(page, "many-204")).to_be_attached()
        expect(page.locator("#roster > li")).to_have_count(208)


@contextmanager
def everybody(http: httpx.Client, number: int) -> Iterator[None]:
    """Let so many more speak."""
    made = [
        http.post(PERSONALITIES, json={"name": f"many-{n:03}"}).headers["Location"] for n in range(number)
    ]
    yield
    for each in made:
        http.delete(each)
