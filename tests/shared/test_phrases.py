"""Files of phrases are read alike wherever they come from, and the farm's own are fit to be spoken."""

from __future__ import annotations

import pytest

from shared.models import SpeechRequest
from shared.phrases import LISTS, PhraseList, find_list

OWN = sorted(file.stem for file in LISTS.glob("*.txt"))


def test_every_line_is_a_phrase_once():
    listed = PhraseList.parse(["Hello.\n", "\n", "  Good bye. \n", "Hello.\n"])
    assert listed == PhraseList(("Hello.", "Good bye."), None)


def test_comments_are_no_phrases_and_one_tells_the_language():
    listed = PhraseList.parse(["# Language: de-AT \n", "# Gruß\n", "Servus.\n", "Nummer #1.\n"])
    assert listed == PhraseList(("Servus.", "Nummer #1."), "de-AT")


@pytest.mark.parametrize("name", OWN)
def test_a_list_of_ours_tells_its_language_and_holds_what_can_be_spoken(name):
    with find_list(name).open(encoding="utf-8") as file:
        listed = PhraseList.parse(file)
    assert listed.language == name.rpartition("-")[2]
    assert len(listed.phrases) > 10
    for phrase in listed.phrases:
        SpeechRequest.parse({"text": phrase}, providers=frozenset(), max_text_chars=100)


def test_a_list_is_found_by_its_path_too(tmp_path):
    (tmp_path / "mine.txt").write_text("Hello.")
    assert find_list(f"{tmp_path}/mine.txt") == tmp_path / "mine.txt"


def test_a_list_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(FileNotFoundError, match=r"no list greetings; there are confirmations-de, .*times-en"):
        find_list("greetings")
    with pytest.raises(FileNotFoundError, match=r"no list /nowhere/mine\.txt"):
        find_list("/nowhere/mine.txt")
