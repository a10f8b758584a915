"""A voice uploaded as a file, judged, listened to and removed."""

from __future__ import annotations

import re
from contextlib import closing

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import FITS, WAV, choose, expect_taken, open_voice, refusal, row, send
from tests.shared.samples.sounds import RATE_HZ, encoded, noise, speech, tone, with_noise

# As large as half a minute at a telephone's better rate.
LONG = {"name": "long.wav", "mimeType": "audio/wav", "buffer": encoded(np.tile(speech(), 3))}


def drop(page: Page, file: dict, mime_type: str, on: str = "#voice") -> None:
    """Drop a file on the dialog, or elsewhere."""
    transfer = page.evaluate_handle(
        """([name, type, bytes]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
            return transfer;
        }""",
        [file["name"], mime_type, list(file["buffer"])],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event(on, event, {"dataTransfer": transfer})


@pytest.fixture
def ann_page(ann, voices) -> Page:  # noqa: ARG001  she is listed because she was made before
    """The part Voices with the dialog of Ann open."""
    open_voice(voices)
    return voices


def test_a_chosen_file_is_shown_sent_and_judged(ann_page, ann, http):
    choose(ann_page, WAV)
    expect(ann_page.get_by_text(re.compile(r"^ann\.wav, \d+ kB, 9\.\d s$"))).to_be_visible()
    expect(ann_page.get_by_label("The chosen file")).to_be_visible()
    send(ann_page)
    expect_taken(ann_page)
    assert http.get(ann).json()["voice_config"]["sample_metadata"]["file_size_mb"] > 0
    ann_page.get_by_role("button", name="Done").click()
    expect(row(ann_page, "Ann").get_by_role("button", name="Voice")).to_be_focused()


@pytest.mark.parametrize(
    ("container", "mime_type"), [("WAV", "audio/wav"), ("MP3", ""), ("OGG", "video/ogg")]
)
def test_a_file_is_dropped_anywhere_on_the_dialog(ann_page, container, mime_type):
    subtype = {"WAV": "PCM_16", "MP3": "MPEG_LAYER_III", "OGG": "VORBIS"}[container]
    data = encoded(speech(), container=container, subtype=subtype)
    drop(ann_page, {"name": "dropped", "buffer": data}, mime_type)
    expect(ann_page.get_by_label("Upload a file")).to_be_checked()
    expect(ann_page.get_by_text("dropped, ")).to_be_visible()
    send(ann_page)
    expect_taken(ann_page)


def test_what_would_make_the_voice_better_is_told(ann_page):
    choose(ann_page, WAV | {"buffer": encoded(with_noise(speech(), 15))})
    send(ann_page)
    expect(ann_page.get_by_role("heading", name="The sample is")).to_be_visible()
    expect(ann_page.get_by_text("Noise or echo can be heard")).to_be_visible()
    ann_page.get_by_role("button", name="Give another one").click()
    expect(ann_page.get_by_text("A new one in its place")).to_be_visible()


@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (tone(), "It is a tone, not speech"),
        (noise(), "It is a steady sound such as noise"),
        (speech()[: RATE_HZ * 3], "It is 3.00 s long; record at least 5 s of speech."),
        (np.tile(speech(), 4), "It is longer than 30 s"),
    ],
)
def test_a_bad_sample_is_refused_with_the_reason_and_can_be_replaced(ann_page, ann, http, sound, reason):
    choose(ann_page, WAV | {"buffer": encoded(sound)})
    send(ann_page)
    refusal = ann_page.get_by_role("alert").filter(has_text="No voice can be made of this")
    expect(refusal).to_contain_text(reason)
    assert http.get(ann).json()["voice_config"]["sample_metadata"] is None
    choose(ann_page, WAV)
    send(ann_page)
    expect_taken(ann_page)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"RIFF....WAVE" + bytes(10_000_000), "This file has 10.1 MB, and 10 MB is the most."),
        (b"", "This file is empty. Choose a WAV, FLAC, OGG or MP3 file."),
        (b"\x89PNG\r\n\x1a\n", "This is not a kind of sound file that the farm takes. Choose a WAV,"),
        (b"....ftypM4A ", "This is not a kind of sound file that the farm takes. Choose a WAV,"),
    ],
)
def test_a_file_that_cannot_be_taken_is_not_even_sent(ann_page, data, reason):
    asked = []
    ann_page.on("request", lambda request: asked.append(request.method))
    choose(ann_page, {"name": "file.wav", "mimeType": "audio/wav", "buffer": data})
    expect(ann_page.get_by_role("alert").filter(has_text=reason)).to_be_visible()
    send(ann_page)
    expect(refusal(ann_page)).to_have_text("There is no sample yetChoose another file first.")
    expect(ann_page.locator("#file-error")).to_contain_text(reason)
    assert "PUT" not in asked
    choose(ann_page, WAV)
    expect(refusal(ann_page)).to_be_hidden()
    expect(ann_page.locator("#file-error")).to_be_hidden()


def test_what_stood_against_sending_is_over_with_another_source(ann_page):
    send(ann_page)
    expect(refusal(ann_page)).to_contain_text("Record a voice first.")
    ann_page.get_by_text("Upload a file", exact=True).click()
    expect(refusal(ann_page)).to_be_hidden()
    send(ann_page)
    expect(refusal(ann_page)).to_contain_text("Choose a file first.")


