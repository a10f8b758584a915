"""The part Farm of the page: who speaks and how well, what the cache does, and who may ask."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from shared.cache.history import CacheRecord
from tests.browser.conftest import FLOWER
from tests.browser.test_speaking import IS_PAINTED, run_axe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.farm import RunningFarm

MINUTE_S = 60


@pytest.fixture
def farm_part(page, farm) -> Page:
    """The part Farm of a farm that speaks."""
    return opened(page, farm)


def opened(page: Page, farm: RunningFarm) -> Page:
    page.goto(f"{farm.link()}#farm")
    expect(provider(page, "espeak-ng")).to_be_visible()
    return page


def provider(page: Page, title: str) -> Locator:
    heading = page.get_by_role("heading", name=title, level=4)
    return page.locator("#providers").get_by_role("listitem").filter(has=heading)


def fact(page: Page, title: str, name: str) -> Locator:
    return provider(page, title).locator(f"[data-fact={name}]")


def key_row(page: Page, name: str) -> Locator:
    return page.locator("#keys").get_by_role("listitem").filter(has_text=name)


def make_key(page: Page, name: str) -> str:
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_text("it is shown this once")).to_be_focused()
    secret = page.locator("#key-secret").inner_text()
    page.get_by_role("button", name="Done").click()
    return secret


# Three minutes of the cache, others missing among them: how many minutes ago, hits, misses, entries, bytes.
# Whatever the time is, they are two points at least of a chart of a day, whose steps are longer.
MINUTES = ((25, 1, 1, 10, 10_000), (4, 0, 0, 20, 20_000), (2, 3, 1, 40, 40_000))


@pytest.fixture
def minutes() -> tuple[tuple[int, ...], ...]:
    """What the cache's history holds."""
    return MINUTES


@pytest.fixture
def history(farm, minutes) -> Iterator[None]:
    """Minutes of the cache that are over, and nobody who adds to them."""
    with farm.redis.client(1) as state:
        this_minute_s = int(time.time()) // MINUTE_S * MINUTE_S
        for ahead in range(3):
            state.set(f"voice:cache:turn:{this_minute_s + ahead * MINUTE_S}", 1, ex=300)
        state.delete("voice:cache:minutes", "voice:cache:hours")
        for ago, hits, misses, entries, size_bytes in minutes:
            at_s = this_minute_s - ago * MINUTE_S
            record = CacheRecord(at_s, hits, misses, 0, entries, size_bytes)
            state.zadd("voice:cache:minutes", {record.encode(): at_s})
        yield
        state.delete("voice:cache:minutes")


def test_every_provider_is_there_with_what_matters(farm_part, http):
    http.post("/api/voice/synthesize?wait=30", json={"text": "How fast is this?"}).raise_for_status()
    expect(provider(farm_part, "espeak-ng")).to_contain_text("Speaks")
    expect(fact(farm_part, "espeak-ng", "workers")).to_have_text("1 · cpu")
    expect(fact(farm_part, "espeak-ng", "waiting")).to_have_text("0")
    expect(fact(farm_part, "espeak-ng", "latency")).to_have_text(re.compile(r"^\d.* m?s · \d.* m?s$"))
    expect(fact(farm_part, "espeak-ng", "speed")).to_have_text(re.compile(r"^\d"))
    expect(fact(farm_part, "espeak-ng", "attempts")).to_have_text(re.compile(r"^[1-9]\d* · \d+$"))
    expect(fact(farm_part, "espeak-ng", "cost")).to_have_text("$0.00 · $0.00")
    expect(farm_part).to_have_title("Farm · voicefarm")


def test_a_provider_that_is_not_set_up_says_what_helps(farm_part):
    for title, remedy in (
        ("Piper", "voicefarm models pull"),
        ("XTTS v2", "voicefarm models pull xtts_v2 --accept-licence|make up ENGINES="),
        ("StyleTTS2", "voicefarm models pull styletts2|make up ENGINES="),
        ("Google Cloud TTS", "GOOGLE_APPLICATION_CREDENTIALS"),
    ):
        expect(provider(farm_part, title)).to_contain_text("Not set up")
        expect(provider(farm_part, title)).to_contain_text(re.compile(remedy))
        expect(fact(farm_part, title, "workers")).to_be_hidden()


def test_a_provider_whose_worker_leaves_is_seen_to(page, silent_farm, worker):
    opened(page, silent_farm)
    expect(provider(page, "espeak-ng")).to_contain_text("Speaks")
    worker.leave()
    expect(provider(page, "espeak-ng")).to_contain_text("No worker")
    expect(provider(page, "espeak-ng")).to_contain_text("Start one")
    expect(page.get_by_text("VOICEFARM_FLOWER_URL says where it is")).to_be_visible()


