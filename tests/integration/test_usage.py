"""What syntheses used and cost, over HTTP and by the command."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from shared.database import Database
from shared.scopes import Scope
from shared.usage import Outbox, SynthesisRow
from tests.farm import until
from tests.integration.test_cli import voicefarm
from tests.integration.test_contract import fresh, is_problem, speak

assert voicefarm  # a fixture

USAGE = "/api/voice/usage"
MARCEL, SHANTE = (f"00000000-0000-0000-0001-00000000000{n}" for n in (1, 2))
SETTLED = {"from": "2020-01-01", "to": "2020-02-29"}


def rows():
    """Give two months of work long ago: (day, provider, personality, cost)."""
    return [
        (date(2020, 1, 31), "espeak", MARCEL, "0"),
        (date(2020, 1, 31), "piper", MARCEL, "0"),
        (date(2020, 2, 1), "google_tts", MARCEL, "0.000016"),
        (date(2020, 2, 1), "google_tts", SHANTE, "0.1"),
        (date(2020, 2, 29), "google_tts", SHANTE, "0.2"),
        (date(2020, 3, 1), "google_tts", SHANTE, "100"),
    ]


@pytest.fixture(scope="module")
def _settled(farm):
    database = Database(farm.settings.database_url)
    with database.session() as session:
        session.add_all(
            SynthesisRow(
                rendering_id=str(uuid.uuid4()), attempt=1, provider=provider, personality_id=personality,
                at=datetime(day.year, day.month, day.day, tzinfo=UTC), day=day,
                characters=10, audio_ms=1500, compute_ms=250, cost_usd=Decimal(cost),
            )
            for day, provider, personality, cost in rows()
        )  # fmt: skip
    database.close()


@pytest.fixture
def read(http, _settled):
    """Ask for usage; gives the body."""

    def ask(**query):
        answer = http.get(USAGE, params=SETTLED | query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def shown(body, *fields):
    return [tuple(item[field] for field in fields) for item in body["items"]]


def test_what_is_spoken_is_counted_and_what_the_cache_has_is_not(farm, http):
    def this_month():
        return http.get(USAGE, params={"provider": "espeak"}).json()["total"]

    outbox = Outbox(farm.redis.client(1))
    until(lambda: outbox.size() == 0, "what was spoken before is in SQL")
    before, text = this_month(), fresh()
    audio = speak(http, text)
    speak(http, text)
    until(lambda: this_month()["syntheses"] == before["syntheses"] + 1, "it is counted")
    after = this_month()
    assert after["characters"] == before["characters"] + len(text)
    seconds = after["audio_seconds"] - before["audio_seconds"]
    assert seconds == pytest.approx(int(audio.headers["X-Duration-MS"]) / 1000, abs=0.002)
    assert after["compute_seconds"] > before["compute_seconds"]
    assert after["cost_usd"] == before["cost_usd"]


def test_sums_are_by_provider_unless_asked_otherwise(read):
    body = read()
    assert shown(body, "provider", "syntheses", "cost_usd") == [
        ("espeak", 1, 0), ("google_tts", 3, 0.300016), ("piper", 1, 0),
    ]  # fmt: skip
    assert body["next_cursor"] is None
    assert body["items"][1] == {
        "provider": "google_tts", "personality_id": None, "day": None, "syntheses": 3, "characters": 30,
        "audio_seconds": 4.5, "compute_seconds": 0.75, "cost_usd": 0.300016,
    }  # fmt: skip
    assert body["total"] == {
        "syntheses": 5, "characters": 50, "audio_seconds": 7.5, "compute_seconds": 1.25, "cost_usd": 0.300016,
    }  # fmt: skip


@pytest.mark.parametrize("group_by", ["day,personality", ["personality", "day"], ["day", "personality,day"]])
def test_sums_may_be_by_several_dimensions(read, group_by):
    assert shown(read(group_by=group_by), "day", "provider", "personality_id", "syntheses") == [
        ("2020-01-31", None, MARCEL, 2),
        ("2020-02-01", None, MARCEL, 1),
        ("2020-02-01", None, SHANTE, 1),
        ("2020-02-29", None, SHANTE, 1),
    ]


def test_sums_are_of_whole_days_both_included(read):
    assert read(**{"from": "2020-02-01", "to": "2020-02-01"})["total"]["syntheses"] == 2
    assert read(**{"from": "2020-02-02", "to": "2020-02-28"}) == {
        "items": [],
        "next_cursor": None,
        "total": {"syntheses": 0, "characters": 0, "audio_seconds": 0, "compute_seconds": 0, "cost_usd": 0},
    }


def test_a_last_day_alone_is_of_its_month_and_a_first_day_alone_until_today(http, _settled):  # noqa: PT019
    assert http.get(USAGE, params={"to": "2020-02-29"}).json()["total"]["syntheses"] == 3
    ago = http.get(USAGE, params={"from": "2020-02-29", "provider": "google_tts"}).json()
    assert ago["total"]["cost_usd"] == 100.2
    assert http.get(USAGE, params={"from": "9999-12-31"}).json()["items"] == []


def test_sums_may_be_of_one_provider_or_personality(read):
    assert shown(read(provider="google_tts", group_by="personality"), "personality_id", "syntheses") == [
        (MARCEL, 1), (SHANTE, 2),
    ]  # fmt: skip
    assert shown(read(personality_id=MARCEL), "provider", "syntheses") == [
        ("espeak", 1), ("google_tts", 1), ("piper", 1),
    ]  # fmt: skip


def test_sums_come_in_pages_and_the_total_is_of_all(read):
    whole = read(group_by="day,provider,personality")
    items, cursor = [], ""
    while cursor is not None:
        page = read(group_by="day,provider,personality", limit=2, cursor=cursor)
        assert page["total"] == whole["total"]
        assert len(page["items"]) <= 2
        items += page["items"]
        cursor = page["next_cursor"]
    assert items == whole["items"]
    assert len(items) == 5


def test_a_cursor_is_of_the_sums_that_gave_it(http, read):
    cursor = read(group_by="day", limit=1)["next_cursor"]
    assert cursor
    other = http.get(USAGE, params={"group_by": "provider", "cursor": cursor})
    [error] = is_problem(other, 422, "invalid_request")["errors"]
    assert error["field"] == "cursor"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(({"from": day}, "from") for day in ("", "yesterday", "2020-02-30", "2020-1-1", "20200101")),
        *(({"to": day}, "to") for day in ("2020-01-01T00:00:00Z", "0000-01-01", "²020-01-01")),
        ({"from": "2020-02-02", "to": "2020-02-01"}, "to"),
        *(({"group_by": by}, "group_by") for by in ("", "week", "day,", "Day", "day;provider")),
        ({"provider": "nobody"}, "provider"),
        ({"personality_id": "marcel"}, "personality_id"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"groupby": "day"}, "groupby"),
        ([("limit", "1"), ("limit", "2")], "limit"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused(http, query, field):
    problem = is_problem(http.get(USAGE, params=query), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


def test_a_key_that_may_manage_reads_it(farm, keys, described):
    _, secret = keys.create(Scope.MANAGE, "manager")
    with farm.client() as client:
        client.event_hooks["response"].append(described.check)
        client.headers["Authorization"] = f"Bearer {secret}"
        assert client.get(USAGE).status_code == 200


def test_what_a_worker_left_that_was_killed_is_counted_by_the_next(farm, http):
    def counted():
        return http.get(USAGE).json()["total"]["syntheses"]

    state, outbox = farm.redis.client(1), Outbox(farm.redis.client(1))
    turn = "voice:usage:turn"
    # As if another process were moving all the time, from when nobody is.
    until(lambda: outbox.size() == 0 and state.set(turn, 1, nx=True), "what was before is moved")
    try:
        before = counted()
        for _ in range(3):
            speak(http, fresh())
        farm["espeak"].kill()
        assert outbox.size() == 3
        assert counted() == before
    finally:
        state.delete(turn)
        farm.mend()
    until(lambda: outbox.size() == 0, "it is moved")
    assert counted() == before + 3


@pytest.mark.usefixtures("_settled")
def test_the_command_shows_a_table_with_names_and_a_total(voicefarm):
    days = ("--from", "2020-01-01", "--to", "2020-02-29")
    shown = voicefarm("usage", *days, "--by", "personality, provider")
    head, *lines, total = [line.split() for line in shown.stdout.splitlines()]
    assert head == ["PROVIDER", "PERSONALITY", "SYNTHESES", "CHARACTERS", "AUDIO", "COMPUTE", "COST"]
    assert lines == [
        ["espeak", "marcel", "1", "10", "0:00:02", "0:00:00", "$0.0000"],
        ["google_tts", "marcel", "1", "10", "0:00:02", "0:00:00", "$0.0000"],
        ["google_tts", "shante", "2", "20", "0:00:03", "0:00:00", "$0.3000"],
        ["piper", "marcel", "1", "10", "0:00:02", "0:00:00", "$0.0000"],
    ]
    assert total == ["total", "5", "50", "0:00:08", "0:00:01", "$0.3000"]


@pytest.mark.usefixtures("_settled")
def test_the_command_says_what_it_does_not_know(voicefarm):
    for wrong in (("--by", "week"), ("--from", "yesterday")):
        answer = voicefarm("usage", *wrong)
        assert answer.returncode == 2
        assert wrong[1] in answer.stderr
