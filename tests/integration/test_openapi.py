"""The OpenAPI document is valid and whole; that it is true, every answer in these tests is held to."""

from __future__ import annotations

import re
import uuid

from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from shared.farm import Farm
from shared.models import AudioFormat, Quality
from tests.integration.test_contract import fresh, speak
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
    assert (fields["text"]["minLength"], fields["text"]["maxLength"]) == (1, 3000)
    assert "uuid" in {each.get("format") for each in fields["personality_id"]["anyOf"]}
    assert "espeak" in fields["provider"]["anyOf"][0]["enum"]
    assert set(described.document["components"]["schemas"]["Quality"]["enum"]) == set(Quality)


def test_every_format_is_a_choice_and_a_content_type(described):
    assert set(described.document["components"]["schemas"]["AudioFormat"]["enum"]) == set(AudioFormat)
    spoken = described.document["paths"]["/api/voice/synthesize"]["post"]["responses"]["200"]
    assert set(spoken["content"]) == {audio_format.content_type for audio_format in AudioFormat}


def test_ids_are_described_wherever_they_stand(described):
    schemas = described.document["components"]["schemas"]
    for model, field in (("Job", "id"), ("Personality", "id"), ("Key", "id"), ("Asked", "personality_id")):
        assert schemas[model]["properties"][field]["format"] == "uuid"
    for path, operations in described.document["paths"].items():
        for parameter in (each for one in operations.values() for each in one["parameters"]):
            if parameter["in"] == "path":
                assert parameter["schema"].keys() > {"type"}, path


def test_a_method_that_is_not_described_is_answered_as_the_document_says_of_all(http, described):
    for path in described.document["paths"]:
        for method in ("TRACE", "OPTIONS", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
            if method.lower() not in described.document["paths"][path]:
                http.request(method, re.sub(r"\{\w+\}", str(uuid.UUID(int=0)), path))


def test_audio_is_described_with_and_without_its_bytes(http, described):
    url = speak(http, fresh()).headers["Content-Location"]
    statuses = [
        http.head(url, headers=headers).status_code
        for headers in ({}, {"Range": "bytes=-0"}, {"If-None-Match": "*"}, {"If-Match": '"other"'})
    ]
    assert statuses == [200, 200, 304, 412]
    ways = described.document["paths"]["/api/voice/audio/{key}"]
    assert set(ways["get"]["responses"]) - set(ways["head"]["responses"]) == {"206", "416"}


def test_the_cookie_has_the_name_that_the_page_gets_it_under(farm, described):
    with farm.client() as client:
        client.get(farm.link())
        [cookie] = client.cookies
    assert described.document["components"]["securitySchemes"]["session"]["name"] == cookie


def test_a_patch_may_be_of_any_field_and_has_no_defaults(described):
    schema = described.document["components"]["schemas"]["PersonalityPatch"]
    assert (
        schema["properties"].keys()
        == described.document["components"]["schemas"]["Profile"]["properties"].keys()
    )
    assert "required" not in schema
    assert not [name for name, field in schema["properties"].items() if "default" in field]
    check = Draft202012Validator(schema | {"components": described.document["components"]}).is_valid
    assert check({"personality_name": None, "voice_config": {"provider": None, "voices": {"espeak": None}}})
    for field in ("name", "is_active", "is_default", "language", "voice_config"):
        assert not check({field: None})


def test_people_can_read_it(farm):
    with farm.client() as client:
        page = client.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "POST /api/voice/synthesize" in page.text
