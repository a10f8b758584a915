"""The README against the code: every setting, command and address is there, and nothing that is not."""

from __future__ import annotations

import re

import click
from flask import Flask

import web.cache
import web.flower
import web.health
import web.jobs
import web.keys
import web.metrics
import web.personalities
import web.prewarm
import web.speech
import web.usage
import web.voices
from shared.cli import main
from shared.models import AudioFormat, Quality
from shared.routing import CHAINS
from tests.readme import README, TABLE, settings_table

TEXT = README.read_text()
CONTEXT = click.Context(main)
COMMANDS = {name: main.get_command(CONTEXT, name) for name in main.list_commands(CONTEXT)}


def test_the_table_of_settings_is_the_code():
    assert TABLE.search(TEXT)[0] == settings_table(), "run: python -m tests.readme"


def test_every_command_is_described_and_exists():
    described = set(re.findall(r"^\| `voicefarm (\w+)", TEXT, re.MULTILINE))
    assert described == set(COMMANDS)


def test_every_command_has_help():
    groups = [COMMANDS[name] for name in ("personalities", "voice", "keys", "models")]
    for command in [
        *COMMANDS.values(),
        *(command for group in groups for command in group.commands.values()),
    ]:
        assert command.help
        assert all(option.help for option in command.params if option.param_type_name == "option")


def test_every_address_is_described_and_exists():
    app = Flask("readme")
    for part in (
        web.speech,
        web.jobs,
        web.prewarm,
        web.personalities,
        web.voices,
        web.cache,
        web.usage,
        web.keys,
        web.flower,
        web.providers,
        web.health,
        web.metrics,
    ):
        app.register_blueprint(part.blueprint)
    routes = {
        (method, re.sub(r"<\w+>", lambda name: "KEY" if name[0] == "<key>" else "ID", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static"
    }
    listing = TEXT[TEXT.index("| request | answers with |") : TEXT.index("The body of `synthesize`")]
    described = set()
    for row in re.findall(r"^\| (`.*?`) \|", listing, re.MULTILINE):
        previous = ""
        for entry in re.findall(r"`(.*?)`", row):
            method, _, path = entry.rpartition(" ")
            path = path.replace("…", previous)
            described.add((method or "GET", path))
            previous = path
    assert described == routes


def test_the_chains_are_the_codes():
    for quality in Quality:
        assert f"| `{quality}` | {', '.join(CHAINS[quality])} |" in TEXT


def test_every_format_is_described_with_its_content_type():
    for audio_format in AudioFormat:
        assert f"| `{audio_format}` | `{audio_format.content_type}` |" in TEXT
    choices = ", ".join(f"`{audio_format}`" for audio_format in AudioFormat)
    assert f"`format` ({choices})" in TEXT


def test_every_variable_named_in_the_text_is_a_setting_or_makes():
    named = set(re.findall(r"\b(?:VOICEFARM|REDIS|CELERY|DB|DATABASE|VOICE_CACHE)_[A-Z_]+\b", TEXT))
    assert all(f"| `{name}` |" in TEXT for name in named)
