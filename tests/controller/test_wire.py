from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.controller.status import (
    MAX_EVENTS,
    MAX_IMAGE,
    MAX_NAME,
    MAX_TEXT,
    ContainerEvent,
    ContainerStatus,
)
from octelium.controller.wire import LARGEST, MOST, Report, ReportError, reports

EVENT = ContainerEvent(
    "Pod web-5d4f", "Warning", "BackOff", "Back-off pulling image", 3, 1700000000
)
STATUS = ContainerStatus(
    "uid",
    "green",
    address="10.43.0.7",
    port=80,
    ready=True,
    desired=2,
    replicas=2,
    ready_replicas=1,
    updated=2,
    image="registry.example/web:1",
    restarts=4,
    reason="Starting",
    message="one of two is ready",
    events=(EVENT,),
)


def test_a_report_comes_through_as_it_is() -> None:
    report = Report("no API", leading=True, containers=(STATUS, ContainerStatus("uid", "")))
    assert Report.decode(report.encode()) == report
    v6 = replace(STATUS, address="fd00:0:0::7")
    (told,) = Report.decode(Report("", leading=False, containers=(v6,)).encode()).containers
    assert told.address == "fd00::7"


@given(st.lists(st.integers(0, 999), unique=True, max_size=3 * MOST), st.booleans())
def test_many_are_told_in_several_reports(numbers: list[int], leading: bool) -> None:
    statuses = [ContainerStatus(f"uid-{number}", "") for number in numbers]
    made = [Report.decode(one.encode()) for one in reports("x", statuses, leading=leading)]
    assert made
    assert [each for one in made for each in one.containers] == statuses
    assert {(one.trouble, one.leading) for one in made} == {("x", leading)}


def test_more_than_fit_are_refused_on_both_sides() -> None:
    many = tuple(ContainerStatus(str(number), "") for number in range(MOST + 1))
    with pytest.raises(ReportError, match="more than 64"):
        Report("", leading=True, containers=many).encode()
    value = {"trouble": "", "leading": True, "containers": [asdict(each) for each in many]}
    with pytest.raises(ReportError, match="at most 64"):
        Report.decode(json.dumps(value).encode())
    with pytest.raises(ReportError, match="more than 8388608"):
        Report.decode(b" " * (LARGEST + 1))


@given(st.text(), st.text(), st.text(max_size=3))
def test_whatever_kubernetes_says_arrives_printable_and_in_bounds(
    message: str, reason: str, repeated: str
) -> None:
    event = replace(EVENT, message=message + repeated * 2000, reason=reason, object=message)
    status = replace(STATUS, message=repeated * 2000, reason=reason, events=(event,) * 20)
    report = Report.decode(Report(message, leading=True, containers=(status,)).encode())
    (told,) = report.containers
    assert len(told.events) == MAX_EVENTS
    for text in (report.trouble, told.message, told.reason, told.events[0].message):
        assert text.isprintable()
        assert len(text) <= MAX_TEXT


def test_the_largest_report_is_within_the_bound() -> None:
    wide = "\U0001f600"
    event = ContainerEvent(wide * MAX_NAME, wide * MAX_NAME, wide * MAX_NAME, wide * MAX_TEXT, 1, 1)
    statuses = tuple(
        ContainerStatus(
            wide * (MAX_NAME - 2) + f"{number:02}",
            wide * MAX_NAME,
            image=wide * MAX_IMAGE,
            reason=wide * MAX_NAME,
            message=wide * MAX_TEXT,
            events=(event,) * MAX_EVENTS,
        )
        for number in range(MOST)
    )
    data = Report("", leading=True, containers=statuses).encode()
    assert len(data) <= LARGEST
    assert Report.decode(data).containers == statuses


def spoiled(**changes: Any) -> bytes:
    """A report with other members in its container, or in the container's event."""
    container = asdict(STATUS)
    for name, value in changes.items():
        part, _, member = name.rpartition("__")
        (container["events"][0] if part else container)[member] = value
    return json.dumps({"trouble": "", "leading": True, "containers": [container]}).encode()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        *[
            ({"address": address}, "address")
            for address in (
                *("127.0.0.1", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1"),
                *("224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:127.0.0.1", "fd00::1%eth0"),
                *("8.8.8.8", "203.0.113.10", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"),
                *("2001:db8::1", "64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1", "11.0.0.1"),
                *("example.com", "10.0.0.1:80", "10.0.0.0/8", "0x7f000001", 7),
            )
        ],
        ({"port": 65536}, "port"),
        ({"port": -1}, "port"),
        ({"port": True}, "port"),
        ({"port": 80.0}, "port"),
        ({"port": 0}, "ready"),
        ({"address": ""}, "ready"),
        ({"ready": 1}, "ready"),
        ({"restarts": 2**31}, "restarts"),
        ({"desired": None}, "desired"),
        ({"reason": "a\x1b[2J"}, "reason"),
        ({"message": "x" * (MAX_TEXT + 1)}, "message"),
        ({"message": "two\nlines"}, "message"),
        ({"image": "x" * (MAX_IMAGE + 1)}, "image"),
        ({"service_uid": None}, "service_uid"),
        ({"events": {}}, "events"),
        ({"events": [asdict(EVENT)] * (MAX_EVENTS + 1)}, "events"),
        ({"events": ["text"]}, "event"),
        ({"event__last": 2**33}, "last"),
        ({"event__count": -1}, "count"),
        ({"event__type": "\u202e"}, "type"),
        ({"event__object": 7}, "object"),
        ({"more": 1}, "container"),
        ({"event__more": 1}, "event"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], named: str) -> None:
    assert Report.decode(spoiled()).containers == (STATUS,)
    with pytest.raises(ReportError, match=named):
        Report.decode(spoiled(**changes))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000),
        b'{"trouble": "", "leading": true}',
        b'{"trouble": "", "leading": 1, "containers": []}',
        b'{"trouble": 1, "leading": true, "containers": []}',
        b'{"trouble": "", "leading": true, "containers": {}}',
        b'{"trouble": "", "leading": true, "containers": [1]}',
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(ReportError):
        Report.decode(data)


def test_one_container_is_told_once() -> None:
    with pytest.raises(ReportError, match="twice"):
        Report.decode(Report("", leading=True, containers=(STATUS, STATUS)).encode())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_is_read_or_refused(data: bytes) -> None:
    try:
        report = Report.decode(data)
    except ReportError:
        return
    assert Report.decode(report.encode()) == report


@given(st.sampled_from(sorted(asdict(STATUS))), _JSON)
def test_a_member_of_any_kind_is_read_or_refused(member: str, value: Any) -> None:
    try:
        report = Report.decode(spoiled(**{member: value}))
    except ReportError:
        return
    assert Report.decode(report.encode()) == report
