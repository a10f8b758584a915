"""Voices for Piper that the tests make: real networks of 24 kB that hum at a fundamental of one's choice."""

# ruff: noqa: RUF001  phonemes are written so

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SAMPLE_RATE_HZ, HOP, HARMONICS, SYMBOLS = 22_050, 256, 20, 256
LOW_HZ, HIGH_HZ = 110.0, 210.0

# How many frames a phoneme sounds for on average, where it is no ordinary one, and which are pauses.
_FRAMES = {"_": 1.3, "^": 1.0, "$": 1.0, " ": 1.6, ",": 8.0, ".": 10.0, "ˈ": 0.8, "ˌ": 0.8, "ː": 2.4}
_SILENT = {"^", "$", " ", ",", ".", "!", "?", ":", ";"}


def make_voice(
    models: Path,
    name: str,
    *,
    fundamental_hz: float = LOW_HZ,
    level: float = 0.05,
    speakers: Mapping[str, float] | None = None,
    **description: Any,
) -> None:
    """Make a small voice in a model folder.

    `level`: of its fundamental. `speakers`: each one's name and how many times higher that speaker's
    fundamental is. `description`: see `write_voice`.
    """
    factors = list(speakers.values()) if speakers else []
    known = {"speaker_id_map": {speaker: number for number, speaker in enumerate(speakers or ())}}
    network = _network(fundamental_hz, level, factors)
    write_voice(models, name, network, **{"num_speakers": len(factors) or 1, **known, **description})


def write_voice(
    models: Path, name: str, network: onnx.ModelProto, *, espeak_voice: str = "en-us", **description: Any
) -> None:
    """Write a voice into a model folder, where Piper's provider finds it.

    `description`: entries of its JSON file to add or replace.
    """
    folder = models / "piper"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(network.SerializeToString())
    whole = {
        "audio": {"sample_rate": SAMPLE_RATE_HZ, "quality": "medium"},
        "espeak": {"voice": espeak_voice},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "num_symbols": SYMBOLS,
        "num_speakers": 1,
        "speaker_id_map": {},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        **description,
    }
    (folder / f"{name}.onnx.json").write_text(json.dumps(whole))


def make_voices(models: Path) -> Path:
    """Fill a model folder with a few voices of Piper's table and one with two speakers; gives the folder."""
    make_voice(models, "en_US-amy-medium", fundamental_hz=HIGH_HZ)
    make_voice(models, "en_US-ryan-medium")
    make_voice(models, "en_GB-alan-medium", espeak_voice="en-gb-x-rp")
    make_voice(models, "fr_FR-siwis-medium", espeak_voice="fr", fundamental_hz=HIGH_HZ)
    make_voice(models, "zh_CN-huayan-medium", espeak_voice="cmn", fundamental_hz=HIGH_HZ)
    make_voice(models, "de_DE-pair-medium", espeak_voice="de", speakers={"tenor": 1.0, "alto": 1.5})
    return models