def test_what_is_asked_again_raises_the_hit_rate_and_the_cache_can_be_cleared(farm_part, http):
    http.delete("/api/voice/cache/clear")
    for _ in range(2):
        http.post("/api/voice/synthesize?wait=30", json={"text": "Once and again."}).raise_for_status()
    expect(farm_part.locator("#farm-entries")).to_have_text(re.compile(r"^1 · \d+ kB$"))
    expect(farm_part.locator("#farm-hit-rate")).to_have_text(re.compile(r"^\d+\.\d %$"))
    expect(farm_part.locator("#farm-requests")).to_have_text(re.compile(r"^[1-9]"))

    farm_part.get_by_role("button", name="Clear the cache").click()
    farm_part.get_by_role("button", name="Clear it").click()
    expect(farm_part.get_by_role("alertdialog")).to_be_hidden()
    expect(farm_part.locator("#farm-entries")).to_have_text("0 · 0 kB")


@pytest.mark.usefixtures("history")
def test_the_cache_over_time_is_drawn_and_told(page, farm):
    opened(page, farm)
    charts = page.locator("#charts").get_by_role("img")
    expect(charts).to_have_count(3)
    with page.expect_request("**/api/voice/cache/history?hours=1"):
        page.get_by_text("1 hour").click()
    for chart, words in zip(
        charts.all(),
        (
            "Last 75 %; lowest 50 %, highest 75 %.",
            "Last 40; lowest 10, highest 40.",
            "Last 40 kB; lowest 10 kB, highest 40 kB.",
        ),
        strict=True,
    ):
        expect(chart).to_have_accessible_name(words)
        assert chart.locator("canvas").evaluate(IS_PAINTED)
    page.get_by_text("1 week").click()
    expect(page.get_by_text("Nothing was recorded in this time yet")).to_be_visible()
    expect(charts.first).to_be_hidden()


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("minutes", [((2, 3, 1, 1, 300),)])
def test_one_point_is_no_chart_yet(page, farm):
    opened(page, farm)
    page.get_by_text("1 hour").click()
    expect(page.locator("#history-news")).to_have_text(
        "The history of this time has just begun: there is a point every 60 seconds. Come back in 2 minutes."
    )
    expect(page.locator("#charts")).to_be_hidden()


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "minutes",
    [
        ((3, 0, 0, 0, 0), (2, 0, 1, 1, 300)),
        ((3, 0, 1, 2, 2_100), (2, 0, 1, 3, 4_100)),
        ((3, 0, 1, 900, 950_000), (2, 0, 1, 12_345, 1_400_000)),
        ((3, 0, 1, 7, 1_900_000_000), (2, 0, 1, 8, 2_100_000_000)),
    ],
)
def test_no_two_labels_of_an_axis_are_the_same_and_none_is_cut_off(page, farm):
    page.add_init_script(
        """const { clearRect, fillText } = CanvasRenderingContext2D.prototype;
        CanvasRenderingContext2D.prototype.clearRect = function (...box) {
            this.canvas.labels = [];
            clearRect.apply(this, box);
        };
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            const width = this.measureText(text).width * { left: 1, center: 0.5 }[this.textAlign] || 0;
            this.canvas.labels.push({ text, end: x + width });
            fillText.apply(this, arguments);
        }"""
    )
    opened(page, farm)
    page.get_by_text("1 hour").click()
    expect(page.locator("#charts canvas")).to_have_count(3)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        for canvas in page.locator("#charts canvas").all():
            labels = canvas.evaluate("canvas => canvas.labels")
            assert len(labels) > 3  # two of each axis
            values = [label["text"] for label in labels if not re.search("[:/]", label["text"])]
            assert len(values) == len(set(values)), values
            assert max(label["end"] for label in labels) <= canvas.evaluate("canvas => canvas.width")


def test_a_key_is_made_shown_once_used_and_revoked(farm_part, farm):
    secret = make_key(farm_part, "Telephone")
    row = key_row(farm_part, "Telephone")
    expect(row).to_contain_text("speak")
    expect(row).to_contain_text(f"{secret[:8]}")
    expect(row).to_contain_text("not used yet")
    expect(farm_part.locator("body")).not_to_contain_text(secret)

    with httpx.Client(headers={"Authorization": f"Bearer {secret}"}, trust_env=False) as telephone:
        assert telephone.get(f"{farm.url}/api/voice/jobs").status_code == 200
        row.get_by_role("button", name="Revoke Telephone").click()
        farm_part.get_by_role("button", name="Revoke", exact=True).click()
        expect(farm_part.get_by_text("Telephone is revoked.")).to_be_visible()
        expect(farm_part.get_by_role("button", name="New key")).to_be_focused()
        expect(row).to_contain_text("Revoked")
        expect(row.get_by_role("button")).to_be_hidden()
        assert telephone.get(f"{farm.url}/api/voice/jobs").status_code == 401


