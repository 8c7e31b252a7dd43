from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.gateway.report import LIVE, Report, ReportError, series_of
from octelium.tunnel.engines.interface import PeerConfig, PeerStats
from octelium.visibility.metrics import Registry
from tests.gateway.world import FakeEngine, key


def test_a_report_arrives_as_it_was_sent() -> None:
    report = Report("trouble", {"octelium_tunnel_peers": 3})
    assert Report.decode(report.encode()) == report


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"trouble": 1, "series": {}}',
        b'{"trouble": "", "series": []}',
        b'{"trouble": "", "series": {"a": "1"}}',
        b'{"trouble": "", "series": {"a": true}}',
        b'{"trouble": "", "series": {"a": NaN}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(ReportError):
        Report.decode(data)


@given(st.binary() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    try:
        Report.decode(data)
    except ReportError:
        return


async def test_what_an_engine_did_is_told_as_metrics() -> None:
    engine = FakeEngine()
    for number in (1, 2):
        engine.put_peer(PeerConfig(key(number)))
    engine.places = {
        key(1): PeerStats(("203.0.113.7", 1), 1000.0, 10, 20),
        key(2): PeerStats(("203.0.113.7", 2), 1000.0 - LIVE, 1, 2),
    }
    engine.events["bad_source"] = 4
    series = series_of(engine, 1001.0, {"firewall-input-dropped": 5})
    assert series["octelium_tunnel_peers"] == 2
    assert series["octelium_tunnel_peers_live"] == 1
    assert series["octelium_tunnel_received_bytes_total"] == 11
    assert series["octelium_tunnel_sent_bytes_total"] == 22
    registry = Registry()
    registry.update("gateway", series)
    text = registry.render()
    assert 'octelium_tunnel_events_total{process="gateway",event="bad_source"} 4' in text
    assert 'event="firewall-input-dropped"} 5' in text
