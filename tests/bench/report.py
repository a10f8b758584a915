"""The table of the benchmarks, on the terminal and in the README."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

README = Path(__file__).parents[2] / "README.md"
_PLACE = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: what the farm does, what something else does in the same run, and their ratio."""

    what: str
    ours: str
    baseline: str
    ratio: float
    target: str
    """What the ratio is to be, such as `≤ 3.5`."""

    @property
    def is_reached(self) -> bool:
        """Tell whether the ratio is what it is to be."""
        comparison, bound = self.target.split()
        return self.ratio <= float(bound) if comparison == "≤" else self.ratio >= float(bound)


def table(rows: Sequence[Row]) -> str:
    """Give the rows as Markdown, and where they were measured."""
    lines = ["| what | the farm | compared with | ratio | target |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.ours} | {row.baseline} | {row.ratio:.2f} | {row.target} |" for row in rows
    ]
    return "\n".join([*lines, "", f"Measured on {_machine()}, {datetime.now(UTC):%Y-%m-%d}."])


def write_readme(rows: Sequence[Row]) -> None:
    """Put the table into the README, in place of the one before."""
    README.write_text(_PLACE.sub(table(rows) + "\n", README.read_text()))


def _machine() -> str:
    return f"{os.cpu_count()} shared cores ({platform.machine()}), Python {platform.python_version()}"
