"""The part Voices of the page: who can speak, made, changed and removed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import FITS, WAV, row
from tests.browser.test_speaking import expect_sound, form

if TYPE_CHECKING:
    from collections.abc import Iterator


PERSONALITIES = "/api/voice/personalities"
MARCEL = "00000000-0000-0000-0001-000000000001"


def create(page: Page, name: str) -> None:
    page.get_by_role("button", name="New personality").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Create").click()


def edit(page: Page, shown_name: str) -> None:
    row(page, shown_name).get_by_role("button", name="Edit").click()


def offered(page: Page) -> list[str]:
    return page.locator("#personality option").all_inner_texts()


@pytest.fixture
def none_left(http) -> Iterator[None]:
    """Whoever a test makes is gone afterwards, and Marcel is the default."""
    before = {each["id"] for each in http.get(PERSONALITIES).json()["items"]}
    yield
    http.patch(f"{PERSONALITIES}/{MARCEL}", json={"is_default": True})
    for each in http.get(PERSONALITIES).json()["items"]:
        if each["id"] not in before:
            http.delete(f"{PERSONALITIES}/{each['id']}")


def test_everybody_is_listed_with_what_matters(voices):
    marcel = row(voices, "Marcel")
    expect(marcel).to_contain_text("Default")
    expect(marcel).to_contain_text("marcel · English")
    expect(marcel).to_contain_text("No voice sample")
    expect(voices.locator("#roster").get_by_role("heading")).to_have_text(
        [re.compile("^Marcel"), re.compile("^Shante"), re.compile("^Zac")]
    )
    expect(voices).to_have_title("Voices · voicefarm")
    expect(voices.get_by_role("link", name="Voices")).to_have_attribute("aria-current", "page")
    assert voices.url.endswith("/#voices")


def test_the_parts_have_addresses_and_the_browsers_way_back(speaking):
    expect(speaking.get_by_label("Text", exact=True)).to_be_visible()
    speaking.get_by_role("link", name="Voices").click()
    expect(speaking.get_by_label("Text", exact=True)).to_be_hidden()
    speaking.go_back()
    expect(speaking.get_by_label("Text", exact=True)).to_be_visible()
    expect(speaking.get_by_role("link", name="Speak")).to_have_attribute("aria-current", "page")


@pytest.mark.usefixtures("none_left")
def test_who_is_made_can_be_given_a_voice_and_speak_at_once(voices, http):
    voices.get_by_role("button", name="New personality").click()
    voices.get_by_label("Name", exact=True).fill("berta")
    voices.get_by_label("Shown as").fill("Berta Öztürk")
    voices.get_by_role("dialog").get_by_label("Language").fill("de-AT")
    expect(voices.get_by_role("dialog").get_by_text("Austrian German")).to_be_visible()
    voices.get_by_role("dialog").get_by_label("Gender").select_option("Female")
    voices.get_by_role("dialog").get_by_label("Speed").fill("1.25")
    voices.get_by_role("button", name="Create").click()

    expect(voices.get_by_role("status")).to_have_text("Berta Öztürk is there, and can be given a voice.")
    berta = row(voices, "Berta Öztürk")
    expect(berta).to_contain_text("berta · Austrian German")
    expect(berta.get_by_role("button", name="Give a voice: Berta Öztürk")).to_be_focused()
    made = next(each for each in http.get(PERSONALITIES).json()["items"] if each["name"] == "berta")
    assert (made["language"], made["is_active"], made["is_default"]) == ("de-AT", True, False)
    assert made["voice_config"]["gender"] == "female"
    assert made["voice_config"]["voice_settings"] == {"speed": 1.25, "pitch": 0}

    berta.get_by_role("button", name="Speak").click()
    expect(voices.get_by_label("Text", exact=True)).to_be_focused()
    expect(form(voices).get_by_label("Personality").locator("option:checked")).to_have_text("Berta Öztürk")
    voices.get_by_role("button", name="Speak", exact=True).click()
    expect_sound(voices, "MISS")
    expect(voices.get_by_role("listitem")).to_contain_text("Berta Öztürk · high · espeak")


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        ("Name", "marcel", "Another personality is called 'marcel'; choose another name."),
        ("Name", "  ", "A name is needed."),
        ("Name", MARCEL, "Must not look like an ID."),
        ("Shown as", "x" * 101, "Must have at most 100 characters."),
        ("Language", "English, please", "Must be a language tag such as en or en-GB."),
    ],
)
def test_what_cannot_be_used_is_told_beside_the_field(voices, label, value, message):
    voices.get_by_role("button", name="New personality").click()
    voices.get_by_label("Name", exact=True).fill("new")
    field = voices.get_by_role("dialog").get_by_label(label, exact=True)
    field.fill(value)
    voices.get_by_role("button", name="Create").click()
    expect(field).to_have_accessible_description(re.compile(re.escape(message)))
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(voices.get_by_role("alert")).to_be_hidden()
    voices.get_by_role("button", name="Cancel").click()
    expect(voices.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        ("Speed", "1e", "Must be a number."),  # which is not the same as an empty field
        ("Speed", "4.01", "Must be between 0.25 and 4."),
        ("Speed", "0.2", "Must be between 0.25 and 4."),
        ("Pitch", "-20.5", "Must be between -20 and 20."),
        ("Pitch", "21", "Must be between -20 and 20."),
    ],
)
def test_a_number_that_cannot_be_used_is_not_even_sent(voices, label, value, message):
    asked = []
    voices.on("request", lambda request: asked.append(request.method))
    voices.get_by_role("button", name="New personality").click()
    voices.get_by_label("Name", exact=True).fill("new")
    voices.get_by_role("dialog").get_by_label(label).clear()
    voices.get_by_role("dialog").get_by_label(label).press_sequentially(value)
    voices.get_by_role("button", name="Create").click()
    expect(voices.get_by_role("dialog").get_by_label(label)).to_have_accessible_description(
        re.compile(re.escape(message))
    )
    expect(voices.get_by_role("dialog").get_by_label(label)).to_be_focused()
    assert "POST" not in asked


@pytest.mark.usefixtures("none_left")
def test_who_is_shown_by_the_name_is_named_once(voices):
    create(voices, "t1")
    expect(row(voices, "t1").locator(".who")).to_have_text("t1 English")


def test_the_buttons_of_all_rows_stand_below_each_other(ann, voices, http):
    files = {"audio": (WAV["name"], WAV["buffer"])}
    http.put(f"{ann}/voice", files=files, data={"consent": "true"}).raise_for_status()
    voices.reload()
    expect(row(voices, "Ann").get_by_role("button", name="Voice: Ann")).to_be_visible()
    for width in (320, 390, 896, 1280):
        voices.set_viewport_size({"width": width, "height": 800})
        edges = voices.locator("#roster .row-actions").evaluate_all(
            """all => all.map(({ children }) => [...children].flatMap((button) => {
                const { left, right } = button.getBoundingClientRect();
                return [left, right];
            }).join())"""
        )
        assert len(set(edges)) == 1


@pytest.mark.usefixtures("ann")
def test_a_change_says_only_what_was_changed(voices):
    edit(voices, "Ann")
    voices.get_by_label("Shown as").fill("Anna")
    voices.get_by_role("dialog").get_by_label("Pitch").fill("-2")
    with voices.expect_request(lambda request: request.method == "PATCH") as asked:
        voices.get_by_role("button", name="Save").click()
    assert asked.value.post_data_json == {
        "personality_name": "Anna",
        "voice_config": {"voice_settings": {"pitch": -2}},
    }
    expect(row(voices, "Anna").get_by_role("button", name="Edit")).to_be_focused()
    assert "Anna" in offered(voices)


@pytest.mark.usefixtures("ann")
def test_who_is_inactive_is_kept_but_cannot_be_chosen_to_speak(voices):
    edit(voices, "Ann")
    voices.get_by_label("Active").uncheck()
    voices.get_by_role("button", name="Save").click()
    expect(row(voices, "Ann")).to_contain_text("Inactive")
    expect(row(voices, "Ann").get_by_role("button", name="Speak")).to_be_disabled()
    assert "Ann" not in offered(voices)
    edit(voices, "Ann")
    voices.get_by_label("Active").check()
    voices.get_by_role("button", name="Save").click()
    expect(row(voices, "Ann").get_by_role("button", name="Speak")).to_be_enabled()
    assert "Ann" in offered(voices)


@pytest.mark.usefixtures("ann", "none_left")
def test_another_default_takes_the_place_of_the_one_before(voices):
    edit(voices, "Marcel")
    expect(voices.get_by_label("Active")).to_be_disabled()
    expect(voices.get_by_label("Default")).to_be_disabled()
    expect(voices.get_by_role("button", name="Remove…")).to_be_disabled()
    voices.keyboard.press("Escape")
    edit(voices, "Ann")
    voices.get_by_label("Default").check()
    voices.get_by_role("button", name="Save").click()
    expect(row(voices, "Ann")).to_contain_text("Default")
    expect(row(voices, "Marcel")).not_to_contain_text("Default")


@pytest.mark.usefixtures("ann")
def test_removing_is_asked_about_and_then_done(voices):
    edit(voices, "Ann")
    voices.get_by_role("button", name="Remove…").click()
    expect(voices.get_by_role("alertdialog", name="Remove Ann?")).to_be_visible()
    voices.get_by_role("button", name="Keep it").click()
    expect(voices.get_by_role("button", name="Remove…")).to_be_focused()
    voices.get_by_role("button", name="Remove…").click()
    voices.get_by_role("button", name="Remove", exact=True).click()
    expect(voices.get_by_role("dialog")).to_be_hidden()
    expect(row(voices, "Ann")).to_be_hidden()
    assert "Ann" not in offered(voices)


@pytest.mark.usefixtures("none_left")
def test_who_has_become_the_default_meanwhile_is_not_removed(ann, voices, http):
    edit(voices, "Ann")
    voices.get_by_role("button", name="Remove…").click()
    http.patch(ann, json={"is_default": True})
    voices.get_by_role("button", name="Remove", exact=True).click()
    expect(voices.get_by_role("alertdialog").get_by_role("alert")).to_contain_text(
        "Ann is the default personality, which must exist and be active; make another one the default first."
    )
    voices.get_by_role("button", name="Keep it").click()
    voices.get_by_role("button", name="Cancel").click()
    expect(row(voices, "Ann")).to_contain_text("Default")


def test_who_was_removed_elsewhere_is_gone_once_that_is_found_out(ann, voices, http):
    edit(voices, "Ann")
    voices.get_by_label("Shown as").fill("Anna")
    http.delete(ann)
    voices.get_by_role("button", name="Save").click()
    expect(voices.get_by_role("alert")).to_contain_text("It is not there any more")
    voices.get_by_role("button", name="Cancel").click()
    expect(row(voices, "Ann")).to_be_hidden()


@pytest.mark.usefixtures("ann")
def test_the_keyboard_is_enough(voices):
    voices.keyboard.press("Tab")
    button = voices.get_by_role("button", name="Edit: Ann")
    while not button.evaluate("button => button === document.activeElement"):
        voices.keyboard.press("Tab")
    voices.keyboard.press("Enter")
    expect(voices.get_by_label("Name", exact=True)).to_be_focused()
    voices.keyboard.press("Tab")
    voices.keyboard.type("Anna")
    voices.keyboard.press("Enter")
    expect(row(voices, "Anna")).to_be_visible()
    expect(row(voices, "Anna").get_by_role("button", name="Edit")).to_be_focused()


@pytest.mark.usefixtures("ann")
def test_nothing_is_wider_than_the_window(ann, voices, http):
    http.patch(ann, json={"personality_name": "X" * 100})
    voices.reload()
    expect(row(voices, "X" * 100)).to_be_visible()
    for width in (320, 390, 896, 900, 1280):
        voices.set_viewport_size({"width": width, "height": 800})
        assert voices.evaluate("document.documentElement.scrollWidth") == width
        edit(voices, "X" * 100)
        box = voices.get_by_role("dialog")
        assert box.evaluate(FITS)
        voices.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.usefixtures("ann")
def test_the_part_is_accessible(voices, scheme):
    voices.emulate_media(color_scheme=scheme)
    found = [Axe().run(voices)]
    create(voices, "marcel")
    expect(voices.get_by_label("Name", exact=True)).to_have_attribute("aria-invalid", "true")
    found.append(Axe().run(voices))
    voices.keyboard.press("Escape")
    edit(voices, "Ann")
    voices.get_by_role("button", name="Remove…").click()
    found.append(Axe().run(voices))
    for results in found:
        assert results.violations_count == 0, results.generate_report()
