"""The part Pre-warm of the page: phrases made before anybody asks for them."""

# ruff: noqa: RUF001  these signs are meant

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.test_uploading import drop
from tests.farm import until

if TYPE_CHECKING:
    import httpx

    from tests.farm import RunningFarm

PREWARM, BATCHES, SPEECH = "/api/voice/prewarm", "/api/voice/batches", "/api/voice/synthesize"


def forget(farm: RunningFarm) -> None:
    """Let there be no batch, and nothing that was missed."""
    with farm.redis.client(1) as state:
        for pattern in ("voice:batch*", "voice:missed*"):
            for name in state.keys(pattern):
                state.delete(name)


@pytest.fixture
def part(page, farm) -> Page:
    """The part Pre-warm of a farm that speaks, with nothing in it."""
    forget(farm)
    open_part(page, farm)
    return page


def open_part(page: Page, farm: RunningFarm) -> None:
    page.goto(f"{farm.link()}#prewarm")
    expect(page.get_by_role("checkbox", name="Marcel")).to_be_checked()


def phrases_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Phrases")


def fresh(number: int = 1) -> list[str]:
    return [f"Phrase {uuid4().hex[:8]}." for _ in range(number)]


def write(page: Page, lines: list[str]) -> None:
    phrases_field(page).fill("\n".join(lines))


def open_file(page: Page, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "text/plain", "buffer": content}
    page.get_by_label("Open a text file").set_input_files(file)


def make(page: Page) -> None:
    page.get_by_role("button", name="Pre-warm", exact=True).click()


def estimate(page: Page) -> None:
    page.get_by_role("button", name="Estimate").click()


def batches(page: Page) -> Locator:
    return page.get_by_role("list", name="Batches").locator("> li")


def suggestion(page: Page, phrase: str) -> Locator:
    return page.get_by_role("list", name="Missed most lately").get_by_role("listitem").filter(has_text=phrase)


def speak(http: httpx.Client, text: str, **fields: object) -> str:
    """Have something spoken; tells what the cache held before."""
    answer = http.post(SPEECH, params={"wait": 30}, json={"text": text, **fields})
    answer.raise_for_status()
    return answer.headers["X-Cache-Status"]


def miss(http: httpx.Client, *requests: dict) -> None:
    """Let these be missed, and then not be cached."""
    for request in requests:
        speak(http, **request)
    until(
        lambda: len(http.get(f"{PREWARM}/suggestions").json()["items"]) == len(requests),
        "all that was missed is suggested",
    )
    http.delete("/api/voice/cache/clear")


def finish(http: httpx.Client, number: int) -> None:
    """Let there be so many batches that have ended."""
    speak(http, "Cached already.")
    for _ in range(number):
        http.post(PREWARM, json={"phrases": ["Cached already."]}).raise_for_status()


def test_what_is_written_is_made_once_each_and_is_a_hit_then(part, http):
    one, two = fresh(2)
    expect(part.get_by_role("heading", name="Nothing was pre-warmed lately")).to_be_visible()
    write(part, ["# The first ones", one, f"  {two} ", "", one])
    part.get_by_role("checkbox", name="MP3").check()
    expect(part.locator("#prewarm-count")).to_have_text("2 phrases, 1 repeated line left out")
    expect(part.locator("#prewarm-sum")).to_have_text(
        "2 phrases × 1 voice × 1 quality × 2 formats = 4 pieces of audio"
    )
    make(part)
    expect(batches(part)).to_have_count(1)
    expect(batches(part).get_by_role("heading")).to_have_text("4 pieces")
    expect(batches(part)).to_contain_text("Finished")
    expect(batches(part)).to_contain_text(re.compile(r"4 of 4 are there · took \d+ second"))
    expect(part.get_by_role("heading", name="Nothing was pre-warmed lately")).to_be_hidden()
    expect(part.locator("#prewarm-news")).to_have_text("The batch of 4 is finished: 4 are there.")
    expect(part.locator("#prewarm-estimated")).to_be_hidden()
    [batch] = http.get(BATCHES).json()["items"]
    expect(batches(part)).to_contain_text(f"ID {batch['id'][:8]}")
    expect(batches(part)).to_contain_text(f"“{one}” and 1 other phrase")
    assert speak(http, two, format="mp3") == "HIT"