def _network(fundamental_hz: float, level: float, speaker_factors: Sequence[float]) -> onnx.ModelProto:
    """Give a network that looks up each phoneme's length, pitch and harmonics, and adds those up."""
    tables = {
        "frames": _frames(),
        "pitches": _pitches(fundamental_hz),
        "spectra": _spectra(level),
        "numbers": np.arange(1, HARMONICS + 1, dtype=np.float32).reshape(-1, 1),
        "factors": np.array(speaker_factors or [1.0], np.float32),
        "turn": np.array(2 * np.pi, np.float32),
        "sample_rate": np.array(SAMPLE_RATE_HZ, np.float64),
        "stretched": np.array([1, 1, HOP], np.float32),
        "golden": np.array((5**0.5 - 1) / 2, np.float32),
        "half": np.array(0.5, np.float32),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "zero_frames": np.array(0, np.float32),
        "one_frame": np.array(1, np.float32),
        "row": np.array([-1], np.int64),
        "first": np.array([0], np.int64),
        "second": np.array([1], np.int64),
        "as_output": np.array([1, 1, 1, -1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Reshape", ["input", "row"], ["ids"]),
        node("Gather", ["scales", "one"], ["length_scale"]),
        node("Gather", ["frames", "ids"], ["mean_frames"]),
        # As in real speech no two are equally long: 0.5 to 1.5 times the mean, by the golden ratio's steps.
        node("Mul", ["mean_frames", "zero_frames"], ["no_frames"]),
        node("Add", ["no_frames", "golden"], ["steps"]),
        node("CumSum", ["steps", "zero"], ["walk"]),
        node("Floor", ["walk"], ["walked"]),
        node("Sub", ["walk", "walked"], ["variety"]),
        node("Add", ["variety", "half"], ["variation"]),
        node("Mul", ["mean_frames", "variation"], ["plain_frames"]),
        node("Mul", ["plain_frames", "length_scale"], ["exact_frames"]),
        node("Ceil", ["exact_frames"], ["whole_frames"]),  # Piper's aligner looks for exactly one
        node("CumSum", ["whole_frames", "zero"], ["ends"]),
        node("ReduceMax", ["ends"], ["total"], keepdims=0),
        node("Range", ["zero_frames", "total", "one_frame"], ["times"]),
        node("Unsqueeze", ["times", "second"], ["times_down"]),
        node("Unsqueeze", ["ends", "first"], ["ends_across"]),
        node("GreaterOrEqual", ["times_down", "ends_across"], ["is_over"]),
        node("Cast", ["is_over"], ["over"], to=TensorProto.INT64),
        node("ReduceSum", ["over", "second"], ["places"], keepdims=0),
        node("Gather", ["ids", "places"], ["sounding"]),
        node("Gather", ["spectra", "sounding"], ["levels_by_frame"]),
        node("Transpose", ["levels_by_frame"], ["levels_down"], perm=[1, 0]),
        node("Unsqueeze", ["levels_down", "first"], ["levels_frames"]),
        node("Resize", ["levels_frames", "", "stretched"], ["levels_batch"], mode="linear"),
        node("Squeeze", ["levels_batch", "first"], ["levels"]),
        node("Gather", ["pitches", "sounding"], ["pitch_frames"]),
        node("Reshape", ["pitch_frames", "as_pitch"], ["pitch_batch"]),
        node("Resize", ["pitch_batch", "", "stretched"], ["pitch_samples"], mode="linear"),
        node("Gather", ["factors", "sid" if speaker_factors else "first"], ["factor"]),
        node("Mul", ["pitch_samples", "factor"], ["pitch_float"]),
        node("Reshape", ["pitch_float", "row"], ["pitch_row"]),
        node("Cast", ["pitch_row"], ["pitch"], to=TensorProto.DOUBLE),
        node("Div", ["pitch", "sample_rate"], ["turns_a_sample"]),
        node("CumSum", ["turns_a_sample", "zero"], ["all_turns"]),
        node("Floor", ["all_turns"], ["whole_turns"]),
        node("Sub", ["all_turns", "whole_turns"], ["turns"]),
        node("Cast", ["turns"], ["turns_float"], to=TensorProto.FLOAT),
        node("Mul", ["turns_float", "turn"], ["phase"]),
        node("Mul", ["numbers", "phase"], ["phases"]),
        node("Sin", ["phases"], ["waves"]),
        node("Mul", ["waves", "levels"], ["harmonics"]),
        node("ReduceSum", ["harmonics", "first"], ["sound"], keepdims=0),
        node("Reshape", ["sound", "as_output"], ["output"]),
    ]
    tables["as_pitch"] = np.array([1, 1, -1], np.int64)
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, ["batch"]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if speaker_factors:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, ["batch"]))
    graph = helper.make_graph(
        nodes,
        "voice",
        inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1, 1, "samples"])],
        [numpy_helper.from_array(table, name) for name, table in tables.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15)])


def _frames() -> np.ndarray:
    frames = np.random.default_rng(1).uniform(3.3, 4.4, SYMBOLS)
    for phoneme, length in _FRAMES.items():
        frames[DEFAULT_PHONEME_ID_MAP[phoneme]] = length
    return frames.astype(np.float32)


def _pitches(fundamental_hz: float) -> np.ndarray:
    return (fundamental_hz * np.random.default_rng(2).uniform(0.985, 1.015, SYMBOLS)).astype(np.float32)


def _spectra(level: float) -> np.ndarray:
    """Give each phoneme's levels: falling with the number of the harmonic, as a voice's do."""
    spectra = np.random.default_rng(3).uniform(0.2, 1.0, (SYMBOLS, HARMONICS)) / np.arange(1, HARMONICS + 1)
    spectra[:, 0] = 1.0
    spectra[[DEFAULT_PHONEME_ID_MAP[phoneme][0] for phoneme in _SILENT]] = 0.0
    return (level * spectra).astype(np.float32)
