"""From inquiries to worlds."""

from __future__ import annotations

from typing import Any

import pytest

from octelium.octovigil.explain.supposing import suppose
from octelium.octovigil.inquiry import Inquiry, InquiryError
from octelium.schema.pb import core_v1_pb2 as core
from tests.octovigil.explain.asking import supposed
from tests.octovigil.world import HTTP, START, World, uid_of


def test_an_existing_session_by_name_and_by_uid() -> None:
    world = World()
    for given in ("ann-1", uid_of("Session", "ann-1")):
        supposition = supposed(world, session=given)
        assert supposition.session is world.replica.sessions[uid_of("Session", "ann-1")]
        assert supposition.user is world.replica.users_by_name["ann"]
        assert supposition.device is None
        assert not supposition.supposed


def test_fields_are_laid_over_a_session() -> None:
    world = World()
    supposition = supposed(world, session_fields={"spec": {"state": "PENDING"}})
    assert supposition.session is not None
    assert not supposition.session.is_active
    assert world.replica.sessions[uid_of("Session", "ann-1")].is_active
    assert supposition.supposed == {uid_of("Session", "ann-1")}
    assert not supposition.invented


def test_a_new_session_is_as_a_login_makes_it() -> None:
    world = World()
    world.user("ann", session={"defaultState": "PENDING", "clientDuration": {"hours": 2}})
    supposition = supposed(world, user="ann", session="")
    session = supposition.session
    assert session is not None
    assert session.is_active
    assert session.type == core.SessionStatusType__.CLIENT
    assert session.user_uid == uid_of("User", "ann")
    assert session.expires_at == START + 7200
    assert session.access_expires_at > START
    assert supposition.invented == supposition.supposed == {session.uid}
    fields = {"status": {"type": "CLIENTLESS", "isBrowser": True}}
    session = supposed(world, user="ann", session="", session_fields=fields).session
    assert session is not None
    assert session.type == core.SessionStatusType__.CLIENTLESS


def test_a_device_of_the_session_or_a_new_one() -> None:
    world = World()
    fields = {"status": {"osType": "LINUX"}}
    supposition = supposed(world, device_fields=fields)
    device = supposition.device
    assert device is not None
    assert device.is_active
    assert device.message.status.os_type == core.DeviceStatusOsType__.LINUX
    assert device.message.status.user_ref.name == "ann"
    assert supposition.invented == {device.uid}
    world.put("Device", "d", {"state": "PENDING"})
    world.session("ann-1", "ann", device="d")
    supposition = supposed(world, device_fields=fields)
    assert supposition.device is not None
    assert supposition.device.uid == uid_of("Device", "d")
    assert not supposition.device.is_active
    assert not supposition.invented


def test_the_time_and_the_address() -> None:
    world = World()
    assert supposed(world).now == START
    assert supposed(world, at=12.5).now == 12.5
    assert supposed(world).client_address == HTTP["ip"]
    assert supposed(world, address="192.0.2.9").client_address == "192.0.2.9"
    assert supposed(world, {"ip": 5}).client_address == ""


def test_numbers_of_the_request_are_doubles() -> None:
    request = supposed(World(), {"http": {"bodyMap": {"n": 1, "l": [True, 2]}}}).request
    assert request is not None
    body = request["http"]["bodyMap"]
    assert repr(body) == "{'n': 1.0, 'l': [True, 2.0]}"
    assert suppose(World().replica, Inquiry("wiki.default"), START).request is None


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"service": "nope.default"}, "there is no Service 'nope.default'"),
        ({"session": "nope"}, "there is no Session 'nope'"),
        ({"user": "nope"}, "there is no User 'nope'"),
        ({"user": "ann", "session": "ann-1"}, "not both"),
        ({"session": "", "session_fields": {"spec": {}}}, "need a Session or a User"),
        ({"session": "", "device_fields": {"spec": {}}}, "need a Session or a User"),
        ({"session_fields": {"spec": {"x": 1}}}, r"session\.spec\.x: unknown field"),
        ({"device_fields": {"spec": {"x": 1}}}, r"device\.spec\.x: unknown field"),
        ({"request": {"http": {"x": {1}}}}, r"request\.http\.x: set is no JSON value"),
        ({"request": {"http": {1: 2}}}, r"request\.http: the key 1 is no text"),
        ({"request": _deep(80)}, "nested more than 64 levels"),
    ],
)
def test_questions_that_cannot_be_asked(fields: dict[str, Any], problem: str) -> None:
    world = World()
    given = {"service": "wiki.default", **fields}
    if not {"session", "user"} & set(fields):
        given["session"] = "ann-1"
    with pytest.raises(InquiryError, match=problem):
        suppose(world.replica, Inquiry(**given), START)


def test_a_session_whose_device_is_gone() -> None:
    world = World()
    world.session("ann-1", "ann", device="gone")
    with pytest.raises(InquiryError, match="Device of Session ann-1 does not exist"):
        supposed(world, device_fields={"spec": {"state": "ACTIVE"}})