def test_a_key_that_ends_says_when(farm_part):
    farm_part.get_by_role("button", name="New key").click()
    farm_part.get_by_label("Name", exact=True).fill("Summer")
    farm_part.get_by_text("Also personalities").click()
    farm_part.get_by_label("Ends").select_option("In 90 days")
    farm_part.get_by_role("button", name="Make the key").click()
    farm_part.get_by_role("button", name="Done").click()
    expect(key_row(farm_part, "Summer")).to_contain_text("manage")
    expect(key_row(farm_part, "Summer")).to_contain_text(re.compile("ends in (2|3) months"))


def test_a_name_that_cannot_be_used_is_told_beside_it(farm_part):
    farm_part.get_by_role("button", name="New key").click()
    name = farm_part.get_by_label("Name", exact=True)
    name.fill("x" * 101)
    farm_part.get_by_role("button", name="Make the key").click()
    expect(name).to_have_accessible_description(re.compile("at most 100 characters"))
    expect(name).to_be_focused()


def test_the_key_of_the_settings_is_not_offered_to_be_revoked(farm_part):
    row = key_row(farm_part, "from the settings (VOICEFARM_ADMIN_KEY)")
    expect(row).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)


def add_key(http: httpx.Client, name: str, **more: str) -> str:
    """Make one as another program would; gives its address."""
    made = http.post("/api/voice/keys", json={"name": name, "scope": "speak", **more})
    return made.raise_for_status().headers["Location"]


def test_keys_come_and_go_under_an_open_dialog(page, farm, http):
    lasting = add_key(http, "Lasting")
    opened(page, farm)
    revoke = key_row(page, "Lasting").get_by_role("button", name="Revoke Lasting")
    revoke.click()
    add_key(http, "Newest")
    expect(key_row(page, "Newest")).to_be_attached()
    expect(page.get_by_role("alertdialog", name="Revoke Lasting?")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(revoke).to_be_focused()
    http.delete(lasting)
    expect(key_row(page, "Lasting")).to_contain_text("Revoked")


def test_a_key_that_ends_while_somebody_looks_cannot_be_revoked_any_more(page, farm, http):
    add_key(http, "Brief", expires_at=(datetime.now(UTC) + timedelta(seconds=4)).isoformat())
    opened(page, farm)
    row = key_row(page, "Brief")
    row.get_by_role("button").focus()
    expect(row).to_contain_text("Ended")
    expect(row.get_by_role("button")).to_have_count(0)
    expect(row.get_by_text("Brief")).to_be_focused()


def test_older_keys_are_shown_when_they_are_asked_for(farm_part, http):
    for number in range(50):
        http.post("/api/voice/keys", json={"name": f"One of many {number}", "scope": "speak"})
    more = farm_part.get_by_role("button", name="Show more")
    more.focus()
    farm_part.keyboard.press("Enter")
    expect(key_row(farm_part, "from the settings")).to_be_visible()
    expect(more).to_be_hidden()
    expect(farm_part.locator("#keys .key-name:focus")).to_have_count(1)


def test_flower_is_one_click_away(farm_part):
    farm_part.context.grant_permissions(["clipboard-read", "clipboard-write"])
    url, user, password = FLOWER
    expect(farm_part.get_by_role("link", name="Flower")).to_have_attribute("href", url)
    expect(farm_part.locator("#flower-user")).to_have_text(user)
    farm_part.get_by_role("button", name="Copy the password").click()
    expect(farm_part.get_by_role("button", name="Copied")).to_be_visible()
    assert farm_part.evaluate("navigator.clipboard.readText()") == password


def test_a_lost_connection_is_told_and_what_was_seen_stays(farm_part):
    farm_part.context.set_offline(True)
    trouble = farm_part.locator("#farm-problem")
    expect(trouble).to_contain_text("The farm does not answer")
    expect(trouble).to_contain_text("What you see here may have changed meanwhile.")
    expect(provider(farm_part, "espeak-ng")).to_be_visible()
    farm_part.context.set_offline(False)
    expect(trouble).to_be_hidden()  # without a click: it asks again by itself


def test_without_a_session_the_part_tells_where_the_link_is(page, farm):
    page.goto(f"{farm.url}/#farm")
    expect(page.locator("#farm-problem")).to_contain_text("This page is not signed in")
    expect(page.locator("#farm-now")).to_be_hidden()


def test_nothing_is_asked_while_another_part_is_shown(farm_part):
    farm_part.get_by_role("link", name="Speak").click()
    asked = []
    farm_part.on("request", lambda request: asked.append(request.url))
    farm_part.clock.install()
    farm_part.clock.run_for(60_000)
    assert [url for url in asked if "/providers/status" in url or "/history" in url] == []


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_part_is_accessible_and_fits_a_small_window(page, farm, scheme):
    page.emulate_media(color_scheme=scheme)
    opened(page, farm)
    expect(page.locator("#charts canvas").first).to_be_visible()
    results = [run_axe(page)]
    page.get_by_role("button", name="New key").click()
    results.append(run_axe(page))
    for each in results:
        assert each.violations_count == 0, each.generate_report()
    page.keyboard.press("Escape")
    for width in (320, 390, 900):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
