from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from octelium.client.client import Client
from octelium.client.errors import ApiError
from octelium.client.settings import Flags
from octelium.client.tunnel import running as module
from octelium.client.tunnel.control import Place, ask
from octelium.client.tunnel.destinations import Destination, Services
from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.pulse import Pulse
from octelium.client.tunnel.running import Running
from octelium.client.tunnel.tasks import begin
from octelium.client.tunnel.wanted import Wanted, parse_publication
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.engines.choose import choose
from tests.client.standin import DOMAIN, NOW, RefusedError
from tests.client.tunnel.pieces import (
    GATEWAY_KEY,
    Engines,
    FakeEngine,
    FakeSide,
    hosted_service,
    state,
)
from tests.peers.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from octelium.client.tunnel.device import Tunnel

from tests.client.standin import StandIn


class Session:
    """A run against the stand-in for a Cluster, with a tunnel of stand-ins."""

    def __init__(
        self, cluster: StandIn, folder: Path, make_names: Any = None, **wanted: Any
    ) -> None:
        self.cluster = cluster
        self.place = Place(folder / "home", DOMAIN)
        self.client = Client(
            Flags(),
            cluster.environ(folder),
            warn=print,
            clock=lambda: NOW,
            sleep=lambda _: None,
        )
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.side = FakeSide()
        self.stopped = asyncio.Event()
        self.running = Running(
            self.client.api.user,
            DOMAIN,
            Wanted(**wanted),
            self.side,
            choose("own"),
            place=self.place,
            note=self.notes.append,
            warn=self.warnings.append,
            make_names=make_names,
        )

    async def status(self, **wanted: Any) -> dict[str, Any]:
        """What other commands are told, once it is as wanted."""
        async with asyncio.timeout(60):
            while True:
                told = await asyncio.to_thread(ask, self.place, "status") or {}
                if told and all(told.get(key) == value for key, value in wanted.items()):
                    return told
                await asyncio.sleep(0.01)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """Engines that were answered at once."""
    made = Engines()

    def make(*given: Any) -> FakeEngine:
        engine = made(*given)
        engine.handshakes[GATEWAY_KEY] = 4e9
        return engine

    async def is_beating(_: Pulse) -> bool:
        return True  # rather than what this machine's own network says of the gateway's addresses

    monkeypatch.setattr(module, "engine_of", lambda *_: make)
    monkeypatch.setattr(Pulse, "is_beating", is_beating)
    return made


@pytest.fixture
async def clients() -> AsyncIterator[list[Client]]:
    made: list[Client] = []
    yield made
    for each in made:
        each.close()


def _service(cluster: StandIn, name: str) -> None:
    made = core.Service(metadata=meta.Metadata(name=name))
    made.status.port = 80
    stored = cluster.add(made)
    stored.status.port = 80


@pytest.mark.usefixtures("engines")
async def test_from_joining_to_the_end(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    _service(cluster, "wiki")
    port = reserved_port()
    session = Session(cluster, tmp_path, publish=(parse_publication(f"wiki:{port}"),))
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    joining = await session.status()
    assert (joining["state"], joining["healthy"]) == ("joining", False)
    assert joining["problem"] == "the Cluster has not answered yet"
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    told = await session.status(answered="the gateway; there is no Service to ask")
    assert told["state"] == "connected"
    assert told["addresses"] == ["100.65.0.7/32", "fdee:1:2:3:1::7/128"]
    assert told["gateways"][0]["endpoint"] == "127.0.0.1:53820"
    assert told["published"] == [{"service": "wiki.default", "address": "localhost", "port": port}]
    assert told["dns"] == {"servers": [], "changed": False, "names": "", "problem": ""}
    assert (told["healthy"], told["problem"]) == (True, "")
    assert session.notes[:2] == [
        "Joining lab.test…",
        f"wiki.default is published at localhost:{port}.",
    ]
    assert session.notes[-1].startswith("Connected to lab.test: 1 Service. Own address: 100.65.0.7")
    await asyncio.to_thread(ask, session.place, "end")
    async with asyncio.timeout(60):
        await run
    assert cluster.methods()[-1] == "Disconnect"
    assert session.notes[-1] == "Disconnected."
    assert session.side.closed
    assert not session.place.socket.exists()


class Names:
    """Remembers the tunnel, and which servers."""

    def __init__(self, tunnel: Tunnel) -> None:
        self.tunnel = tunnel
        self.servers: list[str] = []
        self.stopped = False

    async def start(self, _device: str, servers: Sequence[str], _domains: Sequence[str]) -> str:
        self.servers += servers
        return "names are looked up"

    async def stop(self) -> None:
        self.stopped = True


@pytest.mark.usefixtures("engines")
async def test_names_are_looked_up_through_the_tunnel(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    made: list[Names] = []

    def make_names(tunnel: Tunnel) -> Names:
        made.append(Names(tunnel))
        return made[0]

    _service(cluster, "wiki")
    session = Session(cluster, tmp_path, make_names)
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns(servers=["100.64.0.9"]))))
    told = await session.status(state="connected")
    assert told["dns"] == {
        "servers": ["100.64.0.9"],
        "changed": True,
        "names": "names are looked up",
        "problem": "",
    }
    assert made[0].servers == ["100.64.0.9"]
    assert made[0].tunnel.is_open
    session.stopped.set()
    async with asyncio.timeout(60):
        await run
    assert made[0].stopped


