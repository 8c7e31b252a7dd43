from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.tunnel.link.plan import FirewallPlan, LinkPlan, LinkStatus, PlanError

RANGES = st.lists(
    st.sampled_from(["100.64.0.0/16", "fdee:1:2:3::/80", "10.0.0.0/8", "10.1.2.3/32"]), max_size=4
).map(tuple)
PLANS = st.builds(
    LinkPlan,
    st.integers(1280, 65520),
    RANGES,
    RANGES,
    st.lists(st.sampled_from(["100.65.0.7/32", "fdee::7/128"]), max_size=2).map(tuple),
    st.none() | st.builds(FirewallPlan, RANGES, RANGES, st.booleans(), st.booleans()),
    st.sampled_from(["octelium0", "octelium-a1b2c3"]),
)


@given(PLANS)
def test_plans_come_back(plan: LinkPlan) -> None:
    assert LinkPlan.from_wire(json.loads(json.dumps(plan.to_wire()))) == plan


@given(PLANS, st.booleans())
def test_statuses_come_back(plan: LinkPlan, planned: bool) -> None:
    status = LinkStatus(plan if planned else None, "active", {"input-tcp": 3}, ("net.a",), 1, 2)
    assert LinkStatus.from_wire(json.loads(json.dumps(status.to_wire()))) == status


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mtu": 1279}, "mtu"),
        ({"mtu": True}, "mtu"),
        ({"mtu": "1280"}, "mtu"),
        ({"mtu": None}, "mtu"),
        ({"device": "../x"}, "device"),
        ({"device": "lo\0"}, "device"),
        ({"device": "a" * 16}, "device"),
        ({"device": "lo"}, "loopback"),
        ({"device": 3}, "device"),
        ({"offload": 1}, "offload"),
        ({"local_routes": ["100.64.0.1/16"]}, "local_routes.*host bits"),
        ({"local_routes": ["0.0.0.0/0"]}, "everything"),
        ({"tun_routes": ["::/0"]}, "everything"),
        ({"tun_routes": ["elsewhere"]}, "tun_routes"),
        ({"tun_routes": "100.64.0.0/16"}, "tun_routes: not a list"),
        ({"tun_routes": [3]}, "tun_routes: not a list"),
        ({"tun_addresses": ["100.65.0.7/33"]}, "tun_addresses"),
        ({"tun_routes": ["10.0.0.0/8"] * 65}, "more than 64"),
        ({"firewall": []}, "firewall: not an object"),
        ({"firewall": {"peers": ["0.0.0.0/0"]}}, "firewall.peers"),
        ({"firewall": {"own": "10.0.0.0/8"}}, "firewall.own"),
        ({"firewall": {"incoming": 1}}, "incoming"),
        ({"firewall": {"also": 1}}, "unknown"),
        ({"also": 1}, "unknown"),
    ],
)
def test_plans_that_cannot_be_are_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(PlanError, match=why):
        LinkPlan.from_wire({"mtu": 1280, **change})


@pytest.mark.parametrize("data", [None, [], 3, "x", {}])
def test_what_is_no_plan_is_refused(data: object) -> None:
    with pytest.raises(PlanError):
        LinkPlan.from_wire(data)
