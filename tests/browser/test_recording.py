"""A voice recorded in the browser: what its microphone hears becomes the sample."""

from __future__ import annotations

import io
import re
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    WAV,
    choose,
    expect_taken,
    launch,
    open_voice,
    refusal,
    row,
    send,
    watched_page,
)
from tests.browser.test_speaking import expect_sound, form, speak
from tests.shared.samples.sounds import RATE_HZ, speech

if TYPE_CHECKING:
    from collections.abc import Iterator


def record(page: Page, until: str) -> None:
    """Record until the page gives that advice."""
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text(until)).to_be_visible()
    page.get_by_role("button", name="Stop").click()


@pytest.fixture
def hearing(ann, hearing_browser, complaints, farm) -> Iterator[Page]:  # noqa: ARG001  as above
    """The same in a browser with a microphone that may be used."""
    with watched_page(hearing_browser, complaints, permissions=["microphone"]) as page:
        page.goto(f"{farm.link()}#voices")
        open_voice(page)
        yield page


def bound(page: Page, **seconds: float) -> None:
    """Let the shortest (`minSeconds`) or longest (`maxSeconds`) recording be another, in a new dialog."""
    page.keyboard.press("Escape")
    page.evaluate(
        """seconds => {
            const { content } = document.getElementById("voice-dialog");
            Object.assign(content.getElementById("record").dataset, seconds);
        }""",
        seconds,
    )
    open_voice(page)


def test_a_voice_is_recorded_listened_to_judged_and_spoken_with(hearing, ann, http):
    level = hearing.get_by_role("meter", name="Microphone level")
    assert level.evaluate("level => level.value === level.min")
    hearing.get_by_role("button", name="Record", exact=True).click()
    expect(hearing.get_by_role("button", name="Stop")).to_be_focused()
    hearing.wait_for_function("() => document.getElementById('record-level').value > -40")
    expect(hearing.get_by_text("Good. Stop whenever you like.")).to_be_visible()
    hearing.keyboard.press("Enter")
    expect(hearing.get_by_text("Listen to it before you use it.")).to_be_visible()
    expect(hearing.get_by_role("button", name="Record again")).to_be_focused()
    assert level.evaluate("level => level.value === level.min")
    taken_s = hearing.get_by_label("The new recording").evaluate(
        """audio => new Promise((done) => {
            audio.onended = () => done(audio.duration);
            audio.playbackRate = 8;
            audio.play();
        })"""
    )
    assert 8 <= taken_s <= 30

    send(hearing)
    expect_taken(hearing)
    assert int(hearing.locator("#verdict-score").inner_text()) >= 70
    shown = http.get(ann).json()["voice_config"]["sample_metadata"]
    assert shown["duration"] == pytest.approx(taken_s, abs=0.1)
    assert (shown["channels"], shown["bit_depth"]) == (1, 16)
    expect(
        hearing.get_by_text(f"{shown['duration']:.1f} s at {shown['sample_rate'] / 1000:g} kHz.")
    ).to_be_visible()

    hearing.get_by_role("button", name="Speak as Ann").click()
    expect(hearing.get_by_role("dialog")).to_be_hidden()
    expect(form(hearing).get_by_label("Personality").locator("option:checked")).to_have_text("Ann")
    speak(hearing, "With a voice of my own.")
    expect_sound(hearing, "MISS")
    hearing.get_by_role("link", name="Voices").click()
    expect(
        row(hearing, "Ann").get_by_text(re.compile(r"^Sample of \d+\.\d s, (good|excellent)"))
    ).to_be_visible()


def test_what_is_recorded_is_what_was_heard(hearing, ann, http):
    record(hearing, "Good. Stop whenever you like.")
    send(hearing)
    expect_taken(hearing)
    kept, rate_hz = soundfile.read(io.BytesIO(http.get(f"{ann}/voice").content))
    assert rate_hz == RATE_HZ
    # The browser's own microphone loses a moment where the machine is busy, so parts are looked for alone.
    parts = np.array_split(kept, len(kept) // (rate_hz // 2))
    audible = [part for part in parts if part.std() > kept.std() / 4]
    assert len(audible) > len(parts) / 2
    assert np.mean([closeness(part) > 0.9 for part in audible]) > 0.7


def closeness(part):
    """Give how much a part of a recording is like the most similar part of what the microphone hears."""
    heard = np.tile(speech(), 2)  # over and over
    size = len(heard) + len(part)
    begin = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(part, size)), size)
    begin = begin[: len(heard) - len(part)].argmax()
    return np.corrcoef(heard[begin : begin + len(part)], part)[0, 1]


def test_a_recording_stops_by_itself_and_is_cut_at_the_longest_time(hearing):
    bound(hearing, maxSeconds=6)
    hearing.get_by_role("button", name="Record", exact=True).click()
    expect(hearing.get_by_text("6 s are the most. Listen to it before you use it.")).to_be_visible()
    expect(hearing.get_by_role("timer")).to_have_text("6.0 s")
    hearing.wait_for_function("() => document.getElementById('record-audio').duration === 6")


