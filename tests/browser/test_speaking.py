"""The page at `/`, as the person at it meets it when all is well."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing

import pytest
from axe_playwright_python.sync_playwright import Axe, AxeResults
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import launch

# Whether a canvas shows anything.
IS_PAINTED = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some(Boolean);
}"""


def form(page: Page) -> Locator:
    """Give the part Speak's form: other parts have fields of the same names."""
    return page.locator("#speech")


def speak(page: Page, text: str) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Speak", exact=True).click()


def expect_sound(page: Page, cache: str) -> None:
    expect(page.get_by_role("heading", name="Here it is")).to_be_visible()
    expect(page.locator("#cache")).to_have_text(cache)


def milliseconds(page: Page) -> int:
    return int(page.locator("#elapsed").inner_text().removesuffix(" ms").replace(",", ""))


def test_a_phrase_is_made_once_and_then_comes_from_the_cache_much_faster(speaking):
    speaking.get_by_role("button", name="Tongue twister").click()
    speaking.get_by_role("button", name="Speak", exact=True).click()
    expect_sound(speaking, "MISS")
    made_in_ms = milliseconds(speaking)
    expect(speaking.locator("#provider")).to_have_text("espeak")
    expect(speaking.locator("#duration")).to_have_text(re.compile(r"^[3-9]\.\d s$"))
    expect(speaking.locator("#degraded")).to_be_hidden()

    speaking.get_by_role("button", name="Speak", exact=True).click()
    expect_sound(speaking, "HIT")
    assert milliseconds(speaking) < made_in_ms


def test_the_sound_plays_to_its_end_at_once(speaking):
    speak(speaking, "Yes.")
    expect_sound(speaking, "MISS")
    expect(speaking.get_by_role("button", name="Play", exact=True)).to_be_hidden()
    played_s = speaking.locator("#audio").evaluate(
        "audio => new Promise(done => {"
        "  const tell = () => done(audio.currentTime);"
        "  audio.ended ? tell() : audio.addEventListener('ended', tell);"
        "})"
    )
    assert 0.2 < played_s < 2
    assert speaking.locator("#audio").evaluate("audio => audio.duration") == pytest.approx(played_s, abs=0.05)


def test_a_browser_that_refuses_to_play_by_itself_gets_a_play_button(chromium, farm):
    with closing(launch(chromium, "document-user-activation-required")) as browser:
        page = browser.new_page()
        # Browsers take whatever a test does for a person's touch, so the page itself begins and tells.
        page.add_init_script(
            """addEventListener("DOMContentLoaded", () => {
                const on = (selector, attribute, action) => new MutationObserver(action).observe(
                    document.querySelector(selector), { attributeFilter: [attribute] });
                on("#controls", "disabled", () => document.querySelector("form").requestSubmit());
                on("#play", "hidden", ([{ target }]) => target.hidden || console.info("refused"));
            })"""
        )
        with page.expect_console_message(lambda message: message.text == "refused"):
            page.goto(farm.link())
        play = page.get_by_role("button", name="Play", exact=True)
        play.click()
        expect(play).to_be_hidden()
        assert not page.locator("#audio").evaluate("audio => audio.paused && !audio.ended")


def test_personality_and_quality_are_chosen_and_sent(speaking):
    expect(form(speaking).get_by_label("Personality").locator("option:checked")).to_have_text("Marcel")
    expect(form(speaking).get_by_label("High", exact=True)).to_be_checked()
    form(speaking).get_by_label("Personality").select_option("Shante")
    form(speaking).get_by_text("Fast", exact=True).click()
    with speaking.expect_request("**/api/voice/synthesize") as asked:
        speak(speaking, "Which voice is it?")
    assert asked.value.post_data_json == {
        "text": "Which voice is it?",
        "personality_id": "00000000-0000-0000-0001-000000000002",
        "quality": "fast",
    }
    expect_sound(speaking, "MISS")
    expect(speaking.get_by_role("listitem")).to_contain_text("Shante · fast · espeak")


def test_language_speed_pitch_and_format_are_chosen_and_sent(speaking):
    expect(form(speaking).get_by_text("English, the personality's own")).to_be_visible()
    form(speaking).get_by_label("Language").fill("de-AT")
    expect(form(speaking).get_by_text("Austrian German", exact=True)).to_be_visible()
    form(speaking).get_by_label("Speed").fill("1")
    form(speaking).get_by_label("Pitch").press("ArrowLeft")
    expect(form(speaking).get_by_label("Pitch")).to_have_attribute(
        "aria-valuetext", "\N{MINUS SIGN}0.5 semitones"
    )
    form(speaking).get_by_text("FLAC", exact=True).click()
    with speaking.expect_request("**/api/voice/synthesize") as asked:
        speak(speaking, "Grüß Gott!")
    assert asked.value.post_data_json == {
        "text": "Grüß Gott!",
        "personality_id": "00000000-0000-0000-0001-000000000001",
        "quality": "high",
        "language": "de-AT",
        "format": "flac",
        "speed": 2,
        "pitch": -0.5,
    }
    expect_sound(speaking, "MISS")
    expect(speaking.locator("#spoken-file-about")).to_have_text(re.compile(r"^speech\.flac, \d+ kB$"))


