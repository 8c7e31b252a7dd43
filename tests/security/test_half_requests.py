"""Whoever may call the API and never finishes calls holds up nobody, and no more than a share.

Bytes are counted as they were sent: what has been passed on of a call that is still open is at most
that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.schema.pb import user_v1_pb2 as user
from octelium.vigil.unfinished import MOST_BYTES_EACH
from tests.e2e.cluster import DOMAIN, Api
from tests.e2e.documents import credential, workload
from tests.e2e.test_private_network import token
from tests.peers.go_client import Call, Connection, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.lab import Lab

HALF = 4 << 20
CALLS = 11
OVER = CALLS - MOST_BYTES_EACH // HALF
TOO_MUCH: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.fixture(scope="module")
def access(lab: Lab) -> str:
    """The access token of an ordinary client."""
    lab.create(workload("unsteady"))
    lab.create(credential("unsteady", "unsteady", "AUTH_TOKEN", sessionType="CLIENT"))
    lab.cluster.login()
    return Api(lab.channel).authenticate(token(lab.cluster, "unsteady")).access_token


@pytest.fixture
def connection(lab: Lab) -> Iterator[Connection]:
    told: dict[str, Any] = {
        "domain": DOMAIN,
        "port": lab.cluster.port,
        "authority": str(lab.cluster.data / "ca.pem"),
    }
    made = Connection(told)
    yield made
    made.close()


def send(connection: Connection, call: Call, data: bytes, *, end: bool = False) -> None:
    """As far as the peer takes it, and then further."""
    state, sent = connection.state, 0
    while sent < len(data):
        room = state.local_flow_control_window(call.number)
        size = min(room, state.max_outbound_frame_size, len(data) - sent)
        if not size:
            connection.turn()
            continue
        last = end and sent + size == len(data)
        state.send_data(call.number, data[sent : sent + size], end_stream=last)
        connection.flush()
        sent += size


def test_halves_of_one_session_are_bounded(lab: Lab, access: str, connection: Connection) -> None:
    who = ("x-octelium-auth", access)
    half = (b"\0" + (HALF + 1).to_bytes(4)).ljust(HALF, b"\0")
    calls = []
    for _ in range(CALLS):
        calls.append(connection.open("user", "GetStatus", who))
        send(connection, calls[-1], half)
    gone, held = calls[:OVER], calls[OVER:]
    for call in gone:  # the oldest
        assert call.status() == TOO_MUCH
        assert "try later" in call.headers["grpc-message"]
    assert len(held) * HALF <= MOST_BYTES_EACH
    assert lab.api.user("GetStatus", user.GetStatusRequest()).domain == DOMAIN
    status, message = connection.unary("user", "GetStatus", b"", who)
    assert (status, bool(message)) == (0, True)
    assert not any(call.ended for call in held)
    # A large message that is finished passes, and with it another of the oldest goes.
    body = field_of(HALF - 100)
    whole = connection.open("user", "GetStatus", who)
    send(connection, whole, b"\0" + len(body).to_bytes(4) + body, end=True)
    assert whole.status() == 0
    assert held[0].status() == TOO_MUCH
    assert not any(call.ended for call in held[1:])
    for call in held[1:]:
        call.cancel()


def field_of(size: int) -> bytes:
    """A message of so many bytes, about, which says nothing that anybody knows."""
    return text(15, bytes(size))
