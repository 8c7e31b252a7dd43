"""An engine of ours in a process of its own, within a namespace: `python -m tests.peers.engine`.

It opens the TUN device, which the test then gives addresses. Requests come on stdin, one JSON
object a line, such as `{"do": "poke", "public_key": "…"}`; keys are hexadecimal. Each gets one
line: a JSON object, or `{"error": …}`.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from octelium.tunnel.engines.interface import PeerConfig
from octelium.tunnel.engines.own import OwnEngine
from octelium.tunnel.link.tun import open_tun
from octelium.tunnel.wireguard import ConfigurationError, Timing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Namespace

DEVICE = "oct0"
PORT = 51_820


class EngineProcess:
    """The running process, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, do: str, **members: Any) -> dict[str, Any]:
        """Ask for one thing. Raises RuntimeError with the answer's error."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **members}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the engine ended: {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


@contextmanager
def engine_process(
    namespace: Namespace, private_key: bytes, *addresses: str, routes: str, **settings: Any
) -> Iterator[EngineProcess]:
    """Run an engine on a device of `namespace` with addresses, and a route to its peers."""
    given = {"private_key": private_key.hex(), "mtu": 1280, "port": PORT, **settings}
    words = (sys.executable, "-m", "tests.peers.engine", json.dumps(given))
    pipe = subprocess.PIPE
    with namespace.process(*words, stdin=pipe, stdout=pipe) as process:
        engine = EngineProcess(process)
        engine.ask("counters")
        namespace.ip(
            *(f"address add {address} dev {DEVICE}" for address in addresses),
            f"link set {DEVICE} mtu {given['mtu']} up",
            *(f"route add {each} dev {DEVICE}" for each in routes.split()),
        )
        yield engine


async def _serve(settings: dict[str, Any]) -> None:
    bound = []
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        made = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, settings["port"]))
        bound.append(made)
    timing = settings.get("timing")
    engine = OwnEngine(
        open_tun(DEVICE, persistent=False).descriptor,
        bound,
        private_key=bytes.fromhex(settings["private_key"]),
        mtu=settings["mtu"],
        timing=None if timing is None else Timing(**timing),
    )
    await engine.start()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = _answer(engine, json.loads(line))
        except ConfigurationError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    await engine.close()


def _answer(engine: OwnEngine, request: dict[str, Any]) -> dict[str, Any]:
    do = request.pop("do")
    match do:
        case "counters":
            return engine.counters()
        case "usage":
            used = resource.getrusage(resource.RUSAGE_SELF)
            pages = Path("/proc/self/smaps_rollup").read_text().splitlines()
            private = sum(int(each.split()[1]) for each in pages if each.startswith("Private_"))
            return {"cpu": used.ru_utime + used.ru_stime, "private": private * 1024}
        case "stats":
            return {
                key.hex(): {**asdict(each), "timestamp": each.timestamp.hex()}
                for key, each in engine.stats().items()
            }
        case "put_peer":
            engine.put_peer(_peer(request))
        case "replace_peers":
            engine.replace_peers([_peer(each) for each in request["peers"]])
        case "set_private_key":
            previous = [bytes.fromhex(each) for each in request.pop("previous", [])]
            engine.set_private_key(bytes.fromhex(request["private_key"]), previous)
        case _:
            getattr(engine, do)(**{key: bytes.fromhex(value) for key, value in request.items()})
    return {}


def _peer(given: dict[str, Any]) -> PeerConfig:
    endpoint = given.get("endpoint")
    psk = given.get("preshared_key")
    return PeerConfig(
        bytes.fromhex(given["public_key"]),
        tuple(given["allowed_ips"]),
        None if endpoint is None else (endpoint[0], endpoint[1]),
        given.get("keepalive", 0),
        None if psk is None else bytes.fromhex(psk),
    )


if __name__ == "__main__":
    uvloop.run(_serve(json.loads(sys.argv[1])))
