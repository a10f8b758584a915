"""Keeps these tests out of a run in another environment; in theirs nothing is skipped."""

import os
import sys
from pathlib import Path

collect_ignore_glob = [] if Path(sys.prefix).name == ".venv-torch" else ["test_*.py"]

# Compiling librosa takes half a minute of a run, and only what the engines are held to uses it.
os.environ["NUMBA_DISABLE_JIT"] = "1"
