"""Ports of the loopback."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


def try_port(port: int) -> None:
    """Listen on the port for a moment, as a server of this user would.

    Raises:
        OSError: it is taken, or not for this user.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        probe.bind((HOST, port))


def is_free(port: int) -> bool:
    """Tell whether a server of this user could listen on the port."""
    try:
        try_port(port)
    except OSError:
        return False
    return True


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
