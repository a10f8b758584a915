"""`voicefarm keys`: who may talk to a running farm."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from shared.cli.client import FarmClient
from shared.cli.state_folder import farm_settings
from shared.cli.tables import echo_table, minute
from shared.scopes import Scope

if TYPE_CHECKING:
    from uuid import UUID

KEYS = "/api/voice/keys"
_SPAN = re.compile(r"([0-9]+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Expiry(click.ParamType[datetime]):
    """A span from now, or a date or time, which is UTC unless it says otherwise."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:  # noqa: D102
        try:
            if span := _SPAN.fullmatch(value):
                return datetime.now(UTC) + timedelta(**{_UNITS[span[2]]: int(span[1])})
            time = datetime.fromisoformat(value)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a span such as 90d nor a date such as 2030-01-31.", param, ctx)


@click.group()
def keys() -> None:
    """Make, list and revoke API keys of a running farm.

    The farm is found by VOICEFARM_URL and VOICEFARM_KEY, which must be of scope admin; without them it is
    the one of the state folder.
    """


@keys.command()
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    required=True,
    help="What it allows. speak: ask for speech. manage: also change personalities and their voices. "
    "admin: everything.",
)
@click.option("--name", help="What it is for, as the list shows it. Default: the scope.")
@click.option(
    "--expires",
    type=Expiry(),
    metavar="WHEN",
    help="After 30m, 12h, 90d or 4w, or at 2030-01-31 or 2030-01-31T12:00 (UTC). Default: never.",
)
def create(scope: str, name: str | None, expires: datetime | None) -> None:
    """Make a key and print its secret, which cannot be had again.

    The secret alone goes to standard output, so that it can be put into a file or a variable.
    """
    body = {"name": name, "scope": scope, "expires_at": expires and expires.isoformat()}
    with FarmClient(farm_settings()) as farm:
        key = farm.request("POST", KEYS, json=body).json()
    until = f"until {minute(key['expires_at'])} UTC" if key["expires_at"] else "until it is revoked"
    click.echo(
        f"Made the key {key['name']!r} of scope {scope}, good {until}. Its ID is {key['id']}.", err=True
    )
    click.echo("Keep it now, it is not shown again:", err=True)
    click.echo(key["secret"])
    click.echo(
        "Programs send it as 'Authorization: Bearer KEY'; 'voicefarm say' takes it from VOICEFARM_KEY.",
        err=True,
    )


@keys.command("list")
def list_command() -> None:
    """List the keys, the newest first, with revoked and expired ones. Times are UTC.

    A key is recognised by how its secret begins. LAST USED is up to a minute behind.
    """
    with FarmClient(farm_settings()) as farm:
        rows = [_row(key) for key in farm.items(KEYS)]
    echo_table(("ID", "BEGINS WITH", "SCOPE", "NAME", "CREATED", "LAST USED", "STATE"), rows)


@keys.command()
@click.argument("key_id", metavar="ID", type=click.UUID)
def revoke(key_id: UUID) -> None:
    """Revoke the key with this ID, at once and for ever; 'voicefarm keys list' shows the IDs."""
    with FarmClient(farm_settings()) as farm:
        key = farm.request("DELETE", f"{KEYS}/{key_id}").json()
    click.echo(f"Revoked the key {key['name']!r}; nobody gets in with it any more.", err=True)


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    return (
        key["id"],
        key["prefix"] or "",
        key["scope"],
        key["name"],
        minute(key["created_at"]),
        minute(key["last_used_at"]) if key["last_used_at"] else "never",
        _state(key),
    )


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"]:
        return f"revoked {minute(key['revoked_at'])}"
    if key["expires_at"] is None:
        return "good"
    is_over = datetime.fromisoformat(key["expires_at"]) <= datetime.now(UTC)
    return f"{'expired' if is_over else 'good until'} {minute(key['expires_at'])}"
