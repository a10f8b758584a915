"""A server on the loopback that gives files as the Hugging Face hub does, to its real client.

`/REPOSITORY/resolve/REVISION/PATH` redirects: for text, to an address of its cache, where git's name for
it is the ETag; for what is in Git LFS, to another host (here: another port), with the SHA-256 in
`X-Linked-Etag`. A test tells it how to fail, and sees what it was asked.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""What `main` stands for in every repository."""

_IN_LFS = (".pth", ".onnx")
_RESOLVE = re.compile(r"/([\w-]+/[\w.-]+)/resolve/([\w.]+)/(.+)")
_CACHED = re.compile(r"/api/resolve-cache/models/([\w-]+/[\w.-]+)/([0-9a-f]{40})/(.+)")


@dataclass(frozen=True)
class Asked:
    """A request that has come."""

    method: str
    path: str
    """Within the repository."""
    range: str | None
    has_token: bool


@dataclass
class HubServer:
    """What a test sees of the hub, and tells it."""

    repositories: dict[str, dict[str, bytes]]
    """Content by path by repository."""
    url: str = ""
    store_url: str = ""
    """Where what is in LFS lies."""
    revisions: set[str] = field(default_factory=set)
    """Known beside `main`; each is a commit."""
    asked: list[Asked] = field(default_factory=list)
    asked_of_store: list[Asked] = field(default_factory=list)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """After how many bytes the next downloads of a path break off; the last one goes on for ever."""
    stalled: dict[str, int] = field(default_factory=dict)
    """After how many bytes downloads of a path get nothing more."""
    damaged: set[str] = field(default_factory=set)
    """Paths whose content is given with one byte changed."""
    refusal: HTTPStatus | None = None
    """What everything is answered with."""
    told_sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that are told instead of the true ones, by path."""
    headers: dict[str, str | None] = field(default_factory=dict)
    """Headers that are sent instead of the hub's; None: not at all."""
    is_silent: bool = False
    """Whether requests get no answer."""
    is_over: threading.Event = field(default_factory=threading.Event)

    def downloads(self) -> list[str]:
        """Give the paths whose content was asked for, in order."""
        return [asked.path for asked in self.asked if asked.method == "GET"]


def git_name(content: bytes) -> str:
    """Give git's name for a file's content."""
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


@contextmanager
def running_hub(**repositories: dict[str, bytes]) -> Iterator[HubServer]:
    """Run a hub with these repositories; a double underscore in a name stands for the slash."""
    hub = HubServer({name.replace("__", "/"): files for name, files in repositories.items()})
    with ExitStack() as stack:
        hub.url, hub.store_url = (stack.enter_context(_serving(hub, kind)) for kind in (_Front, _Store))
        stack.callback(hub.is_over.set)
        yield hub


@contextmanager
def _serving(hub: HubServer, handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.hub = hub
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> HubServer:
        return self.server.hub

    def asked(self, path: str) -> Asked:
        return Asked(self.command, path, self.headers["Range"], "Authorization" in self.headers)

    def begin(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | self.hub.headers).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def answer(self, status: HTTPStatus, headers: dict[str, str], body: bytes = b"") -> None:
        self.begin(status, {"Content-Length": str(len(body))} | headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def give(self, path: str, content: bytes, headers: dict[str, str]) -> None:
        """Give content or the range of it that is asked for, or as much as the test allows."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        begin = int(asked[1]) if asked else 0
        if path in self.hub.damaged:
            content = bytes([content[0] ^ 1]) + content[1:]
        if asked:
            headers |= {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"}
        body = content[begin:]
        status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
        self.begin(status, {"Content-Length": str(len(body)), "Accept-Ranges": "bytes"} | headers)
        if self.command == "HEAD":
            return
        end = min(self._cut(path, len(body)), self.hub.stalled.get(path, len(body)))
        self.wfile.write(body[:end])
        self.wfile.flush()
        if path in self.hub.stalled:
            self.hub.is_over.wait()
        if end < len(body):
            self.close_connection = True

    def _cut(self, path: str, whole: int) -> int:
        cuts = self.hub.cuts.get(path, [])
        return (cuts.pop(0) if len(cuts) > 1 else cuts[0]) if cuts else whole

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class _Front(_Handler):
    def do_GET(self) -> None:
        if self.hub.is_silent:
            self.hub.is_over.wait()
            self.close_connection = True
            return
        address = unquote(self.path)
        if cached := _CACHED.fullmatch(address):
            self._give_text(cached[3], self.hub.repositories[cached[1]][cached[3]], cached[2])
            return
        repository, revision, path = _RESOLVE.fullmatch(address).groups()
        self.hub.asked.append(self.asked(path))
        files = self.hub.repositories.get(repository)
        commit = COMMIT if revision == "main" else revision
        if self.hub.refusal:
            self.answer(self.hub.refusal, {})
        elif files is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Invalid username or password.")
        elif commit != COMMIT and commit not in self.hub.revisions:
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif path not in files:
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")
        elif path.endswith(_IN_LFS):
            self._redirect(path, files[path], commit)
        else:
            location = f"/api/resolve-cache/models/{repository}/{commit}/{quote(path)}"
            self.answer(HTTPStatus.TEMPORARY_REDIRECT, {"Location": location, "X-Repo-Commit": commit})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": message})

    def _redirect(self, path: str, content: bytes, commit: str) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {
            "Location": f"{self.hub.store_url}/{sha256}?path={path}",
            "X-Repo-Commit": commit,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(self.hub.told_sizes.get(path, len(content))),
            "ETag": f'"{git_name(sha256.encode())}"',
        }
        self.answer(HTTPStatus.FOUND, headers)

    def _give_text(self, path: str, content: bytes, commit: str) -> None:
        headers = {"X-Repo-Commit": commit, "ETag": f'"{git_name(content)}"'}
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            packed = gzip.compress(content)
            self.answer(HTTPStatus.OK, headers | {"Content-Encoding": "gzip"}, packed)
        else:
            self.give(path, content, headers)


class _Store(_Handler):
    def do_GET(self) -> None:
        sha256, _, path = unquote(self.path).strip("/").partition("?path=")
        self.hub.asked_of_store.append(self.asked(path))
        contents = (files[path] for files in self.hub.repositories.values() if path in files)
        content = next(content for content in contents if hashlib.sha256(content).hexdigest() == sha256)
        self.give(path, content, {"ETag": f'"{sha256[:32]}"'})
