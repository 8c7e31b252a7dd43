from __future__ import annotations

import asyncio
import base64
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.apiserver.connect.connections import connection_id
from octelium.apiserver.connect.network import network_of
from octelium.apiserver.connect.pace import ConnectPace
from octelium.apiserver.connect.registry import GRACE
from octelium.apiserver.connect.session_addresses import is_index
from octelium.apiserver.connect.state import Keys
from octelium.apiserver.rpc import Call, Limits
from octelium.apiserver.user import DESCRIPTOR
from octelium.http.h2.settings import CLIENT_LIMITS, SERVER_LIMITS
from octelium.http.tasks import spawn
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import user_v1_pb2 as user
from octelium.store.metadata import SYSTEM, reference
from tests.apiserver.calls import as_session
from tests.apiserver.connect.world import (
    BOTH,
    PATIENCE,
    V4,
    V6,
    Clock,
    Tunnel,
    Way,
    World,
    initialize,
    new_session,
    open_world,
)
from tests.conftest import SOAK

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.store.transaction import Transaction

CODE = grpc.StatusCode
KEEP_ALIVE = 300.0
MODES = core.ClusterConfigStatusNetworkConfigMode__


async def test_the_server_makes_the_keys_and_keeps_their_public_halves_only(world: World) -> None:
    alice = await world.add_session()
    state = await (await world.connect(alice, l3_mode=V6)).state()
    connection = world.session(alice).status.connection
    private = X25519PrivateKey.from_private_bytes(state.x25519_key)
    assert private.public_key().public_bytes_raw() == connection.x25519_public_key
    seed, public = state.ed25519_key[:32], state.ed25519_key[32:]
    assert Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() == public
    assert connection.ed25519_public_key == public
    stored = b"".join(item.data + (item.part or b"") for item in world.resources.items("Session"))
    assert state.x25519_key not in stored
    assert seed not in stored


