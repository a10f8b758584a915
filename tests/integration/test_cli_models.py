"""`voicefarm models` as a program of its own: on a terminal, with the environment of the hub's client."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from shared.weights.catalog import find_model
from tests.hub_server import running_hub
from tests.servers import clean_environment

VOICEFARM = Path(sys.executable).with_name("voicefarm")
AMY, AMY_IN_THE_HUB = "en_US-amy-medium", "en/en_US/amy/medium/en_US-amy-medium"


@pytest.fixture
def hub():
    voice = {f"{AMY_IN_THE_HUB}.onnx": b"network" * 1000, f"{AMY_IN_THE_HUB}.onnx.json": b"{}"}
    with running_hub(**{"rhasspy__piper-voices": voice}) as hub:
        hub.revisions.add(find_model(AMY).revision)
        yield hub


@pytest.fixture
def environment(hub, tmp_path):
    ours = {
        "VOICEFARM_MODEL_DIR": str(tmp_path / "models"),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
    }
    return clean_environment() | ours


def test_a_terminal_shows_progress(environment, tmp_path):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run(
            [VOICEFARM, "models", "pull", AMY],
            env=environment, stdout=subprocess.DEVNULL, stderr=theirs, timeout=60, check=True,
        )  # fmt: skip
        os.close(theirs)
        shown = terminal.read(65_536).decode()
    assert re.search(rf"{AMY}\.onnx: +100%", shown)
    assert (tmp_path / "models" / "piper" / f"{AMY}.onnx").read_bytes() == b"network" * 1000
    assert not (tmp_path / "home").exists(), "the client keeps no copies"


def test_the_clients_own_switch_is_told_by_its_name(environment, hub):
    answer = subprocess.run(
        [VOICEFARM, "models", "pull", AMY],
        env=environment | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (answer.returncode, answer.stdout, hub.asked) == (1, "", [])
    assert answer.stderr.startswith("Error: HF_HUB_OFFLINE forbids")
    assert len(answer.stderr.splitlines()) == 1


def test_what_needs_no_hub_does_not_import_its_client(environment):
    asks = (
        "import sys; from shared.cli import main; "
        "main(['models', 'list'], standalone_mode=False); "
        "print([name for name in sys.modules if name.startswith(('huggingface', 'httpx2', 'tqdm'))])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", asks], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"
