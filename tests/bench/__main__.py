"""`make bench`: every benchmark, as ratios in one run; prints the table and writes it into the README."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from shared.log import configure_logging
from tests.bench import cloning, hits, misses, mix, processes
from tests.bench.report import table, write_readme

_BENCHMARKS = {
    module.__name__.rpartition(".")[2]: module for module in (hits, misses, mix, processes, cloning)
}


def main() -> None:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"only these, and leave the README alone: {', '.join(_BENCHMARKS)}",
    )
    names = parser.parse_args().names
    if unknown := set(names) - set(_BENCHMARKS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    configure_logging("error", "console")
    rows = []
    for benchmark in [_BENCHMARKS[name] for name in names or _BENCHMARKS]:
        with tempfile.TemporaryDirectory(prefix="voicefarm-bench-") as folder:
            Path(folder).chmod(0o755)
            for row in benchmark.measure(Path(folder)):
                rows.append(row)
                mark = "" if row.is_reached else "   <- not reached"
                sys.stdout.write(
                    f"{row.what}: {row.ours}; {row.baseline}; {row.ratio:.2f} ({row.target}){mark}\n"
                )
                sys.stdout.flush()
    sys.stdout.write(f"\n{table(rows)}\n")
    if not names:
        write_readme(rows)


if __name__ == "__main__":
    main()
