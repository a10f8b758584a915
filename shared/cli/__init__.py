"""The `voicefarm` command: one file a subcommand, imported when it is called."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, cast

import click

from shared.errors import VoicefarmError
from shared.log import keep_logs_quiet

_COMMANDS = {
    "up": "shared.cli.up:up",
    "link": "shared.cli.link:link",
    "say": "shared.cli.say:say",
    "prewarm": "shared.cli.prewarm:prewarm",
    "personalities": "shared.cli.personalities:personalities",
    "voice": "shared.cli.voice:voice",
    "keys": "shared.cli.keys:keys",
    "models": "shared.cli.models:models",
    "usage": "shared.cli.usage:usage",
    "doctor": "shared.cli.doctor:doctor",
    "migrate": "shared.cli.migrate:migrate_command",
}


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        # Importing all of them would double the time that `up` takes to start.
        return cast("click.Command", resolve_name(_COMMANDS[cmd_name])) if cmd_name in _COMMANDS else None

    def invoke(self, ctx: click.Context) -> Any:
        keep_logs_quiet()
        try:
            return super().invoke(ctx)
        except VoicefarmError as error:
            raise click.ClickException(error.detail) from error


@click.group(cls=_Group)
@click.version_option(package_name="voicefarm")
def main() -> None:
    """A self-hosted farm that turns text into speech."""
