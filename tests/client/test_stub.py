from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import grpc
import pytest

from octelium.client.channel import open_channel
from octelium.client.errors import ApiError
from octelium.client.settings import Target
from octelium.client.stub import PAUSES, Stub, api_error
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from tests.client.standin import DOMAIN, RefusedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEARING = (("x-octelium-auth", "access-1"),)


@pytest.fixture
def channel(cluster: StandIn) -> Iterator[grpc.Channel]:
    target = Target(
        DOMAIN, "127.0.0.1", cluster.port, f"octelium-api.{DOMAIN}", cluster.authority.pem
    )
    with open_channel(target, pytest.fail) as channel:
        cluster.new_session()
        yield channel


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def stub(channel: grpc.Channel, pauses: list[float]) -> Stub:
    service = core.DESCRIPTOR.services_by_name["MainService"]
    return Stub(channel, service, sleep=pauses.append)


def get(stub: Stub, name: str = "bob") -> core.User:
    reply = stub.call("GetUser", meta.GetOptions(name=name), _BEARING)
    assert isinstance(reply, core.User)
    return reply


def test_a_call_has_the_messages_of_its_method(cluster: StandIn, stub: Stub) -> None:
    cluster.add(core.User(metadata=meta.Metadata(name="bob")))
    assert get(stub).metadata.name == "bob"
    assert stub.input("ListUser") is core.ListUserOptions
    assert stub.has("ListUser")
    assert not stub.has("CreateSession")
    assert cluster.calls[0].metadata["x-octelium-auth"] == "access-1"


def test_what_was_not_delivered_is_tried_again(
    cluster: StandIn, stub: Stub, pauses: list[float]
) -> None:
    cluster.add(core.User(metadata=meta.Metadata(name="bob")))
    cluster.failures["GetUser"] = [RefusedError("UNAVAILABLE", "starting")] * 2
    assert get(stub).metadata.name == "bob"
    assert pauses == list(PAUSES[:2])


def test_attempts_are_limited(cluster: StandIn, stub: Stub, pauses: list[float]) -> None:
    cluster.failures["GetUser"] = [RefusedError("UNAVAILABLE", "starting")] * 9
    with pytest.raises(ApiError, match="Unavailable: starting"):
        get(stub)
    assert len(cluster.calls) == len(PAUSES) + 1


@pytest.mark.parametrize(
    "code",
    ["INTERNAL", "UNKNOWN", "ABORTED", "RESOURCE_EXHAUSTED", "NOT_FOUND", "PERMISSION_DENIED"],
)
def test_refusals_are_final(cluster: StandIn, stub: Stub, pauses: list[float], code: str) -> None:
    cluster.failures["GetUser"] = [RefusedError(code, "no")]
    with pytest.raises(ApiError) as caught:
        get(stub)
    assert caught.value.code == code
    assert caught.value.method == "/octelium.api.main.core.v1.MainService/GetUser"
    assert (len(cluster.calls), pauses) == (1, [])


def test_a_creation_that_may_have_happened_is_not_repeated(cluster: StandIn, stub: Stub) -> None:
    cluster.failures["CreateUser"] = [RefusedError("UNAVAILABLE", "gone")]
    with pytest.raises(ApiError, match="gone"):
        stub.call("CreateUser", core.User(), _BEARING)
    assert len(cluster.calls) == 1


def test_binary_trailers_come_with_the_error(cluster: StandIn, stub: Stub) -> None:
    cluster.failures["GetUser"] = [RefusedError("ABORTED", "no", why_bin=b"\x00\xff")]
    with pytest.raises(ApiError) as caught:
        get(stub)
    assert caught.value.trailers["why-bin"] == b"\x00\xff"


def test_binary_trailers_come_with_the_reply(cluster: StandIn, stub: Stub) -> None:
    cluster.trailers["GetUser"] = {"x-told-bin": b"\x00\xff"}
    cluster.add(core.User(metadata=meta.Metadata(name="ann")))
    cluster.check_tokens = False
    trailers: dict[str, bytes] = {}
    stub.call("GetUser", meta.GetOptions(name="ann"), trailers=trailers)
    assert trailers == {"x-told-bin": b"\x00\xff"}
    assert stub.call("GetUser", meta.GetOptions(name="ann")).metadata.name == "ann"


def test_no_answer_in_time(
    cluster: StandIn, stub: Stub, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def wait(*_arguments: object) -> core.User:
        released.wait(60)
        return core.User()

    monkeypatch.setattr(cluster, "answer", wait)
    with pytest.raises(ApiError, match="did not answer in time"):
        stub.call("GetUser", meta.GetOptions(name="bob"), _BEARING, deadline=0.05)
    released.set()
    assert pauses == []


def test_a_stream_ends_with_its_call(cluster: StandIn, channel: grpc.Channel) -> None:
    stub = Stub(channel, ext.DESCRIPTOR.services_by_name["MainService"])
    cluster.live.put(core.AccessLog(kind="AccessLog"))
    cluster.live.put(None)
    replies = list(stub.stream("WatchAccessLog", ext.ListAccessLogRequest(), _BEARING))
    assert [reply.items[0].kind for reply in replies] == ["AccessLog"]
    cluster.live.put(RefusedError("PERMISSION_DENIED", "no"))
    with pytest.raises(ApiError, match="PermissionDenied: no"):
        list(stub.stream("WatchAccessLog", ext.ListAccessLogRequest(), _BEARING))


def test_a_domain_that_is_another_clusters() -> None:
    class Refused(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return (
                "failed to connect to all addresses; last error: UNKNOWN: Ssl handshake failed: "
                "SSL_ERROR_SSL: error:10000458:SSL routines:OPENSSL_internal:"
                "TLSV1_ALERT_UNRECOGNIZED_NAME"
            )

    error = api_error(Refused(), "/m", "other.test")
    assert error.message == "this Cluster does not serve other.test"
    assert error.remedy == "check --domain"


def test_a_conversation_of_streams(cluster: StandIn, channel: grpc.Channel) -> None:
    talking = Stub(channel, user.DESCRIPTOR.services_by_name["MainService"])
    first = user.ConnectRequest(initialize=user.ConnectRequestInitialize())
    conversation = talking.converse("Connect", iter([first]), _BEARING)
    cluster.said.put(user.ConnectResponse(message=user.ConnectResponseMessage(message="hello")))
    heard = iter(conversation)
    assert next(heard).message.message == "hello"
    conversation.cancel()
    with pytest.raises(ApiError) as caught:
        next(heard)
    assert caught.value.code == "CANCELLED"


@pytest.mark.parametrize(
    "said",
    [
        "Stream removed (Socket closed (GOAWAY received; Error code: 0; Debug Text: bye))",
        "Socket closed",
        "recvmsg:Connection reset by peer",
        "keepalive watchdog timeout",
    ],
)
def test_a_connection_that_breaks_off_is_told_in_words(said: str) -> None:
    class Broken(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return said

    error = api_error(Broken(), "/m", "lab.test")
    assert error.message == "the Cluster does not answer (it may be restarting)"


@pytest.mark.parametrize(
    ("domain", "first"),
    [("exampel.com", "check the domain exampel.com (--domain), then"), ("", "check the domain (")],
)
def test_a_name_that_is_not_known_is_first_of_all_a_wrong_one(domain: str, first: str) -> None:
    class Unknown(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNAVAILABLE

        def details(self) -> str:
            return "DNS resolution failed for octelium-api.exampel.com:443: Domain name not found"

    error = api_error(Unknown(), "/m", domain)
    assert "the name octelium-api.exampel.com cannot be looked up" in str(error)
    assert error.remedy.startswith(first)
