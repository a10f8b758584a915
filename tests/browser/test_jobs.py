"""The part Jobs of the page: what was asked for, followed, looked into, cancelled and asked again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from shared.ledger import Attempt
from tests.browser.conftest import FITS, job_row, open_job

if TYPE_CHECKING:
    from playwright.sync_api import Locator

JOBS = "/api/voice/jobs"
SHANTE = "00000000-0000-0000-0001-000000000002"


def press_tab_until(page: Page, target: Locator) -> None:
    while not target.evaluate("target => target === document.activeElement"):
        page.keyboard.press("Tab")


def choose_state(page: Page, state: str) -> None:
    page.get_by_role("group", name="State").get_by_text(state, exact=True).click()


def texts(page: Page) -> Locator:
    return page.locator("#job-list .job-text")


def test_a_job_is_followed_from_the_queue_to_its_end(jobs, ask, worker):
    job_id = ask("Follow me.")
    row = job_row(jobs, "Follow me.")
    expect(row).to_contain_text("Queued")
    expect(row).to_contain_text(re.compile(r"Marcel · high · wav · espeak\s+MISS"))
    expect(row).to_contain_text(re.compile(r"Number 1 in line\s+about 1 second · just now"))
    claim = worker.claim(job_id)
    expect(row).to_contain_text("Running")
    expect(row).to_contain_text(re.compile(r"for \d+(\.\d)? m?s"))
    worker.speak(claim, degraded=True)
    expect(row).to_contain_text("Succeeded")
    expect(row.get_by_text("Degraded")).to_be_visible()
    expect(row).to_contain_text(re.compile(r"in \d+(\.\d)? m?s"))
    expect(row.locator("[data-action]").locator("visible=true")).to_have_count(0)
    expect(jobs).to_have_title("Jobs · voicefarm")


def test_what_is_not_listed_is_said(jobs):
    expect(jobs.get_by_text("Not listed is what Speak has from the cache")).to_be_visible()


def test_the_time_is_exact_for_who_wants_to_know(jobs, ask, silent_http):
    job = silent_http.get(f"{JOBS}/{ask('When?')}").json()
    time = job_row(jobs, "When?").locator("time")
    expect(time).to_have_attribute("datetime", job["created_at"])
    expect(time).to_have_attribute("title", re.compile(r"20\d\d at \d+:\d\d:\d\d"))


def test_a_hit_took_no_time(page, farm, http):
    request = {"text": "Cached for good."}
    http.post("/api/voice/synthesize?wait=30", json=request)
    http.post(JOBS, json=request)
    page.goto(f"{farm.link()}#jobs")
    row = job_row(page, "Cached for good.").first
    expect(row.get_by_text("HIT")).to_be_visible()
    expect(row.get_by_text("at once")).to_be_visible()


def test_jobs_are_found_by_state_and_personality(jobs, ask, worker):
    worker.speak(worker.claim(ask("Filter one.", personality_id=SHANTE)))
    ask("Filter two.", personality_id=SHANTE)
    ask("Filter three.")
    jobs.get_by_label("Asked of").select_option("Shante")
    expect(texts(jobs)).to_have_text(["Filter two.", "Filter one."])
    choose_state(jobs, "Succeeded")
    expect(texts(jobs)).to_have_text(["Filter one."])
    choose_state(jobs, "Failed")
    expect(jobs.get_by_role("heading", name="No job like this")).to_be_visible()
    jobs.get_by_role("button", name="Show all jobs").click()
    expect(job_row(jobs, "Filter three.")).to_be_visible()
    expect(jobs.get_by_label("All", exact=True)).to_be_focused()
    expect(jobs.get_by_label("Asked of")).to_have_value("")


def test_what_a_filter_does_not_want_any_more_leaves(jobs, ask, worker):
    job_id = ask("Not for long.")
    choose_state(jobs, "Queued")
    expect(texts(jobs)).to_have_text(["Not for long."])
    worker.claim(job_id)
    expect(texts(jobs)).to_have_count(0)


def test_a_job_is_cancelled_at_once_and_asked_again_as_it_was(jobs, ask, silent_http):
    job_id = ask("Once more.", format="mp3", speed=1.5, pitch=-3, provider="espeak", personality_id=SHANTE)
    row = job_row(jobs, "Once more.")
    row.get_by_role("button", name="Cancel: Once more.").click()
    expect(row).to_contain_text("Cancelled")
    expect(jobs.get_by_role("status").filter(has_text="Cancelled: “Once more.”")).to_be_attached()
    expect(row.get_by_role("button", name="Try again")).to_be_focused()
    before = silent_http.get(f"{JOBS}/{job_id}").json()
    assert before["status"] == "cancelled"

    choose_state(jobs, "Cancelled")
    with jobs.expect_response(lambda answer: answer.request.method == "POST") as asked:
        row.get_by_role("button", name="Try again").click()
    again = asked.value.json()
    assert (again["request"], again["status"]) == (before["request"], "queued")
    expect(texts(jobs).first).to_be_focused()
    expect(row.first).to_contain_text("Queued")
    expect(row.last).to_contain_text("Cancelled")
    expect(jobs.get_by_role("status").filter(has_text="Asked again: “Once more.”")).to_be_attached()


def test_all_that_is_known_of_a_job_is_in_its_dialog(jobs, ask, worker):
    text = "The wind had dropped.\n\nNobody said a word. " * 20
    claim = worker.claim(ask(text, language="en-GB", quality="highest", speed=1.25, pitch=-1.5))
    passed_over = Attempt("styletts2", "no_worker", "No worker is running for it.", 0)
    worker.fail(claim, "The engine lost its voice.", passed_over)
    row = job_row(jobs, "The wind had dropped.")
    expect(row).to_contain_text("Nobody managed to speak it.")
    expect(row).to_contain_text("2 failed attempts")
    dialog = open_job(jobs, "The wind had dropped.")
    expect(dialog).to_have_accessible_name("Job for Marcel")
    assert dialog.locator("#job-text").evaluate("place => place.textContent") == text
    expect(dialog).to_contain_text("It failed. What each provider said stands below.")
    expect(dialog.get_by_role("row")).to_have_text(
        [
            "ProviderWhat happenedTook",
            re.compile(r"^styletts2No worker is running for it\.\s+no_workerNot asked$"),
            re.compile(r"^espeakThe engine lost its voice\.\s+engine_failed1\.2 s$"),
        ]
    )
    for fact in (
        "LanguageBritish English",
        "Qualityhighest",
        "Speed1.25",
        "Pitch\N{MINUS SIGN}1.5 semitones",
    ):
        expect(dialog.locator("#job-request div").filter(has_text=re.compile(fact))).to_be_visible()
    expect(dialog.locator("#job-sound")).to_be_hidden()
    expect(dialog.get_by_role("button", name="Cancel this job")).to_be_hidden()

    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_hidden()
    expect(texts(jobs).first).to_be_focused()
    expect(row.first).to_contain_text("Queued")


def test_the_dialog_follows_its_job_to_the_sound(jobs, ask, worker):
    job_id = ask("Look into me.")
    dialog = open_job(jobs, "Look into me.")
    expect(dialog.get_by_role("status").first).to_contain_text("Number 1 in line for espeak; about 1 second.")
    claim = worker.claim(job_id)
    expect(dialog.get_by_role("status").first).to_contain_text("Running It is being spoken since")
    dialog.get_by_role("button", name="Cancel this job").focus()
    worker.speak(claim, degraded=True)
    expect(dialog.get_by_role("status").first).to_contain_text("Succeeded Spoken by espeak.")
    expect(dialog.locator("#job-close")).to_be_focused()
    expect(dialog.get_by_text("so a lesser one spoke")).to_be_visible()
    duration_s = dialog.get_by_label("What was spoken").evaluate(
        """audio => new Promise((done) => {
            audio.onended = () => done(audio.duration);
            audio.play();
        })"""
    )
    assert duration_s == pytest.approx(0.5, abs=0.01)
    with jobs.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{job_id}.wav"
    jobs.keyboard.press("Escape")
    expect(job_row(jobs, "Look into me.").locator(".job-text")).to_be_focused()


def test_a_job_is_cancelled_in_its_dialog(jobs, ask):
    ask("Look and stop.")
    dialog = open_job(jobs, "Look and stop.")
    dialog.get_by_role("button", name="Cancel this job").click()
    expect(dialog.get_by_role("status").first).to_contain_text("Cancelled Nobody speaks it.")
    expect(dialog.get_by_role("button", name="Try again")).to_be_visible()
    expect(job_row(jobs, "Look and stop.")).to_contain_text("Cancelled")


def test_raw_samples_can_be_downloaded_only(jobs, ask, worker):
    worker.speak(worker.claim(ask("Raw.", format="pcm")))
    expect(job_row(jobs, "Raw.")).to_contain_text("Succeeded")
    dialog = open_job(jobs, "Raw.")
    expect(dialog.get_by_text("Browsers do not play raw samples.")).to_be_visible()
    expect(dialog.get_by_label("What was spoken")).to_be_hidden()
    expect(dialog.get_by_role("link", name="Download")).to_have_attribute("download", re.compile(r"\.pcm$"))


def test_a_jobs_id_is_copied(jobs, ask):
    job_id = ask("Copy my name.")
    jobs.context.grant_permissions(["clipboard-read", "clipboard-write"])
    dialog = open_job(jobs, "Copy my name.")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_text("Copied")).to_be_visible()
    assert jobs.evaluate("navigator.clipboard.readText()") == job_id


def test_the_keyboard_is_enough(jobs, ask):
    ask("By hand.")
    text = job_row(jobs, "By hand.").locator(".job-text")
    expect(text).to_be_visible()
    press_tab_until(jobs, text)
    jobs.keyboard.press("Enter")
    expect(jobs.get_by_role("dialog")).to_be_visible()
    jobs.keyboard.press("Escape")
    expect(text).to_be_focused()
    jobs.keyboard.press("Tab")
    jobs.keyboard.press("Enter")
    again = job_row(jobs, "By hand.").get_by_role("button", name="Try again")
    expect(again).to_be_focused()
    jobs.keyboard.press("Enter")
    expect(job_row(jobs, "By hand.")).to_have_count(2)
    expect(text.first).to_be_focused()


def test_nothing_is_wider_than_the_window(jobs, ask, worker):
    worker.fail(worker.claim(ask("x" * 300)), "y" * 300)
    expect(job_row(jobs, "xxx")).to_contain_text("Failed")
    for width in (320, 390, 896, 900, 1280):
        jobs.set_viewport_size({"width": width, "height": 800})
        assert jobs.evaluate("document.documentElement.scrollWidth") == width
        dialog = open_job(jobs, "xxx")
        assert dialog.evaluate(FITS)
        jobs.keyboard.press("Escape")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_part_is_accessible(jobs, ask, worker, scheme):
    jobs.emulate_media(color_scheme=scheme)
    worker.fail(worker.claim(ask(f"Failed in the {scheme}.")), "The engine lost its voice.")
    worker.speak(worker.claim(ask(f"Spoken in the {scheme}.")), degraded=True)
    worker.claim(ask(f"Running in the {scheme}."))
    ask(f"Queued in the {scheme}.")
    expect(job_row(jobs, f"Queued in the {scheme}.")).to_be_visible()
    found = [Axe().run(jobs)]
    for text in ("Failed", "Spoken"):
        open_job(jobs, f"{text} in the {scheme}.")
        found.append(Axe().run(jobs))
        jobs.keyboard.press("Escape")
    for results in found:
        assert results.violations_count == 0, results.generate_report()