def test_what_is_made_otherwise_or_by_the_farm_itself_is_said(part):
    expect(part.get_by_role("group", name="Formats")).to_have_accessible_description(
        re.compile("normal speed and pitch.*another piece of audio")
    )
    expect(part.get_by_text("The farm begins some itself")).to_be_visible()


def test_an_estimate_begins_nothing_and_is_of_the_form_as_it_is(part, http):
    cached, new = fresh(2)
    speak(http, cached)
    write(part, [cached, new])
    estimate(part)
    told = part.locator("#prewarm-estimated")
    expect(told).to_contain_text("1 piece of audio is to be made; 1 of 2 is cached already.")
    expect(told.get_by_role("definition")).to_have_text(
        [re.compile("^about 1 second$"), "nothing", re.compile(r"^\d+ kB more$")]
    )
    expect(batches(part)).to_have_count(0)
    write(part, [cached])
    expect(told).to_be_hidden()
    make(part)
    expect(told).to_contain_text("It is cached already.")
    expect(batches(part)).to_have_count(0)


def test_voices_qualities_and_language_are_asked_for_as_they_are_chosen(part):
    write(part, ["Guten Tag."])
    part.get_by_role("checkbox", name="Marcel").uncheck()
    part.get_by_role("checkbox", name="Shante").check()
    part.get_by_role("checkbox", name="Fast", exact=True).check()
    part.locator("#prewarm").get_by_label("Language").fill("de-AT")
    expect(part.get_by_text("Austrian German")).to_be_visible()
    with part.expect_request(f"**{PREWARM}") as asked:
        estimate(part)
    assert asked.value.post_data_json == {
        "phrases": ["Guten Tag."],
        "personality_ids": ["00000000-0000-0000-0001-000000000002"],
        "qualities": ["high", "fast"],
        "formats": ["wav"],
        "language": "de-AT",
        "dry_run": True,
    }


def test_a_file_is_added_to_what_is_written_and_tells_its_language(part):
    write(part, ["Guten Tag."])
    open_file(part, "de.txt", "# language: de\r\n# Begrüßung\r\nGuten Tag.\r\nGute Nacht.\r\n".encode())
    expect(phrases_field(part)).to_have_value(
        "Guten Tag.\n# language: de\n# Begrüßung\nGuten Tag.\nGute Nacht."
    )
    expect(part.get_by_text("de.txt: 2 phrases.")).to_be_visible()
    expect(part.locator("#prewarm-language")).to_have_value("de")
    expect(part.locator("#prewarm-language-hint")).to_have_text("German")
    drop(part, {"name": "more.txt", "buffer": b"Hallo!"}, "text/plain", on="#prewarm")
    expect(part.locator("#prewarm-count")).to_have_text("3 phrases, 1 repeated line left out")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfeG", "list.txt is no text in UTF-8. Save it as such."),
        (b"\n# nothing\n", "There is no phrase in list.txt."),
        (b"x" * 1_100_000, "list.txt has 1.1 MB, and 1.1 MB is the most that the farm takes at once."),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_leaves_what_is_written(part, content, reason):
    write(part, ["Stays."])
    open_file(part, "list.txt", content)
    expect(part.get_by_role("alert").filter(has_text=reason)).to_be_visible()
    expect(phrases_field(part)).to_have_value("Stays.")


def test_lines_that_cannot_be_spoken_are_named_and_the_first_is_selected(part):
    write(part, [*fresh(300), "# Comment", "?!", "Fine.", "...", "x" * 3001])
    make(part)
    field = phrases_field(part)
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(
        re.compile(
            "Lines 302 and 304: must hold something that can be spoken: a letter or a number. "
            "Line 305: must be at most 3000 characters, is 3001."
        )
    )
    selected = "area => area.value.slice(area.selectionStart, area.selectionEnd)"
    assert field.evaluate(selected) == "?!"
    assert field.evaluate("area => area.scrollTop") > 0
    write(part, ["Fine.", "<speak>Hi</speak>"])
    make(part)
    expect(field).to_have_accessible_description(re.compile("^Line 2: The text holds SSML; send plain text"))


