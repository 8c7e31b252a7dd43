"""Requests and streams of a host in a namespace, with the times at which they were answered.

Times are seconds of CLOCK_MONOTONIC, which all processes of a machine share. As a program,
`python -m tests.peers.calls`, it is the host's end: its arguments are a JSON object.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

Kind = Literal["tcp", "load", "http", "ws"]
_EVERY = 0.04
_PATIENCE = 3.0
_TICK = 0.01
_CHUNK = 1 << 15


@dataclass(frozen=True)
class Answer:
    """One request: when it was begun and over, and what came of it: a body, or an error's name."""

    begun: float
    done: float
    ok: bool
    said: str


class Requests:
    """New requests one after the other, every 40 ms, whether the former are answered or not."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.answers: list[Answer] = []
        self._process = process
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> None:
        """Ask no more. Whoever reads must have come to the end before the pipe is closed."""
        self._process.kill()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # killed in the middle of it
            with self._changed:
                self.answers.append(Answer(**json.loads(line)))
                self._changed.notify_all()

    def seconds_from(self, moment: float, patience: float = 60.0) -> float:
        """How long after `moment` the first request was answered that began since then.

        Raises:
            AssertionError: none was, in time.
        """
        with self._changed:
            found = self._changed.wait_for(lambda: self._after(moment), patience)
        assert found is not None, f"no answer: {self.answers[-5:]}"
        return found - moment

    def _after(self, moment: float) -> float | None:
        """When one was answered; the first to be, as they may overtake each other."""
        done = [each.done for each in list(self.answers) if each.ok and each.begun >= moment]
        return min(done) if done else None

    def usual(self) -> float:
        """How long the slowest of the last requests took: more on a busy machine.

        Raises:
            AssertionError: none was answered yet.
        """
        done = [each.done - each.begun for each in self.answers[-25:] if each.ok]
        assert done, "nothing to compare with"
        return max(done)

    def last_sign(self, moment: float) -> float:
        """How long after `moment` anything at all came back last."""
        dead = "TimeoutError"
        signs = [each.done for each in list(self.answers) if each.said != dead]
        return max(signs, default=moment) - moment


class Stream:
    """One open stream that never ends by itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert self._line()["open"]

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def told(self) -> dict[str, Any]:
        """`count` and `bytes` of pieces that came, `longest` pause between two in seconds since the
        last look, `ended` and `why`, or None and "" while it is open.
        """
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def goes_on(self, patience: float = 60.0) -> float:
        """Wait until something comes; the longest pause since the last look, up to then.

        Raises:
            AssertionError: it has ended, or nothing comes.
        """
        first, deadline = self.told(), time.monotonic() + patience
        longest = float(first["longest"])
        while (told := self.told())["count"] == first["count"]:
            assert told["ended"] is None, told
            assert time.monotonic() < deadline, f"nothing comes: {told}"
            time.sleep(_TICK)
        return max(longest, float(told["longest"]))

    def ended_after(self, moment: float, patience: float = 60.0) -> float:
        """How long after `moment` it ended; before, if negative. Raises AssertionError."""
        deadline = time.monotonic() + patience
        while (told := self.told())["ended"] is None:
            assert time.monotonic() < deadline, f"still open: {told}"
            time.sleep(_TICK)
        return float(told["ended"]) - moment


@contextmanager
def requests(where: Namespace, host: str, port: int, kind: Kind = "http") -> Iterator[Requests]:
    """Have a host ask, without an end."""
    words = _words({"do": "ask", "host": host, "port": port, "kind": kind})
    with where.process(*words, stdout=subprocess.PIPE) as process:
        made = Requests(process)
        try:
            yield made
        finally:
            made.end()


