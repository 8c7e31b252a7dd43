"""Load: wrk for CPU per request, an open loop for latency, curl for large bodies."""

from __future__ import annotations

import math
import os
import re
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.browser import FIELDS, cookie
from bench.processes import BenchError
from tests.e2e.cluster import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST: Final = f"bench.{DOMAIN}"
SINK: Final = f"sink.{DOMAIN}"
CONNECTIONS: Final = 32
_SCRIPT: Final = Path(__file__).parent / "wrk.lua"
_PATH: Final = "/articles/42?page=2"


@dataclass(frozen=True)
class Burst:
    """What wrk saw."""

    requests: int
    seconds: float
    p99_ms: float


class Wrk:
    """wrk on a core; `tokens` are sent in rotation."""

    def __init__(self, folder: Path, core: int, tokens: Sequence[str]) -> None:
        self._core = core
        names = folder / "hosts"
        names.write_text(f"127.0.0.1 {HOST}\n")
        file = folder / "tokens"
        file.touch(mode=0o600)
        file.write_text("".join(f"{token}\n" for token in tokens))
        self._environment = {
            **os.environ,
            "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_HOSTS": str(names),
            "BENCH_TOKENS": str(file),
            "BENCH_PATH": _PATH,
        }

    def run(self, port: int, seconds: int, *, secure: bool) -> Burst:
        """Requests as fast as they are answered.

        Raises:
            BenchError: an answer was not 2xx, or a connection broke.
        """
        fields = [word for name, value in FIELDS.items() for word in ("-H", f"{name}: {value}")]
        url = f"{'https' if secure else 'http'}://{HOST}:{port}{_PATH}"
        words = ["taskset", "-c", str(self._core), "wrk", "-t1", f"-c{CONNECTIONS}"]
        words += [f"-d{seconds}", "--latency", "-s", str(_SCRIPT), *fields, url]
        done = subprocess.run(
            words, env=self._environment, capture_output=True, text=True, check=False,
            timeout=seconds + 30,
        )  # fmt: skip
        text = done.stdout
        count = re.search(r"(\d+) requests in ([\d.]+)(m?)s", text)
        slow = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
        if done.returncode or count is None or slow is None:
            raise BenchError(f"wrk: {text} {done.stderr}")
        if "Non-2xx" in text or "Socket errors" in text:
            raise BenchError(f"wrk against port {port}: {text}")
        scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[slow[2]]
        duration = float(count[2]) * (0.001 if count[3] else 1)
        return Burst(int(count[1]), duration, float(slow[1]) * scale)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share) - 1, 0)]


def open_loop(
    port: int, tokens: Sequence[str], *, rate: int, seconds: float, secure: bool = True
) -> list[float]:
    """Latencies, in ms, of requests sent at fixed times over eight kept-alive connections.

    A request that could not be sent in time counts from when it should have been.
    """
    connections = [_connect(port, secure=secure) for _ in range(8)]
    lines = "".join(f"{name}: {value}\r\n" for name, value in FIELDS.items())
    latencies: list[float] = []
    try:
        for connection, token in zip(connections, tokens, strict=False):
            _exchange(connection, _request(lines, token))
        begin = time.perf_counter() + 0.05
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            ahead = due - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
                due = time.perf_counter()
            request = _request(lines, tokens[number % len(tokens)])
            _exchange(connections[number % len(connections)], request)
            latencies.append((time.perf_counter() - due) * 1000)
    finally:
        for connection in connections:
            connection.close()
    return latencies


def download(port: int, token: str, core: int) -> float:
    """Fetch 1 GiB over TLS; bytes per second."""
    return _curl(
        core, token, "-o", "/dev/null", "-w", "%{speed_download}", _url(HOST, port, "large")
    )


def upload(port: int, token: str, core: int, file: Path) -> float:
    """Send 1 GiB over TLS; bytes per second."""
    return _curl(
        core, token, "-T", str(file), "-H", "Expect:", "-o", "/dev/null", "-w", "%{speed_upload}",
        _url(SINK, port, "sink"),
    )  # fmt: skip


def _url(host: str, port: int, path: str) -> str:
    return f"https://{host}:{port}/{path}"


def _curl(core: int, token: str, *words: str) -> float:
    url = words[-1]
    host, port = url.split("/")[2].split(":")
    done = subprocess.run(
        ["taskset", "-c", str(core), "curl", "-sSk", "--fail", "--http1.1", "--max-time", "300",
         "--resolve", f"{host}:{port}:127.0.0.1", "-H", f"Cookie: {cookie(token)}", *words],
        capture_output=True, text=True, check=False, timeout=330,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"curl {url}: {done.stderr.strip()}")
    return float(done.stdout)


def _connect(port: int, *, secure: bool) -> socket.socket:
    raw = socket.create_connection(("127.0.0.1", port), 10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not secure:
        return raw
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context.wrap_socket(raw, server_hostname=HOST)


def _request(lines: str, token: str) -> bytes:
    return (
        f"GET {_PATH} HTTP/1.1\r\nHost: {HOST}\r\n{lines}Cookie: {cookie(token)}\r\n\r\n"
    ).encode()


def _exchange(connection: socket.socket, request: bytes) -> None:
    """Send a request and read its answer, which must be 200 with a Content-Length or chunks."""
    connection.sendall(request)
    data = b""
    while True:
        piece = connection.recv(65_536)
        if not piece:
            raise BenchError("the contestant closed a kept-alive connection")
        data += piece
        end = data.find(b"\r\n\r\n")
        if end < 0:
            continue
        if not data.startswith(b"HTTP/1.1 200"):
            raise BenchError(f"unexpected answer: {data[:60]!r}")
        head = data[:end].lower()
        length = re.search(rb"content-length: *(\d+)", head)
        if length is not None:
            if len(data) >= end + 4 + int(length[1]):
                return
        elif data.endswith(b"0\r\n\r\n"):
            return
