"""A server on the loopback that speaks the API of Google Cloud Text-to-Speech, over gRPC and over REST.

It refuses what Google refuses, counts what it is asked, and fails as a test tells it to.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING

import grpc
import numpy as np
import soundfile
from google.cloud.texttospeech import AudioEncoding, SynthesizeSpeechRequest, SynthesizeSpeechResponse

from shared.google_voices import KNOWN_VOICES, class_of, language_of
from shared.voices import Gender

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_RATE_HZ = 24_000
HIGH_HZ, LOW_HZ = 210.0, 120.0
SECONDS_A_CHARACTER = 0.06
MAX_BYTES = 5000
SERVICE = "google.cloud.texttospeech.v1.TextToSpeech"

# Beside those of the table, some that exist, too.
OTHER_VOICES = {
    "en-US-Standard-B": Gender.MALE,
    "en-US-Chirp3-HD-Charon": Gender.MALE,
    "en-US-Chirp-HD-D": Gender.MALE,
    "en-US-Studio-O": Gender.FEMALE,
    "nl-NL-Wavenet-B": Gender.MALE,
}
VOICES = {voice.name: voice.gender for voice in KNOWN_VOICES.voices} | OTHER_VOICES

# What Google calls a failure, and the HTTP status that goes with it (google.rpc.Code).
STATUSES = {
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "UNAUTHENTICATED": HTTPStatus.UNAUTHORIZED,
    "PERMISSION_DENIED": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "RESOURCE_EXHAUSTED": HTTPStatus.TOO_MANY_REQUESTS,
    "INTERNAL": HTTPStatus.INTERNAL_SERVER_ERROR,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
    "DEADLINE_EXCEEDED": HTTPStatus.GATEWAY_TIMEOUT,
}
SECRET = "project-1234567 AIzaSy /home/operator/key.json"  # noqa: S105  what no caller may see


class Refusal(Exception):
    """What the server answers in place of sound."""

    def __init__(self, status: str, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


@dataclass
class GoogleServer:
    """What a test sees of the server, and tells it."""

    rest_port: int
    grpc_port: int = 0
    requests: list[SynthesizeSpeechRequest] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What the next requests are answered with; the last one goes on for ever."""
    failing_times: int | None = None
    """How many requests fail yet; None: all, while there is a failure."""
    is_open: threading.Event = field(default_factory=threading.Event)
    """While it is not set, requests get no answer."""
    was_asked: threading.Event = field(default_factory=threading.Event)
    sound: bytes | None = None
    """In place of a WAV file."""

    def reset(self) -> None:
        self.requests.clear()
        self.failures.clear()
        self.failing_times = None
        self.sound = None
        self.was_asked.clear()
        self.is_open.set()

    def fail(self, status: str, times: int | None = None) -> None:
        """Answer with a failure, so many times or always."""
        self.failures[:] = [status]
        self.failing_times = times

    def endpoint(self, transport: str) -> str:
        return f"http://127.0.0.1:{self.grpc_port if transport == 'grpc' else self.rest_port}"

    @property
    def texts(self) -> list[str]:
        """What it was to say, in order."""
        return [request.input.text for request in self.requests]

    def answer(self, request: SynthesizeSpeechRequest) -> SynthesizeSpeechResponse:
        self.requests.append(request)
        self.was_asked.set()
        assert self.is_open.wait(60)
        if self.failures and self.failing_times != 0:
            if self.failing_times:
                self.failing_times -= 1
            raise Refusal(self.failures[0], SECRET)
        _check(request)
        return SynthesizeSpeechResponse(audio_content=_speak(request) if self.sound is None else self.sound)


