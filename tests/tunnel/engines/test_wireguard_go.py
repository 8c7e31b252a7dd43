"""The real program as an engine, beside our own, in networks of the test's."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from octelium.tunnel.engines import wireguard_go
from octelium.tunnel.engines.interface import ConfigurationError, EngineError, PeerConfig, PeerStats
from octelium.tunnel.engines.wireguard_go import WireGuardGo
from tests.e2e.cluster import wait_for
from tests.peers.engine import PORT, EngineProcess, engine_process
from tests.peers.namespaces import network
from tests.peers.processes import children
from tests.tunnel.engines.pairs import keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.peers.namespaces import Network

ADDRESSES = {"a": ("10.100.0.1/32", "fd00::1/128"), "b": ("10.100.0.2/32", "fd00::2/128")}
PATIENCE = 60.0
"""Seconds for what the engines do of their own accord, on a machine that others use, too."""


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("joined")) as made:
        one, other = made.namespace("a"), made.namespace("b")
        made.cable(one, "10.9.0.1/24", other, "10.9.0.2/24")
        yield made


class Pair:
    """`a` has wireguard-go in a private network, `b` our own engine."""

    def __init__(self, a: EngineProcess, b: EngineProcess, public: dict[str, bytes]) -> None:
        self.a, self.b, self.public = a, b, public

    def config(self, name: str, **more: Any) -> dict[str, Any]:
        return {"public_key": self.public[name].hex(), "allowed_ips": ADDRESSES[name], **more}

    def ping(self, host: str = "10.100.0.2", *words: str) -> int:
        """0 if an answer comes within a second."""
        return self.a.run("ping", "-q", "-c1", "-W1", *words, host, check=False).returncode

    def reach(self, host: str = "10.100.0.2") -> None:
        """Wait until `b` answers `a`."""
        wait_for(lambda: self.ping(host) == 0, PATIENCE)

    def reach_back(self) -> None:
        """Wait until `a` answers `b`."""
        words = ("ping", "-q", "-c1", "-W1", "10.100.0.1")
        wait_for(lambda: self.b.run(*words, check=False).returncode == 0, PATIENCE)


@pytest.fixture(params=["as root", "rootless"])
def pair(request: pytest.FixtureRequest, joined: Network, tmp_path: Path) -> Iterator[Pair]:
    """Rootless, the private network is within a user namespace (user_namespaces(7))."""
    (ka, pa), (kb, pb) = keys(), keys()
    routes = "10.100.0.0/24 fd00::/64"
    go = {
        "engine": "wireguard-go",
        "private": True,
        "rootless": request.param == "rootless",
        "folder": str(tmp_path / "go"),
    }
    own = {"folder": str(tmp_path / "own")}
    one, other = joined._namespaces["a"], joined._namespaces["b"]
    with (
        engine_process(one, ka, *ADDRESSES["a"], routes=routes, **go) as a,
        engine_process(other, kb, *ADDRESSES["b"], routes=routes, **own) as b,
    ):
        assert ("--user" in str(a.inside)) == go["rootless"]
        yield Pair(a, b, {"a": pa, "b": pb})


def test_from_a_private_network_by_sockets_of_the_host(pair: Pair) -> None:
    psk = os.urandom(32).hex()
    pair.b.ask("put_peer", **pair.config("a", preshared_key=psk))
    pair.a.ask("put_peer", **pair.config("b", endpoint=["10.9.0.2", PORT], preshared_key=psk))
    pair.reach()
    pair.reach("fd00::2")
    stats = pair.b.ask("stats")[pair.public["a"].hex()]
    assert stats["endpoint"] == ["10.9.0.1", PORT]
    theirs = pair.a.ask("stats")[pair.public["b"].hex()]
    assert theirs["endpoint"] == ["10.9.0.2", PORT]
    assert abs(theirs["last_handshake"] - stats["last_handshake"]) < 60
    assert theirs["received"] > 0 < theirs["sent"]
    pair.a.ask("remove_peer", public_key=pair.public["b"].hex())
    assert pair.a.ask("stats") == {}
    assert pair.ping("10.100.0.2", "-W0.2") == 1
    pair.a.ask(
        "replace_peers", peers=[pair.config("b", endpoint=["10.9.0.2", PORT], preshared_key=psk)]
    )
    time.sleep(0.03)  # two handshakes of one peer within 20 ms are one too many
    pair.a.ask("poke", public_key=pair.public["b"].hex())
    pair.reach()


def test_a_program_that_is_killed_is_started_again(pair: Pair) -> None:
    """It knows where the peer is, which nobody had told it, and lets it know."""
    pair.a.ask("put_peer", **pair.config("b"))
    pair.b.ask("put_peer", **pair.config("a", endpoint=["10.9.0.1", PORT]))
    pair.reach_back()
    assert pair.a.ask("stats")[pair.public["b"].hex()]["endpoint"] == ["10.9.0.2", PORT]

    def begun_by_a() -> str:
        return str(pair.b.ask("stats")[pair.public["a"].hex()]["timestamp"])

    before = begun_by_a()
    (program,) = children(pair.a.process.pid, "wireguard-go")
    os.kill(program, signal.SIGKILL)
    # The peer has nothing to send, so it would not begin one of its own accord.
    wait_for(lambda: begun_by_a() != before, PATIENCE)
    pair.reach_back()
    assert pair.a.ask("counters")["restarts"] >= 1
    assert children(pair.a.process.pid, "wireguard-go") != [program]


def test_keys_change(pair: Pair) -> None:
    pair.b.ask("put_peer", **pair.config("a"))
    pair.a.ask("put_peer", **pair.config("b", endpoint=["10.9.0.2", PORT]))
    pair.reach()
    private, public = keys()
    pair.b.ask("set_private_key", private_key=private.hex())
    time.sleep(0.03)
    pair.a.ask("change_peer_key", public_key=pair.public["b"].hex(), new=public.hex())
    wait_for(lambda: pair.a.ask("stats")[public.hex()]["last_handshake"], PATIENCE)
    pair.reach()  # one may be on its way while the addresses change hands
    assert list(pair.a.ask("stats")) == [public.hex()]
    private, mine = keys()
    time.sleep(0.03)
    pair.a.ask("set_private_key", private_key=private.hex())
    pair.b.ask("change_peer_key", public_key=pair.public["a"].hex(), new=mine.hex())
    pair.reach()
    assert list(pair.b.ask("stats")) == [mine.hex()]
    assert pair.b.ask("stats")[mine.hex()]["last_handshake"] > 0


def test_a_key_that_changes_again_before_it_is_used(pair: Pair) -> None:
    pair.b.ask("put_peer", **pair.config("a", endpoint=["10.9.0.1", PORT]))
    pair.a.ask("put_peer", **pair.config("b", endpoint=["10.9.0.2", PORT], keepalive=25))
    pair.reach()
    before, never, last = pair.public["b"], keys()[1], keys()
    time.sleep(0.03)
    pair.b.ask("set_private_key", private_key=last[0].hex())
    pair.a.ask("change_peer_key", public_key=before.hex(), new=never.hex())
    pair.a.ask("change_peer_key", public_key=never.hex(), new=last[1].hex())
    # What is said of it meanwhile does not take the addresses from the session that goes on.
    pair.public["b"] = last[1]
    pair.a.ask("put_peer", **pair.config("b", endpoint=["10.9.0.2", PORT], keepalive=25))
    assert list(pair.a.ask("stats")) == [last[1].hex()]
    wait_for(lambda: pair.a.ask("stats")[last[1].hex()]["last_handshake"], PATIENCE)
    pair.reach()


def test_a_peer_that_goes_while_its_key_changes_is_gone(pair: Pair) -> None:
    pair.b.ask("put_peer", **pair.config("a", endpoint=["10.9.0.1", PORT]))
    pair.a.ask("put_peer", **pair.config("b", endpoint=["10.9.0.2", PORT]))
    pair.reach()
    new = keys()[1].hex()  # which nobody has: the old session goes on
    pair.a.ask("change_peer_key", public_key=pair.public["b"].hex(), new=new)
    pair.a.ask("remove_peer", public_key=new)
    assert pair.a.ask("stats") == {}
    assert pair.ping("10.100.0.2", "-W0.2") == 1


def test_who_heard_of_a_new_key_too_early_hears_from_us(pair: Pair) -> None:
    pair.b.ask("put_peer", **pair.config("a", endpoint=["10.9.0.1", PORT]))
    pair.a.ask("put_peer", **pair.config("b", endpoint=["10.9.0.2", PORT]))
    pair.reach()
    private, public = keys()
    pair.b.ask("remove_peer", public_key=pair.public["a"].hex())
    theirs = {"public_key": public.hex(), "allowed_ips": ADDRESSES["a"], "keepalive": 25}
    # Begins at once, and in vain. What reached `a` might wait there until it has the key, so that
    # nothing does, also when `b` tries again after 5 s.
    pair.b.ask("put_peer", **theirs, endpoint=["10.9.0.1", PORT + 1])
    pair.a.ask("set_private_key", private_key=private.hex())
    wait_for(lambda: pair.b.ask("stats")[public.hex()]["last_handshake"], PATIENCE)
    assert pair.b.ask("stats")[public.hex()]["timestamp"]  # of what `a` began
    pair.reach_back()


def engine(tmp_path: Path, key: bytes) -> WireGuardGo:
    """One that is not started."""
    program = tmp_path / "none"
    return WireGuardGo(program, 0, device="x0", folder=tmp_path, port=1, private_key=key)


async def test_bad_settings_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wireguard_go, "_PAUSE", 0)
    private, public = keys()
    made = engine(tmp_path, private)
    good = PeerConfig(keys()[1], ("10.0.0.1/32",))
    made.put_peer(good)
    before = made.stats()
    other = keys()[1]
    for text, peer in {
        "own public key": PeerConfig(public),
        "3 bytes": PeerConfig(b"key"),
        "preshared": PeerConfig(other, preshared_key=b"x"),
        "keepalive": PeerConfig(other, keepalive=-1),
        "example.com": PeerConfig(other, endpoint=("example.com", 1)),
        "host bits": PeerConfig(other, ("10.0.0.1/8",)),
        "newline": PeerConfig(other, ("10.0.0.1/32\nremove=true",)),
    }.items():
        match = "10.0.0.1/32" if text == "newline" else text
        with pytest.raises(ConfigurationError, match=match):
            made.put_peer(peer)
        with pytest.raises(ConfigurationError, match=match):
            made.replace_peers([peer])
    with pytest.raises(ConfigurationError, match="twice"):
        made.replace_peers([good, good])
    with pytest.raises(ConfigurationError, match="none"):
        made.poke(other)
    with pytest.raises(ConfigurationError, match="none"):
        made.change_peer_key(other, other)
    with pytest.raises(ConfigurationError, match="3 bytes"):
        made.set_private_key(b"key")
    assert made.stats() == before
    with pytest.raises(EngineError, match=r"cannot be started|ended at once"):
        await made.start()
    await made.close()


async def test_peers_are_called_until_they_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a new process drops what it is to send before its device is up."""
    monkeypatch.setattr(wireguard_go, "_CALLS", (0.0, 0.0, 0.0))
    made = engine(tmp_path, keys()[0])
    placed, answering, unplaced, gone = (keys()[1] for _ in range(4))
    for key in (placed, answering, unplaced):
        made.put_peer(PeerConfig(key))
    here = PeerStats(("192.0.2.1", 1), 0.0, 0, 0)
    made._stats = {
        placed: here,
        answering: here,
        gone: here,
        unplaced: replace(here, endpoint=None),
    }
    asked: list[str] = []

    def ask(_path: Path, request: str) -> list[tuple[str, str]]:
        asked.append(request)
        if request != "get=1\n":
            return []
        told = [("public_key", placed.hex()), ("endpoint", "192.0.2.1:1")]
        seconds = "last_handshake_time_sec"
        return [*told, ("public_key", answering.hex()), (seconds, "1700000000")]

    async def nothing() -> None:
        pass

    monkeypatch.setattr("octelium.tunnel.engines.uapi.ask", ask)
    for name in ("start", "stop"):
        monkeypatch.setattr(made._program, name, nothing)
    await made._again()
    while made._caller is not None:
        await asyncio.sleep(0)
    await made.close()

    def calls(key: bytes) -> int:
        called = (
            f"public_key={key.hex()}\nupdate_only=true\npersistent_keepalive_interval=0\npersist"
        )
        return sum(called in request for request in asked)

    assert [calls(key) for key in (placed, answering, unplaced, gone)] == [4, 1, 0, 0]


def test_a_network_has_one_owner(tmp_path: Path) -> None:
    made = engine(tmp_path, keys()[0])
    one, other = keys()[1], keys()[1]
    made.put_peer(PeerConfig(one, ("10.0.0.1/32", "10.0.0.2/32")))
    made.put_peer(PeerConfig(other, ("10.0.0.2/32",)))
    assert made._peers[one].allowed_ips == ("10.0.0.1/32",)
    made.change_peer_key(one, keys()[1])
    assert [peer.allowed_ips for peer in made._peers.values()] == [
        ("10.0.0.2/32",),
        ("10.0.0.1/32",),
    ]
    assert made.counters() == {"restarts": 0}


async def test_a_program_that_cannot_be_kept_alive_is_given_up(tmp_path: Path) -> None:
    made = engine(tmp_path, keys()[0])
    with pytest.raises(EngineError, match="does not run"):
        await made.failed()
    with pytest.raises(EngineError, match="5 times"):
        await made._again()
    assert made.counters()["restarts"] == 5
    await made.close()
