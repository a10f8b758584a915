"""`voicefarm doctor`: every part of the farm looked at, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from shared.catalog import CATALOG
from shared.circuits import CircuitState
from shared.cli.client import FarmClient, FarmRefused, farm_answers
from shared.cli.state_folder import farm_settings, names_redis
from shared.errors import SettingsError, StateUnavailable
from shared.farm import Farm
from shared.health import Finding, examine
from shared.provider_status import provider_statuses
from shared.samples.store import SampleStore
from shared.settings import Settings
from shared.weights.installation import Completeness, installations

if TYPE_CHECKING:
    from collections.abc import Iterator

_STARTED_BY_UP = ("state Redis", "audio Redis", "broker", "workers")
"""What need not be told one by one where 'make up' was not run, or has ended."""


@click.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check every part of the farm and say how to mend what is broken.

    Looks at the farm that the environment describes, else at the one of the state folder; says which.
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
        settings = farm_settings()
        farm = Farm.from_settings(settings)
    except SettingsError as error:
        yield Finding("settings", error.detail, "The README lists every setting.")
        return
    found = examine(farm)
    is_stopped = not farm_answers(settings.url) and all(
        each.problem for each in found if each.part in _STARTED_BY_UP
    )
    if is_stopped:
        yield Finding(
            "farm", f"No farm runs: nothing answers at {settings.url}.", "Start one with 'make up'."
        )
    click.echo(f"The state folder is {settings.state_dir.absolute()}, the farm is at {settings.url}.")
    yield Finding("settings", None)
    yield _state_folder(settings)
    if is_stopped and not names_redis(Settings.load()):
        yield from (each for each in found if each.part not in _STARTED_BY_UP)
    else:
        yield from found
        yield _web(settings)
    yield _samples(settings)
    yield from _models(settings)
    yield from _providers(farm)


def _state_folder(settings: Settings) -> Finding:
    folder = settings.state_dir.absolute()
    if folder.is_dir():
        return Finding("state folder", None)
    return Finding(
        "state folder",
        f"There is no folder {folder}.",
        "Run this where 'make up' runs, or set VOICEFARM_STATE_DIR to the farm's state folder.",
        is_needed=not names_redis(settings),
    )


def _samples(settings: Settings) -> Finding:
    try:
        SampleStore(settings.samples_url).check()
    except StateUnavailable as error:
        problem = f"None can be kept: {error.__cause__}."
        remedy = "Let the farm write there, or set VOICEFARM_SAMPLES_URL to another place."
        return Finding("voice samples", problem, remedy)
    return Finding("voice samples", None)


def _models(settings: Settings) -> Iterator[Finding]:
    """Tell of models that are here by half."""
    for one in installations(settings.model_dir):
        if one.completeness is Completeness.INCOMPLETE:
            lacking = ", ".join(file.kept for file in one.lacking)
            problem = f"There is no whole {lacking} in {settings.model_dir}."
            yield Finding(f"model {one.model.name}", problem, one.model.remedy, is_needed=False)


def _providers(farm: Farm) -> Iterator[Finding]:
    """Look at what each provider has here, and whether the running farm lets it speak."""
    try:
        statuses = provider_statuses(farm)
    except StateUnavailable:  # which is told already
        statuses = {}
    for name in CATALOG:
        part = f"provider {name}"
        is_enabled = name in farm.router.enabled
        equipment, status = farm.router.equipment[name], statuses.get(name)
        if status and status.workers and status.circuit is CircuitState.CLOSED:
            yield Finding(part, None)
        elif equipment.problem is not None:
            yield Finding(part, equipment.problem, equipment.remedy, is_needed=is_enabled)
        elif not is_enabled:
            yield Finding(part, "It is not enabled.", "Name it in VOICEFARM_PROVIDERS.", is_needed=False)
        else:
            yield Finding(part, status.reason if status else None, is_needed=False)


def _web(settings: Settings) -> Finding:
    try:
        with FarmClient(settings) as client:
            client.request("GET", "/api/voice/cache/stats")
    except FarmRefused as error:
        return Finding("web", f"{error.detail.rstrip('.')}.")
    return Finding("web", None)
