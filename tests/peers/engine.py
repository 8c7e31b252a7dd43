"""An engine of ours in a process of its own, within a namespace: `python -m tests.peers.engine`.

It opens the TUN device, which the test then gives addresses: in this namespace, or in a private
one of its own, as the Gateway has it. Requests come on stdin, one JSON
object a line, such as `{"do": "poke", "public_key": "…"}`; keys are hexadecimal. Each gets one
line: a JSON object, or `{"error": …}`.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from octelium.tunnel.engines.choose import choose, make
from octelium.tunnel.engines.interface import ConfigurationError, EngineError, PeerConfig
from octelium.tunnel.engines.own import OwnEngine
from octelium.tunnel.link import namespace
from octelium.tunnel.link.tun import open_tun
from octelium.tunnel.wireguard import Timing
from tests.peers.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.tunnel.engines.interface import Engine
    from tests.peers.namespaces import Namespace

DEVICE = "oct0"
PORT = 51_820
_PR_CAPBSET_DROP = 24
_CAP_SYS_ADMIN = 21


class EngineProcess:
    """The running process, as a test sees it."""

    def __init__(self, process: subprocess.Popen[str], namespace: Namespace) -> None:
        self.process = process
        self.namespace = namespace
        self.inside: tuple[str, ...] = ()

    def run(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command where the device is."""
        return self.namespace.run(*self.inside, *words, **options)

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
    where: Namespace, private_key: bytes, *addresses: str, routes: str, **settings: Any
) -> Iterator[EngineProcess]:
    """Run an engine on a device of `where` with addresses, and a route to its peers."""
    given = {"private_key": private_key.hex(), "mtu": 1280, "port": PORT, **settings}
    words = (sys.executable, "-m", "tests.peers.engine", json.dumps(given))
    pipe = subprocess.PIPE
    with where.process(*words, stdin=pipe, stdout=pipe) as process:
        engine = EngineProcess(process, where)
        if place := engine.ask("place")["words"]:
            engine.inside = (program("nsenter", "util-linux"), *place, "--")
        commands = [
            *(f"address add {address} dev {DEVICE} nodad" for address in addresses),
            "link set lo up",
            f"link set {DEVICE} mtu {given['mtu']} up",
            *(f"route add {each} dev {DEVICE}" for each in routes.split()),
        ]
        engine.run("ip", "-batch", "-", input="\n".join(commands))
        yield engine


async def _serve(settings: dict[str, Any]) -> None:
    engine, place = _engine(settings)
    await engine.start()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            request = json.loads(line)
            answer = {"words": place} if request["do"] == "place" else _answer(engine, request)
        except (ConfigurationError, EngineError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    await engine.close()


def _engine(settings: dict[str, Any]) -> tuple[Engine, list[str]]:
    """The engine, and words for `nsenter` where its device is, if not here."""
    key = bytes.fromhex(settings["private_key"])
    if settings.get("rootless"):
        # Programs that are started from here on may not change namespaces that are the machine's.
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_SYS_ADMIN, 0, 0, 0)
    private = namespace.make() if settings.get("private") else None
    descriptors = [] if private is None else private.descriptors
    place = [
        f"--{kind}=/proc/{os.getpid()}/fd/{number}"
        for kind, number in zip(("net", "user"), descriptors, strict=False)
    ]
    choice = choose(settings.get("engine", "own"))
    tun = _open(descriptors, offload=choice.wants_offload)
    if choice.name == "own" and (timing := settings.get("timing")):
        return OwnEngine(
            tun, _bound(settings["port"]), private_key=key, timing=Timing(**timing)
        ), place
    engine = make(
        choice,
        tun=tun,
        device=DEVICE,
        private_key=key,
        port=settings["port"],
        folder=Path(settings.get("folder", "unused")),
        sockets=_bound(settings["port"]) if choice.wants_sockets else (),
        namespace=descriptors,
        mtu=settings["mtu"],
        answers_from=settings.get("answers_from", False),
    )
    return engine, place


def _bound(port: int) -> list[socket.socket]:
    bound = []
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        made = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        bound.append(made)
    return bound


def _open(descriptors: list[int], *, offload: bool) -> int:
    """The device's descriptor, opened by a process that enters its namespace."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = theirs.fileno()
        words = (sys.executable, "-m", "tests.peers.engine", "open", str(number), str(int(offload)))
        subprocess.run(
            [*words, json.dumps(descriptors)], pass_fds=(number, *descriptors), check=True
        )
        _, (descriptor,), *_ = socket.recv_fds(ours, 1, 1)
    return descriptor


def _open_here(number: int, offload: int, descriptors: list[int]) -> None:
    if descriptors:
        namespace.PrivateNamespace.of(descriptors).enter()
    descriptor = open_tun(DEVICE, persistent=False, offload=bool(offload)).descriptor
    with socket.socket(fileno=number) as channel:
        socket.send_fds(channel, [b"x"], [descriptor])


def _answer(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
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
    if sys.argv[1] == "open":
        _open_here(int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
    else:
        uvloop.run(_serve(json.loads(sys.argv[1])))
