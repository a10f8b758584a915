"""`voicefarm voice`: the sample of somebody's voice that a personality speaks with."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli.client import FarmClient
from shared.cli.personalities import address
from shared.cli.state_folder import farm_settings
from shared.samples.records import MAX_UPLOAD_BYTES


@click.group()
def voice() -> None:
    """Give a personality of a running farm the voice of a sample, or take it away.

    The farm is found by VOICEFARM_URL and VOICEFARM_KEY, which must be of scope manage; without them it is
    the one of the state folder.
    """


@voice.command()
@click.argument("name", metavar="NAME-OR-ID")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--consent", is_flag=True, help="Whoever speaks in it agrees to its use; that is recorded.")
def upload(name: str, file: Path, *, consent: bool) -> None:
    """Let a personality speak with the voice in FILE, in place of the sample that it had.

    FILE is WAV, FLAC, OGG or MP3: one person speaking for 5 to 30 seconds, at 16 kHz or more, up to 10 MB.
    """
    if not consent:
        raise click.UsageError("Whoever speaks in the sample must agree to its use: say so with --consent.")
    try:
        with file.open("rb") as content:
            audio = content.read(MAX_UPLOAD_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from error
    if len(audio) > MAX_UPLOAD_BYTES:
        raise click.ClickException(
            f"{file} is larger than the {MAX_UPLOAD_BYTES // 1_000_000} MB there may be."
        )
    with FarmClient(farm_settings()) as farm:
        found = farm.request(
            "PUT",
            f"{address(farm, name)}/voice",
            files={"audio": ("sample", audio)},
            data={"consent": "true"},
        ).json()
    click.echo(
        f"{name} speaks with this voice now: {found['rating']}, {found['score']} of 100, "
        f"{found['duration_seconds']:.1f} s at {found['sample_rate']} Hz; "
        f"voice revision {found['voice_revision']}."
    )
    for warning in found["warnings"]:
        click.echo(f"Warning: {warning}")


@voice.command()
@click.argument("name", metavar="NAME-OR-ID")
def remove(name: str) -> None:
    """Delete the sample of a personality, and all that was made from it."""
    with FarmClient(farm_settings()) as farm:
        farm.request("DELETE", f"{address(farm, name)}/voice")
    click.echo(f"{name} has no voice sample any more.", err=True)
