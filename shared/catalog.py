"""Every provider the farm knows: one entry here and one file under `workers/providers/` make a provider."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.environments import Environment
from shared.equipment import Equipment
from shared.google_voices import KNOWN_VOICES as GOOGLE_VOICES
from shared.google_voices import google_equipment, google_price_usd
from shared.piper_voices import KNOWN_VOICES, piper_equipment
from shared.styletts2_model import LANGUAGES as STYLETTS2_LANGUAGES
from shared.styletts2_model import styletts2_equipment
from shared.xtts_model import LANGUAGES as XTTS_LANGUAGES
from shared.xtts_model import xtts_equipment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.models import Utterance
    from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """What front and workers must know of a provider without loading it."""

    name: str
    """The word for it in requests, queues, metrics; `name` is also its Celery queue."""
    title: str
    module: str
    """`package.module:Class` of its `workers.provider.Provider`."""
    requires: tuple[str, ...]
    """Modules that must be installed for it."""
    extra: str
    """The extra of pyproject.toml that installs them."""
    languages: frozenset[str]
    """BCP 47 tags it speaks; where `equip` tells, those it may speak."""
    clones: bool
    """Whether it speaks with a personality's own voice sample."""
    needs_sample: bool = False
    """Whether it has no voice of its own."""
    environment: Environment = Environment.BASE
    """Where its libraries are installed."""
    is_thread_safe: bool = False
    """Whether threads may share one provider object, so that its pool is of threads."""
    device: str = "cpu"
    """What its speech is computed on."""
    is_random: bool = False
    """Whether it speaks a text otherwise each time, so that it is worth another try."""
    equip: Callable[[Settings], Equipment] | None = None
    """Finds out what it has here besides its libraries, if it needs anything."""
    price_usd: Callable[[Settings, Utterance], float] | None = None
    """Tells what it charges for an utterance; None: nothing."""

    def equipment(self, settings: Settings) -> Equipment:
        """Find out what it has here, and so which languages it speaks."""
        found = self.equip(settings) if self.equip else Equipment(self.languages)
        if self.is_installed():
            return found
        missing = "Its libraries are not installed here."
        return replace(found, problem=missing, remedy=f"Run: {self.install_hint()}")

    def is_installed(self) -> bool:
        """Tell whether its libraries can be imported here; imports none of them."""
        return all(self.environment.has(module) for module in self.requires)

    def install_hint(self) -> str:
        """Give the command that installs it."""
        if self.environment is Environment.BASE:
            return f"uv pip install 'voicefarm[{self.extra}]'"
        return f'make up ENGINES="{self.name}"'


# The languages of espeak-ng 1.52's voices, without fiction's, those without a BCP 47 tag and those that it
# lists but cannot speak; a test holds the list to what the library speaks.
ESPEAK_LANGUAGES = frozenset(
    """
    af am an ar as az ba be bg bn bpy bs ca ca-valencia cmn cmn-Latn-pinyin cs cv cy da de el en en-029
    en-GB en-GB-scotland en-GB-x-gbclan en-GB-x-gbcwmd en-GB-x-rp en-Shaw en-US eo es es-419 et eu fa
    fa-Latn fi fr fr-BE fr-CH ga gd gn grc gu hak haw he hi hr ht hu hy hyw ia id io is it ja jbo ka kk
    kl kn ko kok ku ky la lb lfn lt ltg lv mi mk ml mr ms mt mto my nb nci ne nl nog om or pa pap pl pt
    pt-BR pt-PT qu quc ro ru ru-LV sd shn si sk sl smj sq sr sv sw ta te th ti tk tn tr tt ug uk ur uz
    vi vi-VN-x-central vi-VN-x-south yue yue-Latn-jyutping zh zh-HK zh-TW
    """.split()  # noqa: SIM905  the tags read better without a hundred pairs of quotes
)

CATALOG: Mapping[str, ProviderSpec] = {
    spec.name: spec
    for spec in (
        ProviderSpec(
            name="espeak",
            title="espeak-ng",
            module="workers.providers.espeak:EspeakProvider",
            requires=("espeakng_loader",),
            extra="espeak",
            languages=ESPEAK_LANGUAGES,
            clones=False,
            is_thread_safe=True,
        ),
        ProviderSpec(
            name="piper",
            title="Piper",
            module="workers.providers.piper:PiperProvider",
            requires=("piper", "onnxruntime"),
            extra="piper",
            languages=KNOWN_VOICES.languages,
            clones=False,
            is_random=True,
            equip=piper_equipment,
        ),
        ProviderSpec(
            name="google_tts",
            title="Google Cloud TTS",
            module="workers.providers.google:GoogleProvider",
            requires=("google.cloud.texttospeech",),
            extra="google",
            languages=GOOGLE_VOICES.languages,
            clones=False,
            device="cloud",
            is_thread_safe=True,
            equip=google_equipment,
            price_usd=google_price_usd,
        ),
        ProviderSpec(
            name="xtts_v2",
            title="XTTS v2",
            module="workers.providers.xtts:XttsProvider",
            requires=("TTS", "torch"),
            extra="xtts",
            environment=Environment.TORCH,
            languages=XTTS_LANGUAGES,
            clones=True,
            is_random=True,
            equip=xtts_equipment,
        ),
        ProviderSpec(
            name="styletts2",
            title="StyleTTS2",
            module="workers.providers.styletts2:StyleTTS2Provider",
            requires=("styletts2", "torch"),
            extra="styletts2",
            environment=Environment.TORCH,
            languages=STYLETTS2_LANGUAGES,
            clones=True,
            needs_sample=True,
            is_random=True,
            equip=styletts2_equipment,
        ),
    )
}
