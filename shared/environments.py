"""The Python environments: engines whose libraries exclude each other live apart."""

from __future__ import annotations

from enum import StrEnum
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).parents[1]


class Environment(StrEnum):
    """Where libraries are installed; each has all of the farm's own."""

    BASE = "base"
    """The one of the front, and of the engines that get along with it."""
    TORCH = "torch"
    """`.venv-torch`, for engines on PyTorch; made on demand."""

    def has(self, module: str) -> bool:
        """Tell whether a module can be imported there; imports nothing.

        A process that has it itself need not look elsewhere: it may run in that environment.
        """
        return _is_here(module) or (self is Environment.TORCH and _is_in_torch(module))


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in
        return False


def _is_in_torch(module: str) -> bool:
    folders = [str(folder) for folder in PROJECT.glob(".venv-torch/lib/python3.*/site-packages")]
    return PathFinder.find_spec(module.partition(".")[0], folders) is not None
