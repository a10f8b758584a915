"""`voicefarm prewarm`: has a running farm make phrases before anybody asks for them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import click

from shared.cli.client import FarmClient, FarmRefused
from shared.cli.state_folder import farm_settings
from shared.models import AudioFormat, Quality
from shared.phrases import PhraseList

if TYPE_CHECKING:
    from typing import TextIO

_ASK_EVERY_S = 0.5
_ENDS = ("succeeded", "failed", "cancelled")
_SHOWN_CHARS = 60
_FIELD = re.compile(r"phrases\.(\d+)")


@dataclass(frozen=True, slots=True)
class _Source:
    """The phrases of a file, and where they stand in it."""

    name: str
    phrases: tuple[str, ...]
    language: str | None
    line_numbers: dict[str, int]
    """By what a line holds; the first such line, counted from 1."""

    @classmethod
    def read(cls, file: TextIO) -> Self:
        name = "standard input" if file.name == "<stdin>" else file.name
        try:
            lines = [line.strip() for line in file]
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{name} is not valid UTF-8") from error
        listed = PhraseList.parse(lines)
        if not listed.phrases:
            raise click.ClickException(f"There is no phrase in {name}")
        line_numbers: dict[str, int] = {}
        for number, line in enumerate(lines, 1):
            line_numbers.setdefault(line, number)
        return cls(name, listed.phrases, listed.language, line_numbers)

    def locate(self, error: FarmRefused) -> str:
        """Say what the farm refuses, of phrases by their lines."""
        lines = [
            f"line {self.line_numbers[self.phrases[int(found[1])]]} of {self.name}: {each.message}"
            for each in error.errors
            if (found := _FIELD.fullmatch(each.field))
        ]
        return "; ".join(lines) or error.detail


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option(
    "--personality",
    "personalities",
    multiple=True,
    metavar="NAME-OR-ID",
    help="Who speaks; may be repeated. Default: the farm's default personality.",
)
@click.option(
    "--quality",
    "qualities",
    multiple=True,
    type=click.Choice([q.value for q in Quality]),
    help="May be repeated. Default: high.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice([f.value for f in AudioFormat]),
    help="May be repeated. Default: wav.",
)
@click.option(
    "--language",
    metavar="TAG",
    help="Such as en, en-US or zh-CN. Default: the file's, else each personality's.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what it would take.")
def prewarm(
    file: TextIO, personalities: tuple[str, ...], language: str | None, *, dry_run: bool, **asked: Any
) -> None:
    """Have a running farm make every phrase of FILE, one a line, so that it is cached when asked for.

    '-' is standard input. Lines that begin with '#' are comments; '# language: de' tells theirs. What is
    asked for meanwhile goes first. An interrupt leaves the farm at work. Ends with 1 if any failed. Needs a
    key of scope manage.
    """
    source = _Source.read(file)
    with FarmClient(farm_settings()) as farm:
        body: dict[str, Any] = {name: list(values) for name, values in asked.items() if values}
        body |= {"phrases": source.phrases, "dry_run": dry_run}
        names = {farm.personality_id(name): name for name in personalities}
        if names:
            body["personality_ids"] = list(names)
        if language := language or source.language:
            body["language"] = language
        try:
            answer = farm.request("POST", "/api/voice/prewarm", json=body)
        except FarmRefused as error:
            raise FarmRefused(source.locate(error)) from error
        if dry_run:
            _tell_estimate(answer.json())
            return
        batch = _follow(farm, answer.headers["Location"], answer.json())
    for item in batch["failed"]:
        _tell_failure(item, source, names)
    _tell_end(batch)
    if batch["counts"]["failed"]:
        raise click.exceptions.Exit(1)


def _follow(farm: FarmClient, url: str, batch: dict[str, Any]) -> dict[str, Any]:
    """Show how a batch goes on until nothing of it is left to do, and give it."""
    with click.progressbar(length=batch["total"], label="Pre-warming", show_pos=True) as bar:
        bar.update(_done(batch))
        while batch["finished_at"] is None:
            try:
                time.sleep(_ASK_EVERY_S)
            except KeyboardInterrupt:
                click.echo(f"\nThe farm goes on; DELETE {url} cancels it.", err=True)
                raise
            batch = farm.request("GET", url).json()
            bar.update(_done(batch) - bar.pos)
    return batch


def _done(batch: dict[str, Any]) -> int:
    return sum(batch["counts"][name] for name in _ENDS)


def _tell_estimate(estimate: dict[str, Any]) -> None:
    to_make = estimate["total"] - estimate["already_cached"]
    click.echo(
        f"{estimate['total']:,} in all, {estimate['already_cached']:,} cached already; "
        f"to make {to_make:,} takes about {estimate['estimated_seconds']:,.0f} s, "
        f"${estimate['estimated_cost_usd']:,.4f} and {estimate['estimated_bytes'] / 1e6:,.1f} MB"
    )


def _tell_failure(item: dict[str, Any], source: _Source, names: dict[str, str]) -> None:
    phrase = item["phrase"]
    line = source.line_numbers[phrase]
    shown = phrase if len(phrase) <= _SHOWN_CHARS else f"{phrase[: _SHOWN_CHARS - 1]}…"
    who = names.get(item["personality_id"], "the default personality")
    about = f"{item['quality']}, {item['format']}, {who}"
    click.echo(f"failed: line {line}, {shown!r} ({about}): {item['code']}: {item['detail']}", err=True)


def _tell_end(batch: dict[str, Any]) -> None:
    counts = batch["counts"]
    cancelled = f", {counts['cancelled']:,} cancelled" if counts["cancelled"] else ""
    click.echo(
        f"{counts['succeeded']:,} of {batch['total']:,} are there, "
        f"{batch['already_cached']:,} of them were before; "
        f"{counts['failed']:,} failed{cancelled}"
    )
