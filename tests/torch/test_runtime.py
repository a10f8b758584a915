"""How the engines on PyTorch find their device, and read checkpoints that nobody vouches for."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest
import torch

from shared.catalog import CATALOG
from shared.environments import Environment
from shared.errors import ModelLoadFailed
from workers.torch_runtime import choose_device, import_torch, read_checkpoint


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("was-here",)


@dataclass
class Config:
    layers: int


def test_torchaudio_can_be_imported_beside_any_build_of_pytorch():
    assert import_torch() is torch
    import torchaudio  # noqa: PLC0415

    assert torchaudio.functional.resample(torch.zeros(1, 480), 48_000, 24_000).shape == (1, 240)


def test_the_best_device_is_chosen_unless_one_is_named():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_a_device_that_is_not_there_is_an_error_that_names_those_that_are():
    with pytest.raises(ModelLoadFailed, match=r"no cuda:77 here; there is .*cpu"):
        choose_device("cuda:77")


def test_a_checkpoint_is_read(tmp_path):
    file = tmp_path / "model.pth"
    torch.save({"model": {"weight": torch.ones(2)}, "config": Config(3)}, file)
    with pytest.raises(ModelLoadFailed, match="its code was not run"):
        read_checkpoint(file)
    assert read_checkpoint(file, [Config])["config"] == Config(3)


@pytest.mark.parametrize("content", [Hostile(), {"model": {"weight": torch.ones(2)}, "more": Hostile()}])
def test_the_code_in_a_checkpoint_is_never_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "model.pth"
    for is_zip in (True, False):
        torch.save(content, file, _use_new_zipfile_serialization=is_zip)
        with pytest.raises(ModelLoadFailed, match=r"its code was not run.*voicefarm models verify"):
            read_checkpoint(file)
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_cut_off_checkpoint_is_an_error(tmp_path, keep):
    file = tmp_path / "model.pth"
    torch.save({"weight": torch.ones(1000)}, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole)) if keep < 1 else keep])
    with pytest.raises(ModelLoadFailed, match=r"model\.pth"):
        read_checkpoint(file)


def test_a_checkpoint_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(ModelLoadFailed, match="No such file"):
        read_checkpoint(tmp_path / "model.pth")


def test_the_engines_of_this_environment_are_installed_here():
    specs = [spec for spec in CATALOG.values() if spec.environment is Environment.TORCH]
    assert [spec.name for spec in specs if not spec.is_installed()] == []
