"""What is made when the farm starts is one batch however often that is, and waits for who can speak it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import SettingsError
from shared.models import AudioFormat, Quality
from shared.prewarm import Feeder, read_start_lists
from shared.prewarm.start import begin_start_batch
from shared.settings import Settings
from tests.shared.prewarm.test_feeder import counts, speak


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("# language: de\nGuten Tag.\nBis bald.\n")
    return file


@pytest.fixture
def starting(farm):
    """Give the farm as a front that starts with these lists, and personalities to speak them, has it."""

    def starting(*lists, personalities=()):
        more = {"prewarm_at_start": tuple(map(str, lists)), "prewarm_personalities": personalities}
        settings = farm.settings.model_copy(update=more)
        return replace(farm, settings=settings, start_lists=read_start_lists(settings))

    return starting


def batches(farm):
    return farm.batches.page(limit=10, before=None, failures=10)[0]


def waiting(farm):
    [batch] = farm.batches.open()
    return [farm.batches.take(batch.id).request for _ in range(batch.total)]


def test_the_default_personality_speaks_in_the_lists_language(starting, file):
    farm = starting(file)
    begin_start_batch(farm)
    first, second = waiting(farm)
    assert (first.text, second.text) == ("Guten Tag.", "Bis bald.")
    assert (first.language, first.quality, first.format) == ("de", Quality.HIGH, AudioFormat.WAV)
    assert first.personality_id == farm.personalities.default().id


def test_those_speak_who_are_named(starting, file):
    farm = starting(file, "greetings-en", personalities=("zac", "00000000-0000-0000-0001-000000000002"))
    begin_start_batch(farm)
    [batch] = batches(farm)
    assert batch.total == 2 * (2 + len(farm.start_lists[1].phrases))
    ids = {request.personality_id for request in waiting(farm)}
    assert ids == {f"00000000-0000-0000-0001-{number:012}" for number in (2, 3)}


def test_who_is_not_there_is_left_out(starting, file):
    farm = starting(file, personalities=("nobody", "zac"))
    begin_start_batch(farm)
    assert [batch.total for batch in batches(farm)] == [2]


def test_fronts_that_start_one_after_another_begin_one_batch(starting, file):
    farm = starting(file)
    begin_start_batch(farm)
    begin_start_batch(starting(file))
    [batch] = batches(farm)
    feeder = Feeder(farm)
    feeder.once()
    assert speak(farm) == 2
    feeder.once()
    begin_start_batch(starting(file))
    assert [each.id for each in batches(farm)] == [batch.id], "all is cached"
    file.write_text("Neu.\n")
    begin_start_batch(starting(file))
    assert [each.total for each in batches(farm)] == [1, 2]


def test_without_a_worker_it_waits(starting, file):
    farm = starting(file)
    beats = farm.state.zrange("voice:workers", 0, -1, withscores=True)
    farm.state.delete("voice:workers")
    begin_start_batch(farm)
    feeder = Feeder(farm)
    feeder.once()
    [batch] = batches(farm)
    assert counts(farm, batch.id) == {"queued": 2}
    farm.state.zadd("voice:workers", dict(beats))
    feeder.once()
    assert speak(farm) == 2


def test_what_nobody_here_could_ever_speak_is_left_out(starting, file):
    file.write_text("# language: tlh\nnuqneH.\n")
    farm = starting(file)
    begin_start_batch(farm)
    assert batches(farm) == []


BAD_LISTS = [
    ("greetings", "no list greetings; there are .*greetings-en"),
    ("/nowhere/at/all", "no list /nowhere/at/all"),
    ("{empty}", "phrases must have at least 1 item"),
    ("{mute}", r"phrases\.1 must hold something that can be spoken"),
    ("{latin}", "is not valid UTF-8"),
    ("{language}", "language must be a language tag"),
    ("{ssml}", "SSML"),
    ("{large}", "makes 10016 combinations"),
]
CONTENT = {
    "empty": b"# Nothing.\n",
    "mute": b"Hi.\n?!\n",
    "latin": "Grüße".encode("latin-1"),
    "language": b"# language: e\nHi.\n",
    "ssml": b"<speak>Hi</speak>\n",
    "large": b"".join(b"Number %d.\n" % number for number in range(9_999)),
}


@pytest.mark.parametrize(("name", "told"), BAD_LISTS)
def test_a_list_that_cannot_be_used_is_told_when_the_settings_are_read(tmp_path, name, told):
    files = {kind: tmp_path / kind for kind in CONTENT}
    for kind, file in files.items():
        file.write_bytes(CONTENT[kind])
    settings = Settings.load(VOICEFARM_PREWARM_AT_START=f"greetings-en, {name.format(**files)}")
    with pytest.raises(SettingsError, match=f"^VOICEFARM_PREWARM_AT_START: .*{told}"):
        read_start_lists(settings)
