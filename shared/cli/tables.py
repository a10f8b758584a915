"""Tables on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


def echo_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows below a head, each column as wide as it must be."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def echo_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print names and what is to be said of them, a line each."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"{name.ljust(width)}  {value}".rstrip())


def minute(timestamp: str) -> str:
    """Give a timestamp of the API as people read it."""
    return timestamp[:16].replace("T", " ")


def size(number_of_bytes: int) -> str:
    """Give a number of bytes as people read it, in decimal units."""
    amount, units = float(number_of_bytes), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:  # noqa: PLR2004  what would be shown as 1000
        amount, units = amount / 1000, units[1:]
    return f"{amount:.1f} {units[0]}" if amount < 9.95 and units[0] != "B" else f"{amount:.0f} {units[0]}"  # noqa: PLR2004
