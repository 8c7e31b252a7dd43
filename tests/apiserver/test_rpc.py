"""Names of methods, and what a call and an error say of themselves."""

from __future__ import annotations

import grpc
import pytest

from octelium.apiserver.rpc import ApiError, Call, Limits, method_name, method_path, status_of
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.errors import NotFound, StoreError


@pytest.mark.parametrize(
    ("rpc", "name"),
    [
        ("CreateUser", "create_user"),
        ("ListIdentityProvider", "list_identity_provider"),
        ("SetServiceConfigs", "set_service_configs"),
        ("GetOAuth2Token", "get_o_auth2_token"),
    ],
)
def test_rpc_names_become_method_names(rpc: str, name: str) -> None:
    assert method_name(rpc) == name


def test_the_path_of_a_method_names_the_operation() -> None:
    method = core.DESCRIPTOR.services_by_name["MainService"].methods_by_name["CreateUser"]
    path = method_path(method)
    assert path == "/octelium.api.main.core.v1.MainService/CreateUser"
    assert Call(path).operation == path[1:]


def test_a_call_without_a_session_is_refused() -> None:
    assert Call("/a/B", session_uid="uid").require_session() == "uid"
    with pytest.raises(ApiError, match="Unauthenticated User") as caught:
        Call("/a/B").require_session()
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ApiError(grpc.StatusCode.ABORTED, "again"), grpc.StatusCode.ABORTED, "again"),
        (NotFound("gone"), grpc.StatusCode.NOT_FOUND, "gone"),
        (StoreError("page 7 is torn"), grpc.StatusCode.INTERNAL, "Internal error"),
        (RuntimeError("a secret detail"), grpc.StatusCode.INTERNAL, "Internal error"),
    ],
)
def test_what_callers_are_told(error: Exception, code: grpc.StatusCode, text: str) -> None:
    assert status_of(error) == (code, text)


def test_limits_as_options() -> None:
    options = dict(Limits(message_bytes=7).options())
    assert options["grpc.max_receive_message_length"] == 7
    assert options["grpc.compression_enabled_algorithms_bitset"] == 1  # identity alone