@contextmanager
def stream(where: Namespace, kind: Kind, host: str, port: int) -> Iterator[Stream]:
    """Have a host keep a stream open: `tcp` sends a word each 10 ms and awaits it, `load` sends
    6 MB/s and has it back, `http` and `ws` are sent to.
    """
    words = _words({"do": "stream", "host": host, "port": port, "kind": kind})
    with where.process(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Stream(process)


def _words(given: dict[str, Any]) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.peers.calls", json.dumps(given))


# The host's end


def _head(kind: str, host: str) -> bytes:
    name = f"[{host}]" if ":" in host else host
    path = {"http": "/stream", "ws": "/ws", "ask": "/"}[kind]
    lines = [f"GET {path} HTTP/1.1", f"Host: {name}"]
    if kind == "ask":
        lines.append("Connection: close")
    if kind == "ws":
        key = base64.b64encode(os.urandom(16)).decode()
        lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        lines.append(f"Sec-WebSocket-Key: {key}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()


def _ask(host: str, port: int, kind: Kind) -> None:
    lock = threading.Lock()

    def once() -> None:
        begun = time.monotonic()
        try:
            said = _answer(host, port, kind)
            ok = bool(said)
        except OSError as error:
            said, ok = type(error).__name__, False
        told = {"begun": begun, "done": time.monotonic(), "ok": ok, "said": said}
        with lock:
            print(json.dumps(told), flush=True)

    while True:
        threading.Thread(target=once, daemon=True).start()
        time.sleep(_EVERY)


def _answer(host: str, port: int, kind: Kind) -> str:
    """A body, or "" if the answer is none that was wanted."""
    with socket.create_connection((host, port), _PATIENCE) as one:
        if kind == "tcp":
            one.sendall(b"word")
            return one.recv(100).decode()
        one.sendall(_head("ask", host))
        data = b""
        while piece := one.recv(4096):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return body.decode() if b" 200 " in head.partition(b"\r\n")[0] else ""


class _Streaming:
    """The host's end of a stream."""

    def __init__(self, kind: Kind, host: str, port: int) -> None:
        self._kind = kind
        self._one = socket.create_connection((host, port), 60)
        self._one.settimeout(None)
        self._one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._last = time.monotonic()
        self._told: dict[str, Any] = {"ended": None, "why": ""}
        self._count = self._bytes = 0
        self._longest = 0.0

    def begin(self) -> None:
        if self._kind in ("http", "ws"):
            self._one.sendall(_head(self._kind, self._one.getpeername()[0]))
            wanted = b" 200 " if self._kind == "http" else b" 101 "
            first = self._one.recv(1 << 16)
            if wanted not in first.partition(b"\r\n")[0]:
                raise SystemExit(f"no stream: {first[:200]!r}")
        threading.Thread(target=self._receive, daemon=True).start()
        if self._kind in ("tcp", "load"):
            threading.Thread(target=self._send, daemon=True).start()
        print(json.dumps({"open": True}), flush=True)
        for _ in sys.stdin:
            longest, self._longest = self._longest, 0.0
            if self._told["ended"] is None:
                longest = max(longest, time.monotonic() - self._last)
            counts = {"count": self._count, "bytes": self._bytes, "longest": longest}
            print(json.dumps({**counts, **self._told}), flush=True)

    def _receive(self) -> None:
        why = "end"
        try:
            while data := self._one.recv(1 << 18):
                now = time.monotonic()
                self._longest = max(self._longest, now - self._last)
                self._last = now
                self._count += 1
                self._bytes += len(data)
        except OSError as error:
            why = type(error).__name__
        self._told = {"ended": time.monotonic(), "why": why}

    def _send(self) -> None:
        piece, pause = (bytes(_CHUNK), _TICK / 2) if self._kind == "load" else (b"word", _TICK)
        try:
            while self._told["ended"] is None:
                self._one.sendall(piece)
                time.sleep(pause)
        except OSError:
            return  # whoever receives tells why


if __name__ == "__main__":
    _given = json.loads(sys.argv[1])
    _what = _given.pop("do")
    if _what == "ask":
        _ask(**_given)
    else:
        _Streaming(**_given).begin()
