"""A client that takes next to no time of its own, so that what is timed is the farm."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from email.parser import BytesParser
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from email.message import Message

    from tests.farm import RunningFarm

_END_OF_HEAD = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, and after how long."""

    status: int
    headers: Message
    body: bytes
    took_ms: float


class Caller:
    """Asks a farm for speech on one connection, and waits for it.

    Python's own clients take a millisecond a request, a good part of what the farm does.
    """

    def __init__(self, farm: RunningFarm) -> None:
        url = urlsplit(farm.url)
        self._socket = socket.create_connection((url.hostname, url.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /api/voice/synthesize HTTP/1.1\r\nHost: {url.netloc}\r\nPrefer: wait=60\r\n"
            f"Authorization: Bearer {farm.admin_key}\r\nContent-Type: application/json\r\n"
        )
        self._room = memoryview(bytearray(4_000_000))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, **body: object) -> Answer:
        """Ask for what the body says."""
        content = json.dumps(body)
        request = f"{self._head}Content-Length: {len(content)}\r\n\r\n{content}".encode()
        began = time.perf_counter()
        self._socket.sendall(request)
        size = self._socket.recv_into(self._room)
        head, _, _ = bytes(self._room[:size]).partition(_END_OF_HEAD)
        status, _, fields = head.partition(b"\r\n")
        headers = BytesParser().parsebytes(fields)
        whole = len(head) + len(_END_OF_HEAD) + int(headers["Content-Length"])
        while size < whole:
            size += self._socket.recv_into(self._room[size:])
        took_ms = (time.perf_counter() - began) * 1000
        body_at = len(head) + len(_END_OF_HEAD)
        return Answer(int(status.split()[1]), headers, bytes(self._room[body_at:whole]), took_ms)
