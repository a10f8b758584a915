"""What the engines on PyTorch share: how it is imported, where it computes, how a checkpoint is read."""

from __future__ import annotations

import gc
import pickle
import struct
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from shared.errors import ModelLoadFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# What unpickling raises besides its own error at a file that is cut off, or never was a checkpoint.
_DAMAGES = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    struct.error,
)


def import_torch() -> Any:
    """Import PyTorch so that torchaudio can be imported, too; gives it.

    PyPI's torchaudio is linked against CUDA and raises OSError beside a PyTorch for CPUs. The engines use its
    part in Python only; here it finds what it says of itself where it was built without a native part.

    Raises:
        ModelLoadFailed: PyTorch is not installed, or cannot be loaded.
    """
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        raise ModelLoadFailed(f"PyTorch cannot be imported: {error}") from error
    # Equal seeds are to give equal sound on a GPU, too; measured on an H200 this takes no longer.
    torch.backends.cudnn.deterministic = True
    try:
        import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        extension = ModuleType("torchaudio._extension")
        vars(extension).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)
        sys.modules[extension.__name__] = extension
    return torch


def choose_device(wanted: str) -> str:
    """Give the device that a setting means: `auto` is the first CUDA device, else MPS, else the CPU.

    Raises:
        ModelLoadFailed: it is not there.
    """
    torch = import_torch()
    cuda_devices = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    there_are = [*cuda_devices, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    device = {"auto": there_are[0], "cuda": "cuda:0"}.get(wanted, wanted)
    if device not in there_are:
        names = ", ".join(there_are)
        raise ModelLoadFailed(f"VOICEFARM_TORCH_DEVICE: there is no {wanted} here; there is {names}")
    return device


def device_memory_bytes(device: str) -> int | None:
    """Tell what this process has taken of a CUDA device's memory; None for other devices."""
    return int(import_torch().cuda.memory_reserved(device)) if device.startswith("cuda") else None


def read_checkpoint(path: Path, allowed: Sequence[type | tuple[type, str]] = ()) -> Any:
    """Read what `torch.save` wrote, on the CPU. Its pickle runs no code: it may name tensors and `allowed`.

    A class may be allowed by another name, which it had when the file was written.

    Raises:
        ModelLoadFailed: the file is missing or damaged, or holds something else.
    """
    torch = import_torch()
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = "is damaged, or holds more than weights; its code was not run"
        raise ModelLoadFailed(f"{path} {what}. Run 'voicefarm models verify'.") from error
    except _DAMAGES as error:
        raise ModelLoadFailed(f"{path} cannot be read: {error}. Run 'voicefarm models verify'.") from error


def free_memory() -> None:
    """Give back what nothing refers to any more; networks hold themselves in cycles."""
    torch = import_torch()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
