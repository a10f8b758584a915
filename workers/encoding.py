"""Sound into files: the formats of `AudioFormat`, and what a file says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr

from shared.models import AudioFormat
from workers.audio import audible, duration_ms
from workers.provider import AudioChunk

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of MPEG-1, MPEG-2 and MPEG-2.5, Layer III.
_MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_OPUS_RATES_HZ = (24_000, 48_000)

# libsndfile's measure of a bit rate: 0 is 256 kb/s, 1 is 6 kb/s (ogg_opus.c). RFC 7587, 3.1.1 has 28 to
# 40 kb/s for speech and 48 to 64 for music; at 64 libopus keeps to its transform coder, which here takes a
# quarter of the time of the speech coder that it turns to below some 50, and keeps the level.
_OPUS_BIT_RATE = 64_000
_OPUS_COMPRESSION = 1 - (_OPUS_BIT_RATE - 6_000) / 250_000

# LAME's `-V 4`, its own default for a variable bit rate: some 60 to 100 kb/s for speech. At a
# constant or an average rate LAME scales the sound by 0.95.
_MP3_COMPRESSION = 0.4


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How libsndfile is to write a format."""

    container: str
    subtype: str
    rates_hz: tuple[int, ...] = ()
    """The sample rates that the format takes, in order; empty: any."""
    options: Mapping[str, Any] = field(default_factory=dict)

    def rate_for(self, rate_hz: int) -> int:
        """Give the lowest rate that loses nothing, or the highest there is."""
        if not self.rates_hz or rate_hz in self.rates_hz:
            return rate_hz
        return next((rate for rate in self.rates_hz if rate > rate_hz), self.rates_hz[-1])


_ENCODINGS: Mapping[AudioFormat, _Encoding] = {
    AudioFormat.WAV: _Encoding("WAV", "PCM_16"),
    AudioFormat.MP3: _Encoding(
        "MP3",
        "MPEG_LAYER_III",
        _MP3_RATES_HZ,
        {"bitrate_mode": "VARIABLE", "compression_level": _MP3_COMPRESSION},
    ),
    AudioFormat.OPUS: _Encoding("OGG", "OPUS", _OPUS_RATES_HZ, {"compression_level": _OPUS_COMPRESSION}),
    AudioFormat.FLAC: _Encoding("FLAC", "PCM_16"),
    AudioFormat.PCM: _Encoding("RAW", "PCM_16", options={"endian": "LITTLE"}),
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A mono file, with the length and the sample rate that a player finds in it."""

    data: bytes
    duration_ms: int
    sample_rate_hz: int


def encode(chunk: AudioChunk, audio_format: AudioFormat) -> Encoded:
    """Give the chunk as a file of that format, with true sizes in its header.

    It has the chunk's sample rate where the format takes that, else the next one. Equal chunks give equal
    bytes, except for opus: an Ogg stream carries a random number (RFC 3533), the sound in it is equal.

    Raises:
        BrokenAudio: a sample is no number.
        SilentAudio: nothing can be heard.
    """
    encoding = _ENCODINGS[audio_format]
    sound = _at_rate(audible(chunk), encoding.rate_for(chunk.sample_rate_hz))
    file = BytesIO()
    soundfile.write(
        file,
        np.clip(sound.samples, -1.0, 1.0),
        sound.sample_rate_hz,
        format=encoding.container,
        subtype=encoding.subtype,
        **encoding.options,
    )
    data = file.getvalue()
    # Raw samples tell nothing of themselves, but nothing was put around them either.
    length_ms = duration_ms(sound) if audio_format is AudioFormat.PCM else _measured_ms(data)
    return Encoded(data, length_ms, sound.sample_rate_hz)


def _at_rate(chunk: AudioChunk, rate_hz: int) -> AudioChunk:
    if rate_hz == chunk.sample_rate_hz:
        return chunk
    clipped = np.clip(chunk.samples, -1.0, 1.0)
    return AudioChunk(soxr.resample(clipped, chunk.sample_rate_hz, rate_hz), rate_hz)


def _measured_ms(data: bytes) -> int:
    """Give how long a decoder plays, which leaves out what MP3 and opus encoders put around the sound."""
    about = soundfile.info(BytesIO(data))
    return round(1000 * int(about.frames) / int(about.samplerate))
