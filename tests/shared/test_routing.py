"""Who is enabled, who speaks what, and what of it the cache keys cover."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.catalog import CATALOG, ProviderSpec
from shared.equipment import Equipment
from shared.errors import LanguageNotSupported, NoProvider
from shared.models import Fallback, Quality
from shared.presence import RollCall, Worker
from shared.routing import Router
from shared.settings import Settings
from shared.voice_config import VoiceConfig
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


def route(router, *, live=("piper", "espeak"), **fields):
    workers = tuple(Worker(name=name, provider=name, slots=1, device="cpu", pid=1) for name in live)
    return router.route(utterance(**fields), VoiceConfig(), RollCall(0, workers, {}, {}))


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


def test_the_chain_passes_over_who_does_not_speak_the_language_and_says_so():
    router = router_of(piper=speaking("fr-FR"), espeak=speaking("en", "fr"))
    english = route(router, quality=Quality.HIGH)
    assert (english.chain, english.provider) == (("espeak",), "espeak")
    assert [(told.provider, told.code) for told in english.passed_over] == [
        ("piper", "language_not_supported")
    ]
    french = route(router, quality=Quality.HIGH, language="fr-CA")
    assert (french.chain, french.provider, french.passed_over) == (("piper", "espeak"), "piper", ())
    assert route(router, language="fr", fallback=Fallback.NEVER).chain == ("piper",)
    with pytest.raises(LanguageNotSupported, match="piper cannot speak 'en'"):
        route(router, fallback=Fallback.NEVER)
    with pytest.raises(LanguageNotSupported, match="piper cannot speak 'en'"):
        route(router, provider="piper")


def test_a_provider_that_is_not_enabled_is_no_provider_and_tells_what_it_lacks():
    with pytest.raises(NoProvider) as refused:
        route(router_of(piper=NOTHING, espeak=speaking("en")), provider="piper")
    assert refused.value.detail == "piper is not enabled here. It has no voice. Get one."
    with pytest.raises(NoProvider) as refused:
        route(router_of("espeak", piper=speaking("en"), espeak=speaking("en")), provider="piper")
    assert refused.value.detail == "piper is not enabled here."


def test_who_has_no_worker_is_passed_over_and_kept_in_the_chain():
    router = router_of(piper=speaking("en"), espeak=speaking("en"))
    without_piper = route(router, live=("espeak",))
    assert (without_piper.chain, without_piper.provider) == (("piper", "espeak"), "espeak")
    assert [(told.provider, told.code) for told in without_piper.passed_over] == [("piper", "no_worker")]
    for fields in ({"live": ()}, {"live": ("espeak",), "fallback": Fallback.NEVER}):
        with pytest.raises(NoProvider, match="piper: No worker"):
            route(router, **fields)


def test_while_every_circuit_is_open_the_caller_is_told_when_to_come_again():
    router = router_of(piper=speaking("en"), espeak=speaking("en"))
    workers = tuple(
        Worker(name=name, provider=name, slots=1, device="cpu", pid=1) for name in ("piper", "espeak")
    )
    roll_call = RollCall(1000, workers, {"piper": 15_000, "espeak": 8_500}, {})
    with pytest.raises(NoProvider, match=r"piper: Its circuit is open.*espeak: Its circuit") as refusal:
        router.route(utterance(), VoiceConfig(), roll_call)
    assert refusal.value.retry_after_s == 8


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
