"""The OpenAPI document is valid and whole; that it is true, every answer in these tests is held to."""

from __future__ import annotations

from openapi_spec_validator import validate

from shared.farm import Farm
from shared.models import AudioFormat, Quality
from web import create_app
from web.openapi import OPERATIONS


def test_the_document_is_valid_openapi(described):
    assert described.document["openapi"].startswith("3.1")
    validate(described.document)


def test_every_route_of_the_api_is_described(farm):
    app = create_app(farm=Farm.from_settings(farm.settings))
    of_the_page = {"static", "dashboard.index", "openapi.document", "openapi.docs"}
    assert {rule.endpoint for rule in app.url_map.iter_rules()} - of_the_page == set(OPERATIONS)


def test_bounds_and_choices_are_in_the_document(described):
    fields = described.document["components"]["schemas"]["SpeechRequest"]["properties"]
    assert (fields["speed"]["minimum"], fields["speed"]["maximum"]) == (0.25, 4.0)
    assert fields["text"]["maxLength"] == 3000
    assert "espeak" in fields["provider"]["anyOf"][0]["enum"]
    assert set(described.document["components"]["schemas"]["Quality"]["enum"]) == set(Quality)


def test_every_format_is_a_choice_and_a_content_type(described):
    assert set(described.document["components"]["schemas"]["AudioFormat"]["enum"]) == set(AudioFormat)
    spoken = described.document["paths"]["/api/voice/synthesize"]["post"]["responses"]["200"]
    assert set(spoken["content"]) == {audio_format.content_type for audio_format in AudioFormat}


def test_people_can_read_it(farm):
    with farm.client() as client:
        page = client.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "POST /api/voice/synthesize" in page.text
