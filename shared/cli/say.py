"""`voicefarm say`: speech from a running farm into a file."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import click

from shared.cli.client import FarmClient
from shared.cli.state_folder import farm_settings
from shared.models import PITCH_RANGE_SEMITONES, SPEED_RANGE, AudioFormat, Quality

_EXTENSIONS = {f".{audio_format}": audio_format for audio_format in AudioFormat} | {".ogg": AudioFormat.OPUS}


class Number(click.FloatRange):
    """A number within bounds, which by itself no comparison keeps NaN out of."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: D102
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


@click.command()
@click.argument("text")
@click.option(
    "--personality", metavar="NAME-OR-ID", help="Who speaks. Default: the farm's default personality."
)
@click.option("--quality", type=click.Choice([q.value for q in Quality]), help="Default: high.")
@click.option("--language", metavar="TAG", help="Such as en, en-US or zh-CN. Default: the personality's.")
@click.option("--speed", type=Number(*SPEED_RANGE), help="1 is normal, 2 twice as fast.")
@click.option("--pitch", type=Number(*PITCH_RANGE_SEMITONES), help="Semitones up or down.")
@click.option(
    "--format",
    "audio_format",
    type=click.Choice([f.value for f in AudioFormat]),
    help="Default: as the file's name ends, else wav.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="File to write, '-' for standard output. Default: speech.FORMAT in this folder.",
)
def say(
    text: str, personality: str | None, audio_format: str | None, output: Path | None, **asked: Any
) -> None:
    """Speak TEXT through a running farm and write the audio to a file.

    The farm is found by VOICEFARM_URL and VOICEFARM_KEY; without them it is the one of the state folder.
    """
    audio_format = audio_format or _format_of(output)
    begun = time.monotonic()
    with FarmClient(farm_settings()) as farm:
        body = {name: value for name, value in asked.items() if value is not None}
        body |= {"text": text, "format": audio_format}
        if personality:
            body["personality_id"] = farm.personality_id(personality)
        answer = farm.speak(body)
    took_ms = (time.monotonic() - begun) * 1000
    output = output or Path(f"speech.{audio_format}")
    _write(output, answer.content)
    about = answer.headers
    degraded = ", degraded" if about["X-Degraded"] == "true" else ""
    seconds = int(about["X-Duration-MS"]) / 1000
    click.echo(
        f"{output}: {seconds:.2f} s of speech by {about['X-Provider']}{degraded}, "
        f"cache {about['X-Cache-Status']}, {took_ms:.0f} ms",
        err=True,
    )


def _format_of(output: Path | None) -> AudioFormat:
    """Give the format that the file's name ends with; WAV for a name without an ending, and for no file."""
    extension = output.suffix.lower() if output else ""
    if extension and extension not in _EXTENSIONS:
        raise click.ClickException(f"No format is called {extension}; say which one with --format")
    return _EXTENSIONS.get(extension, AudioFormat.WAV)


def _write(output: Path, data: bytes) -> None:
    try:
        with click.open_file(str(output), "wb") as file:
            file.write(data)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}") from error
