"""Keeps these tests out of a run in another environment; in theirs nothing is skipped."""

import sys
from pathlib import Path

collect_ignore_glob = [] if Path(sys.prefix).name == ".venv-torch" else ["test_*.py"]