def wire_fields(data: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a message by number; others are passed over."""
    found: dict[int, list[bytes]] = {}
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(data):
        tag = varint()
        if tag & 7 == 0:
            varint()
            continue
        assert tag & 7 == 2
        size = varint()
        found.setdefault(tag >> 3, []).append(data[place : place + size])
        place += size
    return found


async def test_the_bytes_on_the_wire_are_those_of_official_clients(world: World) -> None:
    """`octelium connect -p svc:8080` on a host with IPv6, byte for byte."""
    service = await world.add_service("svc.default")
    alice = await world.add_session()
    published = b"\x0a\x0bsvc.default\x10\x90\x3f\x1a\x09localhost"
    body = b"\x08\x02\x22" + bytes([len(published)]) + published + b"\x38\x86\xac\x01\x48\xb8\x08"
    call = world.lasting.stream_stream(f"/{DESCRIPTOR.full_name}/Connect")(
        metadata=tuple(as_session(alice))
    )
    await call.write(b"\x0a" + bytes([len(body)]) + body)
    reply = wire_fields(await call.read())
    assert set(reply) == {10, 11}
    state = wire_fields(reply[10][0])
    assert len(state[2][0]) == 32
    assert len(state[3][0]) == 64
    (addresses,) = map(wire_fields, state[4])
    assert addresses[1][0].startswith(b"100.65.")
    assert addresses[2][0].endswith(b"/128")
    gateway = wire_fields(state[5][0])
    assert len(gateway[1][0]) == 8
    assert gateway[2][0] == b"192.0.2.7"
    assert gateway[3] == [b"100.64.0.0/24", b"fdee:1:2:3::/112"]
    assert len(base64.b64decode(wire_fields(gateway[5][0])[2][0])) == 32
    assert 6 not in gateway
    assert wire_fields(state[10][0])[2] == [b"fdee:1:2:3::/80"]
    connection = world.session(alice).status.connection
    assert connection.l3_mode == core.SessionStatusConnectionL3Mode__.V6
    (item,) = connection.published_services
    assert (item.service_ref.uid, item.port, item.address) == (
        service.metadata.uid,
        8080,
        "localhost",
    )
    assert (connection.e_ssh_port, connection.e_socks5_port) == (0, 0)
    call.cancel()


async def test_the_state_is_all_that_a_client_needs(world: World) -> None:
    alice = await world.add_session()
    message = await (await world.connect(alice, l3_mode=V6)).read()
    state = message.state
    assert message.created_at.seconds == int(world.clock())
    assert state.mtu == 1280
    assert state.l3_mode == user.ConnectionStateL3Mode__.V6
    assert state.cidr.v4 == "100.64.0.0/16"
    assert state.cidr.v6 == "fdee:1:2:3::/80"
    (gateway,) = state.gateways
    (stored,) = world.resources.peek_all(core.Gateway)
    assert gateway.id == stored.status.id
    assert [*gateway.addresses] == ["192.0.2.7", "2001:db8::7"]
    assert [*gateway.cid_rs] == ["100.64.0.0/24", "fdee:1:2:3::/112"]
    assert gateway.hostname == f"_gw-{gateway.id}.example.com"
    assert gateway.wireguard.port == 53820
    assert gateway.wireguard.public_key == stored.status.wireguard.public_key
    assert not gateway.HasField("quicv0")
    assert not state.service_configs
    assert not state.dns.servers


async def test_both_families_share_an_index_whatever_the_mode(world: World) -> None:
    alice = await world.add_session()
    (addresses,) = (await (await world.connect(alice, l3_mode=V4)).state()).addresses
    v4, v4_bits = addresses.v4.split("/")
    v6, v6_bits = addresses.v6.split("/")
    third, fourth = (int(part) for part in v4.split(".")[2:])
    assert v4.startswith("100.65.")
    assert v6.startswith("fdee:1:2:3:1::")
    assert int(v6.rpartition(":")[2] or "0", 16) == third * 256 + fourth
    assert is_index(third * 256 + fourth)
    assert (v4_bits, v6_bits) == ("32", "128")


async def test_what_is_stored_of_a_connection(world: World) -> None:
    alice = await world.add_session()
    wanted: dict[str, Any] = {"l3_mode": BOTH, "ignore_dns": True, "e_ssh_port": 22022}
    await (await world.connect(alice, **wanted, e_socks5_enable=True)).state()
    status = world.session(alice).status
    connection = status.connection
    assert status.is_connected
    assert status.total_connections == 1
    assert connection.started_at.seconds == connection.last_seen_at.seconds == int(world.clock())
    assert connection.type == core.SessionStatusConnectionType__.WIREGUARD
    assert connection.ignore_dns
    assert (connection.e_ssh_enable, connection.e_ssh_port) == (False, 0)
    assert (connection.e_socks5_enable, connection.e_socks5_port) == (True, 1080)


@pytest.mark.parametrize(
    ("mode", "refused"), [(MODES.V4_ONLY, (V6, BOTH)), (MODES.V6_ONLY, (V4, BOTH))]
)
async def test_a_mode_that_the_network_has_not_ends_the_client(
    world: World, mode: Any, refused: tuple[Any, ...]
) -> None:
    alice = await world.add_session()
    config = world.resources.get(core.ClusterConfig, name="default")

    def set_mode(present: core.ClusterConfig) -> None:
        present.status.network_config.mode = mode

    await world.change(config, set_mode)
    for wanted in refused:
        code, text = await (await world.connect(alice, l3_mode=wanted)).refusal()
        assert code is CODE.INVALID_ARGUMENT
        assert "--ip-mode" in text
    allowed = V4 if mode == MODES.V4_ONLY else V6
    state = await (await world.connect(alice, l3_mode=allowed)).state()
    (addresses,) = state.addresses
    assert bool(addresses.v4) == (mode == MODES.V4_ONLY)
    assert bool(state.cidr.v6) == (mode == MODES.V6_ONLY)


async def test_the_first_message_must_be_initialize(world: World) -> None:
    alice = await world.add_session()
    tunnel = world.open(alice)
    await tunnel.write(user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()))
    assert (await tunnel.refusal())[0] is CODE.INVALID_ARGUMENT
    tunnel = world.open(alice)
    await tunnel.call.done_writing()
    assert (await tunnel.refusal())[0] is CODE.INVALID_ARGUMENT
    assert not world.session(alice).status.is_connected


async def test_keep_alives_are_taken_and_a_second_initialize_is_not(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    for _ in range(3):
        await tunnel.write(user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()))
    await tunnel.write(initialize())
    code, text = await tunnel.refusal()
    assert code is CODE.INVALID_ARGUMENT
    assert "twice" in text


async def test_silent_streams_of_one_session_are_few(world: World) -> None:
    alice, bob = await world.add_session(), await world.add_session("bob")
    silent = [world.open(alice) for _ in range(5)]
    # Without metadata of the reply, nothing tells which one came last.
    done, _ = await asyncio.wait(
        [spawn(tunnel.refusal(), name="a silent stream") for tunnel in silent],
        return_when=asyncio.FIRST_COMPLETED,
        timeout=PATIENCE,
    )
    (refused,) = done
    assert refused.result()[0] is CODE.RESOURCE_EXHAUSTED
    await (await world.connect(bob)).state()
    for tunnel in silent:
        tunnel.cancel()


async def test_who_connects_over_and_over_writes_nothing_more(world: World) -> None:
    clock = Clock()
    world.service.pace = ConnectPace(clock)
    alice, bob = await world.add_session(), await world.add_session("bob")
    for _ in range(10):
        await (await world.connect(alice)).state()
    revision, before = world.resources.revision, world.session(alice)
    for _ in range(3):
        code, text = await (await world.connect(alice)).refusal()
        assert code is CODE.RESOURCE_EXHAUSTED
        assert text == "this Session or its User connects too often: try later, in 5 s"
    assert world.resources.revision == revision
    assert world.session(alice) == before  # and stays connected
    await (await world.connect(bob)).state()
    clock.now += 5.1
    await (await world.connect(alice)).state()


def test_the_front_door_waits_longer_than_clients_are_silent() -> None:
    """Clients say something every five minutes; answers to their PINGs need no stream."""
    assert SERVER_LIMITS.stream_timeout >= 2 * KEEP_ALIVE
    assert CLIENT_LIMITS.stream_timeout >= 2 * KEEP_ALIVE
    options = dict(Limits().options())
    assert options["grpc.keepalive_permit_without_calls"] == 1
    assert options["grpc.http2.min_ping_interval_without_data_ms"] <= 10_000
    assert options["grpc.http2.max_ping_strikes"] == 0


async def test_only_client_sessions_connect(world: World) -> None:
    browser = await world.add_session(type=core.SessionStatusType__.CLIENTLESS)
    code, text = await world.open(browser).refusal()
    assert code is CODE.INVALID_ARGUMENT
    assert "CLIENT" in text


async def test_without_a_gateway_clients_are_sent_away_for_good(tmp_path: Path) -> None:
    async with open_world(tmp_path, plan=None) as world:
        alice = await world.add_session()
        code, text = await (await world.connect(alice)).refusal()
        assert code is CODE.PERMISSION_DENIED
        assert "Gateway" in text
        assert not (await world.add_service("wiki.default")).status.addresses


async def test_a_stream_that_breaks_leaves_its_connection_in_grace(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    (first,) = (await tunnel.state()).addresses
    before = world.resources.revision
    tunnel.cancel()
    await world.streams(0)
    await world.turn(GRACE - 1)
    assert world.session(alice).status.is_connected
    assert world.resources.revision == before
    tunnel = await world.connect(alice)
    state = await tunnel.state()
    assert [*state.addresses] == [first]
    status = world.session(alice).status
    assert status.total_connections == 2
    assert len(status.last_connections) == 1
    await world.turn(GRACE + 1)
    assert world.session(alice).status.is_connected, "the grace of the first stream is over"
    tunnel.cancel()
    await world.streams(0)
    await world.turn(GRACE + 1)
    status = world.session(alice).status
    assert not status.is_connected
    assert not status.HasField("connection")
    assert len(status.last_connections) == 2
    assert [*(await (await world.connect(alice)).state()).addresses] == [first]


async def test_a_new_connection_has_new_keys(world: World) -> None:
    alice = await world.add_session()
    first = await (await world.connect(alice)).state()
    second = await (await world.connect(alice)).state()
    assert first.x25519_key != second.x25519_key
    assert first.ed25519_key != second.ed25519_key


async def test_a_second_stream_ends_the_first_and_is_not_hit_by_its_cleanup(world: World) -> None:
    alice = await world.add_session()
    older = await world.connect(alice)
    await older.state()
    newer = await world.connect(alice)
    await newer.state()
    assert await older.rest() == ["disconnect"]
    begun = connection_id(world.session(alice))
    await world.streams(1)
    await world.turn(GRACE * 10)
    assert connection_id(world.session(alice)) == begun
    assert len(world.service.streams) == 1
    await newer.write(user.ConnectRequest(keep_alive=user.ConnectRequestKeepAlive()))


async def test_of_many_streams_at_once_one_stays(world: World) -> None:
    alice = await world.add_session()
    tunnels = [await world.connect(alice) for _ in range(4)]
    states = await asyncio.gather(*(tunnel.state() for tunnel in tunnels))
    assert len({state.addresses[0].v4 for state in states}) == 1
    await world.streams(1)
    (stream,) = world.service.streams
    assert stream.connection_id == connection_id(world.session(alice))
    public = world.session(alice).status.connection.x25519_public_key
    kept = [
        X25519PrivateKey.from_private_bytes(state.x25519_key).public_key().public_bytes_raw()
        == public
        for state in states
    ]
    assert sum(kept) == 1
    for tunnel, is_kept in zip(tunnels, kept, strict=True):
        if not is_kept:
            assert await tunnel.rest() == ["disconnect"]
    tunnels[kept.index(True)].cancel()


async def test_who_is_replaced_before_the_state_is_sent_is_told_after_it(world: World) -> None:
    """Clients pass over what comes before the state, and would come again and again."""
    alice = await world.add_session()
    older = await world.connect(alice)
    await older.state()
    before = world.session(alice)
    begun = connection_id(before)
    newer = await world.connect(alice)
    await newer.state()
    network = network_of(world.resources.get(core.ClusterConfig, name="default"))
    assert begun is not None
    assert network is not None
    way = Way()
    world.service._open(before, begun, network, Keys.generate(), way)
    assert way.names == ["state", "disconnect"]
    assert way.ended == [None]
    assert len(world.service.streams) == 1
    await world.turn(GRACE + 1)
    assert world.session(alice).status.is_connected
    newer.cancel()


async def test_disconnect_ends_the_stream_with_the_event_that_ends_clients(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    await world.call("Disconnect", user.DisconnectRequest(), alice)
    assert await tunnel.rest() == ["disconnect"]
    status = world.session(alice).status
    assert not status.is_connected
    assert len(status.last_connections) == 1


async def test_a_stopping_server_ends_streams_without_a_word(tmp_path: Path) -> None:
    clock = Clock()
    async with open_world(tmp_path, clock=clock) as world:
        alice = await world.add_session()
        tunnel = await world.connect(alice)
        state = await tunnel.state()
        begun = connection_id(world.session(alice))
        await world.service.stop()
        assert await tunnel.rest() == []
    clock.now += 60
    async with open_world(tmp_path, clock=clock) as world:
        assert connection_id(world.session(alice)) == begun
        await world.turn(GRACE - 1)
        assert connection_id(world.session(alice)) == begun
        again = await (await world.connect(alice)).state()
        assert again.addresses == state.addresses
        bob = await world.add_session("bob")
        await (await world.connect(bob)).state()
    async with open_world(tmp_path, clock=clock) as world:
        await world.turn(GRACE + 1)
        assert not world.session(alice).status.is_connected
        assert not world.session(bob).status.is_connected


REVOCATIONS: dict[str, Callable[[Any, core.Session], Any]] = {
    "deleted": lambda tx, session: tx.delete("Session", session.metadata.uid),
    "rejected": lambda tx, session: _set(
        tx, session, "spec", "state", core.SessionSpecState__.REJECTED
    ),
    "locked": lambda tx, session: _set(tx, session, "status", "is_locked", True),
    "user disabled": lambda tx, session: _set(
        tx, tx.get(core.User, name="alice"), "spec", "is_disabled", True
    ),
    "user locked": lambda tx, session: _set(
        tx, tx.get(core.User, name="alice"), "status", "is_locked", True
    ),
}


def _set(tx: Any, message: Any, part: str, field: str, value: Any) -> None:
    present = tx.get(type(message), uid=message.metadata.uid)
    setattr(getattr(present, part), field, value)
    tx.update(present)


@pytest.mark.parametrize("name", REVOCATIONS)
async def test_who_is_revoked_is_disconnected_at_once(world: World, name: str) -> None:
    alice, bob = await world.add_session(), await world.add_session("bob")
    tunnel, other = await world.connect(alice), await world.connect(bob)
    await tunnel.state()
    await other.state()
    streams = {stream.session_uid: stream for stream in world.service.streams}
    ended: list[bool] = []
    stop = world.resources.subscribe(lambda _: ended.append(streams[alice.metadata.uid].is_ended))
    async with world.resources.transaction(SYSTEM) as tx:
        REVOCATIONS[name](tx, world.session(alice))
    stop()
    assert ended[0], "the commit itself ends the stream"
    assert not streams[bob.metadata.uid].is_ended
    assert await tunnel.rest() == ["disconnect"]
    await world.turn()
    present = world.resources.peek(core.Session, uid=alice.metadata.uid)
    assert present is None or not present.status.is_connected
    assert world.session(bob).status.is_connected
    if present is not None:
        assert (await (await world.connect(alice)).refusal())[0] is CODE.PERMISSION_DENIED


async def test_a_session_that_expires_is_disconnected(world: World) -> None:
    alice = await world.add_session()
    tunnel = await world.connect(alice)
    await tunnel.state()
    await world.turn(86_399)
    assert world.session(alice).status.is_connected
    await world.turn(1)
    assert await tunnel.rest() == ["disconnect"]
    assert not world.session(alice).status.is_connected


async def test_a_renewed_session_is_not_disconnected_at_its_former_end(world: World) -> None:
    alice = await world.add_session()
    await (await world.connect(alice)).state()

    def renew(session: core.Session) -> None:
        session.spec.expires_at.seconds += 1000

    await world.change(alice, renew)
    await world.turn(86_400)
    assert world.session(alice).status.is_connected
    await world.turn(1000)
    assert not world.session(alice).status.is_connected


async def test_streams_end_in_any_order_and_leave_nothing_behind(world: World) -> None:
    """Connects, breaks, Disconnects and deletions at random: in the end nothing is held."""
    chooser = random.Random(7)
    world.service.pace = ConnectPace(session=(1000, 1))
    sessions = [await world.add_session(f"user{number}") for number in range(6)]
    tunnels: list[Tunnel] = []
    for _ in range(120):
        session = chooser.choice(sessions)
        match chooser.randrange(4):
            case 0 | 1:
                tunnel = await world.connect(session)
                tunnels.append(tunnel)
                if chooser.random() < 0.5:
                    await tunnel.state()
            case 2 if tunnels:
                tunnels.pop(chooser.randrange(len(tunnels))).cancel()
            case _:
                await world.call("Disconnect", user.DisconnectRequest(), session)
        for present in sessions:
            status = world.session(present).status
            assert status.is_connected == status.HasField("connection")
    for tunnel in tunnels:
        tunnel.cancel()
    await world.settle()
    assert not any(world.session(one).status.is_connected for one in sessions)


async def test_a_call_may_be_cancelled_at_every_await(world: World) -> None:
    """Whatever is cut off, the connection ends after its grace, and the next one works."""
    alice = await world.add_session()
    world.service.pace = ConnectPace(session=(1000, 1))
    ref = world.session(alice)

    for steps in range(60):
        call = Call("/Connect", session_uid=alice.metadata.uid, session_ref=reference(ref))
        way: Any = Way(initialize())
        task = spawn(world.service.connect(way, call), name="a call")
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if way.receiver is not None:
            assert way.names == ["state"]
            way.receiver.gone()
        assert not len(world.service.streams)
    await world.settle()
    assert not world.session(alice).status.is_connected
    await (await world.connect(alice)).state()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.apiserver.connect.world import open_world

async def main():
    async with open_world(Path(sys.argv[1])) as world:
        for number in range(3):
            session = await world.add_session(f"user{number}")
            tunnel = await world.connect(session)
            addresses = (await tunnel.state()).addresses[0]
            print(session.metadata.name, addresses.v4, addresses.v6, flush=True)
        await world.connect(await world.add_session("late"))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_connections_survive_kill_9(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    output, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    told = [line.split() for line in output.decode().splitlines()]
    assert len(told) == 3
    async with open_world(tmp_path) as world:
        for name, v4, v6 in told:
            session = world.resources.get(core.Session, name=name)
            assert session.status.is_connected
            tunnel = await world.connect(session)
            (addresses,) = (await tunnel.state()).addresses
            assert (addresses.v4, addresses.v6) == (v4, v6)
            tunnel.cancel()
        await world.settle()
        assert not any(one.status.is_connected for one in world.resources.peek_all(core.Session))


async def test_many_connect_at_once(tmp_path: Path) -> None:
    """Nobody is refused, nobody has another's address, and all others are served meanwhile."""
    count = 1000 if SOAK else 100
    async with open_world(tmp_path) as world:

        def add(tx: Transaction) -> list[core.Session]:
            sessions = []
            for number in range(count):
                person = core.User()
                person.metadata.name = f"user{number}"
                sessions.append(tx.create(new_session(tx.create(person), world.clock())))
            return sessions

        sessions = await world.write(add)
        tunnels = [await world.connect(session) for session in sessions]
        status = world.call("GetStatus", user.GetStatusRequest(), sessions[0])
        async with asyncio.timeout(PATIENCE):
            states = await asyncio.gather(*(tunnel.state() for tunnel in tunnels))
        assert (await status).domain == "example.com"
        assert len({state.addresses[0].v4 for state in states}) == count
        assert len({state.x25519_key for state in states}) == count
        gateway = world.resources.peek_all(core.Gateway)[0]
        await world.change(gateway, lambda one: setattr(one.status.wireguard, "port", 7))
        for tunnel in tunnels:
            assert (await tunnel.event("update_gateway")).gateway.wireguard.port == 7
            tunnel.cancel()
        await world.streams(0)
