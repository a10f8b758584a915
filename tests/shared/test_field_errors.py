"""What is wrong with a field is said in the words of the API, whichever check of pydantic's found it."""

from __future__ import annotations

import math

import pytest

from shared.errors import InvalidRequest
from shared.models import SpeechRequest
from shared.profiles import Profile

PROVIDERS = frozenset({"espeak"})

SPEECH = [
    ({"text": None}, "must be a string"),
    ({"speed": 0.2}, "must be at least 0.25"),
    ({"speed": 5}, "must be at most 4"),
    ({"pitch": -20.5}, "must be at least -20"),
    ({"pitch": math.nan}, "must be a finite number"),
    ({"pitch": "0"}, "must be a number"),
    ({"stream": 1}, "must be true or false"),
    ({"quality": "best"}, "must be 'highest', 'high', 'medium' or 'fast'"),
    ({"language": ""}, "must have at least 1 character"),
    ({"volume": 1}, "is no known field"),
    ({"personality_id": "zac"}, "must be a UUID such as 00000000-0000-0000-0001-000000000001"),
]

PROFILES = [
    ({"name": " "}, "must have at least 1 character"),
    ({"name": "x" * 101}, "must have at most 100 characters"),
    ({"voice_config": []}, "must be an object"),
    ({"voice_config": {"voices": []}}, "must be an object"),
    ({"voice_config": {"fallback_chain": "espeak"}}, "must be a list"),
    ({"voice_config": {"fallback_chain": []}}, "must have at least 1 item"),
    ({"voice_config": {"fallback_chain": ["espeak"] * 21}}, "must have at most 20 items"),
]


@pytest.mark.parametrize(("fields", "message"), SPEECH, ids=lambda value: str(value)[:50])
def test_a_request_for_speech(fields, message):
    with pytest.raises(InvalidRequest) as raised:
        SpeechRequest.parse({"text": "Hello"} | fields, providers=PROVIDERS, max_text_chars=3000)
    assert [error.message for error in raised.value.errors] == [message]


@pytest.mark.parametrize(("fields", "message"), PROFILES, ids=lambda value: str(value)[:50])
def test_a_personality(fields, message):
    with pytest.raises(InvalidRequest) as raised:
        Profile.parse({"name": "ann"} | fields, providers=PROVIDERS)
    assert [error.message for error in raised.value.errors] == [message]


def test_what_is_missing():
    with pytest.raises(InvalidRequest) as raised:
        Profile.parse({}, providers=PROVIDERS)
    assert [(error.field, error.message) for error in raised.value.errors] == [("name", "must be given")]
