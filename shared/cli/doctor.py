"""`voicefarm doctor`: every part of the farm looked at, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shared.catalog import CATALOG
from shared.cli.client import FarmClient, FarmRefused
from shared.cli.state_folder import known_settings
from shared.errors import SettingsError
from shared.farm import Farm
from shared.health import Finding, examine
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check every part of the farm and say how to mend what is broken.

    Looks at the farm that the environment describes, else at the one of the state folder.
    Ends with exit code 1 if anything needed is broken.
    """
    broken = 0
    for finding in _findings():
        if finding.problem is None:
            click.echo(f"{click.style('ok', fg='green')}      {finding.part}")
        else:
            broken += finding.is_needed
            word = (
                click.style("broken", fg="red") if finding.is_needed else click.style("absent", fg="yellow")
            )
            click.echo(f"{word}  {finding.part}: {finding.problem} {finding.remedy}".rstrip())
    context.exit(1 if broken else 0)


def _findings() -> Iterator[Finding]:
    try:
        settings = Settings.load()
        settings = Settings.load(**known_settings(settings.state_dir, settings))
        farm = Farm.from_settings(settings)
    except SettingsError as error:
        yield Finding("settings", error.detail, "The README lists every setting.")
        return
    yield Finding("settings", None)
    yield from examine(farm)
    yield from _providers(farm)
    yield _web(settings)


def _providers(farm: Farm) -> Iterator[Finding]:
    for name in CATALOG:
        part = f"provider {name}"
        is_enabled = name in farm.router.enabled
        equipment = farm.router.equipment[name]
        if equipment.problem is not None:
            yield Finding(part, equipment.problem, equipment.remedy, is_needed=is_enabled)
        elif not is_enabled:
            yield Finding(part, "It is not enabled.", "Name it in VOICEFARM_PROVIDERS.", is_needed=False)
        else:
            yield Finding(part, None)


def _web(settings: Settings) -> Finding:
    try:
        with FarmClient(settings) as client:
            client.request("GET", "/api/voice/cache/stats")
    except FarmRefused as error:
        return Finding("web", f"{error.detail}.")
    return Finding("web", None)
