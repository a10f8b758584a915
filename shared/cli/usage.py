"""`voicefarm usage`: what syntheses used and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shared.cli.client import FarmClient
from shared.cli.state_folder import farm_settings
from shared.cli.tables import echo_table
from shared.dimensions import Dimension

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

USAGE = "/api/voice/usage"
_DAY = click.DateTime(["%Y-%m-%d"])
_AMOUNTS = ("SYNTHESES", "CHARACTERS", "AUDIO", "COMPUTE", "COST")


class Dimensions(click.ParamType[list[Dimension]]):
    """Names of dimensions, with commas between them."""

    name = "dimensions"

    def convert(  # noqa: D102
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[Dimension]:
        try:
            return [Dimension(name.strip()) for name in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not of {', '.join(Dimension)}, with commas between them.", param, ctx)


@click.command()
@click.option(
    "--by",
    type=Dimensions(),
    default=Dimension.PROVIDER.value,
    metavar="WHAT",
    help=f"What to add up by: of {', '.join(Dimension)}, with commas between them. Default: provider.",
)
@click.option("--from", "first", type=_DAY, metavar="DAY", help="First day. Default: the month's first.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="Last day, which counts, too. Default: today.")
def usage(by: list[Dimension], first: datetime | None, last: datetime | None) -> None:
    """Show what a running farm's syntheses used and cost. Days are UTC's, such as 2030-01-31.

    Every attempt that made sound counts, also if it was refused or nobody waited for it any more. Needs a key
    of scope manage.
    """
    asked = {"group_by": ",".join(by)} | {
        name: f"{day:%Y-%m-%d}" for name, day in (("from", first), ("to", last)) if day
    }
    with FarmClient(farm_settings()) as farm:
        pages = list(farm.pages(USAGE, **asked))
        names = {one["id"]: one["name"] for one in farm.items("/api/voice/personalities")}
    sums = [each for page in pages for each in page["items"]]
    dimensions = [each for each in Dimension if each in by]
    rows = [(*_of(each, dimensions, names), *_amounts(each)) for each in sums]
    total = (*("total", *[""] * len(dimensions))[: len(dimensions)], *_amounts(pages[-1]["total"]))
    echo_table((*(each.upper() for each in dimensions), *_AMOUNTS), [*rows, total])


def _of(each: dict[str, Any], dimensions: Sequence[Dimension], names: dict[str, str]) -> tuple[str, ...]:
    """Give what a sum is of; a personality that is deleted has no name any more."""
    personality_id = each["personality_id"]
    shown = {
        Dimension.DAY: each["day"],
        Dimension.PROVIDER: each["provider"],
        Dimension.PERSONALITY: names.get(personality_id, personality_id),
    }
    return tuple(shown[dimension] for dimension in dimensions)


def _amounts(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{each['syntheses']:,}",
        f"{each['characters']:,}",
        _duration(each["audio_seconds"]),
        _duration(each["compute_seconds"]),
        f"${each['cost_usd']:,.4f}",
    )


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest_s:02}"
