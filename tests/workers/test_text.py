"""Letters and digits in another form are read as what they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.text import plain_forms


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
