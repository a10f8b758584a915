"""Small checkpoints for the engines on PyTorch, made once by their own libraries and kept for later runs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-torch" / "bin" / "python"
_MADE = ROOT / "build" / "checkpoints"
_MODULES = {"xtts_v2": "xtts", "styletts2": "styletts2"}


def place_checkpoint(name: str, folder: Path) -> None:
    """Put an engine's small checkpoint into a folder, as links to files that nobody may change."""
    made = _made(name)
    folder.mkdir(parents=True)
    for file in made.iterdir():
        (folder / file.name).symlink_to(file)


def _made(name: str) -> Path:
    """Give the folder of the one that this version of its recipe makes; takes a minute the first time."""
    recipe = Path(__file__).with_name(f"{_MODULES[name]}.py")
    made = _MADE / f"{name}-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:16]}"
    _MADE.mkdir(parents=True, exist_ok=True)
    with (_MADE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not made.exists():
            draft = made.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            command = [PYTHON, "-m", f"tests.checkpoints.{_MODULES[name]}", draft]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            draft.rename(made)
    return made
