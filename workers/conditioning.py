"""What an engine makes of a voice sample: computed once for every worker, the latest kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias
from zipfile import BadZipFile

import numpy as np
import soundfile
import structlog

from shared.errors import NotFound, VoiceNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from shared.samples.store import SampleStore

Arrays: TypeAlias = "Mapping[str, NDArray[np.float32]]"

log = structlog.get_logger()


class Conditionings:
    """Named arrays by sample ID: in memory, else beside the sample, else made from it.

    `made_by` names the model with every parameter that changes them; `resident` bounds those in memory, of
    which the one that was wanted longest ago goes first.
    """

    def __init__(self, samples: SampleStore, *, made_by: str, resident: int) -> None:
        self._samples = samples
        self._name = f"{made_by}.npz"
        self._resident = resident
        self._held: OrderedDict[str, Arrays] = OrderedDict()

    def get(self, sample_id: str, make: Callable[[NDArray[np.float32], int], Arrays]) -> Arrays:
        """Give what was made of a sample; `make` gets its samples, (n_samples,) in [-1, 1], and their rate.

        Raises:
            VoiceNotFound: there is no such sample (any more).
            StateUnavailable: the place where samples are kept failed.
        """
        if sample_id not in self._held:
            try:
                self._held[sample_id] = self._stored(sample_id) or self._made(sample_id, make)
            except NotFound as error:
                raise VoiceNotFound("The personality's voice sample is not there any more") from error
        self._held.move_to_end(sample_id)
        while len(self._held) > self._resident:
            self._held.popitem(last=False)
        return self._held[sample_id]

    def drop(self, sample_id: str) -> None:
        """Forget a sample in memory."""
        self._held.pop(sample_id, None)

    def held(self) -> tuple[str, ...]:
        """Give the IDs of the samples in memory, the one that was wanted last at the end."""
        return tuple(self._held)

    def _stored(self, sample_id: str) -> Arrays | None:
        content = self._samples.made(sample_id, self._name)
        if content is None:
            return None
        try:
            with np.load(BytesIO(content), allow_pickle=False) as arrays:
                return dict(arrays)
        except (ValueError, OSError, EOFError, BadZipFile) as error:  # it is made again
            log.warning("conditioning_damaged", sample_id=sample_id, error=repr(error))
            return None

    def _made(self, sample_id: str, make: Callable[[NDArray[np.float32], int], Arrays]) -> Arrays:
        samples, rate_hz = soundfile.read(BytesIO(self._samples.get(sample_id)), dtype="float32")
        arrays = make(samples, rate_hz)
        content = BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        self._samples.put_made(sample_id, self._name, content.getvalue())
        return arrays
