"""Letters and digits in another form are read as what they are; a long text is cut where it hurts least."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.text import plain_forms, split_by_characters, split_phonemes, split_sentences, split_text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("部屋は１２３です", "部屋は123です"),
        ("Ｈｅｌｌｏ, ①②, 𝟙𝟚, ᠑, ٣٤٥", "Hello, 12, 12, 1, 345"),
        ("Ⓐ 𝓐", "A A"),
        ("m² ½ ﬁ ™ … ，", "m² ½ ﬁ ™ … ，"),
    ],
)
def test_other_forms_become_plain(written, read):
    assert plain_forms(written) == read


@given(st.text())
def test_plain_text_stays_as_it_is(text):
    assert plain_forms(plain_forms(text)) == plain_forms(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_not_touched(text):
    assert plain_forms(text) == text


@given(st.text(), st.integers(4, 60))
def test_parts_are_the_text_and_none_is_too_long(text, max_bytes):
    parts = list(split_text(text, max_bytes))
    assert "".join(parts) == text
    assert all(0 < len(part.encode()) <= max_bytes for part in parts)


@given(st.text(), st.integers(1, 60))
def test_parts_by_characters_are_the_text_and_none_is_too_long(text, max_characters):
    parts = list(split_by_characters(text, max_characters))
    assert "".join(parts) == text
    assert all(0 < len(part) <= max_characters for part in parts)


@given(st.text(st.characters(max_codepoint=127)), st.integers(4, 60))
def test_ascii_is_cut_the_same_by_characters_as_by_bytes(text, limit):
    assert list(split_by_characters(text, limit)) == list(split_text(text, limit))


@given(st.lists(st.text("abc.,", min_size=1, max_size=10), min_size=1), st.integers(11, 60))
def test_no_word_is_cut_that_is_short_enough_itself(words, max_bytes):
    parts = split_text(" ".join(words), max_bytes)
    assert [word for part in parts for word in part.split()] == words


@pytest.mark.parametrize(
    ("text", "max_bytes", "parts"),
    [
        ("All of it.", 10, ["All of it."]),
        ("One. Two. Three.", 12, ["One. Two. ", "Three."]),
        ("One two, three four", 12, ["One two, ", "three four"]),
        ("One two three four", 12, ["One two ", "three four"]),
        ("So. One two three.", 14, ["So. One two ", "three."]),
        ("One.\n\nTwo. Three. Four.", 14, ["One.\n\nTwo. ", "Three. Four."]),
        ("One two.\n\nA. Three. Four.", 14, ["One two.\n\n", "A. Three. ", "Four."]),
        ("Is it Mr. Smith? Yes.", 17, ["Is it Mr. Smith? ", "Yes."]),
        ("I am J. F. Kay. He.", 13, ["I am J. F. ", "Kay. He."]),
        ('He said "Go!" (Now.) Yes.', 21, ['He said "Go!" (Now.) ', "Yes."]),
        ("It costs 3.50 or so, more.", 22, ["It costs 3.50 or so, ", "more."]),
        ("你好。世界！再见", 20, ["你好。世界！", "再见"]),
        ("你好，世界再见", 15, ["你好，", "世界再见"]),
        ("नमस्ते। आप कैसे", 40, ["नमस्ते। ", "आप कैसे"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("abe\u0301cd", 3, ["ab", "e\u0301", "cd"]),
        ("a👍🏽b", 9, ["a👍🏽", "b"]),
        ("ab👍🏽", 8, ["ab", "👍🏽"]),
    ],
)
def test_a_text_is_cut_at_the_best_place_within_the_limit(text, max_bytes, parts):
    assert list(split_text(text, max_bytes)) == parts


def test_a_text_without_a_place_to_cut_is_cut_in_time():
    text = "界" * 30_000
    assert "".join(split_text(text, 5000)) == text


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("ab cd", ["ab cd"]),
        ("abcdefghij, klmn", ["abcdefgh", "ij, klmn"]),
        ("abcd, fg hi", ["abcd, ", "fg hi"]),
        ("abc ef ghij", ["abc ef ", "ghij"]),
        ("abcdefghijklmnopqr", ["abcdefgh", "ijklmnop", "qr"]),
    ],
)
def test_a_long_sentence_is_cut_at_a_mark_or_between_words(sentence, parts):
    assert ["".join(part) for part in split_phonemes(list(sentence), limit=8)] == parts


@pytest.mark.parametrize(
    "sentences",
    [
        ["One."],
        ["Mr. Smith paid $3.50, i.e. too much. ", "Why?! ", "Nobody knows…"],
        ["no mark at all"],
        ["これは本です。", "はい"],
        [],
    ],
)
def test_a_text_is_read_sentence_by_sentence(sentences):
    assert list(split_sentences("".join(sentences))) == sentences
