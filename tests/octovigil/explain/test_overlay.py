"""Fields laid over resources."""

from __future__ import annotations

import pytest

from octelium.octovigil.explain.overlay import overlaid
from octelium.octovigil.inquiry import InquiryError
from octelium.schema.pb import core_v1_pb2 as core

_AAL = core.SessionStatusAuthenticationInfoAal__


def session() -> core.Session:
    made = core.Session(api_version="core/v1", kind="Session")
    made.metadata.name = "ann-1"
    made.spec.state = core.SessionSpecState__.ACTIVE
    made.status.is_locked = True
    made.status.authentication.info.downstream.ip_address = "192.0.2.1"
    made.status.authentication.info.aal = _AAL.AAL1
    made.status.user_ref.uid = "u"
    made.status.device_ref.uid = "d"
    return made


def test_objects_are_merged_and_the_rest_replaced() -> None:
    before = session()
    made = overlaid(
        before,
        {
            "spec": {"state": "PENDING"},
            "status": {"authentication": {"info": {"aal": "AAL3"}}, "scopes": []},
        },
        "session",
    )
    assert made.spec.state == core.SessionSpecState__.PENDING
    info = made.status.authentication.info
    assert info.downstream.ip_address == "192.0.2.1"
    assert info.aal == _AAL.AAL3
    assert made.status.is_locked
    assert before == session()


def test_null_takes_away() -> None:
    made = overlaid(session(), {"status": {"isLocked": None, "nope": None}}, "session")
    assert not made.status.is_locked


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"spec": {"staet": "ACTIVE"}}, r"session\.spec\.staet: unknown field"),
        ({"spec": {"state": "NOPE"}}, r"session\.spec\.state: "),
        ({"status": {"isLocked": "yes"}}, r"session\.status\.isLocked: "),
        ({"status": []}, r"session\.status: "),
        ({"kind": "User"}, r"session: kind cannot be supposed"),
        ({"metadata": {"uid": "x"}}, r"session: metadata\.uid cannot be supposed"),
        ({"metadata": {"name": "x"}}, r"session: metadata\.name cannot be supposed"),
        ({"status": {"userRef": {"uid": "x"}}}, r"session: status\.user_ref cannot be supposed"),
        ({"status": {"deviceRef": None}}, r"session: status\.device_ref cannot be supposed"),
    ],
)
def test_fields_that_cannot_be_supposed(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(InquiryError, match=problem):
        overlaid(session(), fields, "session")


def test_no_spelling_tells_who_takes_part() -> None:
    for field in ("user_ref", "userRef", "device_ref", "deviceRef"):
        bare = session()
        bare.status.ClearField("user_ref")
        bare.status.ClearField("device_ref")
        with pytest.raises(InquiryError, match="cannot be supposed"):
            overlaid(bare, {"status": {field: {"uid": "x"}}}, "session")


def test_what_has_no_device_has_none_to_fix() -> None:
    device = core.Device(kind="Device")
    assert overlaid(device, {"status": {"hostname": "x"}}, "device").status.hostname == "x"