def test_consent_to_a_file_is_not_consent_to_another(ann_page):
    consent = ann_page.get_by_label("Whoever speaks in it agrees")
    consent.check()
    choose(ann_page, WAV)
    expect(ann_page.get_by_label("The chosen file")).to_be_visible()
    expect(consent).to_be_checked()
    choose(ann_page, LONG)
    expect(ann_page.get_by_text("long.wav")).to_be_visible()
    expect(consent).not_to_be_checked()
    consent.check()
    ann_page.get_by_text("Record here").click()
    expect(consent).not_to_be_checked()


def test_a_file_of_exactly_ten_megabytes_is_for_the_farm_to_judge(ann_page):
    choose(ann_page, {"name": "a.wav", "mimeType": "audio/wav", "buffer": b"RIFF....WAVE" + bytes(9_999_988)})
    send(ann_page)
    expect(ann_page.get_by_role("alert").filter(has_text="The file is broken or cut off")).to_be_visible()


def test_without_consent_nothing_is_sent(ann_page):
    asked = []
    ann_page.on("request", lambda request: asked.append(request.method))
    choose(ann_page, WAV)
    ann_page.get_by_role("button", name="Use this voice").click()
    consent = ann_page.get_by_label("Whoever speaks in it agrees")
    expect(consent).to_be_focused()
    expect(consent).to_have_accessible_description(re.compile("without consent no voice can be used"))
    assert "PUT" not in asked
    consent.check()
    expect(consent).not_to_have_accessible_description(re.compile("without consent"))
    send(ann_page)
    expect_taken(ann_page)


def test_an_upload_tells_how_far_it_is_and_ends_with_the_dialog(ann_page, ann, http):
    choose(ann_page, LONG)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 100_000}
    network = ann_page.context.new_cdp_session(ann_page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    with ann_page.expect_event("requestfailed", lambda request: request.method == "PUT"):
        send(ann_page)
        expect(ann_page.get_by_text(re.compile(r"^Sending… [1-9]\d? %$"))).to_be_visible()
        assert 0 < float(ann_page.get_by_role("progressbar", name="Upload").get_attribute("value") or 0) < 1
        ann_page.keyboard.press("Escape")
    assert http.get(ann).json()["voice_config"]["sample_metadata"] is None


def test_a_session_that_has_ended_is_told_and_nothing_is_lost(ann_page, farm):
    choose(ann_page, WAV)
    ann_page.context.clear_cookies()
    send(ann_page)
    refusal = ann_page.get_by_role("alert").filter(has_text="This page is not signed in")
    expect(refusal.first).to_be_visible()
    with closing(ann_page.context.new_page()) as another_tab:
        another_tab.goto(farm.link())
    ann_page.get_by_role("button", name="Use this voice").click()
    expect_taken(ann_page)


# ---- The sample that there is


def test_the_sample_is_listened_to(given):
    expect(given.get_by_text(re.compile(r"^9\.\d s at 24 kHz, given on \w+ \d+, \d{4}\.$"))).to_be_visible()
    given.get_by_role("button", name="Listen").click()
    audio = given.get_by_label("The sample now").locator("visible=true").and_(given.locator("audio"))
    expect(audio).to_be_focused()
    given.wait_for_function("() => document.getElementById('kept-audio').currentTime > 0")
    assert audio.evaluate("audio => audio.duration") == pytest.approx(len(speech()) / RATE_HZ, abs=0.1)


def test_the_sample_is_removed_once_that_is_confirmed(given, ann, http):
    given.get_by_role("button", name="Remove…").click()
    expect(given.get_by_role("alertdialog", name="Remove the voice of Ann?")).to_be_visible()
    given.get_by_role("button", name="Keep it").click()
    assert http.get(ann).json()["voice_config"]["sample_metadata"]
    given.get_by_role("button", name="Remove…").click()
    given.get_by_role("button", name="Remove", exact=True).click()
    expect(given.get_by_role("dialog")).to_be_hidden()
    expect(row(given, "Ann")).to_contain_text("No voice sample")
    expect(row(given, "Ann").get_by_role("button", name="Give a voice")).to_be_focused()
    assert http.get(f"{ann}/voice").status_code == 404


# ---- For everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_is_accessible(given, scheme):
    given.emulate_media(color_scheme=scheme)
    found = [Axe().run(given)]
    given.get_by_role("button", name="Use this voice").click()
    expect(given.get_by_role("alert").filter(has_text="There is no sample yet")).to_be_visible()
    found.append(Axe().run(given))
    choose(given, WAV | {"buffer": encoded(with_noise(speech(), 15))})
    given.get_by_role("button", name="Use this voice").click()
    expect(given.get_by_label("Whoever speaks in it agrees")).to_be_focused()
    found.append(Axe().run(given))
    send(given)
    expect(given.get_by_role("heading", name="The sample is")).to_be_visible()
    found.append(Axe().run(given))
    for results in found:
        assert results.violations_count == 0, results.generate_report()


def test_what_scrolls_is_within_the_round_corners(given):
    given.set_viewport_size({"width": 800, "height": 400})
    form = given.locator("dialog > form")
    given.get_by_label("Whoever speaks in it agrees").scroll_into_view_if_needed()
    assert form.evaluate("form => form.scrollTop") > 0
    assert given.get_by_role("dialog").evaluate("box => box.scrollHeight <= box.clientHeight")


def test_nothing_in_the_dialog_is_wider_than_it(given):
    for width in (320, 390, 896):
        given.set_viewport_size({"width": width, "height": 800})
        for source in ("Record here", "Upload a file"):
            given.get_by_text(source).click()
            box = given.get_by_role("dialog")
            assert box.evaluate(FITS)
