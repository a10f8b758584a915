"""What a provider is: an engine that turns one utterance into sound, and knows nothing of the farm."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, Self, cast

from shared.errors import ModelLoadFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from shared.catalog import ProviderSpec
    from shared.models import Utterance
    from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A piece of mono sound as an engine gives it.

    `samples` is float32, shape (n_samples,), range [-1, 1], at `sample_rate_hz`.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int


class Provider(Protocol):
    """One speech engine. Made once a worker process.

    One thread calls `load`. Where the catalogue calls the provider thread-safe, its pool is of threads, and
    several use it at once from then on; any other is used by one thread at a time.
    """

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider that the settings describe; loads nothing yet."""

    def load(self) -> None:
        """Load libraries and models; heavy imports belong here.

        Raises:
            ModelLoadFailed: a library or model is missing or broken; the message names the remedy.
        """

    def synthesize(self, utterance: Utterance, *, seed: int = 0) -> Iterator[AudioChunk]:
        """Speak the whole utterance at its speed and pitch, in order, a chunk at a time.

        Where `ProviderSpec.is_random`, another `seed` gives other sound; elsewhere it changes nothing. Equal
        seeds need not give equal sound.

        Every chunk has the same sample rate; together they hold at least one sample. The caller may stop
        iterating at any time (a cancelled job), after which the provider must be usable again.

        Raises:
            ModelLoadFailed: the voice is broken; the message names the remedy.
            VoiceNotFound: the utterance names a voice that the engine does not have.
            NothingToSay: the text holds nothing that the engine can say.
            UtteranceRefused, QuotaExceeded, CredentialsRefused, EngineUnavailable, EngineTimeout: an engine
                elsewhere did not speak.
            BrokenAudio: the engine gave samples that are no numbers.
            EngineFailed: the engine reported an error.
        """

    def price_usd(self, utterance: Utterance) -> float:
        """Give what speaking it costs, by the settings, in US dollars; 0 where the engine runs here.

        Raises:
            VoiceNotFound: the utterance names a voice that the engine cannot have.
        """


class CloningProvider(Provider, Protocol):
    """A provider that speaks with a personality's voice sample.

    It holds its model, and what it made of the latest samples, in memory.
    """

    device: str
    """What its speech is computed on, such as `cpu` or `cuda:0`; known once it is loaded."""
    on_step: Callable[[], None]
    """Called at each step of the model that its library lets one follow, such as a token of speech."""

    def hold_voice(self, sample_id: str) -> None:
        """Have what speaking with a sample needs in memory; it is computed if nobody has done so.

        Raises:
            ModelLoadFailed: the model is missing or broken.
            VoiceNotFound: there is no such sample.
            EngineFailed: the engine can make nothing of it.
        """

    def drop_voice(self, sample_id: str) -> None:
        """Forget a sample; nothing happens when it is not held."""

    def held_voices(self) -> tuple[str, ...]:
        """Give the IDs of the samples that are held."""

    def device_memory_bytes(self) -> int | None:
        """Tell what it takes of its device's own memory; None where that is the machine's."""

    def unload(self) -> None:
        """Take the model out of memory; `load`, or whatever needs it next, brings it back."""


def load_provider(spec: ProviderSpec, settings: Settings) -> Provider:
    """Make the provider of a catalogue entry, which imports its file; `load` is still to be called.

    Raises:
        ModelLoadFailed: its libraries are not installed, or its file cannot be imported.
    """
    if not spec.is_installed():
        raise ModelLoadFailed(f"{spec.title} is not installed: {spec.install_hint()}")
    module, _, name = spec.module.partition(":")
    try:
        provider = cast("type[Provider]", getattr(import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise ModelLoadFailed(f"{spec.title} cannot be imported from {spec.module}: {error}") from error
    return provider.from_settings(settings)
