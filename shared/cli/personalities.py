"""`voicefarm personalities`: who speaks on a running farm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from shared.cli.client import FarmClient
from shared.cli.say import Number
from shared.cli.state_folder import farm_settings
from shared.cli.tables import echo_pairs, echo_table, minute
from shared.models import PITCH_RANGE_SEMITONES, SPEED_RANGE
from shared.voices import Gender

if TYPE_CHECKING:
    from collections.abc import Callable

PERSONALITIES = "/api/voice/personalities"

F = TypeVar("F", bound="Callable[..., Any]")


class VoiceName(click.ParamType[tuple[str, str | None]]):
    """PROVIDER=VOICE; without a voice, None for it."""

    name = "provider=voice"

    def convert(  # noqa: D102
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str | None]:
        provider, equals, voice = value.partition("=")
        if not (provider and equals):
            self.fail(f"{value!r} is not like espeak=f2.", param, ctx)
        return provider, voice or None


def _profile_options(command: F) -> F:
    """Give a command the options that say who a personality is to be."""
    options = (
        click.option("--title", metavar="TEXT", help="What people read instead of the name."),
        click.option("--language", metavar="TAG", help="Such as en, en-US or zh-CN."),
        click.option("--provider", metavar="NAME", help="Speaks before the others; '' for none."),
        click.option(
            "--fallback-chain",
            metavar="NAMES",
            help="Providers that follow, separated by commas, whatever the quality; '' for the quality's.",
        ),
        click.option(
            "--speed", type=Number(*SPEED_RANGE), help="What every request's speed is multiplied by."
        ),
        click.option(
            "--pitch", type=Number(*PITCH_RANGE_SEMITONES), help="Semitones added to every request's pitch."
        ),
        click.option(
            "--voice",
            "voices",
            type=VoiceName(),
            metavar="PROVIDER=VOICE",
            multiple=True,
            help="Its voice at a provider, such as espeak=f2; 'espeak=' for none. Repeatable.",
        ),
        click.option(
            "--gender",
            type=click.Choice([*(gender.value for gender in Gender), "any"]),
            help="Whose voice a provider chooses where none is named.",
        ),
        click.option("--default", "is_default", is_flag=True, help="Speaks when a request names nobody."),
        click.option("--active/--inactive", "is_active", default=None, help="Whether it may speak."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def personalities() -> None:
    """List, add, show, change and remove the personalities of a running farm.

    The farm is found by VOICEFARM_URL and VOICEFARM_KEY, which must be of scope manage to change anything;
    without them it is the one of the state folder.
    """


@personalities.command("list")
def list_command() -> None:
    """List who can speak, by name. SAMPLE is how many seconds of a voice sample there are."""
    with FarmClient(farm_settings()) as farm:
        rows = [_row(one) for one in farm.items(PERSONALITIES)]
    echo_table(("ID", "NAME", "TITLE", "LANGUAGE", "PROVIDER", "SAMPLE", "STATE"), rows)


@personalities.command()
@click.argument("name")
@_profile_options
def add(name: str, **asked: Any) -> None:
    """Add a personality called NAME."""
    with FarmClient(farm_settings()) as farm:
        one = farm.request("POST", PERSONALITIES, json={"name": name} | _patch(**asked)).json()
    click.echo(f"Added {one['name']}. Its ID is {one['id']}.", err=True)


@personalities.command()
@click.argument("name", metavar="NAME-OR-ID")
def show(name: str) -> None:
    """Show all that is known of one personality."""
    with FarmClient(farm_settings()) as farm:
        one = farm.request("GET", address(farm, name)).json()
    echo_pairs(_lines(one))


@personalities.command("set")
@click.argument("name", metavar="NAME-OR-ID")
@click.option("--name", "new_name", metavar="TEXT", help="A new name.")
@_profile_options
def set_command(name: str, new_name: str | None, **asked: Any) -> None:
    """Change what the options name of one personality, and nothing else.

    When its voice changes, what it has said before is taken out of the cache.
    """
    patch = _patch(**asked) | ({"name": new_name} if new_name is not None else {})
    if not patch:
        raise click.UsageError("Say what to change; see 'voicefarm personalities set --help'.")
    with FarmClient(farm_settings()) as farm:
        one = farm.request("PATCH", address(farm, name), json=patch).json()
    click.echo(f"Changed {one['name']}; its voice revision is {one['voice_revision']}.", err=True)


@personalities.command()
@click.argument("name", metavar="NAME-OR-ID")
def remove(name: str) -> None:
    """Remove a personality with its voice sample and what it has said."""
    with FarmClient(farm_settings()) as farm:
        farm.request("DELETE", address(farm, name))
    click.echo(f"Removed {name}.", err=True)


def address(farm: FarmClient, name_or_id: str) -> str:
    """Give the path of the personality that is called so.

    Raises:
        FarmRefused: there is none, or more than one.
    """
    return f"{PERSONALITIES}/{farm.personality_id(name_or_id)}"


def _patch(
    *,
    title: str | None,
    language: str | None,
    provider: str | None,
    fallback_chain: str | None,
    speed: float | None,
    pitch: float | None,
    voices: tuple[tuple[str, str | None], ...],
    gender: str | None,
    is_default: bool,
    is_active: bool | None,
) -> dict[str, Any]:
    """Give the merge patch that the options ask for; an empty one is `null`, which takes it away."""
    settings = {name: value for name, value in (("speed", speed), ("pitch", pitch)) if value is not None}
    voice: dict[str, Any] = {}
    if provider is not None:
        voice["provider"] = provider or None
    if fallback_chain is not None:
        voice["fallback_chain"] = [name.strip() for name in fallback_chain.split(",") if name.strip()] or None
    if settings:
        voice["voice_settings"] = settings
    if voices:
        voice["voices"] = dict(voices)
    if gender is not None:
        voice["gender"] = None if gender == "any" else gender
    patch: dict[str, Any] = {"voice_config": voice} if voice else {}
    if title is not None:
        patch["personality_name"] = title or None
    if language is not None:
        patch["language"] = language
    if is_default:
        patch["is_default"] = True
    if is_active is not None:
        patch["is_active"] = is_active
    return patch


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    sample = one["voice_config"]["sample_metadata"]
    return (
        one["id"],
        one["name"],
        one["personality_name"],
        one["language"],
        one["voice_config"]["provider"] or "by quality",
        f"{sample['duration']:.1f} s" if sample else "none",
        _state(one),
    )


def _state(one: dict[str, Any]) -> str:
    if one["is_default"]:
        return "default"
    return "active" if one["is_active"] else "inactive"


def _lines(one: dict[str, Any]) -> list[tuple[str, str]]:
    voice = one["voice_config"]
    settings, sample = voice["voice_settings"], voice["sample_metadata"]
    voices = ", ".join(f"{provider}={name}" for provider, name in sorted(voice["voices"].items()))
    return [
        ("ID", one["id"]),
        ("name", one["name"]),
        ("title", one["personality_name"]),
        ("state", _state(one)),
        ("language", one["language"]),
        ("provider", voice["provider"] or "by quality"),
        ("fallback chain", ", ".join(voice["fallback_chain"] or []) or "by quality"),
        ("speed, pitch", f"{settings['speed']:g}, {settings['pitch']:g}"),
        ("voices", voices or "the providers' own"),
        ("gender", voice["gender"] or "any"),
        ("sample", _describe_sample(sample) if sample else "none"),
        ("voice revision", str(one["voice_revision"])),
        ("created, changed", f"{minute(one['created_at'])}, {minute(one['updated_at'])} UTC"),
    ]


def _describe_sample(sample: dict[str, Any]) -> str:
    return f"{sample['duration']:.1f} s at {sample['sample_rate']} Hz, of {minute(sample['uploaded_at'])} UTC"
