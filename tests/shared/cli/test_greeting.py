"""Waiting for a farm, and what it says once it is there."""

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from shared.cli import greeting


@contextmanager
def answering(*statuses):
    """A server that gives these statuses in turn, the last for ever."""
    left = list(statuses)

    class Front(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()
            self.wfile.write(b'{"reasons": ["No worker is there."]}\n')

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Front) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_farm_that_is_slow_to_start_says_once_what_is_missing(monkeypatch):
    monkeypatch.setattr(greeting, "SILENCE_S", 0.05)
    said = []
    with answering(*[503] * 5, 200) as url:
        asyncio.run(greeting.wait_until_ready(url, said.append))
    assert said == ['not ready yet: {"reasons": ["No worker is there."]}']


def test_a_farm_that_starts_in_time_says_nothing():
    said = []
    with answering(503, 200) as url:
        asyncio.run(greeting.wait_until_ready(url, said.append))
    assert said == []


def test_lines_to_paste_survive_a_space_in_the_folders_name():
    lines = greeting.greeting("http://127.0.0.1:1", "http://127.0.0.1:2", Path("/my farm/var"), "code")
    assert "$(cat '/my farm/var/admin.key')" in lines
