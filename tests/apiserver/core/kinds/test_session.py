from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from tests.apiserver.harness import codes, resource

if TYPE_CHECKING:
    from tests.apiserver.harness import Harness

STATES = core.SessionSpecState__


async def other(api: Harness) -> Any:
    return (await api.store(api.new_session(api.root, "root-other1")))[0]


@pytest.mark.parametrize("by", ["name", "uid"])
async def test_only_the_spec_can_be_changed(api: Harness, by: str) -> None:
    session = await other(api)
    given = core.Session(spec=session.spec)
    given.metadata.SetInParent()
    setattr(given.metadata, by, getattr(session.metadata, by))
    given.metadata.display_name = "mine"
    given.status.total_connections = 7
    given.spec.state = STATES.REJECTED
    updated = await api.core("UpdateSession", given)
    assert updated.spec.state == STATES.REJECTED
    assert updated.metadata.display_name == ""
    assert updated.status == session.status
    assert updated.metadata.last_resource_version == session.metadata.resource_version


async def test_a_long_name_finds_its_session(api: Harness) -> None:
    name = "a" * 40 + "-abc123"
    await api.store(api.new_session(api.root, name))
    assert (await api.core("GetSession", meta.GetOptions(name=name))).metadata.name == name


@pytest.mark.parametrize("state", [STATES.PENDING, STATES.REJECTED])
async def test_nobody_suspends_himself(api: Harness, state: Any) -> None:
    given = core.Session()
    given.CopyFrom(api.session)
    given.spec.state = state
    error = await api.refused("UpdateSession", given)
    assert codes(error) == ("PERMISSION_DENIED", "you cannot suspend your own Session")


async def test_nobody_deletes_his_own(api: Harness) -> None:
    options = meta.DeleteOptions(uid=api.session.metadata.uid)
    error = await api.refused("DeleteSession", options)
    assert codes(error)[0] == "PERMISSION_DENIED"
    session = await other(api)
    await api.core("DeleteSession", meta.DeleteOptions(uid=session.metadata.uid))
    assert api.resources.find("Session", uid=session.metadata.uid) is None


@pytest.mark.parametrize("fault", ["state", "past", "unset"])
async def test_bad_specs_are_refused(api: Harness, fault: str) -> None:
    session = await other(api)
    match fault:
        case "state":
            session.spec.state = STATES.STATE_UNKNOWN
        case "past":
            session.spec.expires_at.FromSeconds(1)
        case _:
            session.spec.ClearField("expires_at")
    assert codes(await api.refused("UpdateSession", session))[0] == "INVALID_ARGUMENT"


async def test_which_session_must_be_said(api: Harness) -> None:
    given = core.Session(spec=api.session.spec)
    given.metadata.SetInParent()
    assert codes(await api.refused("UpdateSession", given))[0] == "INVALID_ARGUMENT"
    given.metadata.uid = "not a uuid"
    assert codes(await api.refused("UpdateSession", given))[0] == "INVALID_ARGUMENT"
    given.metadata.uid = "00000000-0000-4000-8000-000000000000"
    assert codes(await api.refused("UpdateSession", given))[0] == "NOT_FOUND"


async def test_listing_by_user(api: Harness) -> None:
    alice = await api.core("CreateUser", resource("User", "alice", spec={"type": "WORKLOAD"}))
    await api.store(api.new_session(alice, "alice-abc123"))
    options = core.ListSessionOptions(user_ref=meta.ObjectReference(name="alice"))
    listed = await api.core("ListSession", options)
    assert [item.metadata.name for item in listed.items] == ["alice-abc123"]
    assert len((await api.core("ListSession")).items) == 2
