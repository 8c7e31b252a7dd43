from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from octelium.apiserver.core.caller import Caller
from octelium.apiserver.rpc import ApiError, Call
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness


def test_a_call_without_session_has_no_caller() -> None:
    with pytest.raises(ApiError) as caught:
        Caller.of(Call("/a.B/C"))
    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


def test_the_store_remembers_session_and_operation() -> None:
    reference = meta.ObjectReference(uid="u", name="root-abc123")
    caller = Caller.of(Call("/a.B/C", session_uid="u", session_ref=reference))
    assert caller.actor.session_ref == reference
    assert caller.actor.operation == "a.B/C"


async def test_changes_carry_their_actor(api: Harness) -> None:
    made = await api.core("CreateGroup", resource("Group", "ops"))
    assert made.metadata.actor_ref.uid == api.session.metadata.uid
    assert made.metadata.actor_ref.name == api.session.metadata.name
    assert made.metadata.actor_operation == "octelium.api.main.core.v1.MainService/CreateGroup"


@pytest.mark.parametrize("method", ["CreateGroup", "UpdateGroup"])
async def test_who_has_gone_changes_nothing(api: Harness, method: str) -> None:
    await api.core("CreateGroup", resource("Group", "old"))
    gone = core.Session()
    gone.metadata.uid = "00000000-0000-4000-8000-000000000000"
    name = "old" if method == "UpdateGroup" else "new"
    given = resource("Group", name, metadata={"displayName": "changed"})
    error = await api.refused(method, given, session=gone)
    assert codes(error) == ("UNAUTHENTICATED", "Unauthenticated User")
    error = await api.refused("DeleteGroup", meta.DeleteOptions(name="old"), session=gone)
    assert codes(error)[0] == "UNAUTHENTICATED"


async def test_nothing_is_read_without_a_session(api: Harness) -> None:
    nobody = core.Session()
    for method in ("ListGroup", "GetClusterConfig"):
        error = await api.refused(method, session=nobody)
        assert codes(error)[0] == "UNAUTHENTICATED"
