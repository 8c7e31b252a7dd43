from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.apiserver.insight.engine import Question
from octelium.apiserver.insight.questions import (
    MAX_BYTES,
    LoggedQuestion,
    carries_policies,
    read_question,
)
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext


def ask(**fields: Any) -> ext.ExplainRequest:
    request = ext.ExplainRequest()
    for name, value in fields.items():
        if isinstance(value, dict):
            getattr(request, name).update(value)
            getattr(request, name).SetInParent()
        elif name == "at":
            request.at.FromMilliseconds(value)
        else:
            setattr(request, name, value)
    return request


def test_a_supposed_request() -> None:
    question = read_question(
        ask(
            service="wiki",
            user="ann",
            request={"ip": "192.0.2.7", "http": {"path": "/", "size": 5}},
            session_fields={"status": {"type": "CLIENT"}},
            device_fields={},
            at=1500,
        )
    )
    assert question == Question(
        service="wiki.default",
        user="ann",
        request={"ip": "192.0.2.7", "http": {"path": "/", "size": 5}},
        session_fields={"status": {"type": "CLIENT"}},
        at=1.5,
        address="192.0.2.7",
    )
    assert type(question.request["http"]["size"]) is int  # type: ignore[index]  # it is there


def test_no_request_is_not_an_empty_one() -> None:
    without, empty = (
        read_question(ask(service="a.b")),
        read_question(ask(service="a.b", request={})),
    )
    assert isinstance(without, Question)
    assert isinstance(empty, Question)
    assert (without.service, without.request) == ("a.b", None)
    assert empty.request == {}


def test_a_logged_request() -> None:
    assert read_question(ask(log_id="x")) == LoggedQuestion("x", None)
    assert read_question(ask(log_id="x", at=2000, find_change=True)) == LoggedQuestion("x", 2.0)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({}, "service"),
        ({"user": "ann"}, "service"),
        ({"service": "wiki", "user": "ann", "session": "s"}, "user"),
        ({"log_id": "x", "user": "ann"}, "user"),
        ({"log_id": "x", "service": "wiki"}, "service"),
        ({"log_id": "x", "request": {}}, "request"),
        ({"log_id": "x", "session_fields": {}}, "sessionFields"),
        ({"log_id": "x", "device_fields": {}}, "deviceFields"),
        ({"service": "wiki", "session_fields": {}}, "sessionFields"),
        ({"service": "wiki", "device_fields": {}}, "deviceFields"),
        ({"service": "wiki", "request": {"x": "y" * MAX_BYTES}}, ""),
    ],
)
def test_what_cannot_be_asked(fields: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_question(ask(**fields))
    assert caught.value.path == place


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
OBJECTS = st.dictionaries(st.text(max_size=5), JSON, max_size=4)


@given(
    log_id=st.text(max_size=3),
    session=st.text(max_size=3),
    user=st.text(max_size=3),
    service=st.text(max_size=3),
    request=OBJECTS | st.none(),
    session_fields=OBJECTS | st.none(),
)
def test_whatever_is_asked_is_read_or_refused(**fields: Any) -> None:
    request = ask(**{name: value for name, value in fields.items() if value is not None})
    try:
        question = read_question(request)
    except Invalid:
        return
    if isinstance(question, LoggedQuestion):
        assert question.id == fields["log_id"] != ""
        assert not fields["session"]
        assert not fields["user"]
        assert fields["request"] is None
    else:
        assert not fields["log_id"]
        assert question.service
        assert (question.request is None) == (fields["request"] is None)


@given(st.binary(max_size=300))
def test_any_message_is_read_or_refused(data: bytes) -> None:
    request = ext.ExplainRequest()
    try:
        request.ParseFromString(data)
    except Exception:
        return
    try:
        read_question(request)
    except Invalid:
        return


@pytest.mark.parametrize(
    ("fields", "carries"),
    [
        ({}, False),
        ({"spec": {"state": "ACTIVE"}}, False),
        ({"spec": "authorization"}, False),
        ({"spec": {"authorization": None}}, True),
        ({"spec": {"authorization": {}}}, True),
        ({"spec": {"authorization": {"inlinePolicies": []}}}, True),
        ({"status": {"authorization": {}}}, False),
    ],
)
def test_fields_that_bring_policies_along(fields: dict[str, Any], carries: bool) -> None:
    assert carries_policies(fields) is carries