def test_a_recording_that_is_too_short_is_not_used(hearing):
    bound(hearing, minSeconds=25)
    record(hearing, "Go on speaking…")
    reason = "a voice needs at least 25 s. Record again."
    expect(hearing.get_by_role("alert")).to_contain_text(reason)
    expect(hearing.get_by_label("The new recording")).to_be_hidden()
    send(hearing)
    expect(refusal(hearing)).to_contain_text(reason)
    expect(hearing.locator("#record-error")).to_contain_text(reason)


def test_what_stood_against_sending_is_over_once_it_is_recorded(hearing):
    send(hearing)
    expect(refusal(hearing)).to_contain_text("Record a voice first.")
    hearing.get_by_role("button", name="Record", exact=True).click()
    expect(hearing.get_by_role("button", name="Stop")).to_be_visible()
    expect(refusal(hearing)).to_be_hidden()
    hearing.get_by_role("button", name="Use this voice").click()
    expect(refusal(hearing)).to_contain_text("Stop the recording first.")
    expect(hearing.get_by_text("Good. Stop whenever you like.")).to_be_visible()
    hearing.get_by_role("button", name="Stop").click()
    expect(hearing.get_by_label("The new recording")).to_be_visible()
    expect(refusal(hearing)).to_be_hidden()


def test_consent_to_a_recording_is_not_consent_to_the_next(hearing):
    consent = hearing.get_by_label("Whoever speaks in it agrees")
    consent.check()
    record(hearing, "Good. Stop whenever you like.")
    expect(hearing.get_by_label("The new recording")).to_be_visible()
    expect(consent).to_be_checked()
    hearing.get_by_role("button", name="Record again").click()
    expect(consent).not_to_be_checked()


def test_closing_the_dialog_lets_go_of_the_microphone(hearing):
    hearing.evaluate(
        """() => {
            const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wanted) => (window.stream = await ask(wanted));
        }"""
    )
    hearing.get_by_role("button", name="Record", exact=True).click()
    expect(hearing.get_by_role("button", name="Stop")).to_be_visible()
    hearing.keyboard.press("Escape")
    hearing.wait_for_function(
        "() => window.stream.getTracks().every((track) => track.readyState === 'ended')"
    )


def test_what_is_read_aloud_is_in_the_language_of_the_personality(ann, voices, http):
    open_voice(voices)
    expect(voices.locator("blockquote")).to_have_attribute("lang", "en")
    voices.keyboard.press("Escape")
    http.patch(ann, json={"language": "fr-CA"})
    voices.reload()
    open_voice(voices)
    expect(voices.locator("blockquote")).to_have_attribute("lang", "fr")
    expect(voices.locator("blockquote")).to_contain_text("vieux marin")


@pytest.mark.usefixtures("ann")
def test_a_microphone_that_is_refused_is_explained(hearing_browser, complaints, farm):
    with watched_page(hearing_browser, complaints) as page:
        page.goto(f"{farm.link()}#voices")
        open_voice(page)
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text(
            "This page may not use the microphone. Allow it in the browser's settings for this page"
        )
        expect(page.get_by_role("button", name="Record", exact=True)).to_be_visible()
        choose(page, WAV)
        send(page)
        expect_taken(page)


@pytest.mark.usefixtures("ann")
def test_a_machine_without_a_microphone_is_told_so(chromium, complaints, farm):
    with (
        closing(
            launch(chromium, "no-user-gesture-required", "--disable-audio-input", program="chromium")
        ) as browser,
        watched_page(browser, complaints, permissions=["microphone"]) as page,
    ):
        page.goto(f"{farm.link()}#voices")
        open_voice(page)
        page.get_by_role("button", name="Record", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("There is no microphone. Connect one")


@pytest.mark.usefixtures("ann")
def test_an_address_at_which_browsers_do_not_record_is_explained(chromium, complaints, farm):
    elsewhere = "--host-resolver-rules=MAP farm.test 127.0.0.1"
    with (
        closing(launch(chromium, "no-user-gesture-required", elsewhere)) as browser,
        watched_page(browser, complaints) as page,
    ):
        page.goto(f"{farm.link()}#voices".replace("127.0.0.1", "farm.test"))
        open_voice(page)
        page.get_by_role("button", name="Record", exact=True).click()
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("This page cannot record at its present address.")
        expect(alert).to_contain_text(f"open http://localhost:{farm.url.rpartition(':')[2]}.")


def test_samples_become_a_wav_file_to_the_last_bit(speaking):
    samples = [0, 1, -1, 0.5, -0.5, 1 / 0x7FFF, 2, -2]
    written = speaking.evaluate(
        """async (samples) => {
            const { encodeWav } = await import("/static/common/wav.js");
            const file = encodeWav(new Float32Array(samples), 44_100);
            return [file.type, [...new Uint8Array(await file.arrayBuffer())]];
        }""",
        samples,
    )
    assert written[0] == "audio/wav"
    file = io.BytesIO(bytes(written[1]))
    assert soundfile.info(file).subtype == "PCM_16"
    file.seek(0)
    found, rate_hz = soundfile.read(file, dtype="int16", always_2d=True)
    assert rate_hz == 44_100
    assert found[:, 0].tolist() == [0, 32767, -32767, 16384, -16383, 1, 32767, -32767]
    assert len(file.getvalue()) == 44 + 2 * len(samples)