def test_a_language_that_nobody_can_mean_is_told_beside_its_field(speaking):
    language = form(speaking).get_by_label("Language")
    language.fill("English, please")
    speak(speaking, "Hello.")
    expect(language).to_have_accessible_description(re.compile("Must be a language tag such as en or en-GB."))
    expect(language).to_be_focused()


def test_what_is_no_language_is_not_named_as_one(speaking):
    form(speaking).get_by_label("Language").fill("klingon")
    expect(speaking.locator("#language-hint")).to_have_text("A language tag, such as en or en-GB.")
    speak(speaking, "Hello.")
    expect(speaking.locator("#language-error")).to_contain_text("such as en or en-GB")
    expect(speaking.locator("#language-hint")).to_be_hidden()


def test_what_is_not_as_usual_is_told_remembered_and_taken_back(speaking):
    back = speaking.get_by_role("button", name="Back to normal")
    speak(speaking, "As usual, please.")
    expect_sound(speaking, "MISS")
    expect(back).to_be_hidden()

    form(speaking).get_by_label("Language").fill("en-GB")
    form(speaking).get_by_label("Speed").fill("1")
    for _ in range(3):
        form(speaking).get_by_label("Pitch").press("ArrowLeft")
    form(speaking).get_by_text("MP3", exact=True).click()
    form(speaking).get_by_text("Fast", exact=True).click()
    told = "British English{0}mp3{0}speed 2{0}pitch \N{MINUS SIGN}1.5"
    expect(back).to_have_accessible_description(
        "Not as usual: " + told.format(", ").replace("mp3", "fast, mp3") + "."
    )
    expect(speaking.locator("#pitch-shown")).to_have_text("\N{MINUS SIGN}1.5 semitones")
    speaking.get_by_role("button", name="Speak", exact=True).click()
    newest = speaking.get_by_role("listitem").first
    expect(newest).to_contain_text("Marcel · fast · espeak · " + told.format(" · "))

    back.focus()
    speaking.keyboard.press("Enter")
    expect(back).to_be_hidden()
    expect(speaking.get_by_role("button", name="Speak", exact=True)).to_be_focused()
    with speaking.expect_request("**/api/voice/synthesize") as asked:
        speaking.keyboard.press("Enter")
    assert asked.value.post_data_json == {
        "text": "As usual, please.",
        "personality_id": "00000000-0000-0000-0001-000000000001",
        "quality": "high",
    }
    expect_sound(speaking, "HIT")
    expect(newest.locator(".entry-about")).to_have_text("Marcel · high · espeak")


@pytest.mark.parametrize(
    ("label", "value"),
    [("Language", "de"), ("Speed", "-1"), ("Pitch", "3"), ("MP3", None), ("Highest", None)],
)
def test_each_setting_alone_can_be_taken_back(speaking, label, value):
    field = form(speaking).get_by_label(label, exact=True)
    if value is None:
        form(speaking).get_by_text(label, exact=True).click()
    else:
        field.fill(value)
    speaking.get_by_role("button", name="Back to normal").click()
    expect(speaking.get_by_role("button", name="Back to normal")).to_be_hidden()
    if value is None:
        expect(field).not_to_be_checked()
    else:
        expect(field).to_have_value("" if label == "Language" else "0")


@pytest.mark.parametrize("name", ["WAV", "MP3", "Opus", "FLAC", "PCM"])
def test_every_format_is_heard_seen_and_downloaded(speaking, name):
    form(speaking).get_by_text(name, exact=True).click()
    speak(speaking, "As you like it.")
    expect_sound(speaking, "MISS")
    expect(speaking.locator("#waveform")).to_be_visible()
    drawn = (
        "canvas => new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
    )
    assert speaking.locator("#waveform canvas").first.evaluate(f"{drawn}.data.buffer).some(dot => dot)")
    assert speaking.locator("#audio").evaluate("audio => audio.duration") > 0.5
    with speaking.expect_download() as download:
        speaking.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"speech.{name.lower()}"


def test_the_lines_for_programs_give_the_same_sound(speaking, farm, tmp_path):
    speak(speaking, """It's "5 o'clock" & $HOME \\ é.""")
    expect_sound(speaking, "MISS")
    speaking.get_by_text("The same from a program").click()
    with speaking.expect_download() as download:
        speaking.get_by_role("link", name="Download").click()
    env = {"PATH": os.environ["PATH"], "VOICEFARM_KEY": farm.admin_key}
    for command, place in (["sh", "-c"], "#curl-lines"), ([sys.executable, "-c"], "#python-lines"):
        lines = speaking.locator(place).inner_text()
        subprocess.run([*command, lines], cwd=tmp_path, env=env, check=True, capture_output=True)
        assert (tmp_path / "speech.wav").read_bytes() == download.value.path().read_bytes()
        (tmp_path / "speech.wav").unlink()


