"""Which providers may speak an utterance, in which order, and who of them speaks now."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shared.catalog import CATALOG
from shared.errors import LanguageNotSupported, NoProvider, SettingsError
from shared.languages import closest_language
from shared.models import Fallback, Quality

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shared.catalog import ProviderSpec
    from shared.equipment import Equipment
    from shared.models import Utterance
    from shared.settings import Settings
    from shared.voice_config import VoiceConfig

CHAINS: Mapping[Quality, tuple[str, ...]] = {
    Quality.HIGHEST: ("styletts2", "xtts_v2", "google_tts", "piper", "espeak"),
    Quality.HIGH: ("xtts_v2", "styletts2", "google_tts", "piper", "espeak"),
    Quality.MEDIUM: ("piper", "xtts_v2", "google_tts", "espeak"),
    Quality.FAST: ("piper", "google_tts", "espeak"),
}


@dataclass(frozen=True)
class Router:
    """The chains and the enabled providers of this farm."""

    chains: Mapping[Quality, tuple[str, ...]]
    enabled: frozenset[str]
    catalog: Mapping[str, ProviderSpec]
    equipment: Mapping[str, Equipment]
    """What each provider of the catalogue has on this machine."""

    @classmethod
    def from_settings(cls, settings: Settings, catalog: Mapping[str, ProviderSpec] = CATALOG) -> Router:
        """Build the table that the settings describe.

        Raises:
            SettingsError: a setting names a provider that does not exist.
        """
        chains = {**CHAINS, **settings.chains}
        known = {name for chain in CHAINS.values() for name in chain} | set(catalog)
        _check("VOICEFARM_CHAINS", {name for chain in settings.chains.values() for name in chain}, known)
        _check("VOICEFARM_PROVIDERS", settings.providers or (), set(catalog))
        equipment = {name: spec.equipment(settings) for name, spec in catalog.items()}
        if settings.providers is None:
            enabled = frozenset(name for name, found in equipment.items() if found.problem is None)
        else:
            enabled = frozenset(settings.providers)
        return cls(chains=chains, enabled=enabled, catalog=catalog, equipment=equipment)

    @property
    def names(self) -> frozenset[str]:
        """Every provider that a request may name."""
        return frozenset(name for chain in self.chains.values() for name in chain) | set(self.catalog)

    @cached_property
    def digest(self) -> str:
        """A short hash of everything here that decides who speaks and how; part of every cache key."""
        table = {
            "chains": {q: self.chains[q] for q in Quality},
            "enabled": {name: self.equipment[name].fingerprint for name in sorted(self.enabled)},
        }
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]

    def chain(self, utterance: Utterance, voice: VoiceConfig | None = None) -> tuple[str, ...]:
        """Give the enabled providers that may speak this utterance, best first, never empty.

        The personality's own provider goes first, its own chain takes the place of the quality's.

        Raises:
            NoProvider: the provider asked for, or every one of the chain, is not enabled.
            LanguageNotSupported: none that is enabled speaks the language.
        """
        wanted = (utterance.provider,) if utterance.provider else self._preferred(utterance, voice)
        enabled = [self.catalog[name] for name in wanted if name in self.enabled]
        if not enabled:
            raise NoProvider(f"None of {', '.join(wanted)} is enabled here.")
        if utterance.fallback is Fallback.SAME_VOICE:
            names = ", ".join(spec.name for spec in enabled)
            enabled = [spec for spec in enabled if spec.clones]
            if not enabled:
                raise NoProvider(f"Of the enabled providers ({names}) none speaks with a cloned voice.")
        speaking = tuple(spec.name for spec in enabled if self._speaks(spec.name, utterance.language))
        if not speaking:
            names = ", ".join(spec.name for spec in enabled)
            raise LanguageNotSupported(f"{names} cannot speak {utterance.language!r}.")
        return speaking[:1] if utterance.fallback is Fallback.NEVER else speaking

    def _preferred(self, utterance: Utterance, voice: VoiceConfig | None) -> tuple[str, ...]:
        chain = self.chains[utterance.quality]
        if voice is None:
            return chain
        own = (voice.provider,) if voice.provider else ()
        return tuple(dict.fromkeys((*own, *(voice.fallback_chain or chain))))

    def _speaks(self, name: str, language: str) -> bool:
        return closest_language(language, self.equipment[name].languages) is not None

    def choose(self, chain: tuple[str, ...], live: Collection[str]) -> str:
        """Give the first provider of the chain that has a live worker.

        Raises:
            NoProvider: none has.
        """
        for name in chain:
            if name in live:
                return name
        raise NoProvider(f"No worker is running for {', '.join(chain)}.")


def _check(setting: str, named: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(named) - set(known)):
        there_are = ", ".join(sorted(known))
        raise SettingsError(f"{setting}: this version has no {', '.join(unknown)}; it has {there_are}.")
