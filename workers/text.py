"""Text as an engine can read it."""

from __future__ import annotations

import unicodedata


def plain_forms(text: str) -> str:
    """Give letters and digits that are only written in another form in their plain one.

    Digits of every script, and full-width, circled and mathematical letters and digits, become what Unicode's
    compatibility mapping (NFKC) names; engines skip them or spell them out. Everything else stays.
    """
    return "".join(map(_plain_form, text))


def _plain_form(character: str) -> str:
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    form = unicodedata.normalize("NFKC", character)
    is_other_form = unicodedata.decomposition(character).startswith(("<wide>", "<circle>", "<font>"))
    return form if is_other_form and form.isalnum() else character
