from __future__ import annotations

import time
from typing import Any
from unittest.mock import AsyncMock

import dns.rcode
import pytest

from octelium.client.dns.service import HostNames
from octelium.client.dns.wanted import NamesWanted
from octelium.client.tunnel.device import Tunnel
from octelium.client.tunnel.naming import TunnelNames, unnamed
from octelium.client.tunnel.state import connected
from octelium.client.tunnel.wanted import Wanted
from tests.client.dns.servers import look_up
from tests.client.tunnel.pieces import GATEWAY_KEY, Engines, FakeEngine, FakeSide, state
from tests.peers.ports import reserved_port

HERE = ("127.0.0.1", 53)


@pytest.mark.parametrize(
    ("wanted", "names", "is_of_host", "said"),
    [
        (Wanted(), NamesWanted(), True, None),
        (Wanted(no_dns=True), NamesWanted(), True, "as before (--no-dns)"),
        (Wanted(), NamesWanted(), False, "nothing of this host changes"),
        (Wanted(), NamesWanted(in_container=True), False, "nothing of this host changes"),
        (Wanted(no_dns=True), NamesWanted(listen=HERE), True, None),
        (Wanted(), NamesWanted(listen=HERE), False, None),
    ],
)
def test_who_has_names(
    wanted: Wanted, names: NamesWanted, is_of_host: bool, said: str | None
) -> None:
    told = unnamed(wanted, names, FakeSide(is_of_host=is_of_host))
    assert (told is None) == (said is None)
    assert said is None or said in str(told)


@pytest.mark.parametrize("keepalive", [30, 0])
async def test_names_are_asked_for_while_the_tunnel_works(
    keepalive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = Engines()
    tunnel = Tunnel(FakeSide(), keepalive=keepalive, make_engine=engines)
    place = ("127.0.0.1", reserved_port())
    wanted = NamesWanted(listen=place, zones=("corp.example",))
    warned: list[str] = []
    made = TunnelNames(tunnel, Wanted(keepalive=keepalive), wanted, warned.append)
    await made.stop()
    dialled: list[str] = []

    async def dial(kind: str, _family: int) -> Any:
        dialled.append(kind)
        raise OSError("no way")

    monkeypatch.setattr(tunnel.side, "dial", dial)
    await tunnel.put(connected(state()))
    engine: FakeEngine = engines.made[-1]
    told = await made.start("", ["100.64.0.2"], ["local.lab.test"])
    assert f"is at 127.0.0.1 port {place[1]}" in told

    async def is_asked(name: str) -> bool:
        before = len(dialled)
        assert (await look_up(place, name)).rcode() == dns.rcode.SERVFAIL
        return len(dialled) > before

    # A tunnel that keeps itself alive is down without a handshake; another one may begin one.
    assert await is_asked("web.local.lab.test") == (not keepalive)
    engine.handshakes[GATEWAY_KEY] = time.time()
    for name in ("web.local.lab.test", "db.corp.example", "7.0.64.100.in-addr.arpa"):
        assert await is_asked(name)
    tunnel.is_silent = True
    assert not await is_asked("third.local.lab.test"), "a dead tunnel is refused at once"
    tunnel.is_silent = False
    await tunnel.close()
    assert not await is_asked("other.local.lab.test")
    await made.stop()
    assert warned == []


async def test_a_name_server_that_others_can_ask_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HostNames, "start", AsyncMock(return_value="names are looked up"))
    tunnel = Tunnel(FakeSide(), keepalive=30, make_engine=Engines())
    warned: list[str] = []
    wanted = NamesWanted(listen=("0.0.0.0", 53))
    made = TunnelNames(tunnel, Wanted(), wanted, warned.append)
    for _ in range(2):
        assert await made.start("", [], []) == "names are looked up"
    assert warned == ["whoever can reach the local name server asks for names as you"]
