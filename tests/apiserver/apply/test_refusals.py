from __future__ import annotations

import grpc
import pytest

from octelium.apiserver.apply.refusals import Refusals
from octelium.apiserver.apply.steps import Step
from octelium.apiserver.core.rules import all_rules
from octelium.apiserver.core.warnings import ERRORS_TRAILER
from octelium.apiserver.rpc import ApiError, Call
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.store.errors import NotFound, PermissionDenied


def step(index: int | None = 0, name: str = "alice") -> Step:
    return Step(all_rules()["User"], name, index)


def settled(refusals: Refusals) -> tuple[ApiError, ext.ApplyErrors]:
    call = Call("/a.B/C", session_uid="s")
    with pytest.raises(ApiError) as caught:
        refusals.settle(call)
    [(name, value)] = call.trailers
    assert name == ERRORS_TRAILER
    assert isinstance(value, bytes)
    return caught.value, ext.ApplyErrors.FromString(value)


def test_nothing_refused_is_nothing_raised() -> None:
    call = Call("/a.B/C")
    Refusals().settle(call)
    assert call.trailers == []


def test_every_refusal_is_named_and_the_first_gives_the_status() -> None:
    refusals = Refusals()
    refusals.add(step(3), NotFound("gone"))
    refusals.add(step(4, "bob"), Invalid("spec.type", "is missing", "write HUMAN"))
    refusals.add(step(None, "carol"), PermissionDenied("no"))
    error, trailer = settled(refusals)
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert error.message.splitlines() == [
        "resources[3] User alice: gone",
        "resources[4] User bob: spec.type: is missing (write HUMAN)",
        "prune User carol: no",
    ]
    assert list(trailer.errors) == [
        ext.ApplyError(index=3, kind="User", name="alice", problem="gone"),
        ext.ApplyError(
            index=4,
            kind="User",
            name="bob",
            path="spec.type",
            problem="is missing",
            remedy="write HUMAN",
        ),
        ext.ApplyError(kind="User", name="carol", problem="no"),
    ]
    assert not trailer.errors[2].HasField("index")


def test_many_refusals_fit_into_a_header() -> None:
    refusals = Refusals()
    for index in range(5000):
        refusals.add(step(index), Invalid("spec", "x" * 100))
    error, trailer = settled(refusals)
    assert error.message.splitlines()[-1] == "and 4980 more"
    assert 10 < len(trailer.errors) < 5000
    assert trailer.ByteSize() <= 4000


def test_only_refusals_are_collected() -> None:
    def refuse(_step: Step) -> None:
        raise Invalid("spec", "bad")

    def fail(_step: Step) -> None:
        raise ZeroDivisionError

    refusals = Refusals()
    refusals.attempt(refuse, step())
    with pytest.raises(ZeroDivisionError):
        refusals.attempt(fail, step())
    assert settled(refusals)[0].code is grpc.StatusCode.INVALID_ARGUMENT


def test_what_only_follows_from_another_refusal_is_left_out() -> None:
    refusals = Refusals()
    assert not refusals
    refusals.add(step(1, "ann"), Invalid("spec.type", "is missing"))
    refusals.add(step(2, "bob"), Invalid("spec.user", "there is no User 'ann'"))
    refusals.add(step(3, "eve"), Invalid("spec.user", "there is no User 'bob'"))
    refusals.add(step(4, "joe"), Invalid("spec.user", "there is no User 'sue'"))
    assert refusals
    assert [item.name for item in settled(refusals)[1].errors] == ["ann", "joe"]


def test_one_reason_for_each_resource() -> None:
    refusals = Refusals()
    one = step(1)
    refusals.add(one, PermissionDenied("GetUser"))
    refusals.add(one, PermissionDenied("UpdateUser"))
    assert [item.problem for item in settled(refusals)[1].errors] == ["GetUser"]
