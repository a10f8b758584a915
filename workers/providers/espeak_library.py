"""espeak-ng's C library: one text, one voice, one rendering."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from shared.errors import EngineFailed, ModelLoadFailed

if TYPE_CHECKING:
    from pathlib import Path

# From espeak-ng 1.52: espeak_ng.h, speak_lib.h, speech.h.
_SYNCHRONOUS = 1
_RATE, _PITCH, _INTONATION = 1, 3, 4
_BY_CHARACTER = 1
_UTF8, _END_PAUSE = 0x1, 0x1000
_IPA = 0x2
_PATH_LIMIT_BYTES = 160

_SEED = 1
_REMEDY = "install espeakng-loader again"

_Receiver = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Controls:
    """How espeak speaks: words a minute (80 to 450), base pitch and width of intonation (0 to 99)."""

    rate_wpm: int = 175
    pitch: int = 50
    intonation: int = 50


NEUTRAL = Controls()


@dataclass(frozen=True, slots=True)
class Clause:
    """What espeak reads at once: the phonemes in IPA, and the text that they are read from with its mark."""

    phonemes: str
    text: str


class EspeakLibrary:
    """The library, loaded and started in this process, to be used in forked processes.

    All its state is global: it bears one thread, the phase of its pitch flutter runs on from text to text,
    and some texts crash it (a lone backtick in Vietnamese). In a copy of the freshly started library equal
    arguments give equal samples, and a crash is an error of that copy.

    Its pickle is its paths: it is loaded anew where that is read. So that this takes little memory, this
    module does without NumPy.
    """

    def __init__(self, library: Path, data: Path) -> None:
        """Load and start it.

        Raises:
            ModelLoadFailed: the library cannot be loaded, or its data is not at that path.
        """
        self._paths = library, data
        try:
            self._espeak = ctypes.CDLL(str(library))
        except OSError as error:
            raise ModelLoadFailed(f"espeak-ng cannot be loaded ({error}): {_REMEDY}") from error
        # Looked up now, because the forked copy must not wait for the dynamic linker's lock.
        self._set_seed = self._espeak.espeak_ng_SetRandSeed
        self._set_receiver = self._espeak.espeak_SetSynthCallback
        self._set_voice = self._espeak.espeak_ng_SetVoiceByName
        self._set_parameter = self._espeak.espeak_ng_SetParameter
        self._synthesize = self._espeak.espeak_ng_Synthesize
        self._to_phonemes = self._espeak.espeak_TextToPhonemes
        self._to_phonemes.restype = ctypes.c_char_p
        self._message_of = self._espeak.espeak_ng_GetStatusCodeMessage
        self._start(data)
        self.sample_rate_hz: int = self._espeak.espeak_ng_GetSampleRate()

    def __reduce__(self) -> tuple[type[Self], tuple[Path, Path]]:
        return type(self), self._paths

    def render(self, text: str, voice: str, controls: Controls, *, end_pause: bool) -> bytes:
        """Speak a text, with the silence that follows a sentence if there is an `end_pause`.

        Gives its samples, 16 bits each; perhaps none if there is nothing to say.

        Raises:
            EngineFailed: the library reported an error.
        """
        pieces: list[bytes] = []

        def receive(samples: int | None, count: int, _events: int | None) -> int:
            if samples and count > 0:
                pieces.append(ctypes.string_at(samples, 2 * count))
            return 0

        receiver = _Receiver(receive)
        self._set_receiver(receiver)
        self._set_seed(ctypes.c_long(_SEED))
        self._check(self._set_voice(voice.encode()))
        self._check(self._set_parameter(_RATE, controls.rate_wpm, 0))
        self._check(self._set_parameter(_PITCH, controls.pitch, 0))
        self._check(self._set_parameter(_INTONATION, controls.intonation, 0))
        encoded, flags = text.encode(), _UTF8 | (_END_PAUSE if end_pause else 0)
        size = ctypes.c_size_t(len(encoded) + 1)
        self._check(self._synthesize(encoded, size, 0, _BY_CHARACTER, 0, flags, None, None))
        return b"".join(pieces)

    def read(self, text: str, voice: str) -> list[Clause]:
        """Give the phonemes of a text; the clauses' texts joined are the text.

        Raises:
            EngineFailed: the library reported an error.
        """
        self._check(self._set_voice(voice.encode()))
        encoded = ctypes.create_string_buffer(text.encode())
        start, clauses, begin = ctypes.addressof(encoded), [], 0
        rest = ctypes.c_void_p(start)
        while rest.value:
            phonemes = self._to_phonemes(ctypes.byref(rest), _UTF8, _IPA).decode()
            end = len(text)
            if rest.value:  # it has looked at the first character behind the clause
                end = len(encoded.raw[: rest.value - start].decode()) - 1
            clauses.append(Clause(phonemes, text[begin:end]))
            begin = end
        return clauses

    def _start(self, data: Path) -> None:
        path = _short_path(data)
        self._espeak.espeak_ng_InitializePath(path)
        chosen = ctypes.c_char_p()
        self._espeak.espeak_Info(ctypes.byref(chosen))
        # Where it finds no folder it goes on to the environment, the home folder and the system's own.
        if chosen.value != path:
            raise ModelLoadFailed(f"espeak-ng's data is not at {data}: {_REMEDY}")
        status = self._espeak.espeak_ng_Initialize(None)
        status = status or self._espeak.espeak_ng_InitializeOutput(_SYNCHRONOUS, 0, None)
        if status:
            raise ModelLoadFailed(f"espeak-ng cannot read {data} ({self._message(status)}): {_REMEDY}")
        self._espeak.espeak_ListVoices(None)  # or every copy would read all voice files again (4 ms)

    def _check(self, status: int) -> None:
        if status:
            raise EngineFailed(f"espeak-ng reported: {self._message(status)}")

    def _message(self, status: int) -> str:
        text = ctypes.create_string_buffer(512)
        self._message_of(status, text, ctypes.c_size_t(len(text)))
        return text.value.decode(errors="replace")


def _short_path(folder: Path) -> bytes:
    """Give a path of the folder that fits into espeak's buffer, where a longer one would be cut off."""
    path = os.fsencode(folder)
    if len(path) < _PATH_LIMIT_BYTES:
        return path
    # Stays open: the library reads voices and dictionaries through it whenever it speaks.
    return b"/proc/self/fd/%d" % os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
