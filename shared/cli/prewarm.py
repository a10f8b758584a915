"""`voicefarm prewarm`: has a running farm make phrases before anybody asks for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from shared.cli.client import FarmClient
from shared.cli.state_folder import farm_settings
from shared.models import AudioFormat, Quality
from shared.phrases import PhraseList

if TYPE_CHECKING:
    from typing import TextIO

_ASK_EVERY_S = 0.5
_ENDS = ("succeeded", "failed", "cancelled")


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
    listed = _listed(file)
    with FarmClient(farm_settings()) as farm:
        body: dict[str, Any] = {name: list(values) for name, values in asked.items() if values}
        body |= {"phrases": listed.phrases, "dry_run": dry_run}
        if personalities:
            body["personality_ids"] = [farm.personality_id(name) for name in personalities]
        if language := language or listed.language:
            body["language"] = language
        answer = farm.request("POST", "/api/voice/prewarm", json=body)
        if dry_run:
            _tell_estimate(answer.json())
            return
        batch = _follow(farm, answer.headers["Location"], answer.json())
    _tell_end(batch)
    if batch["counts"]["failed"]:
        raise click.exceptions.Exit(1)


def _listed(file: TextIO) -> PhraseList:
    try:
        listed = PhraseList.parse(file)
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file.name} is not valid UTF-8") from error
    if not listed.phrases:
        raise click.ClickException(f"There is no phrase in {file.name}")
    return listed


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


def _tell_end(batch: dict[str, Any]) -> None:
    for item in batch["failed"]:
        about = f"{item['quality']}, {item['format']}, {item['personality_id']}"
        click.echo(f"failed: {item['phrase']!r} ({about}): {item['code']}: {item['detail']}", err=True)
    counts = batch["counts"]
    cancelled = f", {counts['cancelled']:,} cancelled" if counts["cancelled"] else ""
    click.echo(
        f"{counts['succeeded']:,} of {batch['total']:,} are there, "
        f"{batch['already_cached']:,} of them were before; "
        f"{counts['failed']:,} failed{cancelled}"
    )
