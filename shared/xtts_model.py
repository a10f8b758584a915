"""XTTS v2: what lies in its model folder, which languages it speaks, how it can be set."""

# ruff: noqa: RUF001  a speaker's name is written so

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.equipment import Equipment
from shared.fingerprints import mark
from shared.voices import Gender
from shared.weights.catalog import XTTS_V2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shared.settings import Settings

LANGUAGE_CODES = {
    "en": "en",
    "es": "es",
    "fr": "fr",
    "de": "de",
    "it": "it",
    "pt": "pt",
    "pl": "pl",
    "tr": "tr",
    "ru": "ru",
    "nl": "nl",
    "cs": "cs",
    "ar": "ar",
    "zh-CN": "zh-cn",
    "hu": "hu",
    "ko": "ko",
    "ja": "ja",
    "hi": "hi",
}
"""XTTS's own code of each BCP 47 tag that it speaks."""

LANGUAGES = frozenset(LANGUAGE_CODES)

REMEDY = XTTS_V2.remedy

_FILES = tuple(file.name for file in XTTS_V2.files)
_CONDITIONING = frozenset({"gpt_cond_len", "gpt_cond_chunk_len", "max_ref_length"})

# Whose voices the built-in speakers of the published checkpoint are; nothing in the checkpoint says it.
_BUILT_IN = {
    Gender.FEMALE: """Claribel Dervla, Daisy Studious, Gracie Wise, Tammie Ema, Alison Dietlinde,
        Ana Florence, Annmarie Nele, Asya Anara, Brenda Stern, Gitta Nikolina, Henriette Usha, Sofia Hellen,
        Tammy Grit, Tanja Adelina, Vjollca Johnnie, Nova Hogarth, Maja Ruoho, Uta Obando, Lidiya Szekeres,
        Chandra MacFarland, Szofi Granger, Camilla Holmström, Lilya Stainthorpe, Zofija Kendrick,
        Narelle Moon, Barbora MacLean, Alexandra Hisakawa, Alma María, Rosemary Okafor""",
    Gender.MALE: """Andrew Chipper, Badr Odhiambo, Dionisio Schuyler, Royston Min, Viktor Eka,
        Abrahan Mack, Adde Michal, Baldur Sanjin, Craig Gutsy, Damien Black, Gilberto Mathias,
        Ilkin Urbano, Kazuhiko Atallah, Ludvig Milivoj, Suad Qasim, Torcull Diarmuid, Viktor Menelaos,
        Zacharie Aimilios, Filip Traverse, Damjan Chapman, Wulf Carlevaro, Aaron Dreschner, Kumar Dahl,
        Eugenio Mataracı, Ferran Simen, Xavier Hayasaka, Luis Moray, Marcos Rudaski""",
}
SPEAKER_GENDERS = {
    " ".join(name.split()): gender for gender, names in _BUILT_IN.items() for name in names.split(",")
}

_Seconds = Annotated[int, Field(ge=1, le=30)]


class XttsParameters(BaseModel):
    """How XTTS chooses what it says, and how much of a voice sample it listens to.

    The bounds keep out what the library refuses only when it speaks. None is the checkpoint's own value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: Annotated[float, Field(ge=0.01, le=5, allow_inf_nan=False)] = 0.75
    length_penalty: Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)] = 1.0
    repetition_penalty: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 5.0
    top_k: Annotated[int, Field(ge=0, le=10_000)] = 50
    """0: any number."""
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.85
    gpt_cond_len: _Seconds | None = None
    """How much of the sample gives the manner of speaking, in seconds."""
    gpt_cond_chunk_len: _Seconds | None = None
    """In pieces of how many seconds; their mean is taken."""
    max_ref_length: _Seconds | None = None
    """How much of the sample is listened to at all, in seconds."""

    @model_validator(mode="after")
    def _chunks_fit(self) -> Self:
        if self.gpt_cond_len and self.gpt_cond_chunk_len and self.gpt_cond_chunk_len > self.gpt_cond_len:
            raise ValueError("gpt_cond_chunk_len must be at most gpt_cond_len")
        return self

    def of_generation(self) -> dict[str, float | None]:
        """Give those that `Xtts.inference` takes, by its names."""
        return self.model_dump(exclude=set(_CONDITIONING))

    def of_conditioning(self) -> dict[str, float | None]:
        """Give those that change what is made of a voice sample."""
        return self.model_dump(include=set(_CONDITIONING))


@dataclass(frozen=True)
class XttsFiles:
    """A release's folder, as published."""

    folder: Path
    missing: tuple[str, ...]

    @classmethod
    def find(cls, settings: Settings) -> Self:
        """Look what is there."""
        folder = settings.model_dir / "xtts_v2"
        is_there = {name: (folder / name).is_file() and os.access(folder / name, os.R_OK) for name in _FILES}
        return cls(folder, tuple(name for name, is_so in is_there.items() if not is_so))

    @property
    def problem(self) -> str | None:
        """Why nothing can be spoken with it; None when something can."""
        if not self.missing:
            return None
        missing = " or ".join(self.missing)
        return f"There is no {missing} in xtts_v2 of the model folder (VOICEFARM_MODEL_DIR)."

    @property
    def configuration(self) -> Path:
        """The file that says how large the model is and what it was trained for."""
        return self.folder / "config.json"

    @property
    def model(self) -> Path:
        """The weights."""
        return self.folder / "model.pth"

    @property
    def vocabulary(self) -> Path:
        """The tokenizer."""
        return self.folder / "vocab.json"

    @property
    def speakers(self) -> Path:
        """The conditioning of the built-in speakers."""
        return self.folder / "speakers_xtts.pth"

    @cached_property
    def languages(self) -> frozenset[str]:
        """The BCP 47 tags that this release was trained for; all where it does not say."""
        try:
            codes = frozenset(json.loads(self.configuration.read_bytes())["languages"])
        except (OSError, ValueError, KeyError, TypeError):
            return LANGUAGES
        return frozenset(tag for tag, code in LANGUAGE_CODES.items() if code in codes) or LANGUAGES

    def fingerprint(self, parameters: Mapping[str, float | None]) -> str:
        """Give a short hash of the release and these parameters, equal wherever both are equal."""
        marks = [mark(self.folder / name) for name in _FILES]
        return hashlib.sha256(json.dumps([marks, parameters], sort_keys=True).encode()).hexdigest()[:16]


def xtts_equipment(settings: Settings) -> Equipment:
    """Find out whether XTTS v2 lies in the model folder, and which languages it speaks."""
    files = XttsFiles.find(settings)
    if files.problem:
        return Equipment(LANGUAGES, problem=files.problem, remedy=REMEDY)
    return Equipment(files.languages, fingerprint=files.fingerprint(settings.xtts.model_dump()))