def test_what_is_missing_is_told_beside_it_and_nothing_is_sent(part):
    asked = []
    part.on("request", lambda request: asked.append(request.method))
    part.get_by_role("checkbox", name="Marcel").uncheck()
    part.get_by_role("checkbox", name="WAV").uncheck()
    make(part)
    for role, name, reason in (
        ("textbox", "Phrases", "Write a phrase, or open a file of them."),
        ("group", "Voices", "Choose who speaks."),
        ("group", "Formats", "Choose a format."),
    ):
        expect(part.get_by_role(role, name=name)).to_have_accessible_description(re.compile(reason))
    expect(phrases_field(part)).to_be_focused()
    assert "POST" not in asked


def test_more_than_a_batch_takes_is_told_before_it_is_sent(part):
    open_file(part, "many.txt", "\n".join(f"Number {n}." for n in range(5001)).encode())
    part.get_by_role("checkbox", name="MP3").check()
    expect(part.locator("#prewarm-sum")).to_have_text(
        "5,001 phrases × 1 voice × 1 quality × 2 formats = 10,002 pieces of audio; 10,000 is the most"
    )
    estimate(part)
    expect(phrases_field(part)).to_have_accessible_description(
        re.compile("These make 10,002 pieces of audio, and 10,000 is the most for one batch.")
    )
    part.get_by_role("checkbox", name="MP3").uncheck()
    write(part, [])
    for name in ("a", "b"):
        open_file(part, f"{name}.txt", "\n".join(f"{name} {n} {'x' * 600}" for n in range(1000)).encode())
    expect(part.locator("#prewarm-count")).to_have_text("2,000 phrases")
    estimate(part)
    expect(part.locator("#prewarm-form").get_by_role("alert").last).to_contain_text(
        "All these phrases have 1.3 MB, and 1.1 MB is the most"
    )


def test_a_language_that_nobody_speaks_is_told_beside_it(part):
    write(part, ["nuqneH"])
    part.locator("#prewarm-language").fill("tlh")
    make(part)
    expect(part.locator("#prewarm-language")).to_be_focused()
    expect(part.locator("#prewarm-language-error")).to_contain_text("tlh")


def test_older_batches_are_shown_when_they_are_asked_for(part, http):
    finish(http, 8)
    expect(batches(part)).to_have_count(6)
    ids = [each["id"] for each in http.get(BATCHES).json()["items"]]
    more = part.get_by_role("button", name="Show more")
    more.focus()
    part.keyboard.press("Enter")
    expect(batches(part)).to_have_count(8)
    expect(more).to_be_hidden()
    expect(batches(part).last.get_by_role("heading")).to_be_focused()
    assert batches(part).evaluate_all("all => all.map((row) => row.dataset.id)") == ids


def test_what_was_missed_is_suggested_and_can_be_added(part, http):
    [plain, other] = fresh(2)
    spoken_fast, story = {"text": other, "speed": 1.5, "pitch": -2}, {"text": "One.\n\nTwo."}
    miss(http, {"text": plain, "quality": "fast", "format": "opus"}, spoken_fast, story)
    part.reload()
    expect(suggestion(part, plain)).to_contain_text("Marcel · English · fast · opus")
    expect(suggestion(part, plain)).to_contain_text("once")
    suggestion(part, plain).get_by_role("button", name="Add").click()
    expect(phrases_field(part)).to_have_value(plain)
    expect(suggestion(part, plain).get_by_role("button", name="Added")).to_be_focused()
    expect(part.get_by_role("checkbox", name="Fast", exact=True)).to_be_checked()
    expect(part.get_by_role("checkbox", name="Opus")).to_be_checked()
    expect(suggestion(part, other)).to_contain_text("speed 1.5 · pitch −2")
    for row, reason in (
        (suggestion(part, other), "at another speed"),
        (suggestion(part, "One."), "in paragraphs"),
    ):
        expect(row.get_by_role("button")).to_have_count(0)
        expect(row.get_by_text(reason, exact=True)).to_be_visible()
    part.locator("#prewarm-language").fill("de")
    write(part, ["Something else."])
    expect(suggestion(part, plain).get_by_role("button")).to_have_count(0)
    expect(suggestion(part, plain).get_by_text("in another language", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"text": "Up.", "pitch": 2}, "at another pitch"),
        ({"text": "By him.", "provider": "espeak"}, "of its own provider"),
        ({"text": "# One."}, "begins with #"),
    ],
)
def test_what_the_form_cannot_ask_for_says_why(part, http, request_, reason):
    miss(http, request_)
    part.reload()
    row = suggestion(part, request_["text"])
    expect(row.get_by_text(reason, exact=True)).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)


