"""Google's client library behind one seam: a call with its retries, and its errors in the farm's words."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import google.auth
import grpc
import requests
import structlog
from google.api_core import exceptions as api
from google.api_core.retry import Retry, if_exception_type
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import texttospeech as tts
from google.cloud.texttospeech_v1.services.text_to_speech.transports import TextToSpeechGrpcTransport
from google.protobuf.json_format import ParseError

from shared.errors import (
    CredentialsRefused,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ModelLoadFailed,
    ProviderError,
    QuotaExceeded,
    UtteranceRefused,
    VoiceNotFound,
)
from shared.google_voices import REMEDY, is_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PLAIN_CHANNEL = (
    ("grpc.max_receive_message_length", -1),  # 5,000 bytes of text are 20 MB of sound at their slowest
    ("grpc.enable_http_proxy", 0),
)

_TRIED_AGAIN = if_exception_type(
    api.ServiceUnavailable,
    api.InternalServerError,
    api.GatewayTimeout,
    api.TooManyRequests,
    requests.ConnectionError,
)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 4.0

# The first class that fits says what an error is. Google's own words name projects, and what was to be said.
ERRORS: Mapping[type[Exception], tuple[type[ProviderError], str]] = {
    api.TooManyRequests: (QuotaExceeded, "Google's quota for this project is used up for now"),
    api.Unauthorized: (CredentialsRefused, "Google does not accept the farm's credentials"),
    api.Forbidden: (CredentialsRefused, "Google does not let the farm's credentials use Text-to-Speech"),
    api.BadRequest: (UtteranceRefused, "Google does not take this text, or not in this voice"),
    api.GatewayTimeout: (EngineTimeout, "Google did not answer in time"),
    api.ServerError: (EngineUnavailable, "Google cannot serve now"),
    api.GoogleAPIError: (EngineFailed, "Google gave an answer that is of no use"),
    auth.TransportError: (EngineUnavailable, "Google's servers for credentials cannot be reached"),
    auth.GoogleAuthError: (CredentialsRefused, "Google does not accept the farm's credentials"),
    requests.Timeout: (EngineTimeout, "Google did not answer in time"),
    requests.RequestException: (EngineUnavailable, "Google cannot be reached"),
    ParseError: (EngineFailed, "Google gave an answer that is of no use"),
}

log = structlog.get_logger()


class GoogleClient:
    """Asks Google for speech; several threads may at once."""

    def __init__(self, client: tts.TextToSpeechClient) -> None:
        self._client = client

    @classmethod
    def open(cls, transport: str, endpoint: str, credentials: Path | None) -> Self:
        """Make one for a transport (`grpc` or `rest`) and an endpoint; connects with the first call.

        Raises:
            ModelLoadFailed: the credentials cannot be used.
        """
        options = {"api_endpoint": endpoint}
        if is_plain(endpoint) and transport == "grpc":
            channel = grpc.insecure_channel(endpoint.removeprefix("http://"), options=_PLAIN_CHANNEL)
            plain = TextToSpeechGrpcTransport(channel=channel)
            return cls(tts.TextToSpeechClient(transport=plain))
        known = AnonymousCredentials() if is_plain(endpoint) else _read(credentials)
        return cls(tts.TextToSpeechClient(credentials=known, transport=transport, client_options=options))

    def speak(
        self,
        text: str,
        *,
        voice: str,
        language: str,
        speed: float,
        pitch_semitones: float,
        timeout_s: float,
    ) -> bytes:
        """Give the text spoken, as a WAV file; what fails for the moment is tried again within the timeout.

        Raises:
            VoiceNotFound: Google has no such voice.
            UtteranceRefused, QuotaExceeded, CredentialsRefused, EngineUnavailable, EngineTimeout,
            EngineFailed: Google did not speak.
        """
        how = tts.AudioConfig(audio_encoding=tts.AudioEncoding.LINEAR16)
        # Some voices do not even take the neutral values.
        if speed != 1.0:
            how.speaking_rate = speed
        if pitch_semitones:
            how.pitch = pitch_semitones
        request = tts.SynthesizeSpeechRequest(
            input=tts.SynthesisInput(text=text),
            voice=tts.VoiceSelectionParams(language_code=language, name=voice),
            audio_config=how,
        )
        deadline = time.monotonic() + timeout_s

        def attempt() -> bytes:
            # The library's own sum of tries and timeouts gives the last try the whole time again
            # (TimeToDeadlineTimeout in google.api_core.timeout).
            left_s = max(deadline - time.monotonic(), 0.001)
            answer = self._client.synthesize_speech(request, retry=None, timeout=left_s)
            return bytes(answer.audio_content)

        retry = Retry(_TRIED_AGAIN, initial=_FIRST_PAUSE_S, maximum=_LONGEST_PAUSE_S, timeout=timeout_s)
        with _translated(voice):
            return retry(attempt)()


def _read(credentials: Path | None) -> google.auth.credentials.Credentials:
    try:
        with warnings.catch_warnings():
            # Of files from strangers; this one the operator named, and may be of any type.
            warnings.simplefilter("ignore", DeprecationWarning)
            read: google.auth.credentials.Credentials
            read, _ = google.auth.load_credentials_from_file(str(credentials), scopes=[_SCOPE])
    except (auth.GoogleAuthError, OSError, ValueError) as error:
        raise ModelLoadFailed(f"The credentials for Google Cloud cannot be used. {REMEDY}") from error
    return read


@contextmanager
def _translated(voice: str) -> Iterator[None]:
    try:
        yield
    except api.RetryError as error:  # there was no time left for another try
        raise _translate(error.cause or error, voice) from error
    except tuple(ERRORS) as error:
        raise _translate(error, voice) from error


def _translate(error: Exception, voice: str) -> ProviderError:
    kind, told = next(found for known, found in ERRORS.items() if isinstance(error, known))
    if isinstance(error, api.BadRequest):
        if f"'{voice}' does not exist" in str(error):
            return VoiceNotFound(f"Google has no voice {voice!r}")
    else:
        log.warning("google_failed", code=kind.code, error=type(error).__name__, reason=str(error))
    return kind(told)
