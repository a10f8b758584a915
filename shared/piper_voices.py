"""Piper's voices: those it is known for, and those that lie in the model folder."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from shared.equipment import Equipment
from shared.fingerprints import mark
from shared.models import normalize_language
from shared.voices import Gender, Voice, VoiceTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.settings import Settings

KNOWN_VOICES = VoiceTable.of(
    {
        "en-US": {
            "en_US-amy-medium": Gender.FEMALE,
            "en_US-ryan-medium": Gender.MALE,
            "en_US-kristin-medium": Gender.FEMALE,
            "en_US-joe-medium": Gender.MALE,
        },
        "en-GB": {"en_GB-alba-medium": Gender.FEMALE, "en_GB-alan-medium": Gender.MALE},
        "fr-FR": {"fr_FR-siwis-medium": Gender.FEMALE, "fr_FR-gilles-low": Gender.MALE},
        "es-MX": {"es_MX-ald-medium": Gender.MALE},
        "es-ES": {"es_ES-davefx-medium": Gender.MALE},
        "pt-BR": {"pt_BR-faber-medium": Gender.MALE, "pt_BR-cadu-medium": Gender.MALE},
        "zh-CN": {"zh_CN-huayan-medium": Gender.FEMALE},
    }
)

REMEDY = (
    "Run 'voicefarm models pull en_US-amy-medium' ('voicefarm models list' shows more voices), or put a "
    "voice's two files, NAME.onnx and NAME.onnx.json, there; then start anew."
)

_MODEL, _CONFIGURATION = ".onnx", ".onnx.json"


@dataclass(frozen=True, slots=True)
class InstalledVoices:
    """The voices in the model folder, each a pair of files: `NAME.onnx` and `NAME.onnx.json`."""

    folder: Path
    names: frozenset[str]
    table: VoiceTable
    """Those whose language is known."""

    @classmethod
    def find(cls, settings: Settings) -> Self:
        """Look which there are; those of the table of voices come first, in its order."""
        folder = settings.model_dir / "piper"
        names = frozenset(_readable(folder))
        listed = _table(settings).only(names).voices
        others = sorted(names - {voice.name for voice in listed})
        languages = {name: _language(folder / f"{name}{_CONFIGURATION}") for name in others}
        unlisted = (Voice(name, language) for name, language in languages.items() if language)
        return cls(folder, names, VoiceTable((*listed, *unlisted)))

    @property
    def problem(self) -> str | None:
        """Why nothing can be spoken with them; None when something can."""
        return None if self.names else "There is no voice in piper of the model folder (VOICEFARM_MODEL_DIR)."

    def model(self, name: str) -> Path:
        """Give the file of a voice's network."""
        return self.folder / f"{name}{_MODEL}"

    def configuration(self, name: str) -> Path:
        """Give the file that says how to use it."""
        return self.folder / f"{name}{_CONFIGURATION}"

    def fingerprint(self) -> str:
        """Give a short hash, equal wherever the same voices lie, that changes when one of them does.

        A network is large, so of each file it takes the size and both ends.
        """
        marks = {name: [mark(self.model(name)), mark(self.configuration(name))] for name in self.names}
        table = [(voice.name, voice.language, voice.gender) for voice in self.table.voices]
        return hashlib.sha256(json.dumps([marks, table], sort_keys=True).encode()).hexdigest()[:16]


def piper_equipment(settings: Settings) -> Equipment:
    """Find out which languages Piper speaks with the voices in the model folder."""
    installed = InstalledVoices.find(settings)
    if installed.names:
        return Equipment(installed.table.languages, fingerprint=installed.fingerprint())
    return Equipment(_table(settings).languages, problem=installed.problem, remedy=REMEDY)


def _table(settings: Settings) -> VoiceTable:
    return VoiceTable.of(settings.piper_voices) if settings.piper_voices else KNOWN_VOICES


def _readable(folder: Path) -> Iterator[str]:
    for model in folder.glob(f"[!.]*{_MODEL}"):
        name = model.name.removesuffix(_MODEL)
        files = (model, folder / f"{name}{_CONFIGURATION}")
        if all(file.is_file() and os.access(file, os.R_OK) for file in files):
            yield name


def _language(configuration: Path) -> str | None:
    """Give the BCP 47 tag of a voice by its own word; None when the file does not say it."""
    try:
        described = json.loads(configuration.read_bytes())
        told = described.get("language") or {}
        return normalize_language(told.get("code") or described["espeak"]["voice"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
