"""What the tree of errors promises."""

from __future__ import annotations

from collections import Counter

from shared import errors
from shared.errors import (
    BadAudio,
    NothingToSay,
    ProviderError,
    UtteranceRefused,
    VoicefarmError,
    VoiceNotFound,
)


def below(parent: type[VoicefarmError]) -> set[type[VoicefarmError]]:
    """Give it and its subclasses; other modules have some of their own."""
    return {parent}.union(
        *(below(kind) for kind in parent.__subclasses__() if kind.__module__ == errors.__name__)
    )


def test_every_class_stands_in_the_tree_of_the_docstring():
    assert [kind.__name__ for kind in below(VoicefarmError) if kind.__name__ not in errors.__doc__] == []


def test_every_way_in_which_a_provider_fails_has_a_code_of_its_own():
    own = Counter(vars(kind).get("code") for kind in below(ProviderError) - {ProviderError})
    assert None not in own
    assert max(own.values()) == 1


def test_only_what_the_caller_can_mend_is_no_fault_of_the_provider():
    innocent = {kind for kind in below(ProviderError) if not kind.is_provider_fault}
    assert innocent == {NothingToSay, UtteranceRefused, VoiceNotFound}
    assert not innocent & below(BadAudio)
