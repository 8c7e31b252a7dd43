from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from octelium.cluster.worker import CONNECT
from octelium.schema.pb import user_v1_pb2 as user
from tests.apiserver.calls import AUTHORITY

if TYPE_CHECKING:
    from tests.cluster.conftest import SourceCluster

CODE = grpc.StatusCode
USER = f"/{user.DESCRIPTOR.services_by_name['MainService'].full_name}"


def test_the_worker_knows_the_method_by_its_name() -> None:
    assert CONNECT.decode() == f"{USER}/Connect"


@pytest.mark.parametrize(
    ("socket", "method", "code"),
    [
        ("api", "GetStatus", CODE.INVALID_ARGUMENT),  # it waits for a request first
        ("api", "Connect", CODE.UNIMPLEMENTED),
        ("connect", "Connect", CODE.UNAUTHENTICATED),
        ("connect", "GetStatus", CODE.UNIMPLEMENTED),
    ],
)
def test_what_lasts_has_a_server_of_its_own(
    running: SourceCluster, socket: str, method: str, code: grpc.StatusCode
) -> None:
    path = running.data / f"run/{socket}.sock"
    with grpc.insecure_channel(f"unix:{path}", options=AUTHORITY) as channel:
        call: Any = channel.stream_stream(f"{USER}/{method}")(iter(()), timeout=60)
        assert call.code() is code
