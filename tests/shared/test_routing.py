"""Who is enabled, who speaks what, and what of it the cache keys cover."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.catalog import CATALOG, ProviderSpec
from shared.equipment import Equipment
from shared.errors import LanguageNotSupported, NoProvider
from shared.models import Fallback, Quality
from shared.routing import Router
from shared.settings import Settings
from tests.workers.utterances import utterance

NOTHING = Equipment(frozenset({"en"}), problem="It has no voice.", remedy="Get one.")


def catalog_of(**equipment: Equipment) -> dict[str, ProviderSpec]:
    """A catalogue of installed providers with this equipment."""
    made = {}
    for name, found in equipment.items():
        made[name] = ProviderSpec(
            name=name, title=name, module="none:None", requires=(), extra=name,
            languages=frozenset({"en"}), clones=False, equip=lambda _, found=found: found,
        )  # fmt: skip
    return made


def router_of(providers: str | None = None, **equipment: Equipment) -> Router:
    given = {} if providers is None else {"VOICEFARM_PROVIDERS": providers}
    return Router.from_settings(Settings.load(**given), catalog_of(**equipment))


def speaking(*languages: str, fingerprint: str = "") -> Equipment:
    return Equipment(frozenset(languages), fingerprint=fingerprint)


def test_those_that_have_what_they_need_are_enabled_by_default():
    assert router_of(piper=speaking("en"), espeak=speaking("en")).enabled == {"piper", "espeak"}
    assert router_of(piper=NOTHING, espeak=speaking("en")).enabled == {"espeak"}


def test_those_that_are_named_are_enabled_whatever_lies_here():
    assert router_of("piper,espeak", piper=NOTHING, espeak=speaking("en")).enabled == {"piper", "espeak"}


def test_one_that_is_not_installed_is_not_enabled_and_tells_how_to_install_it():
    catalog = catalog_of(piper=speaking("en"), espeak=speaking("en"))
    catalog["piper"] = replace(catalog["piper"], requires=("no_such_module",))
    router = Router.from_settings(Settings.load(), catalog)
    assert router.enabled == {"espeak"}
    assert "voicefarm[piper]" in router.equipment["piper"].remedy


def test_the_chain_passes_over_who_does_not_speak_the_language():
    router = router_of(piper=speaking("fr-FR"), espeak=speaking("en", "fr"))
    assert router.chain(utterance(quality=Quality.HIGH)) == ("espeak",)
    assert router.chain(utterance(quality=Quality.HIGH, language="fr-CA")) == ("piper", "espeak")
    assert router.chain(utterance(language="fr", fallback=Fallback.NEVER)) == ("piper",)
    with pytest.raises(LanguageNotSupported, match="piper cannot speak 'en'"):
        router.chain(utterance(provider="piper"))


def test_a_provider_that_is_not_enabled_is_no_provider():
    with pytest.raises(NoProvider):
        router_of(piper=NOTHING, espeak=speaking("en")).chain(utterance(provider="piper"))


def test_the_digest_covers_what_changes_an_enabled_providers_sound():
    def digest(providers=None, **piper):
        return router_of(providers, piper=speaking("en", **piper), espeak=speaking("en")).digest

    assert digest() == digest()
    assert len({digest(), digest(fingerprint="a"), digest(fingerprint="b"), digest("espeak")}) == 4
    assert digest("espeak") == digest("espeak", fingerprint="a"), "who cannot speak changes nothing"


def test_the_catalogue_knows_every_provider_by_its_name():
    for name, spec in CATALOG.items():
        assert spec.name == name
        assert spec.languages
        assert spec.equipment(Settings.load()).languages
