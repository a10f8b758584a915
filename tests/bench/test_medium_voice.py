"""The benchmark's voice is as large as a real one, and Piper speaks with it."""

from __future__ import annotations

import onnx
import pytest

from shared.settings import Settings
from tests.bench.medium_voice import NAME, make_medium_voice, medium_network
from tests.workers.acoustics import sounding_s
from tests.workers.utterances import VOICED_TEXT, utterance
from workers.audio import join
from workers.providers.piper import PiperProvider


def test_it_speaks_at_a_real_voices_pace_and_is_as_large(tmp_path):
    make_medium_voice(tmp_path)
    assert (tmp_path / "piper" / f"{NAME}.onnx").stat().st_size == pytest.approx(63_200_000, rel=0.01)
    piper = PiperProvider.from_settings(Settings.load(VOICEFARM_MODEL_DIR=str(tmp_path)))
    spoken = join(piper.synthesize(utterance(voices={"piper": NAME})))
    assert 12 < len(VOICED_TEXT) / sounding_s(spoken) < 25


def test_it_is_a_valid_network_and_piper_can_align_it():
    network = medium_network()
    onnx.checker.check_model(network, full_check=True)
    assert sum(node.op_type == "Ceil" for node in network.graph.node) == 1
