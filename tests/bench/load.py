"""What loads a server with requests (wrk), and what the farm is compared with (nginx)."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx

from tests.farm import until
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    open_file_cache max=10;
    keepalive_requests 10000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}/static; }}
}}
"""

_WRK = """
wrk.method = {method}
wrk.body = {body}
{headers}
done = function(summary, latency, requests)
    local failed = summary.errors.connect + summary.errors.read + summary.errors.write
        + summary.errors.status + summary.errors.timeout
    io.write(string.format('\\n{{"median_us": %f, "p99_us": %f, "per_s": %f, "failed": %d}}\\n',
        latency:percentile(50), latency:percentile(99), summary.requests / summary.duration * 1e6, failed))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load measured."""

    median_us: float
    p99_us: float
    per_s: float


def load(
    url: str,
    folder: Path,
    *,
    clients: int,
    seconds: int,
    body: bytes = b"",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Load:
    """Send the same request again and again from so many clients; every answer must be a success."""
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    method, content = json.dumps("POST" if body else "GET"), json.dumps(body.decode())
    script = folder / "wrk.lua"
    script.write_text(_WRK.format(method=method, body=content, headers="\n".join(lines)))
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s"]
    run = subprocess.run([*command, "--script", script, url], check=True, capture_output=True, text=True)
    measured = json.loads(run.stdout.strip().splitlines()[-1])
    assert measured.pop("failed") == 0, run.stdout
    return Load(**measured)


@contextmanager
def running_nginx(folder: Path, files: dict[str, bytes]) -> Iterator[str]:
    """Serve files from an nginx with one process; gives its address."""
    port = free_port()
    static = folder / "static"
    static.mkdir(parents=True)
    for name, data in files.items():
        (static / name).write_bytes(data)
    for path in (folder, static):
        path.chmod(0o755)  # as root, its worker is another user
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-e", folder / "nginx.log", "-c", config], stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(f"{url}/{next(iter(files))}"), "nginx answers")
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False
