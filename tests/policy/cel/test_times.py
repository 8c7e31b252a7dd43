from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.policy.cel import times
from octelium.policy.cel.errors import BudgetError, CelError
from octelium.policy.cel.times import (
    duration,
    format_duration,
    format_timestamp,
    local,
    parse_duration,
    parse_timestamp,
    timestamp,
    zone,
)
from octelium.policy.cel.values import BUDGET, SECOND, Duration, Frame, Timestamp

FIRST = -62135596800 * SECOND
LAST = 253402300800 * SECOND - 1


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:00:00-01:00", 0),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999999Z", LAST),
        ("1970-01-01t00:00:00z", 0),
    ],
)
def test_timestamps(text: str, ns: int) -> None:
    assert parse_timestamp(text).ns == ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970-01-01",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00",
        "1970-02-30T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00.1234567890Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "10000-01-01T00:00:00Z",
        "٠٩٧٠-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z\n",
    ],
)
def test_what_no_timestamp_is(text: str) -> None:
    with pytest.raises(CelError):
        parse_timestamp(text)


@given(st.integers(FIRST, LAST))
def test_timestamps_survive_their_text(ns: int) -> None:
    assert parse_timestamp(format_timestamp(Timestamp(ns))) == Timestamp(ns)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("0s", 0),
        ("1s", SECOND),
        ("1.5s", 1_500_000_000),
        (".5s", 500_000_000),
        ("-1h30m", -5400 * SECOND),
        ("+1m", 60 * SECOND),
        ("1h1m1s1ms1us1ns", 3661 * SECOND + 1_001_001),
        ("2µs", 2000),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text).ns == ns


@pytest.mark.parametrize(
    "text", ["", "1", "s", "1 s", "1d", "-", "1s-1s", ".s", "1.2.3s", "٣s", "300000h1000000000h"]
)
def test_what_no_duration_is(text: str) -> None:
    with pytest.raises(CelError):
        parse_duration(text)


@given(st.integers(-(2**62), 2**62))
def test_durations_survive_their_text(ns: int) -> None:
    assert parse_duration(format_duration(Duration(ns))) == Duration(ns)


def test_ranges() -> None:
    assert timestamp(LAST).ns == LAST
    for ns in (FIRST - 1, LAST + 1):
        with pytest.raises(CelError, match="out of range"):
            timestamp(ns)
    assert duration(2**63 - 1).ns == 2**63 - 1
    with pytest.raises(CelError, match="out of range"):
        duration(2**63)


def frame(steps: int = 100_000) -> Frame:
    return [None, None, steps, None]


def test_zones() -> None:
    at = parse_timestamp("2026-07-01T22:30:00Z")
    assert local(frame(), at).hour == 22
    assert local(frame(), at, "Europe/Berlin").day == 2
    assert local(frame(), at, "").hour == 22
    assert local(frame(), at, "+05:45").hour == 4
    assert local(frame(), at, "-01:30").hour == 21
    assert zone(frame(), "02:00").utcoffset(None) == dt.timedelta(hours=2)


@pytest.mark.parametrize(
    "name",
    [
        "Nowhere/Land",
        " ",
        "../../etc/passwd",
        "Europe",
        "+25:00",
        "+01:99",
        "a\x00b",
        "ü",
        "a" * 65,
    ],
)
def test_what_no_zone_is(name: str) -> None:
    with pytest.raises(CelError, match=r"zone|offset"):
        zone(frame(), name)


def test_looking_for_zones_uses_the_budget_up() -> None:
    spent = frame()

    def look_for_many() -> None:
        for number in range(1000):
            with contextlib.suppress(CelError):
                zone(spent, f"Nowhere/{number}")

    with pytest.raises(BudgetError):
        look_for_many()
    with pytest.raises(CelError, match="no time zone"):
        zone(frame(0), "x" * 1_000_000)


def test_a_zone_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "_ZONES", {})
    monkeypatch.setattr(times, "_KEPT_ZONES", 2)
    first = frame()
    assert zone(first, "Asia/Tokyo") is zone(frame(0), "Asia/Tokyo")
    assert first[BUDGET] == 100_000 - times._LOOK_UP
    for name in ("+01:00", "+02:00", "+03:00"):
        zone(frame(), name)
        assert len(times._ZONES) <= 2


def test_a_zone_may_lead_out_of_the_calendar() -> None:
    with pytest.raises(CelError, match="out of range"):
        local(frame(), Timestamp(LAST), "+23:00")
