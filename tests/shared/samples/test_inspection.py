"""An upload becomes a sample at arm's length: whatever becomes of the child, the front has an answer."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BadSample, BodyTooLarge, QueueFull
from shared.samples import inspection
from shared.samples.inspection import inspect_sample
from shared.samples.records import Rating, Sample
from tests.shared.samples.inspected import inspected
from tests.shared.samples.sounds import RATE_HZ, encoded, resampled, speech, with_noise

FORMATS = {
    "wav": ("WAV", "PCM_16", 16),
    "wav 24": ("WAV", "PCM_24", 24),
    "wav float": ("WAV", "FLOAT", 32),
    "flac": ("FLAC", "PCM_16", 16),
    "ogg": ("OGG", "VORBIS", None),
    "opus": ("OGG", "OPUS", None),
    "mp3": ("MP3", "MPEG_LAYER_III", None),
}


def instead_of_the_child(monkeypatch, program) -> None:
    """Let the front run another program where it would run the child."""
    monkeypatch.setattr(inspection, "COMMAND", (sys.executable, "-I", "-c", textwrap.dedent(program)))


@pytest.mark.parametrize(("container", "subtype", "bit_depth"), FORMATS.values(), ids=FORMATS)
def test_every_format_becomes_mono_16_bit_24_khz(container, subtype, bit_depth):
    stereo = np.stack([resampled(speech(), 48_000)] * 2, axis=1)
    upload = encoded(stereo, 48_000, container, subtype)
    sample = inspect_sample(BytesIO(upload))
    assert (sample.sample_rate, sample.channels, sample.bit_depth) == (48_000, 2, bit_depth)
    assert sample.file_size_mb == pytest.approx(len(upload) / 1e6, abs=0.001)
    assert sample.duration_seconds == pytest.approx(len(speech()) / RATE_HZ, abs=0.1)
    assert (sample.score, sample.rating, sample.warnings) == (100, Rating.EXCELLENT, ())

    about = soundfile.info(BytesIO(sample.pcm))
    assert (about.format, about.subtype, about.samplerate, about.channels) == ("WAV", "PCM_16", RATE_HZ, 1)
    kept, _ = soundfile.read(BytesIO(sample.pcm))
    shared = min(len(kept), len(speech()))
    assert np.corrcoef(kept[:shared], speech()[:shared])[0, 1] > 0.98


def test_warnings_and_measures_arrive_as_they_were_made():
    upload = encoded(with_noise(speech(), 15))
    assert inspect_sample(BytesIO(upload)) == inspected(upload)


def test_a_refusal_arrives_with_its_reason():
    with pytest.raises(BadSample, match="is empty"):
        inspect_sample(BytesIO())


@pytest.mark.parametrize(("left", "right"), [(1, 1), (1, 0), (0, 1), (1, -1), (0.2, -1)], ids=str)
def test_the_voice_is_heard_from_whichever_channel_it_is_on(left, right):
    stereo = np.stack([left * speech(), right * speech()], axis=1)
    sample = inspected(encoded(stereo))
    assert sample.measures.level_dbfs == pytest.approx(
        inspected(encoded(speech())).measures.level_dbfs, abs=3
    )


def test_loud_floats_are_clipped_and_absurd_ones_are_named():
    with pytest.raises(BadSample, match="is clipped"):
        inspected(encoded(5 * speech(), subtype="FLOAT"))
    with pytest.raises(BadSample, match="where full scale is 1"):
        inspected(encoded(1e30 * speech(), subtype="FLOAT"))


def test_what_is_judged_again_is_judged_the_same():
    first = inspected(encoded(speech(), container="OGG", subtype="VORBIS"))
    second = inspected(first.pcm)
    assert (second.score, second.warnings) == (first.score, first.warnings)
    assert second.pcm == first.pcm


def test_more_than_10_mb_are_not_even_read():
    endless = BytesIO(bytes(30_000_000))
    with pytest.raises(BodyTooLarge, match="10 MB"):
        inspect_sample(endless)
    assert endless.tell() < 10_100_000


def test_a_crash_of_the_child_is_a_bad_sample(monkeypatch):
    instead_of_the_child(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(BadSample, match="cannot be decoded"):
        inspect_sample(BytesIO(b"RIFF"))


def test_a_child_that_hangs_is_ended_and_its_file_is_a_bad_sample(monkeypatch):
    monkeypatch.setattr(inspection, "TIME_LIMIT_S", 0.3)
    instead_of_the_child(monkeypatch, "import signal; signal.pause()")
    with pytest.raises(BadSample, match="takes too long"):
        inspect_sample(BytesIO(b"RIFF"))


@pytest.mark.parametrize(
    "overrun",
    [
        "bytearray(2**30)",
        "while True: pass",
        "sys.stdout.buffer.write(bytes(5 * 2**20)); sys.stdout.flush()",
    ],
    ids=["memory", "time", "a long answer"],
)
def test_a_child_that_overruns_its_limits_is_a_bad_sample(monkeypatch, overrun):
    monkeypatch.setattr(inspection, "TIME_LIMIT_S", 60)
    program = f"""
    import resource, sys
    from shared.samples import child

    def overrun(_):
        {overrun}

    child.LIMITS[resource.RLIMIT_CPU] = 1
    child.inspect = overrun
    sys.exit(child.main())
    """
    instead_of_the_child(monkeypatch, program)
    with pytest.raises(BadSample, match="cannot be decoded"):
        inspect_sample(BytesIO(b"RIFF"))


def test_a_child_that_cannot_start_is_a_fault_of_the_farm_and_no_bad_sample(monkeypatch):
    instead_of_the_child(monkeypatch, "import a_library_that_is_missing")
    with pytest.raises(RuntimeError, match="a_library_that_is_missing"):
        inspect_sample(BytesIO(b"RIFF"))


def test_the_child_gets_none_of_the_fronts_secrets(monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    instead_of_the_child(
        monkeypatch, "import os, sys; sys.stdout.write(','.join(sorted(os.environ))); sys.exit(2)"
    )
    with pytest.raises(BadSample) as refusal:
        inspect_sample(BytesIO(b"RIFF"))
    assert set(refusal.value.detail.split(",")) <= {"OPENBLAS_NUM_THREADS", "LC_CTYPE"}


def test_many_uploads_at_once_are_judged_two_at_a_time_and_each_gets_its_own():
    uploads = [encoded(speech()[: (6 + n) * RATE_HZ]) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        samples = list(pool.map(inspect_sample, map(BytesIO, uploads)))
    assert [round(sample.duration_seconds) for sample in samples] == [6, 7, 8, 9]


def test_who_waits_too_long_for_a_turn_is_told_to_come_again(monkeypatch):
    monkeypatch.setattr(inspection, "_PATIENCE_S", 0.01)
    with inspection._turn(), inspection._turn(), pytest.raises(QueueFull, match="try again"):
        inspect_sample(BytesIO(encoded(speech())))


def test_nothing_of_the_child_is_left_open():
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    inspect_sample(BytesIO(encoded(speech())))
    with pytest.raises(BadSample):
        inspect_sample(BytesIO(b"no sound"))
    assert descriptors() == before


def test_the_front_does_not_load_what_decodes():
    program = (
        "import sys, shared.samples.inspection, shared.samples.store\n"
        "sys.exit(bool({'numpy', 'soundfile', 'soxr'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


GOOD = [encoded(speech(), container=container, subtype=subtype) for container, subtype, _ in FORMATS.values()]


@st.composite
def corrupted(draw) -> bytes:
    """A good file of any format of which some bytes were changed, or a part was cut out or doubled."""
    upload = bytearray(draw(st.sampled_from(GOOD)))
    in_header = st.integers(0, 200)
    anywhere = st.integers(0, len(upload) - 1)
    for at in draw(st.lists(in_header | anywhere, max_size=20)):
        upload[at] = draw(st.integers(0, 255))
    start, end = sorted((draw(anywhere), draw(anywhere)))
    what = draw(st.sampled_from(["whole", "cut off", "cut out", "doubled"]))
    if what == "cut off":
        del upload[start:]
    elif what == "cut out":
        del upload[start:end]
    elif what == "doubled":
        upload[start:start] = upload[start:end]
    return bytes(upload[:10_000_000])


@settings(max_examples=20, deadline=None)
@given(corrupted())
def test_a_corrupted_file_gives_a_sample_or_a_reason(upload):
    with suppress(BadSample):
        sample = inspect_sample(BytesIO(upload))
        assert isinstance(sample, Sample)
        assert 5 <= sample.duration_seconds <= 30.1
        assert soundfile.info(BytesIO(sample.pcm)).samplerate == RATE_HZ
