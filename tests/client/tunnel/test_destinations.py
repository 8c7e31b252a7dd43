from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.errors import ApiError
from octelium.client.tunnel.destinations import Destination, Dialler, Services, destination
from octelium.client.tunnel.device import Tunnel
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.state import connected
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.tunnel.pieces import Engines, FakeSide, state
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TYPES = user.ServiceSpecType__


def service(name: str, *addresses: str, port: int = 80, **spec: Any) -> user.Service:
    return user.Service(
        metadata=meta.Metadata(name=name),
        spec=user.ServiceSpec(port=port, **spec),
        status=user.ServiceStatus(addresses=addresses),
    )


class FakeApi:
    """Services by name; `page` of them at a time."""

    def __init__(self, *services: user.Service, page: int = 2) -> None:
        self.services = {each.metadata.name: each for each in services}
        self.page = page
        self.calls: list[str] = []
        self.failure = ""

    def call(self, method: str, request: Any, *_: Any, **__: Any) -> Any:
        self.calls.append(method)
        if method == "GetService":
            if self.failure:
                raise ApiError(self.failure, "no", method)
            if request.name not in self.services:
                raise ApiError("NOT_FOUND", "no", method)
            return self.services[request.name]
        start = request.common.page * self.page
        every = [*self.services.values()]
        more = meta.ListResponseMeta(has_more=start + self.page < len(every))
        return user.ServiceList(items=every[start : start + self.page], list_response_meta=more)


def services(*known: user.Service) -> tuple[Services, FakeApi]:
    api = FakeApi(*known)
    return Services(api), api  # type: ignore[arg-type]  # stands for it


def test_what_a_service_is() -> None:
    found = destination(service("db.ops", "100.64.0.9", "fdee::9", port=5432))
    assert found == Destination("db.ops", ("100.64.0.9", "fdee::9"), 5432, is_udp=False)
    assert destination(service("log.ops", type=_TYPES.UDP)).is_udp
    with pytest.raises(TunnelError, match="has no port"):
        destination(service("db.ops", port=0))
    with pytest.raises(TunnelError, match=r"Service db\.ops"):
        destination(service("db.ops", "nowhere"))


def test_one_service() -> None:
    known, api = services(*(service(f"s{number}.default", "10.0.0.1") for number in range(5)))
    assert known.get("s4.default").name == "s4.default"
    with pytest.raises(TunnelError, match="there is no Service other"):
        known.get("other.default")
    api.failure = "UNIMPLEMENTED"
    assert known.get("s4.default").name == "s4.default"
    assert api.calls[-3:] == ["ListService"] * 3
    with pytest.raises(TunnelError, match="there is no Service other"):
        known.get("other.default")
    api.failure = "PERMISSION_DENIED"
    with pytest.raises(ApiError):
        known.get("s4.default")


def test_all_services() -> None:
    known, _ = services(
        service("a.default", "10.0.0.1"),
        service("u.default", "10.0.0.2", type=_TYPES.UDP),
        service("none.default"),
        service("odd.default", "10.0.0.3", port=0),
    )
    assert known.count() == 4
    assert [each.name for each in known.some()] == ["a.default"]


def test_which_names_there_are_and_which_are_served_here() -> None:
    mine = service("photos.default")
    mine.metadata.spec_labels["host-user-ann"] = "uid"
    known, _ = services(service("a.default"), mine, service("b.default"))
    assert known.names() == ({"a.default", "b.default", "photos.default"}, ["photos.default"])


def test_what_speaks_http_in_the_clear() -> None:
    assert destination(service("a", type=_TYPES.HTTP)).is_http
    assert destination(service("a", type=_TYPES.WEB)).is_http
    assert not destination(service("a", type=_TYPES.HTTP, is_tls=True)).is_http
    assert not destination(service("a", type=_TYPES.TCP)).is_http


@pytest.fixture
async def tunnel() -> AsyncIterator[Tunnel]:
    made = Tunnel(FakeSide(), keepalive=30, make_engine=Engines())
    await made.put(connected(state()))
    yield made
    await made.close()


async def test_dialling_tries_each_address_then_asks_the_cluster_again(tunnel: Tunnel) -> None:
    port = reserved_port()
    with socket.create_server(("127.0.0.1", port)):
        known, api = services(service("db.ops", "127.0.0.9", "127.0.0.1", port=port))
        dialler = Dialler(tunnel, known)
        dialler.learn(Destination("db.ops", ("127.0.0.8",), port, is_udp=False))
        (await dialler.dial("db.ops")).close()
        assert api.calls == ["GetService"]
        (await dialler.dial("db.ops")).close()
        assert api.calls == ["GetService"]


async def test_a_refusal_of_a_service_that_has_not_moved_is_final(tunnel: Tunnel) -> None:
    port = reserved_port()
    known, api = services(service("db.ops", "127.0.0.1", port=port))
    dialler = Dialler(tunnel, known)
    dialler.learn(Destination("db.ops", ("127.0.0.1",), port, is_udp=False))
    with pytest.raises(ConnectionRefusedError):
        await dialler.dial("db.ops")
    api.failure = "UNAVAILABLE"
    with pytest.raises(ConnectionRefusedError):
        await dialler.dial("db.ops")
    with pytest.raises(OSError, match="no"):
        await dialler.dial("other.ops")


async def test_only_families_in_use(tunnel: Tunnel) -> None:
    await tunnel.put(connected(state(l3_mode=user.ConnectionStateL3Mode__.V6)))
    with pytest.raises(OSError, match="no address of the families in use"):
        await Dialler(tunnel, services()[0]).connect(
            Destination("db.ops", ("127.0.0.1",), 1, is_udp=False)
        )


async def test_datagrams_and_no_tunnel(tunnel: Tunnel) -> None:
    dialler = Dialler(tunnel, services()[0])
    to = Destination("log.ops", ("127.0.0.1",), reserved_port(), is_udp=True)
    with await dialler.connect(to) as made:
        assert made.type & socket.SOCK_DGRAM
    await tunnel.close()
    with pytest.raises(OSError, match="not connected"):
        await dialler.connect(to)
    await asyncio.sleep(0)
