"""StyleTTS2's checkpoint: where it lies, what it is spoken with, which languages it speaks."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from shared.equipment import Equipment
from shared.fingerprints import mark
from shared.weights.catalog import STYLETTS2

if TYPE_CHECKING:
    from pathlib import Path

    from shared.settings import Settings

# LibriTTS, which the checkpoint was trained with, is English read by speakers from everywhere.
LANGUAGES = frozenset({"en", "en-US", "en-GB"})

REMEDY = STYLETTS2.remedy


class StyleTTS2Parameters(BaseModel):
    """How StyleTTS2 makes a style of a voice sample and a text; the names are its authors'."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.3
    """How much of the timbre comes from the text; the rest comes from the sample."""
    beta: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.7
    """The same of the prosody."""
    diffusion_steps: Annotated[int, Field(ge=3, le=100)] = 5
    """More give more variety, and cost time."""
    embedding_scale: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    """How strongly the text shapes the style; above 1 it sounds more emotional."""


@dataclass(frozen=True, slots=True)
class StyleTTS2Files:
    """A checkpoint as it is published: its configuration and its weights."""

    config: Path
    checkpoint: Path

    @classmethod
    def find(cls, settings: Settings) -> Self:
        """Give where they are to lie in the model folder."""
        folder = settings.model_dir / "styletts2"
        return cls(folder / "config.yml", folder / "model.pth")

    @property
    def problem(self) -> str | None:
        """Why they cannot be spoken with; None when they are there."""
        files = (self.config, self.checkpoint)
        missing = [file.name for file in files if not (file.is_file() and os.access(file, os.R_OK))]
        if not missing:
            return None
        return f"There is no {' or '.join(missing)} in styletts2 of the model folder (VOICEFARM_MODEL_DIR)."

    def fingerprint(self) -> str:
        """Give a short hash, equal wherever the same files lie; empty while one is missing."""
        if self.problem:
            return ""
        marks = f"{mark(self.config)} {mark(self.checkpoint)}"
        return hashlib.sha256(marks.encode()).hexdigest()[:16]


def styletts2_equipment(settings: Settings) -> Equipment:
    """Find out whether there is a checkpoint in the model folder."""
    files = StyleTTS2Files.find(settings)
    if files.problem:
        return Equipment(LANGUAGES, problem=files.problem, remedy=REMEDY)
    sound = json.dumps([files.fingerprint(), settings.styletts2.model_dump()], sort_keys=True)
    return Equipment(LANGUAGES, fingerprint=hashlib.sha256(sound.encode()).hexdigest()[:16])
