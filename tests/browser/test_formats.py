"""What the farm encodes, decoded by a decoder that is not the encoder's own: the browser's."""

from __future__ import annotations

import pytest

from shared.models import AudioFormat

# The context has a rate of its own, to which decoding resamples.
DECODE = """async ([text, format]) => {
    const answer = await fetch("/api/voice/synthesize?wait=30", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ text, format }),
    });
    const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(await answer.arrayBuffer());
    const samples = sound.getChannelData(0);
    return {
        toldMs: Number(answer.headers.get("X-Duration-MS")),
        durationMs: 1000 * sound.duration,
        channels: sound.numberOfChannels,
        rms: Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length),
    };
}"""


@pytest.mark.parametrize("audio_format", [each for each in AudioFormat if each is not AudioFormat.PCM])
def test_a_browser_hears_each_format_as_it_hears_the_wav(speaking, audio_format):
    wav, heard = (speaking.evaluate(DECODE, ["In every format.", each]) for each in ("wav", audio_format))
    assert heard["channels"] == 1
    assert heard["durationMs"] == pytest.approx(heard["toldMs"], abs=1)
    assert heard["durationMs"] == pytest.approx(wav["durationMs"], abs=1)
    assert heard["rms"] == pytest.approx(wav["rms"], rel=0.02)
