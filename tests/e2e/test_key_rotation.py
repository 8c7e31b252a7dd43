"""A Gateway has a new key ten times while datagrams go both ways: how many of them are lost.

The bar on how long streams are held up is that of `bench tunnel` and `test_connect_recovers`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import SOAK
from tests.peers.engine import PORT, EngineProcess, engine_process
from tests.peers.namespaces import network
from tests.tunnel.engines.pairs import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.peers.namespaces import Network

NUMBERED = Path(__file__).parent.parent / "peers/numbered.py"
INSIDE = {"client": "10.100.0.1", "gateway": "10.100.0.2"}
OUTSIDE = {"client": "10.9.0.1", "gateway": "10.9.0.2"}
OTHER = {"client": "gateway", "gateway": "client"}
RATE = 200
"""Datagrams a second each way: wireguard-go keeps 128 for a peer that it has no session with."""
ROTATIONS = 10 if SOAK else 3
SHARE = 0.2
"""The greatest part that wireguard-go as a client may lose, beside what is sent while it is told of
a key: it has a peer for each key, and looks at them every other millisecond.
"""
SOME = 20_000
"""Bytes of 100 ms: handshakes that follow within 20 ms are refused."""
PATIENCE = 90.0
STILL = {"own": PATIENCE, "wireguard-go": 2.0}
"""Seconds without a datagram, after which no more are waited for; of one that may lose some, such
that are late are lost.
"""


class Side:
    """One host: its engine, and what sends numbers."""

    def __init__(self, engine: EngineProcess, process: subprocess.Popen[str]) -> None:
        self.engine, self.process = engine, process

    def told(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def next(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def counted(self) -> dict[str, Any]:
        self.next()
        found: dict[str, Any] = json.loads(self.told())
        return found


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("rotation")) as made:
        hosts = [made.namespace(name) for name in OUTSIDE]
        made.cable(hosts[0], f"{OUTSIDE['client']}/24", hosts[1], f"{OUTSIDE['gateway']}/24")
        yield made


def peer(name: str, public: bytes) -> dict[str, Any]:
    place = [OUTSIDE[name], PORT]
    return {"public_key": public.hex(), "allowed_ips": [f"{INSIDE[name]}/32"], "endpoint": place}


@pytest.mark.parametrize("gateway", ["own", "wireguard-go"])
@pytest.mark.parametrize("client", ["own", "wireguard-go"])
def test_what_new_keys_lose(joined: Network, tmp_path: Path, client: str, gateway: str) -> None:
    pairs = {"client": keys(), "gateway": keys()}
    engines = {"client": client, "gateway": gateway}
    with contextlib.ExitStack() as stack:
        sides = {}
        for name, engine in engines.items():
            settings = {"engine": engine, "folder": str(tmp_path / name)}
            host = joined._namespaces[name]
            running = stack.enter_context(
                engine_process(
                    host,
                    pairs[name][0],
                    f"{INSIDE[name]}/32",
                    routes=f"{INSIDE[OTHER[name]]}/32",
                    **settings,
                )
            )
            words = (str(NUMBERED), INSIDE[name], INSIDE[OTHER[name]], "5300", str(RATE))
            pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = stack.enter_context(host.process(sys.executable, "-I", *words, **pipe))
            sides[name] = Side(running, process)
        for name in engines:
            sides[OTHER[name]].engine.ask("put_peer", **peer(name, pairs[name][1]))
        ping = ("ping", "-c1", "-W1", INSIDE["gateway"])
        until(lambda: sides["client"].engine.run(*ping, check=False).returncode == 0)
        for each in sides.values():
            assert each.told() == "ready\n"
        for each in sides.values():
            each.next()
        follow(sides["client"].engine, pairs["gateway"][1].hex(), 0.0)
        away = 0.0
        for _ in range(ROTATIONS):
            began, start = time.time(), time.monotonic()
            (before, old), (after, new) = pairs["gateway"], keys()
            pairs["gateway"] = after, new
            sides["gateway"].engine.ask(
                "set_private_key", private_key=after.hex(), previous=[before.hex()]
            )
            sides["client"].engine.ask("change_peer_key", public_key=old.hex(), new=new.hex())
            away += follow(sides["client"].engine, new.hex(), began) - start
        sent = {name: side.counted()["sent"] for name, side in sides.items()}
        got = arrived(sides, sent, STILL[client])
        lost = {name: sent[name] - got[OTHER[name]] for name in sent}
        print(f"\n{client} with a gateway by {gateway}: lost {lost} of {sent}", end="")
        if client == "own":
            assert lost == {"client": 0, "gateway": 0}
        else:
            assert lost["client"] < SHARE * sent["client"] + RATE * away
            assert lost["gateway"] < SHARE * sent["gateway"] + RATE * away


def follow(engine: EngineProcess, key: str, began: float) -> float:
    """Wait until data comes in a session with this key that is younger than `began`; when that
    began at the latest, on the clock `time.monotonic`.
    """

    def known() -> dict[str, Any]:
        found: dict[str, Any] = engine.ask("stats")[key]
        return found

    until(lambda: known()["last_handshake"] > began)
    since = time.monotonic()
    some = known()["received"] + SOME
    until(lambda: known()["received"] > some)
    return since


def arrived(sides: dict[str, Side], sent: dict[str, int], still: float) -> dict[str, int]:
    """How many came to each, once all have or none does for so many seconds."""
    before: dict[str, int] = {}
    since = time.monotonic()
    while True:
        found = {name: side.counted()["received"] for name, side in sides.items()}
        if all(found[OTHER[name]] == count for name, count in sent.items()):
            return found
        if found != before:
            before, since = found, time.monotonic()
        elif time.monotonic() - since > still:
            return found
        time.sleep(0.02)


def until(what: Any) -> None:
    """Wait for a state."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)
