"""Which providers may speak an utterance, in which order, and who of them speaks now."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shared.catalog import CATALOG
from shared.errors import LanguageNotSupported, NoProvider, NoVoiceSample, SettingsError, retry_after_s
from shared.languages import closest_language
from shared.ledger.attempts import Attempt, PassedOver
from shared.models import Fallback, Quality
from shared.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.catalog import ProviderSpec
    from shared.equipment import Equipment
    from shared.models import Utterance
    from shared.presence import RollCall
    from shared.settings import Settings
    from shared.voice_config import VoiceConfig

CHAINS: Mapping[Quality, tuple[str, ...]] = {
    Quality.HIGHEST: ("styletts2", "xtts_v2", "google_tts", "piper", "espeak"),
    Quality.HIGH: ("xtts_v2", "styletts2", "google_tts", "piper", "espeak"),
    Quality.MEDIUM: ("piper", "xtts_v2", "google_tts", "espeak"),
    Quality.FAST: ("piper", "google_tts", "espeak"),
}


@dataclass(frozen=True, slots=True)
class Route:
    """Who speaks an utterance."""

    chain: tuple[str, ...]
    """Those that may, best first."""
    provider: str
    """The one that can take it now."""
    passed_over: tuple[Attempt, ...]
    """Why each enabled one before it cannot."""


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
        _check("VOICEFARM_MONTHLY_BUDGETS_USD", settings.monthly_budgets_usd, set(catalog))
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

    def route(self, utterance: Utterance, voice: VoiceConfig, roll_call: RollCall) -> Route:
        """Choose who speaks an utterance now.

        The personality's own provider goes first, its own chain takes the place of the quality's.

        Raises:
            NoProvider: none of those that may is enabled and can take work now.
            NoVoiceSample: those that may have no voice of their own, and the personality has no sample.
            LanguageNotSupported: none that is enabled speaks the language.
        """
        enabled = self._enabled(utterance, voice)
        unfit = self._unfit(enabled, utterance)
        chain = tuple(name for name in enabled if name not in unfit)
        turn = next_turn(chain, (), roll_call)
        if turn is None or not turn.can_speak:
            raise _nobody(chain, roll_call)
        told = {name: Attempt.passed_over(name, why) for name, why in unfit.items()}
        told |= {attempt.provider: attempt for attempt in turn.passed_over}
        before = enabled[: enabled.index(turn.provider)]
        return Route(chain, turn.provider, tuple(told[name] for name in before))

    def _enabled(self, utterance: Utterance, voice: VoiceConfig) -> tuple[str, ...]:
        """Give the enabled providers that the request and its personality name, best first, never empty.

        With `never` it is the first of them only.
        """
        own = (voice.provider,) if voice.provider else ()
        chain = (*own, *(voice.fallback_chain or self.chains[utterance.quality]))
        wanted = (utterance.provider,) if utterance.provider else tuple(dict.fromkeys(chain))
        enabled = tuple(name for name in wanted if name in self.enabled)
        if not enabled:
            raise NoProvider(self._none_enabled(wanted))
        return enabled[:1] if utterance.fallback is Fallback.NEVER else enabled

    def _none_enabled(self, wanted: Sequence[str]) -> str:
        if len(wanted) > 1:
            return f"None of {', '.join(wanted)} is enabled here."
        found = self.equipment.get(wanted[0])
        lacks = f" {found.problem} {found.remedy}" if found and found.problem else ""
        return f"{wanted[0]} is not enabled here.{lacks}"

    def _unfit(self, enabled: Sequence[str], utterance: Utterance) -> dict[str, PassedOver]:
        """Give those that cannot speak the utterance as it is, and why; never all of them."""
        unfit: dict[str, PassedOver] = {}
        if utterance.fallback is Fallback.SAME_VOICE:
            unfit = {name: PassedOver.VOICE for name in enabled if not self.catalog[name].clones}
        able = [name for name in enabled if name not in unfit]
        if not able:
            names = ", ".join(enabled)
            raise NoProvider(f"Of the enabled providers ({names}) none speaks with a cloned voice.")
        if utterance.sample_id is None:
            unfit |= {name: PassedOver.SAMPLE for name in able if self.catalog[name].needs_sample}
        able = [name for name in able if name not in unfit]
        if not able:
            raise NoVoiceSample("This provider clones voices, and the personality has no sample; upload one.")
        silent = {name: PassedOver.LANGUAGE for name in able if not self._speaks(name, utterance.language)}
        if len(silent) == len(able):
            raise LanguageNotSupported(
                f"{', '.join(able)} cannot speak {utterance.language!r}; leave the language out for the "
                "personality's own, or name another provider."
            )
        return unfit | silent

    def _speaks(self, name: str, language: str) -> bool:
        return closest_language(language, self.equipment[name].languages) is not None


def _nobody(chain: Sequence[str], roll_call: RollCall) -> NoProvider:
    """Tell why none of a chain can take work, and when the first of its circuits lets a probe through."""
    obstacles = {name: why for name in chain if (why := roll_call.obstacle(name))}
    reasons = [f"{name}: {roll_call.told(name, why).detail}" for name, why in obstacles.items()]
    waits_s = [
        (roll_call.probes_ms[name] - roll_call.now_ms) / 1000
        for name, why in obstacles.items()
        if why is PassedOver.CIRCUIT_OPEN
    ]
    error = NoProvider(" ".join(reasons))
    if waits_s:
        error.retry_after_s = retry_after_s(min(waits_s))
    return error


def _check(setting: str, named: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(named) - set(known)):
        there_are = ", ".join(sorted(known))
        raise SettingsError(f"{setting}: this version has no {', '.join(unknown)}; it has {there_are}.")
