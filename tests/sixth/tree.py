"""The farm's sources with the sixth provider among them, in a folder of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "sixth"

_FIRST_ENTRY = '        ProviderSpec(\n            name="espeak",'
_ENTRY = """        ProviderSpec(
            name="sixth",
            title="The sixth",
            module="workers.providers.sixth:SixthProvider",
            requires=("numpy",),
            extra="sixth",
            languages=frozenset({"en"}),
            clones=False,
        ),
"""
_PARTS = ("shared", "web", "workers", "tests", "celeryconfig.py", "Procfile", "pyproject.toml", "README.md")


def grow(folder: Path) -> Path:
    """Copy the sources, and add to them what makes a provider: its file and its entry in the catalogue."""
    for part in _PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    shutil.copy(ROOT / "tests/sixth/provider.py", folder / "workers/providers/sixth.py")
    catalog = folder / "shared/catalog.py"
    before = catalog.read_text()
    assert before.count(_FIRST_ENTRY) == 1
    catalog.write_text(before.replace(_FIRST_ENTRY, _ENTRY + _FIRST_ENTRY))
    # What runs the pool here; on machines of its own, a pool needs no Procfile.
    with (folder / "Procfile").open("a") as procfile:
        procfile.write(
            "sixth: celery --quiet --app workers.app worker --queues sixth --hostname sixth@%h"
            " --pool prefork --concurrency 2 --without-gossip --without-mingle\n"
        )
    return folder
