"""What somebody at a terminal calls a personality, and which one is meant."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from shared.cli.client import FarmClient, FarmRefused, farm_answers
from shared.settings import Settings
from tests.servers import free_port

EVERYONE = [
    {"id": "00000000-0000-0000-0001-00000000000a", "name": "zac", "personality_name": "The Captain"},
    {"id": "00000000-0000-0000-0001-00000000000b", "name": "Ann", "personality_name": "Zac"},
    {"id": "00000000-0000-0000-0001-00000000000c", "name": "bo", "personality_name": "Twin"},
    {"id": "00000000-0000-0000-0001-00000000000d", "name": "jo", "personality_name": "twin"},
    {"id": "00000000-0000-0000-0001-00000000000e", "name": "Bo", "personality_name": "Élan"},
]


class Farm(BaseHTTPRequestHandler):
    """Gives two personalities a page; hangs up on a DELETE."""

    def do_GET(self):
        begin = int(self.path.partition("cursor=")[2] or 0)
        end = begin + 2
        page = {"items": EVERYONE[begin:end], "next_cursor": str(end) if end < len(EVERYONE) else None}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(page).encode())

    def do_DELETE(self):
        pass

    def log_message(self, *_):
        pass


@contextmanager
def client():
    with HTTPServer(("127.0.0.1", 0), Farm) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with FarmClient(Settings.load(VOICEFARM_URL=url, VOICEFARM_KEY="k")) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("called", "meant"),
    [
        ("zac", "a"),
        ("ZAC", "a"),
        ("the captain", "a"),
        ("ann", "b"),
        ("bo", "c"),
        ("Bo", "e"),
        ("éLAN", "e"),
        ("00000000-0000-0000-0001-00000000000D", "d"),
    ],
)
def test_a_personality_is_known_by_id_name_and_personality_name(called, meant):
    with client() as farm:
        assert farm.personality_id(called)[-1] == meant


@pytest.mark.parametrize(
    ("called", "told"),
    [
        ("BO", "More than one personality is called 'BO'; choose from Bo, bo."),
        ("twin", "More than one personality is called 'twin'; choose from bo, jo."),
        ("nobody", "There is no personality 'nobody'; there are Ann, Bo, bo, jo, zac."),
    ],
)
def test_a_name_that_means_nobody_or_several_is_refused_with_those_there_are(called, told):
    with client() as farm, pytest.raises(FarmRefused) as refused:
        farm.personality_id(called)
    assert refused.value.detail == told


def test_nobody_at_the_address_is_told_in_words_with_the_remedy():
    url = f"http://127.0.0.1:{free_port()}"
    told = f"^No farm answers at {url}; start one with 'make up', or set VOICEFARM_URL$"
    farm = FarmClient(Settings.load(VOICEFARM_URL=url, VOICEFARM_KEY="k"))
    with farm, pytest.raises(FarmRefused, match=told):
        farm.request("GET", "/")
    assert not farm_answers(url)


def test_an_address_that_is_none_is_told_with_the_reason():
    farm = FarmClient(Settings.load(VOICEFARM_URL="farm.test", VOICEFARM_KEY="k"))
    with farm, pytest.raises(FarmRefused, match=r"^No answer from farm\.test: .*missing an 'http://'"):
        farm.request("GET", "/")


def test_a_connection_that_breaks_off_is_told_with_the_reason():
    with (
        client() as farm,
        pytest.raises(FarmRefused, match=f"^No answer from {farm.url}: Server disconnected"),
    ):
        farm.request("DELETE", "/")
