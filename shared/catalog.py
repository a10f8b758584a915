"""Every provider the farm knows: one entry here and one file under `workers/providers/` make a provider."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from langcodes import closest_supported_match

if TYPE_CHECKING:
    from collections.abc import Mapping

# Distance of langcodes (CLDR's language matching) up to which two tags are one language for a listener:
# en-NZ and en-GB are 3 apart, zh and cmn 0, Norwegian no and nb 1; af and nl, merely related, 24.
MAX_LANGUAGE_DISTANCE = 9


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
    """BCP 47 tags it speaks."""
    clones: bool
    """Whether it speaks with a personality's own voice sample."""

    def closest_language(self, tag: str) -> str | None:
        """Give the tag of `languages` that a listener of `tag` accepts as the same language."""
        return _closest(tag, self.languages)

    def is_installed(self) -> bool:
        """Tell whether its libraries can be imported here; imports none of them."""
        return all(find_spec(module) is not None for module in self.requires)

    def install_hint(self) -> str:
        """Give the command that installs it."""
        return f"uv pip install 'voicefarm[{self.extra}]'"


@lru_cache(maxsize=4096)
def _closest(tag: str, languages: frozenset[str]) -> str | None:
    if tag in languages:
        return tag
    return closest_supported_match(tag, sorted(languages), max_distance=MAX_LANGUAGE_DISTANCE)


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
        ),
    )
}
