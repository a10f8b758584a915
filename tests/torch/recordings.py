"""Voice samples to clone, made on the spot."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import soundfile

RATE_HZ = 24_000


def recording(number: int, *, seconds: float = 3.0) -> bytes:
    """Give a mono 24 kHz 16-bit WAV of somebody who hums syllables; each number is another voice."""
    rng = np.random.default_rng(number)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(rng.uniform(90, 250) * (1 + 0.03 * np.sin(5 * times))) / RATE_HZ
    levels = rng.uniform(0.1, 1, 20) / np.arange(1, 21)
    hum = sum(level * np.sin(partial * phase) for partial, level in enumerate(levels, start=1))
    syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 4) * times), 0, None)
    file = BytesIO()
    soundfile.write(file, 0.2 * hum * syllables, RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()