def test_the_lines_for_programs_are_copied(speaking):
    speaking.context.grant_permissions(["clipboard-read", "clipboard-write"])
    speak(speaking, "Copy me.")
    expect_sound(speaking, "MISS")
    speaking.get_by_text("The same from a program").click()
    speaking.get_by_role("button", name="Copy the lines for curl").click()
    expect(speaking.locator("#curl-copy")).to_have_text("Copied")
    copied = speaking.evaluate("navigator.clipboard.readText()")
    assert copied == speaking.locator("#curl-lines").inner_text()


def test_the_keyboard_is_enough(speaking):
    text = speaking.get_by_label("Text", exact=True)
    expect(text).to_be_enabled()
    while not text.evaluate("text => text === document.activeElement"):
        speaking.keyboard.press("Tab")
    speaking.keyboard.press("Control+A")
    speaking.keyboard.type("Written by hand.")
    speaking.keyboard.press("Tab")
    speaking.keyboard.press("Control+Enter")
    expect_sound(speaking, "MISS")
    speaking.keyboard.press("Space")
    expect(text).to_have_value("Hello! It is good to hear from you.")
    speaking.keyboard.press("Meta+Enter")
    expect(speaking.get_by_role("listitem")).to_have_count(2)

    earlier = speaking.get_by_role("button", name="Written by hand.")
    while not earlier.evaluate("button => button === document.activeElement"):
        speaking.keyboard.press("Tab")
    speaking.keyboard.press("Enter")
    expect(earlier).to_have_attribute("aria-current", "true")
    assert not speaking.locator("#audio").evaluate("audio => audio.paused && !audio.ended")


def test_the_last_eight_can_be_heard_again_without_the_farm(speaking):
    for number in range(9):
        speak(speaking, f"Number {number}.")
        expect(speaking.get_by_role("listitem").first).to_contain_text(f"Number {number}.")
    expect(speaking.get_by_role("listitem")).to_have_count(8)
    speaking.context.set_offline(True)
    speaking.get_by_role("button", name="Number 1.").click()
    expect_sound(speaking, "MISS")
    assert speaking.locator("#audio").evaluate("audio => !audio.error")


def test_characters_are_counted_as_the_farm_counts_them(speaking):
    text, length = speaking.get_by_label("Text", exact=True), speaking.locator("#count")
    expect(length).to_have_text("35 / 3000 characters")
    text.fill("a\n😀")
    expect(length).to_have_text("3 / 3000 characters")
    text.fill("x" * 3001)
    expect(length).to_have_class("over")


def test_nothing_is_said_on_the_console_and_nothing_is_missing(page, farm, complaints):
    refused = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None)
    page.goto(farm.link())
    assert page.url == f"{farm.url}/"
    speak(page, "Quiet, please.")
    expect_sound(page, "MISS")
    assert (complaints, refused) == ([], [])


def test_nothing_is_wider_than_the_window(speaking):
    speak(speaking, "x" * 300)
    expect(speaking.get_by_role("listitem")).to_be_visible()
    for width in (320, 390, 896, 900, 1280):
        speaking.set_viewport_size({"width": width, "height": 800})
        assert speaking.evaluate("document.documentElement.scrollWidth") == width


def test_every_part_can_be_reached_in_a_small_window(speaking):
    for width in (320, 375, 390):
        speaking.set_viewport_size({"width": width, "height": 800})
        for link in speaking.get_by_role("navigation").get_by_role("link").all():
            expect(link).to_be_in_viewport(ratio=1)
    tops = "nav => new Set([...nav.children].map((link) => link.offsetTop)).size"
    speaking.set_viewport_size({"width": 375, "height": 800})
    assert speaking.get_by_role("navigation").evaluate(tops) == 1


def test_a_small_window_shows_what_came_of_it(speaking):
    speaking.set_viewport_size({"width": 390, "height": 700})
    speak(speaking, "Scroll there.")
    expect(speaking.get_by_role("heading", name="Here it is")).to_be_in_viewport()
    expect(speaking.locator("#duration")).to_be_in_viewport()


def run_axe(page: Page) -> AxeResults:
    """Run it without its copies of sheets in shadow roots, which the page's policy would not let it make."""
    return Axe().run(page, options={"preload": False})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(page, farm, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(farm.link())
    expect(page.get_by_label("Text", exact=True)).to_be_enabled()
    found = [run_axe(page)]
    speak(page, f"Everybody can hear this in the {scheme}.")
    expect_sound(page, "MISS")
    expect(page.locator("#waveform")).to_be_visible()
    page.get_by_text("The same from a program").click()
    found.append(run_axe(page))
    form(page).get_by_label("Pitch").fill("3")
    expect(page.get_by_role("button", name="Back to normal")).to_be_visible()
    speak(page, "...")
    expect(page.get_by_role("heading", name="That cannot be spoken")).to_be_visible()
    found.append(run_axe(page))
    for results in found:
        assert results.violations_count == 0, results.generate_report()


def test_who_wants_less_motion_sees_none(page, farm):
    page.emulate_media(reduced_motion="reduce")
    page.goto(farm.url)
    assert (
        page.evaluate("getComputedStyle(document.querySelector('.bar'), '::after').animationName") == "none"
    )
