"""Our own engine on real TUN devices, between two hosts joined by a cable."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.peers.engine import PORT, EngineProcess, engine_process
from tests.peers.namespaces import Namespace, network
from tests.tunnel.engines.pairs import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STREAM = Path(__file__).parent.parent / "peers/stream.py"
INSIDE = {"one": ("10.100.0.1", "fd00::1"), "two": ("10.100.0.2", "fd00::2")}
OUTSIDE = {"one": ("10.9.0.1", "fd09::1"), "two": ("10.9.0.2", "fd09::2")}
SECONDS = 60


class Hosts:
    """Two hosts, each with an engine that knows the other."""

    def __init__(self) -> None:
        self.hosts: dict[str, Namespace] = {}
        self.engines: dict[str, EngineProcess] = {}
        self.keys = {name: keys() for name in INSIDE}

    def introduce(self, name: str, to: str, *, family: int = 0) -> None:
        self.engines[to].ask(
            "put_peer",
            public_key=self.keys[name][1].hex(),
            allowed_ips=[f"{INSIDE[name][0]}/32", f"{INSIDE[name][1]}/128"],
            endpoint=[OUTSIDE[name][family], PORT],
        )

    def stream(
        self,
        seconds: float,
        *,
        to: str = "two",
        family: int = 0,
        during: Any = None,
        least: int = 0,
    ) -> dict[str, Any]:
        """Send to one of them for so long, and `least` bytes; what came there."""
        words = (sys.executable, "-I", str(STREAM))
        place = (INSIDE[to][family], "5201")
        start = "one" if to == "two" else "two"
        with self.hosts[to].process(*words, "receive", *place, stdout=subprocess.PIPE) as it:
            assert it.stdout is not None
            it.stdout.readline()
            command = (*words, "send", *place, str(seconds), str(least))
            with self.hosts[start].process(*command) as sending:
                if during is not None:
                    during()
                assert sending.wait(seconds + 120) == 0, "the stream was reset"
            found: dict[str, Any] = json.loads(it.stdout.readline())
        return found

    def ping(self) -> bool:
        words = ("ping", "-q", "-c1", "-W0.3", INSIDE["two"][0])
        return self.hosts["one"].run(*words, check=False).returncode == 0

    def move(self, *, family: int) -> None:
        """Make both use other addresses. What was on its way leads them back, so say it again."""

        def has_moved() -> bool:
            self.introduce("two", "one", family=family)
            self.introduce("one", "two", family=family)
            self.until_answered()
            there, here = (
                self.engines[name].ask("stats")[self.keys[other][1].hex()]["endpoint"][0]
                for name, other in (("two", "one"), ("one", "two"))
            )
            return (there, here) == (OUTSIDE["one"][family], OUTSIDE["two"][family])

        until(has_moved)

    def until_answered(self) -> None:
        until(self.ping)


def until(what: Callable[[], bool]) -> None:
    """Wait for a state."""
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts()
    with network(tmp_path) as joined:
        one, two = joined.namespace("one"), joined.namespace("two")
        made.hosts = {"one": one, "two": two}
        joined.cable(one, "10.9.0.1/24", two, "10.9.0.2/24")
        one.ip("address add fd09::1/64 dev to-two nodad")
        two.ip("address add fd09::2/64 dev to-one nodad")
        routes = "10.100.0.0/24 fd00::/64"
        (a, _), (b, _) = made.keys.values()
        with (
            engine_process(one, a, *INSIDE["one"], routes=routes) as first,
            engine_process(two, b, *INSIDE["two"], routes=routes, answers_from=True) as second,
        ):
            made.engines = {"one": first, "two": second}
            made.introduce("one", "two")
            made.introduce("two", "one")
            made.until_answered()
            yield made


def test_streams_arrive_whole(hosts: Hosts) -> None:
    """The kernel's large packets are cut, sent, and joined again, in both families."""
    for family in (0, 1):
        found = hosts.stream(0.5, to="two", family=family, least=1_000_000)
        assert found["intact"]
        assert found["bytes"] > 500_000
    hosts.move(family=1)
    found = hosts.stream(0.5, to="one", least=1_000_000)
    assert found["intact"]
    counters = hosts.engines["two"].ask("counters")
    assert counters["tun_read"] > 2 * counters["tun_read_calls"]
    assert counters["tun_written"] < counters["udp_received"] / 2
    stats = hosts.engines["two"].ask("stats")[hosts.keys["one"][1].hex()]
    assert stats["endpoint"] == ["fd09::1", PORT]


