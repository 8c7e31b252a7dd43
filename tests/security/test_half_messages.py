"""Whoever may call the API and says too much on a call that lasts holds up nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.apiserver.connect.requests import MOST_BYTES
from octelium.schema.pb import user_v1_pb2 as user
from tests.e2e.cluster import DOMAIN, Api
from tests.e2e.documents import credential, workload
from tests.e2e.test_private_network import token
from tests.peers.go_client import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.security.lab import Lab

LARGE = 4 << 20
PIECES = 4000
TOO_MUCH: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]


@pytest.fixture(scope="module")
def access(lab: Lab) -> str:
    """The access token of an ordinary client."""
    lab.create(workload("chatty"))
    lab.create(credential("chatty", "chatty", "AUTH_TOKEN", sessionType="CLIENT"))
    lab.cluster.login()
    return Api(lab.channel).authenticate(token(lab.cluster, "chatty")).access_token


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


def others_are_answered(lab: Lab) -> None:
    """Within the time that a client waits."""
    assert lab.api.user("GetStatus", user.GetStatusRequest()).domain == DOMAIN


def test_a_message_that_is_said_to_be_large(lab: Lab, access: str, connection: Connection) -> None:
    call = connection.open("user", "Connect", ("x-octelium-auth", access))
    connection.state.send_data(call.number, b"\0" + LARGE.to_bytes(4))
    connection.flush()
    assert call.status() == TOO_MUCH  # before it is there
    told = call.trailers or call.headers
    assert told["grpc-message"] == f"the request has {LARGE} bytes; {MOST_BYTES} are allowed"
    others_are_answered(lab)


def test_a_message_in_pieces_of_one_byte(lab: Lab, access: str, connection: Connection) -> None:
    call = connection.open("user", "Connect", ("x-octelium-auth", access))
    connection.state.send_data(call.number, b"\0" + MOST_BYTES.to_bytes(4))
    for _ in range(PIECES):
        connection.state.send_data(call.number, b"\0")
    connection.flush()
    others_are_answered(lab)
    assert call.status() == TOO_MUCH
    assert "pieces" in (call.trailers or call.headers)["grpc-message"]
    others_are_answered(lab)