def _check(request: SynthesizeSpeechRequest) -> None:
    """Refuse what Google refuses, in its words."""
    voice, how = request.voice, request.audio_config
    if len(request.input.text.encode()) > MAX_BYTES:
        raise Refusal("INVALID_ARGUMENT", "Either `input.text` or `input.ssml` is longer than 5000 bytes.")
    if voice.name not in VOICES:
        raise Refusal("INVALID_ARGUMENT", f"Voice '{voice.name}' does not exist. Is it misspelled?")
    if voice.language_code != language_of(voice.name):
        raise Refusal("INVALID_ARGUMENT", "Requested language code doesn't match the voice.")
    if how.audio_encoding != AudioEncoding.LINEAR16:
        raise Refusal("INVALID_ARGUMENT", "The tests' server gives LINEAR16 only.")
    if not (how.speaking_rate == 0 or 0.25 <= how.speaking_rate <= 2.0) or not -20 <= how.pitch <= 20:
        raise Refusal("INVALID_ARGUMENT", "Invalid speaking rate or pitch.")
    kind = class_of(voice.name)
    if kind == "Chirp-HD" and (how.speaking_rate or how.pitch):
        raise Refusal("INVALID_ARGUMENT", "This voice does not support speaking rate or pitch parameters.")
    if kind in {"Chirp3-HD", "Studio"} and how.pitch:
        raise Refusal("INVALID_ARGUMENT", "This voice does not support pitch parameters at this time.")


def _speak(request: SynthesizeSpeechRequest) -> bytes:
    """Give a harmonic tone that gets longer with every character, in the fundamental of the voice."""
    how = request.audio_config
    seconds = sum(_seconds(character) for character in request.input.text) / (how.speaking_rate or 1.0)
    base_hz = HIGH_HZ if VOICES[request.voice.name] is Gender.FEMALE else LOW_HZ
    times = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phases = 2 * np.pi * base_hz * 2 ** (how.pitch / 12) * times
    samples = 0.25 * sum(np.sin(number * phases) / number for number in range(1, 6))
    file = BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _seconds(character: str) -> float:
    """Vary a little, so that texts of equal length differ."""
    return SECONDS_A_CHARACTER * (0.8 + 0.4 * (ord(character) * 0.618 % 1))


@contextmanager
def running_google() -> Iterator[GoogleServer]:
    """Run the server on two ports, for either transport."""
    rest = ThreadingHTTPServer(("127.0.0.1", 0), _RestHandler)
    server = rest.google = GoogleServer(rest.server_port)
    server.is_open.set()
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    over_grpc = grpc.server(ThreadPoolExecutor(max_workers=32))
    over_grpc.add_generic_rpc_handlers((_grpc_handlers(server),))
    server.grpc_port = over_grpc.add_insecure_port("127.0.0.1:0")
    over_grpc.start()
    try:
        yield server
    finally:
        server.is_open.set()
        over_grpc.stop(None).wait()
        rest.shutdown()
        rest.server_close()
        thread.join()


def _grpc_handlers(server: GoogleServer) -> grpc.GenericRpcHandler:
    def synthesize(
        request: SynthesizeSpeechRequest, context: grpc.ServicerContext
    ) -> SynthesizeSpeechResponse:
        try:
            return server.answer(request)
        except Refusal as refusal:
            context.abort(grpc.StatusCode[refusal.status], refusal.message)

    method = grpc.unary_unary_rpc_method_handler(
        synthesize, SynthesizeSpeechRequest.deserialize, SynthesizeSpeechResponse.serialize
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"SynthesizeSpeech": method})


class _RestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.startswith("/v1/text:synthesize"):
            self._send(HTTPStatus.NOT_FOUND, b"{}")
            return
        try:
            spoken = self.server.google.answer(SynthesizeSpeechRequest.from_json(body))
        except Refusal as refusal:
            status = STATUSES[refusal.status]
            error = {"code": status, "message": refusal.message, "status": refusal.status}
            self._send(status, json.dumps({"error": error}).encode())
        else:
            self._send(HTTPStatus.OK, SynthesizeSpeechResponse.to_json(spoken).encode())

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # whoever asked has gone
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep quiet."""