@pytest.mark.real_time("a stream's pauses are measured")
def test_ten_rotations_hold_no_stream_up(hosts: Hosts) -> None:
    def rotate() -> None:
        for _ in range(10):
            time.sleep(0.1)
            before, old = hosts.keys["two"]
            after, new = hosts.keys["two"] = keys()
            hosts.engines["two"].ask(
                "set_private_key", private_key=after.hex(), previous=[before.hex()]
            )
            hosts.engines["one"].ask("change_peer_key", public_key=old.hex(), new=new.hex())

    found = hosts.stream(1.3, during=rotate)
    assert found["intact"]
    # The bar of 200 ms is that of `bench tunnel`; other tests share this machine.
    assert found["stall"] < 1
    assert list(hosts.engines["one"].ask("stats")) == [hosts.keys["two"][1].hex()]
    assert hosts.engines["one"].ask("counters")["handshakes"] > 5


def test_an_interface_that_goes_away_and_comes_back(hosts: Hosts) -> None:
    hosts.hosts["one"].ip("link set to-two down")

    def is_noticed() -> bool:
        assert not hosts.ping()
        counters = hosts.engines["one"].ask("counters")
        return bool(counters.get("udp_send_ENETUNREACH", 0) > 0)

    until(is_noticed)
    hosts.hosts["one"].ip("link set to-two up")
    hosts.until_answered()


def test_another_address_on_the_way(hosts: Hosts) -> None:
    hosts.hosts["one"].ip(
        "address delete 10.9.0.1/24 dev to-two", "address add 10.9.0.7/24 dev to-two"
    )
    hosts.until_answered()
    stats = hosts.engines["two"].ask("stats")[hosts.keys["one"][1].hex()]
    assert stats["endpoint"] == ["10.9.0.7", PORT]


def test_a_path_with_a_small_mtu(hosts: Hosts) -> None:
    """Datagrams beyond it go as fragments."""
    for name, device in (("one", "to-two"), ("two", "to-one")):
        hosts.hosts[name].ip(f"link set {device} mtu 1000")
    found = hosts.stream(0.3, least=200_000)
    assert found["intact"]
    assert found["bytes"] > 100_000
    assert hosts.engines["one"].ask("counters")["udp_unsegmented"] > 0


def test_a_host_with_two_addresses_answers_from_the_one_that_is_called(hosts: Hosts) -> None:
    hosts.hosts["two"].ip(
        "address add 10.9.0.22/24 dev to-one", "address add fd09::22/64 dev to-one nodad"
    )
    for address in ("10.9.0.22", "fd09::22"):

        def is_called_there(address: str = address) -> bool:
            hosts.engines["one"].ask(
                "put_peer",
                public_key=hosts.keys["two"][1].hex(),
                allowed_ips=[f"{INSIDE['two'][0]}/32", f"{INSIDE['two'][1]}/128"],
                endpoint=[address, PORT],
            )
            assert hosts.stream(0.2)["intact"]
            stats = hosts.engines["one"].ask("stats")[hosts.keys["two"][1].hex()]
            return bool(stats["endpoint"] == [address, PORT])

        until(is_called_there)  # what was on its way from the other one leads back there
    hosts.hosts["two"].ip("address delete fd09::22/64 dev to-one")
    hosts.introduce("two", "one")
    hosts.until_answered()
