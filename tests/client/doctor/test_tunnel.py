from __future__ import annotations

import datetime as dt
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import dns.message
import pytest

from octelium.client.doctor import questions, tunnel
from octelium.client.doctor.checks import Broken
from octelium.client.doctor.tunnel import Told
from octelium.tunnel.link import addresses as link_addresses

if TYPE_CHECKING:
    from pathlib import Path

NAME = "wiki.local.lab.test"
NOW = dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
carries = partial(tunnel.carries, clock=lambda: NOW)


def status(**more: Any) -> dict[str, Any]:
    """What a connection of this host tells; its own address is the loopback interface's."""
    return {
        "state": "connected",
        "network": "this host",
        "addresses": ["127.0.0.1/32"],
        "gateways": [
            {
                "endpoint": "192.0.2.1:53820",
                "lastHandshake": "2027-01-15T07:59:53.000Z",
                "received": 100,
                "sent": 200,
            }
        ],
        "dns": {"servers": ["127.0.0.1"], "changed": True},
        "published": [{"service": "wiki.default", "address": "127.0.0.1", "port": 8080}],
        **more,
    }


class Server:
    """Stands for the name server within the tunnel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = True
        self.largest = 65_535
        self.records = [f"{NAME}. 60 IN A 100.64.0.9"]
        self.failure: OSError | None = None
        self.refuses = False
        self.asked: list[int] = []
        monkeypatch.setattr(questions, "ask", self.ask)
        monkeypatch.setattr(questions, "listens", lambda _: not self.refuses)

    def ask(self, server: str, message: dns.message.Message, **_: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        size = len(message.to_wire(max_size=65_535))
        self.asked.append(size)
        if not self.answers or size > self.largest:
            return None
        made = dns.message.make_response(message)
        for record in self.records:
            made.answer.append(dns.message.from_text(f"id 1\n;ANSWER\n{record}").answer[0])
        return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def broken(call: Any, *arguments: Any) -> Broken:
    with pytest.raises(Broken) as caught:
        call(*arguments)
    assert caught.value.remedy
    return caught.value


def test_what_a_connection_tells() -> None:
    told = Told(status())
    assert told.addresses == ["127.0.0.1"]
    assert (told.is_of_host, told.places, told.received) == (True, "192.0.2.1:53820", 100)
    assert (told.servers, told.names_are_looked_up) == (["127.0.0.1"], True)
    assert told.published("wiki.default") == ("127.0.0.1", 8080)
    assert told.published("db.default") is None
    assert told.last_handshake(NOW) == 7


@pytest.mark.parametrize("raw", [{}, {"gateways": [None]}, {"dns": None}, {"state": "joining"}])
def test_what_it_does_not_tell(raw: dict[str, Any]) -> None:
    told = Told(raw)
    assert (told.addresses, told.is_of_host, told.places, told.received) == ([], False, "", 0)
    assert (told.servers, told.names_are_looked_up, told.published("x")) == ([], False, None)
    assert told.last_handshake(NOW) is None


def test_the_own_device() -> None:
    assert tunnel.own_way(Told(status()), "127.0.0.9") == "lo"


def test_another_network_in_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(status(addresses=["100.65.0.7/32"]))
    conflict = link_addresses.Conflict("127.0.0.9/32", "127.0.0.0/8", "lo")
    monkeypatch.setattr(link_addresses, "overlapping", lambda *_, **__: [conflict])
    found = broken(tunnel.own_way, told, "127.0.0.9")
    assert "127.0.0.0/8 of lo" in found.detail
    assert "--network-v4" in found.remedy

    def fail(*_: object, **__: object) -> None:
        raise OSError("no netlink")

    monkeypatch.setattr(link_addresses, "overlapping", fail)
    assert "no netlink" in broken(tunnel.own_way, told, "127.0.0.9").detail
    monkeypatch.setattr(link_addresses, "overlapping", lambda *_, **__: [])
    assert "leave from 127.0.0.1" in broken(tunnel.own_way, told, "127.0.0.9").detail
    assert "no route" in broken(tunnel.own_way, told, "255.255.255.255").detail


def test_packets_that_come_back(server: Server) -> None:
    told = Told(status())
    assert carries(told, lambda: told, "lab.test") == "192.0.2.1:53820 answers"
    server.answers = False
    more = status()
    soon = NOW + dt.timedelta(hours=1)
    more["gateways"][0].update(received=101, lastHandshake=soon.isoformat())
    assert "handshakes" in carries(told, lambda: Told(more), "lab.test")
    more["gateways"][0]["lastHandshake"] = "2020-01-01T00:00:00Z"
    server.refuses = True  # which came through the tunnel
    assert "handshakes" in carries(told, lambda: Told(more), "lab.test")
    server.refuses = False  # the gateway has begun something by itself
    assert "silent" in broken(carries, told, lambda: Told(more), "lab.test").detail


def test_packets_that_do_not(server: Server) -> None:
    server.answers = False
    told = Told(status())
    found = broken(carries, told, lambda: told, "lab.test")
    assert "192.0.2.1:53820 is silent by UDP; its last handshake was 7 s ago" in found.detail
    assert "firewalls" in found.remedy
    never = status()
    never["gateways"][0].update(lastHandshake=None, received=0)
    found = broken(carries, Told(never), lambda: Told(never), "lab.test")
    assert found.detail == "the gateway at 192.0.2.1:53820 has never answered by UDP"
    assert "has ended" in broken(carries, told, lambda: None, "lab.test").detail
    server.failure = OSError(101, "Network is unreachable")
    assert "nothing can be sent" in broken(carries, told, lambda: told, "lab.test").detail


def test_a_tunnel_that_nobody_else_may_use(server: Server) -> None:
    told = Told(status(network="a private network of this process"))
    assert carries(told, lambda: told, "lab.test") == "192.0.2.1:53820 answered 7 s ago"
    assert not server.asked
    old = status(network="a private network of this process")
    old["gateways"][0]["lastHandshake"] = "2020-01-01T00:00:00Z"
    assert "silent" in broken(carries, Told(old), lambda: Told(old), "lab.test").detail


def test_large_packets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "path_mtu", lambda _: 1280)
    assert tunnel.large_packets("127.0.0.1", "lab.test") == "packets of 1280 bytes arrive"
    assert server.asked == [1280 - 28]
    assert tunnel.large_packets("::1", "lab.test") == "packets of 1280 bytes arrive"
    assert server.asked[1] == 1280 - 48
    server.largest = 1200
    found = broken(tunnel.large_packets, "127.0.0.1", "lab.test")
    assert found.detail == "packets of 1280 bytes are lost, small ones are not"
    assert "OCTELIUM_MTU" in found.remedy
    server.largest = 0
    found = broken(tunnel.large_packets, "127.0.0.1", "lab.test")
    assert found.detail == "packets of any size to 127.0.0.1 are lost"
    assert "OCTELIUM_MTU" not in found.remedy


def test_names_at_the_cluster(server: Server) -> None:
    assert tunnel.cluster_name("127.0.0.1", NAME, ["100.64.0.9"]) == ["100.64.0.9"]
    assert tunnel.cluster_name("127.0.0.1", NAME, []) == ["100.64.0.9"]
    found = broken(tunnel.cluster_name, "127.0.0.1", NAME, ["100.64.0.10"])
    assert "has 100.64.0.9" in found.detail
    server.records = []
    assert "does not know" in broken(tunnel.cluster_name, "127.0.0.1", NAME, []).detail
    server.answers = False
    assert "does not answer" in broken(tunnel.cluster_name, "127.0.0.1", NAME, []).detail
    server.failure = OSError(101, "Network is unreachable")
    assert "cannot be asked" in broken(tunnel.cluster_name, "127.0.0.1", NAME, []).detail


def test_names_at_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# of a friend\nnameserver 192.0.2.53\nsearch x\n")
    monkeypatch.setattr(tunnel, "RESOLV_CONF", conf)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("100.64.0.9", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    assert "is found by this host's resolver" in tunnel.host_name(NAME, ["100.64.0.9"])
    other = broken(tunnel.host_name, NAME, ["100.64.0.10"])
    assert "this host has 100.64.0.9" in other.detail

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    missing = broken(tunnel.host_name, NAME, ["100.64.0.9"])
    assert missing.detail.endswith("/etc/resolv.conf names 192.0.2.53")

    def silent(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    conf.unlink()
    missing = broken(tunnel.host_name, NAME, ["100.64.0.9"])
    assert "does not answer" in missing.detail
    assert "names no server" in missing.detail


def test_what_a_former_connection_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    monkeypatch.setattr(tunnel, "RESOLV_CONF", conf)
    with pytest.raises(FileNotFoundError):
        tunnel.leftover()
    conf.write_text("nameserver 192.0.2.53\n")
    assert tunnel.leftover() == ""
    from octelium.client.dns.resolv_conf import ResolvConf

    conf.write_text(ResolvConf().with_forwarder("127.0.0.53", ["local.lab.test"]))
    listening: list[str] = []
    monkeypatch.setattr(questions, "listens", lambda server: server in listening)
    assert "is still as `octelium connect` wrote it" in tunnel.leftover()
    listening.append("127.0.0.53")  # as by root's connection, of which this user sees nothing else
    assert tunnel.leftover() == ""
