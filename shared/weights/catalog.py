"""Every model that can be pulled: where it is published, which of its files an engine needs, its licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from shared.piper_voices import KNOWN_VOICES

if TYPE_CHECKING:
    from collections.abc import Mapping

HUB = "https://huggingface.co"
"""Where people read about what is published; what is fetched comes from HF_ENDPOINT."""

PIPER = "piper"


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which terms a model is published."""

    name: str
    url: str
    terms: str = ""
    """What it asks of whoever uses the model."""
    must_be_accepted: bool = False
    """Whether nothing is fetched until somebody has agreed to it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model."""

    published: str
    """Its path in the repository that publishes it."""
    kept: str
    """Its path in the model folder."""

    @property
    def name(self) -> str:
        """Its name where it is kept."""
        return PurePosixPath(self.kept).name


@dataclass(frozen=True, slots=True)
class Model:
    """Something that a provider speaks with."""

    name: str
    provider: str
    files: tuple[ModelFile, ...]
    manifest: str
    """The path, in the model folder, of what is recorded about it when it is pulled."""
    repository: str | None = None
    """Who publishes it on the hub, and as what; None: nobody, as far as is known."""
    revision: str = "main"
    size_bytes: int | None = None
    """What it takes when it is not there yet; None where that is not known."""
    licence: Licence | None = None

    @property
    def folder(self) -> str:
        """The folder, in the model folder, that holds its files."""
        return str(PurePosixPath(self.manifest).parent)

    @property
    def remedy(self) -> str:
        """What helps where it is missing or damaged."""
        if self.repository is None:
            return "Put its files there anew, or delete what is left of them."
        consent = " --accept-licence" if self.licence and self.licence.must_be_accepted else ""
        return f"Run: voicefarm models pull {self.name}{consent}"


def _files(folder: str, published: Mapping[str, str]) -> tuple[ModelFile, ...]:
    """Describe the files of a folder, given where each is published by its name."""
    return tuple(ModelFile(path, f"{folder}/{name}") for name, path in published.items())


_XTTS_FILES = ("config.json", "model.pth", "vocab.json", "speakers_xtts.pth")

# Revisions and sizes as the hub told in 2026.
XTTS_V2 = Model(
    "xtts_v2",
    "xtts_v2",
    _files("xtts_v2", {name: name for name in _XTTS_FILES}),
    "xtts_v2/manifest.json",
    repository="coqui/XTTS-v2",
    revision="6c2b0d75eae4b7047358e3b6bd9325f857d43f77",
    size_bytes=1_876_049_523,
    licence=Licence(
        "Coqui Public Model License 1.0.0 (CPML), non-commercial",
        f"{HUB}/coqui/XTTS-v2/blob/main/LICENSE.txt",
        "It forbids every commercial use of the model and of what it speaks, and asks that whoever is "
        "given either is given the licence, too.",
        must_be_accepted=True,
    ),
)
STYLETTS2 = Model(
    "styletts2",
    "styletts2",
    _files(
        "styletts2",
        {
            "config.yml": "Models/LibriTTS/config.yml",
            "model.pth": "Models/LibriTTS/epochs_2nd_00020.pth",
        },
    ),
    "styletts2/manifest.json",
    repository="yl4579/StyleTTS2-LibriTTS",
    revision="3aa7ba7f8f275ec13dce21682a61494c35089e2a",
    size_bytes=771_392_385,
    licence=Licence(
        "StyleTTS2's terms for its pre-trained models",
        "https://github.com/yl4579/StyleTTS2#inference",
        "They ask to tell listeners that the speech is synthetic, unless whoever's voice it is has "
        "permitted its use.",
    ),
)
CHECKPOINTS = (XTTS_V2, STYLETTS2)

_PIPER_REPOSITORY = "rhasspy/piper-voices"
_PIPER_REVISION = "c10ece1aade47bb51c153c893d14e5bf8e5b7117"
# The published ones differ by a few megabytes from these.
_PIPER_SIZES = {"x_low": 28_000_000, "low": 63_000_000, "medium": 63_000_000, "high": 114_000_000}
_PIPER_NAME = re.compile(r"(([a-z]{2,3})_[A-Z]{2,3})-(\w+)-(" + "|".join(_PIPER_SIZES) + ")")


def piper_voice(name: str) -> Model | None:
    """Describe the voice of Piper's repository that is called so; None where no voice can be.

    A name is LANGUAGE_REGION-VOICE-QUALITY. Those that the farm knows are pinned, others may be newer.
    """
    parts = _PIPER_NAME.fullmatch(name)
    if parts is None:
        return None
    locale, language, voice, quality = parts.groups()
    folder = f"{language}/{locale}/{voice}/{quality}"
    is_known = any(known.name == name for known in KNOWN_VOICES.voices)
    return Model(
        name,
        PIPER,
        _piper_files(name, folder),
        f"{PIPER}/{name}.manifest.json",
        repository=_PIPER_REPOSITORY,
        revision=_PIPER_REVISION if is_known else "main",
        size_bytes=_PIPER_SIZES[quality],
        licence=Licence("the voice's own", f"{HUB}/{_PIPER_REPOSITORY}/blob/main/{folder}/MODEL_CARD"),
    )


def made_by_hand(name: str) -> Model:
    """Describe a voice of Piper's that nobody is known to publish."""
    return Model(name, PIPER, _piper_files(name, ""), f"{PIPER}/{name}.manifest.json")


def _piper_files(name: str, folder: str) -> tuple[ModelFile, ...]:
    return _files(PIPER, {file: f"{folder}/{file}" for file in (f"{name}.onnx", f"{name}.onnx.json")})


def find_model(name: str) -> Model | None:
    """Give the model that is called so, if one is published that can be."""
    return next((model for model in CHECKPOINTS if model.name == name), None) or piper_voice(name)