def test_what_was_missed_most_is_made_as_it_was_asked_for(part, http):
    [text] = fresh()
    request = {"text": text, "speed": 1.5}
    miss(http, request)
    part.reload()
    part.get_by_role("button", name="Pre-warm this").click()
    dialog = part.get_by_role("alertdialog", name="Pre-warm?")
    expect(dialog).to_contain_text("1 piece of audio is to be made. Time: about 1 second. Cost: nothing.")
    dialog.get_by_role("button", name="Not now").click()
    expect(batches(part)).to_have_count(0)
    part.get_by_role("button", name="Pre-warm this").click()
    dialog.get_by_role("button", name="Pre-warm").click()
    expect(batches(part)).to_contain_text("1 of 1 is there")
    expect(batches(part)).to_contain_text(f"“{text}”")
    expect(part.locator("#prewarm-news")).to_have_text("The batch of 1 is finished: 1 is there.")
    assert speak(http, **request) == "HIT"
    part.get_by_role("button", name="Pre-warm this").click()
    expect(part.get_by_text("All of it that can be spoken now is cached already.")).to_be_visible()


def test_the_keyboard_is_enough(part):
    field = phrases_field(part)
    while not field.evaluate("field => field === document.activeElement"):
        part.keyboard.press("Tab")
    part.keyboard.type(fresh()[0])
    part.keyboard.press("Tab")
    expect(part.get_by_label("Open a text file")).to_be_focused()
    part.keyboard.press("Tab")
    expect(part.get_by_role("checkbox", name="Marcel")).to_be_focused()
    shante = part.get_by_role("checkbox", name="Shante")
    part.keyboard.press("Tab")
    part.keyboard.press("Space")
    expect(shante).to_be_checked()
    button = part.get_by_role("button", name="Estimate")
    while not button.evaluate("button => button === document.activeElement"):
        part.keyboard.press("Tab")
    part.keyboard.press("Enter")
    expect(part.locator("#prewarm-estimated")).to_contain_text("2 pieces of audio are to be made.")
    expect(button).to_be_focused()
    part.keyboard.press("Shift+Tab")
    part.keyboard.press("Enter")
    expect(batches(part)).to_contain_text("2 of 2 are there")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_part_is_accessible_and_nothing_is_wider_than_the_window(part, http, scheme):
    part.emulate_media(color_scheme=scheme)
    found = [Axe().run(part)]
    miss(http, {"text": f"{scheme} {'x' * 200}"}, {"text": f"Missed in the {scheme}."})
    part.reload()
    expect(suggestion(part, "Missed")).to_be_visible()
    write(part, fresh())
    make(part)
    expect(batches(part)).to_contain_text("1 of 1 is there")
    found.append(Axe().run(part))
    write(part, ["?!"])
    part.get_by_role("checkbox", name="WAV").uncheck()
    make(part)
    expect(part.get_by_role("group", name="Formats")).to_have_attribute("aria-invalid", "true")
    found.append(Axe().run(part))
    for width in (320, 390, 896, 900, 1280):
        part.set_viewport_size({"width": width, "height": 800})
        assert part.evaluate("document.documentElement.scrollWidth") == width
    part.get_by_role("button", name="Pre-warm these 2").click()
    expect(part.get_by_role("alertdialog")).to_be_visible()
    found.append(Axe().run(part))
    for results in found:
        assert results.violations_count == 0, results.generate_report()
