"""What is sent to do harm, and what is merely broken: refused with a reason, at once, in little memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from io import BytesIO

import numpy as np
import pytest

from shared.samples.inspection import ENVIRONMENT
from shared.samples.records import ACCEPTED, REFUSED
from tests.shared.samples.hostile import (
    STREAMED,
    damaged,
    flac_of_hours,
    id3,
    middle_page_at,
    mp3_of_minutes,
    ogg_of_empty_pages,
    ogg_of_hours,
    opus,
    pcm,
    wav,
    with_chunk,
    with_open_sizes,
    with_pages_swapped,
    without_last_page,
    without_middle_page,
    zeroed,
)
from tests.shared.samples.sounds import RATE_HZ, encoded, resampled, silence, speech, tone

# The child as it is, which tells at its end what it used.
MEASURED = """
import json, resource, sys
from shared.samples.child import main
code = main()
sys.stdout.flush()
used = resource.getrusage(resource.RUSAGE_SELF)
peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([used.ru_utime + used.ru_stime, int(peak_kb) / 1000]), file=sys.stderr)
sys.exit(code)
"""


def inspected_apart(upload: bytes):
    """Run the child on a file: exit code, what it wrote, processor time in s, peak memory in MB."""
    with os.fdopen(os.memfd_create("upload"), "w+b", buffering=0) as file:
        file.write(upload)
        file.seek(0)
        command = [sys.executable, "-I", "-c", MEASURED]
        child = subprocess.run(command, stdin=file, capture_output=True, env=ENVIRONMENT, check=False)
    seconds, megabytes = json.loads(child.stderr.splitlines()[-1])
    return child.returncode, child.stdout, seconds, megabytes


def vorbis() -> bytes:
    return encoded(speech(), container="OGG", subtype="VORBIS")


def zipped(content) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("sample.wav", content)
    return file.getvalue()


def with_bad_float(value) -> bytes:
    sound = speech().astype(np.float32)
    sound[1000] = value
    return encoded(sound, subtype="FLOAT")


TOO_LONG = "longer than 30 s"
BROKEN = "broken or cut off"
CUT_OFF = "The file is cut off"
DAMAGED = "The file is damaged"
NO_SOUND = "no sound file"

REFUSALS = {
    "nothing": (lambda: b"", "is empty"),
    "one byte": (lambda: b"R", NO_SOUND),
    "random bytes": (lambda: np.random.default_rng(1).bytes(500_000), NO_SOUND),
    "random bytes like MP3": (lambda: b"\xff\xfb\x90\x64" + np.random.default_rng(1).bytes(500_000), BROKEN),
    "random bytes like FLAC": (lambda: b"fLaC" + np.random.default_rng(1).bytes(500_000), BROKEN),
    "random bytes like OGG": (lambda: b"OggS" + np.random.default_rng(1).bytes(500_000), BROKEN),
    "a text": (lambda: b"Once upon a time" * 1000, NO_SOUND),
    "a zip called .wav": (lambda: zipped(wav(pcm())), "a zip archive"),
    "WebM": (lambda: b"\x1aE\xdf\xa3" + bytes(1000), "WebM"),
    "M4A": (lambda: b"\x00\x00\x00\x20ftypM4A " + bytes(1000), "M4A"),
    "AIFF": (lambda: encoded(speech(), container="AIFF"), "AIFF"),
    "no frames": (lambda: wav(b""), "0.00 s long"),
    "4 GB claimed, nothing there": (lambda: wav(b"", claimed_bytes=STREAMED), "0.00 s long"),
    "4 GB claimed, 1 s there": (lambda: wav(bytes(48_000), claimed_bytes=STREAMED), "1.00 s long"),
    "255 channels": (lambda: wav(pcm(), channels=255), "255 channels"),
    "65535 channels": (lambda: wav(pcm(), channels=65_535), BROKEN),
    "no channel": (lambda: wav(pcm(), channels=0), BROKEN),
    "1 Hz": (lambda: wav(pcm(), rate_hz=1), "1 Hz"),
    "8 kHz": (lambda: encoded(resampled(speech(), 8000), 8000), "8000 Hz"),
    "10 MHz": (lambda: wav(pcm(), rate_hz=10_000_000), "10000000 Hz"),
    "4 GHz": (lambda: wav(pcm(), rate_hz=STREAMED), BROKEN),
    "no bits": (lambda: wav(pcm(), bits=0), BROKEN),
    "NaN": (lambda: with_bad_float(np.nan), "no numbers"),
    "infinity": (lambda: with_bad_float(np.inf), "no numbers"),
    "minus infinity": (lambda: with_bad_float(-np.inf), "no numbers"),
    "a spike of 5e8": (lambda: with_bad_float(5e8), "values up to 5e[+]08"),
    "a spike of -11": (lambda: with_bad_float(-11), "values up to 11"),
    "speech up to 1e30": (
        lambda: encoded(speech() / np.abs(speech()).max() * 1e30, subtype="FLOAT"),
        "values up to 1e[+]30",
    ),
    "doubles beyond floats": (lambda: encoded(speech() * 1e300, subtype="DOUBLE"), "no numbers"),
    "ADPCM": (lambda: encoded(speech(), subtype="IMA_ADPCM"), "ADPCM"),
    "half a FLAC": (lambda: encoded(speech(), container="FLAC")[:100_000], BROKEN),
    "half an MP3": (lambda: encoded(speech(), container="MP3", subtype=None)[:60_000], BROKEN),
    "a FLAC's header": (lambda: encoded(speech(), container="FLAC")[:60], BROKEN),
    "a WAV's header": (lambda: wav(pcm())[:30], BROKEN),
    "half a WAV": (lambda: wav(pcm())[: len(pcm()) // 2], r"468478 bytes of sound, and \d+ came"),
    "a WAV without its last byte": (lambda: wav(pcm())[:-1], CUT_OFF),
    "half an extensible WAV": (lambda: encoded(speech(), container="WAVEX")[:300_000], CUT_OFF),
    "half an RF64": (lambda: encoded(speech(), container="RF64")[:300_000], CUT_OFF),
    "half a Vorbis": (lambda: encoded(speech(), container="OGG", subtype="VORBIS")[:40_000], CUT_OFF),
    "half an Opus": (lambda: encoded(speech(), container="OGG", subtype="OPUS")[:30_000], CUT_OFF),
    "an OGG without its last byte": (
        lambda: encoded(speech(), container="OGG", subtype="VORBIS")[:-1],
        CUT_OFF,
    ),
    "an OGG without its last page": (lambda: without_last_page(opus()), CUT_OFF),
    **{
        f"{name} {damage}": (lambda make=make, harm=harm: harm(make()), DAMAGED)
        for name, make in {"Opus": opus, "Vorbis": vorbis}.items()
        for damage, harm in {
            "with a flipped byte": damaged,
            "with zeros": lambda ogg: zeroed(ogg, 3000),
            "without a page": without_middle_page,
            "with two pages swapped": with_pages_swapped,
            "with a page that is no page": lambda ogg: damaged(ogg, at=middle_page_at(ogg)),
            "with a page of another length": lambda ogg: damaged(ogg, at=middle_page_at(ogg) + 26),
            "with bytes between pages": lambda ogg: (
                ogg[: middle_page_at(ogg)] + bytes(9) + ogg[middle_page_at(ogg) :]
            ),
        }.items()
    },
    "a million chunks": (lambda: wav(pcm()).replace(b"data", b"junk\0\0\0\0" * 1_180_000 + b"data"), BROKEN),
    "a chunk that claims 4 GB": (
        lambda: with_chunk(wav(pcm()), b"junk", b"", claimed_bytes=STREAMED),
        r"broken or cut off|0\.00 s",
    ),
    "an ID3 tag that claims 50 MB": (
        lambda: id3(50_000_000) + encoded(speech(), container="MP3", subtype=None),
        BROKEN,
    ),
    "31 s": (lambda: encoded(silence(31)), TOO_LONG),
    "two hours of FLAC": (lambda: flac_of_hours(2), TOO_LONG),
    "ten hours of Vorbis": (lambda: ogg_of_hours("VORBIS", 10), TOO_LONG),
    "ten hours of Opus": (lambda: ogg_of_hours("OPUS", 10), TOO_LONG),
    "50 minutes of MP3": (lambda: mp3_of_minutes(50), TOO_LONG),
    "10 MB of stereo at 192 kHz": (lambda: wav(bytes(9_000_000), rate_hz=192_000, channels=2), "silent"),
    "10 MB of 8-bit": (lambda: wav(bytes(9_900_000), bits=8), TOO_LONG),
    "30 s of stereo tone at 192 kHz": (
        lambda: encoded(np.stack([resampled(tone(seconds=30), 192_000)] * 2, axis=1), 192_000, "FLAC"),
        "not speech",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_it_is_refused_with_its_reason_within_two_seconds_and_200_mb(make, reason):
    upload = make()
    assert len(upload) <= 10_000_000
    code, said, seconds, megabytes = inspected_apart(upload)
    assert code == REFUSED
    assert re.search(reason, said.decode())
    assert seconds < 2
    assert megabytes < 200


ODD_BUT_GOOD = {
    "4 GB claimed, as ffmpeg does into a pipe": lambda: wav(pcm(), claimed_bytes=STREAMED),
    "2 GB claimed, as arecord does": lambda: wav(pcm(), claimed_bytes=0x80000000),
    "nearly 2 GB claimed, as SoX does": lambda: wav(pcm(), claimed_bytes=0x7FFFF000),
    "a size left at 0": lambda: wav(pcm(), claimed_bytes=0),
    "RF64 with its sizes left at 0": lambda: with_open_sizes(encoded(speech(), container="RF64")),
    "something behind the sound": lambda: wav(pcm()) + b"LIST\4\0\0\0INFO",
    "something behind an OGG": lambda: opus() + bytes(500),
    "200,000 empty pages": lambda: ogg_of_empty_pages(200_000),
    "RF64": lambda: encoded(speech(), container="RF64"),
    "extensible": lambda: encoded(speech(), container="WAVEX"),
    "BWF": lambda: with_chunk(wav(pcm()), b"bext", bytes(602)),
    "a chunk of odd size": lambda: with_chunk(wav(pcm()), b"junk", bytes(7) + b"\0", claimed_bytes=7),
    "half a sample at the end": lambda: wav(pcm() + b"\0"),
    "64-bit floats": lambda: encoded(speech(), subtype="DOUBLE"),
    "32-bit floats": lambda: encoded(speech(), subtype="FLOAT"),
    "floats a little above full scale": lambda: with_bad_float(1.4),
    "8-bit": lambda: encoded(speech(), subtype="PCM_U8"),
    "A-law": lambda: encoded(speech(), subtype="ALAW"),
    "mu-law": lambda: encoded(speech(), subtype="ULAW"),
    "MP3 with a cover of 9 MB": lambda: (
        id3(9_000_000) + bytes(9_000_000) + encoded(speech(), container="MP3", subtype=None)
    ),
}  # fmt: skip


@pytest.mark.parametrize("make", ODD_BUT_GOOD.values(), ids=ODD_BUT_GOOD)
def test_odd_but_good_files_are_accepted_within_the_same_bounds(make):
    code, said, seconds, megabytes = inspected_apart(make())
    assert code == ACCEPTED
    about = json.loads(said.splitlines()[0])
    assert about["duration_seconds"] == pytest.approx(len(speech()) / RATE_HZ, abs=0.1)
    assert seconds < 2
    assert megabytes < 200
