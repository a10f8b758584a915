"""Google's voices: which speak where none is named, what they cost, and whether Google can be asked here."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import StringConstraints

from shared.equipment import Equipment
from shared.voices import Gender, Voice, VoiceTable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shared.models import Utterance
    from shared.settings import Settings

KNOWN_VOICES = VoiceTable.of(
    {
        "en-US": {"en-US-Neural2-C": Gender.FEMALE, "en-US-Neural2-D": Gender.MALE},
        "en-GB": {"en-GB-Neural2-A": Gender.FEMALE, "en-GB-Neural2-B": Gender.MALE},
        "es-ES": {"es-ES-Neural2-A": Gender.FEMALE, "es-ES-Neural2-F": Gender.MALE},
        "fr-FR": {"fr-FR-Neural2-A": Gender.FEMALE, "fr-FR-Neural2-G": Gender.MALE},
        "de-DE": {"de-DE-Neural2-A": Gender.FEMALE, "de-DE-Neural2-H": Gender.MALE},
        "it-IT": {"it-IT-Neural2-A": Gender.FEMALE, "it-IT-Neural2-F": Gender.MALE},
        "pt-BR": {"pt-BR-Neural2-A": Gender.FEMALE, "pt-BR-Neural2-B": Gender.MALE},
        "ja-JP": {"ja-JP-Neural2-B": Gender.FEMALE, "ja-JP-Neural2-C": Gender.MALE},
        "ko-KR": {"ko-KR-Neural2-A": Gender.FEMALE, "ko-KR-Neural2-C": Gender.MALE},
        "cmn-CN": {"cmn-CN-Standard-A": Gender.FEMALE, "cmn-CN-Standard-B": Gender.MALE},
    }
)

# cloud.google.com/text-to-speech/pricing: US dollars per million characters by class of voice, without what
# is free each month.
LIST_PRICES_USD: Mapping[str, float] = {
    "Standard": 4.0,
    "Wavenet": 4.0,
    "Neural2": 16.0,
    "Polyglot": 16.0,
    "News": 16.0,
    "Casual": 16.0,
    "Chirp-HD": 30.0,
    "Chirp3-HD": 30.0,
    "Studio": 160.0,
}

# LANGUAGE-CLASS-VARIANT: `en-US-Neural2-C`, `cmn-CN-Standard-A`, `de-DE-Chirp3-HD-Kore`.
_NAME = re.compile(r"([a-z]{2,3}-[A-Z]{2})-([A-Z][A-Za-z0-9]*(?:-HD)?)-([A-Za-z0-9]+)", re.ASCII)

GoogleVoiceName = Annotated[str, StringConstraints(pattern=rf"^{_NAME.pattern}$")]

REMEDY = (
    "Set GOOGLE_APPLICATION_CREDENTIALS to the JSON file of a service account that may use Cloud "
    "Text-to-Speech, and start anew."
)


def is_voice_name(name: str) -> bool:
    """Tell whether Google could have a voice of that name."""
    return _NAME.fullmatch(name) is not None


def language_of(name: str) -> str:
    """Give the language code that stands in a voice's name."""
    return _parts(name)[0]


def class_of(name: str) -> str:
    """Give the class of a voice, which decides what it costs and what it can: `Neural2`, `Chirp3-HD`."""
    return _parts(name)[1]


def _parts(name: str) -> tuple[str, ...]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no name of a voice of Google")
    return match.groups()


def voice_table(settings: Settings) -> VoiceTable:
    """Give the voices that speak where none is named."""
    return VoiceTable.of(settings.google_voices) if settings.google_voices else KNOWN_VOICES


def with_voice(table: VoiceTable, name: str) -> VoiceTable:
    """Give the table with that voice in it; one that it lacks comes last, in the language of its name."""
    if any(voice.name == name for voice in table.voices):
        return table
    return VoiceTable((*table.voices, Voice(name, language_of(name))))


def usd_per_million(settings: Settings, voice_class: str) -> float:
    """Give the price of a million characters; a class that nobody knows costs as much as the dearest one."""
    prices = {**LIST_PRICES_USD, **settings.google_prices}
    return prices.get(voice_class, max(prices.values()))


def choose_voice(table: VoiceTable, utterance: Utterance) -> Voice | None:
    """Give the voice of a table that speaks an utterance, or the one that its personality names."""
    wanted = utterance.voices.get("google_tts")
    table = with_voice(table, wanted) if wanted is not None and is_voice_name(wanted) else table
    return table.choose(utterance.language, wanted=wanted, gender=utterance.gender)


def google_price_usd(settings: Settings, utterance: Utterance) -> float:
    """Give what Google charges for every character of the text, spaces included."""
    voice = choose_voice(voice_table(settings), utterance)
    price = usd_per_million(settings, class_of(voice.name) if voice else "")
    return len(utterance.text) * price / 1_000_000


def is_plain(endpoint: str) -> bool:
    """Tell whether an endpoint is spoken to in plain text, and so without credentials."""
    return endpoint.startswith("http://")


def google_equipment(settings: Settings) -> Equipment:
    """Find out whether Google can be asked from here, and in which languages its voices speak."""
    table = voice_table(settings)
    problem = None if is_plain(settings.google_endpoint) else _problem(settings.google_credentials)
    return Equipment(
        table.languages,
        problem=problem,
        remedy=REMEDY if problem else "",
        fingerprint=_fingerprint(table, settings.google_endpoint),
    )


def _problem(credentials: Path | None) -> str | None:
    """Give why the credentials cannot be used, without the path, which is nobody's business elsewhere."""
    if credentials is None:
        return "There are no credentials for Google Cloud."
    try:
        described = json.loads(credentials.read_bytes())
    except OSError:
        return "The file of the credentials for Google Cloud cannot be read."
    except ValueError:
        return "The file of the credentials for Google Cloud holds no JSON."
    if not isinstance(described, dict) or not isinstance(described.get("type"), str):
        return "The file of the credentials for Google Cloud names no type, such as service_account."
    return None


def _fingerprint(table: VoiceTable, endpoint: str) -> str:
    voices = [(voice.name, voice.language, voice.gender) for voice in table.voices]
    return hashlib.sha256(json.dumps([voices, endpoint]).encode()).hexdigest()[:16]
