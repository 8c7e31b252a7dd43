"""Mode TCP's relay beside HAProxy in mode tcp: seconds of CPU for a GiB that passes.

Both get their bytes from the same source and give them to the same sink, on loopback, in turns.
Each is one process with one thread; what is measured is the process' own time, the kernel's share
of it included.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.processes import BenchError, cpu, stop
from bench.report import Bar, Report
from bench.tools import say
from octelium.vigil.dialling import dial, prepare
from octelium.vigil.splicing import Pipes, Splice

_PIECE: Final = 256 << 10
_WARM: Final = 0.3
_CONFIGURATION: Final = """\
global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen relay
    bind 127.0.0.1:{port}
    server source 127.0.0.1:{source}
"""


def run(rounds: int, seconds: int) -> Report:
    """In every round each relay carries what it can in `seconds`."""
    report = Report("Mode TCP: CPU per GiB of the relay, beside HAProxy, loopback")
    if shutil.which("haproxy") is None:
        raise BenchError("haproxy is not installed")
    context = multiprocessing.get_context("spawn")
    source, ours, theirs = (_port() for _ in range(3))
    processes = [
        context.Process(target=_source, args=(source,), daemon=True),
        context.Process(target=_relay, args=(ours, source), daemon=True),
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "haproxy.cfg")
        file.write_text(_CONFIGURATION.format(port=theirs, source=source))
        for process in processes:
            process.start()
        haproxy = subprocess.Popen(["haproxy", "-f", str(file)], stderr=subprocess.DEVNULL)
        try:
            relay = processes[1].pid
            assert relay is not None
            for port in (source, ours, theirs):
                _wait(port)
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}")
                for name, port, pid in (
                    ("Vigil", ours, relay),
                    ("HAProxy", theirs, haproxy.pid),
                ):
                    used, size, took = _carry(port, pid, seconds)
                    report.add(name, "CPU per GiB", "s", used / size)
                    report.add(name, "rate", "GiB/s", size / took)
        finally:
            stop(haproxy)
            for process in processes:
                process.terminate()
                process.join()
    share = report.median("Vigil", "CPU per GiB") / report.median("HAProxy", "CPU per GiB")
    report.bars.append(Bar("CPU per GiB, Vigil's over HAProxy's", share, 2.0, ""))
    return report


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait(port: int) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError as error:
            if time.monotonic() > end:
                raise BenchError(f"nothing listens on port {port}") from error
            time.sleep(0.05)
        else:
            return


def _carry(port: int, pid: int, seconds: float) -> tuple[float, float, float]:
    """CPU seconds of a relay, GiB that it carried, and how long that took."""
    buffer = bytearray(_PIECE)
    with socket.create_connection(("127.0.0.1", port)) as sink:
        end = time.monotonic() + _WARM
        while time.monotonic() < end:
            sink.recv_into(buffer)
        began, before, size = time.monotonic(), cpu(pid), 0
        while time.monotonic() < began + seconds:
            count = sink.recv_into(buffer)
            if not count:
                raise BenchError("the stream ended")
            size += count
        return (cpu(pid) - before) / 1e6, size / 2**30, time.monotonic() - began


def _source(port: int) -> None:
    """Sends to whoever connects, one after the other, until they go."""
    piece = os.urandom(_PIECE)
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(piece)
                except OSError:
                    continue


def _relay(port: int, source: int) -> None:
    """What a worker does with a connection once it is allowed."""

    async def main() -> None:
        loop, pipes = asyncio.get_running_loop(), Pipes()
        open_: set[Splice] = set()
        with socket.create_server(("127.0.0.1", port)) as listener:
            listener.setblocking(False)
            while True:
                client, _ = await loop.sock_accept(listener)
                prepare(client)
                upstream = await dial("127.0.0.1", source, limit=5)
                splice = Splice(client, upstream, pipes, lambda _error: None)
                open_.add(splice)
                splice.start()

    uvloop.run(main())