async def test_health_is_that_of_now(
    cluster: StandIn,
    tmp_path: Path,
    clients: list[Client],
    engines: Engines,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    works = asyncio.Event()

    async def probe(*_: object) -> str:
        if not works.is_set():
            raise TunnelError("nothing behind the gateway answers", "ask who administers it")
        return "Service wiki.default"

    monkeypatch.setattr(module, "probe", probe)
    monkeypatch.setattr(module, "_AGAIN", 0.01)
    session = Session(cluster, tmp_path)
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    trouble = "nothing behind the gateway answers"
    told = await session.status(state="connected", trouble=trouble)
    assert (told["healthy"], told["problem"], told["answered"]) == (False, trouble, "")
    works.set()
    told = await session.status(answered="Service wiki.default")
    assert (told["healthy"], told["trouble"]) == (True, "")
    assert len([line for line in session.warnings if trouble in line]) == 1
    answers = False

    async def is_beating(_: Pulse) -> bool:
        return answers

    monkeypatch.setattr(Pulse, "is_beating", is_beating)
    told = await session.status(healthy=False)
    assert told["problem"].startswith("no answer from the gateway at 127.0.0.1 port 53820 (UDP)")
    answers = True
    engines.last.handshakes[GATEWAY_KEY] = 1.0  # whenever that was: it answers
    await session.status(healthy=True)
    cluster.failures["Connect"] = [RefusedError("INTERNAL", "not now")] * 100
    cluster.said.put(None)
    told = await session.status(state="away")
    assert not told["healthy"]
    assert told["problem"]
    session.stopped.set()
    async with asyncio.timeout(60):
        await run


@pytest.mark.usefixtures("engines")
async def test_the_clusters_last_word(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    session = Session(cluster, tmp_path)
    clients.append(session.client)
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    last = user.ConnectResponseDisconnect(message="replaced by another client")
    cluster.said.put(user.ConnectResponse(disconnect=last))
    async with asyncio.timeout(60):
        await session.running.run(session.stopped)
    assert session.notes[-1] == "Disconnected: replaced by another client."
    assert "Disconnect" not in cluster.methods()


@pytest.mark.usefixtures("engines")
async def test_refusals_leave_nothing_behind(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    cluster.failures["Connect"] = [RefusedError("PERMISSION_DENIED", "no Gateway")]
    session = Session(cluster, tmp_path)
    clients.append(session.client)
    with pytest.raises(ApiError, match="no Gateway"):
        async with asyncio.timeout(60):
            await session.running.run(session.stopped)
    assert not session.place.socket.exists()
    with session.place.hold():
        pass


async def test_a_host_that_cannot_have_a_tunnel_is_not_connected(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    """Else the Cluster would take it for one that comes back."""
    session = Session(cluster, tmp_path)
    clients.append(session.client)
    session.side.failure = TunnelError("this host cannot have a tunnel device")
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    with pytest.raises(TunnelError, match="cannot have a tunnel device"):
        async with asyncio.timeout(60):
            await session.running.run(session.stopped)
    assert cluster.methods()[-1] == "Disconnect"
    assert session.warnings == []


async def test_a_service_that_is_not_there_is_said_before_anything_begins(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    session = Session(cluster, tmp_path, publish=(parse_publication("wiki:1"),))
    clients.append(session.client)
    with pytest.raises(TunnelError, match="there is no Service wiki"):
        await session.running.run(session.stopped)
    assert "Connect" not in cluster.methods()


async def test_a_cluster_that_is_slow_to_answer_does_not_keep_anybody(
    cluster: StandIn, tmp_path: Path, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, gate = threading.Event(), threading.Event()

    def get(*_: object) -> None:
        asked.set()
        gate.wait(60)
        raise TunnelError("too late")

    monkeypatch.setattr(Services, "get", get)
    session = Session(cluster, tmp_path, publish=(parse_publication("wiki:1"),))
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    await asyncio.to_thread(asked.wait, 60)
    session.stopped.set()
    async with asyncio.timeout(60):
        await run
    gate.set()
    assert "Connect" not in cluster.methods()


@pytest.mark.usefixtures("engines")
async def test_a_cluster_that_cannot_be_told_of_the_end(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    cluster.failures["Disconnect"] = [RefusedError("INTERNAL", "not now")]
    session = Session(cluster, tmp_path)
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    await session.status(state="connected")
    session.stopped.set()
    async with asyncio.timeout(60):
        await run
    assert "not told of the end" in session.warnings[-1]
    assert session.side.closed


@pytest.mark.usefixtures("engines")
async def test_a_port_open_to_others_is_warned_of(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    _service(cluster, "wiki")
    text = f"wiki:0.0.0.0:{reserved_port()}"
    session = Session(cluster, tmp_path, publish=(parse_publication(text),))
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    await session.status(state="connected")
    assert "uses wiki.default as you" in session.warnings[0]
    session.stopped.set()
    async with asyncio.timeout(60):
        await run


def _options(*names: str, port: int) -> user.ConnectionStateServiceOptions:
    upstream = user.HostedServiceUpstream(host="127.0.0.1", port=port)
    hosted = [hosted_service(name, port=20_000 + at) for at, name in enumerate(names)]
    for each in hosted:
        each.upstream.CopyFrom(upstream)
    return user.ConnectionStateServiceOptions(services=hosted)


@pytest.mark.usefixtures("engines")
async def test_what_this_user_does_not_serve_is_an_error(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    for name in ("wiki", "photos"):
        _service(cluster, name)
    answer = cluster._user

    def with_label(method: str, request: Any) -> Any:
        reply = answer(method, request)
        if method == "ListService":
            for service in reply.items:
                if service.metadata.name == "photos.default":
                    service.metadata.spec_labels["host-user-root"] = "uid"
        return reply

    cluster._user = with_label  # type: ignore[method-assign]  # as a real Cluster answers
    asked_for = ("phots.default", "photos.default", "wiki.default")
    session = Session(cluster, tmp_path, serve=asked_for)
    clients.append(session.client)
    options = _options("photos.default", port=reserved_port())
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns(), service_options=options)))
    with pytest.raises(TunnelError) as raised:
        async with asyncio.timeout(60):
            await session.running.run(session.stopped)
    assert str(raised.value) == (
        "--serve: there is no Service phots.default; wiki.default is not this User's to serve"
    )
    assert raised.value.remedy == "this User's to serve: photos.default"
    assert cluster.methods()[-1] == "Disconnect"
    assert not session.place.socket.exists()


@pytest.mark.usefixtures("engines")
async def test_a_served_service_that_leads_nowhere_is_warned_of(
    cluster: StandIn, tmp_path: Path, clients: list[Client]
) -> None:
    session = Session(cluster, tmp_path, serve=("photos.default",))
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    port = reserved_port()
    options = _options("photos.default", port=port)
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns(), service_options=options)))
    told = await session.status(answered="the gateway; there is no Service to ask")
    problem = "nothing answers there now: Connection refused"
    assert told["served"][0]["problem"] == problem
    warned = f"photos.default is served from 127.0.0.1:{port}, but {problem}"
    assert warned in session.warnings
    with socket.create_server(("127.0.0.1", port)):
        told = await session.status()
        assert told["served"][0]["problem"] == ""
    session.stopped.set()
    async with asyncio.timeout(60):
        await run


@pytest.mark.usefixtures("engines")
async def test_a_published_service_that_refuses_this_user_is_told(
    cluster: StandIn, tmp_path: Path, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def problem(_dialler: object, to: Destination, host: str) -> str:
        asked.append(host)
        return "its Policies refuse you (403)" if to.name == "secret.default" else ""

    monkeypatch.setattr(module, "published_problem", problem)
    wanted = []
    for name in ("wiki", "secret"):
        _service(cluster, name)
        wanted.append(parse_publication(f"{name}:{reserved_port()}"))
    session = Session(cluster, tmp_path, publish=tuple(wanted))
    clients.append(session.client)
    run = begin(session.running.run(session.stopped), name="run of a test")
    cluster.said.put(user.ConnectResponse(state=state(dns=user.Dns())))
    told = await session.status(answered="the gateway; there is no Service to ask")
    refused = "secret.default is published, but its Policies refuse you (403)"
    assert told["refused"] == [refused]
    assert refused in session.warnings
    assert asked == ["wiki.local.lab.test", "secret.local.lab.test"]
    session.stopped.set()
    async with asyncio.timeout(60):
        await run
