from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.client.tunnel.errors import TunnelError
from octelium.client.tunnel.state import connected, gateway_of
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user
from octelium.tunnel.link.plan import LinkPlan
from tests.client.tunnel.pieces import GATEWAY_KEY, KEY, gateway, state

_L3 = user.ConnectionStateL3Mode__


def test_both_families() -> None:
    found = connected(state())
    assert found.addresses == ("100.65.0.7/32", "fdee:1:2:3:1::7/128")
    assert found.routes == ("100.64.0.0/16", "fdee:1:2:3::/80")
    assert found.dns == ("100.64.0.2", "fdee:1:2:3::2")
    (one,) = found.gateways
    assert (one.public_key, one.port, one.addresses) == (GATEWAY_KEY, 53820, ("127.0.0.1",))
    assert found.private_key == KEY
    assert "private_key" not in repr(found)


@pytest.mark.parametrize(("mode", "version"), [(_L3.V4, 4), (_L3.V6, 6)])
def test_what_the_mode_leaves_out(mode: Any, version: int) -> None:
    """A Cluster tells addresses of both families, whatever was asked for."""
    found = connected(state(l3_mode=mode))
    texts = (*found.addresses, *found.routes, *found.dns, *found.gateways[0].ranges)
    assert len(texts) == 4
    assert all((":" in text) == (version == 6) for text in texts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mtu": 1279},
        {"mtu": 70_000},
        {"mtu": -1},
        {"x25519_key": b"short"},
        {"x25519_key": bytes(33)},
        {"addresses": []},
        {"addresses": [meta.DualStackNetwork(v4="100.65.0.7/24")]},
        {"addresses": [meta.DualStackNetwork(v4="nobody")]},
        {"addresses": [meta.DualStackNetwork(v4="8.8.8.8/32")]},
        {"addresses": [meta.DualStackNetwork(v6="2001:4860::1/128")]},
        {"addresses": [meta.DualStackNetwork(v6="fdee:1::1%lo/128")]},
        {"addresses": [meta.DualStackNetwork(v4=f"10.9.8.{last}/32") for last in (7, 1)]},
        {"cidr": meta.DualStackNetwork()},
        {"cidr": meta.DualStackNetwork(v4="0.0.0.0/0")},
        {"cidr": meta.DualStackNetwork(v4="10.0.0.0/7")},
        {"cidr": meta.DualStackNetwork(v4="8.0.0.0/8")},
        {"cidr": meta.DualStackNetwork(v4="100.0.0.0/9")},
        {"cidr": meta.DualStackNetwork(v4="100.128.0.0/16")},
        {"cidr": meta.DualStackNetwork(v4="172.32.0.0/16")},
        {"cidr": meta.DualStackNetwork(v4="127.0.0.0/16")},
        {"cidr": meta.DualStackNetwork(v4="169.254.0.0/16")},
        {"cidr": meta.DualStackNetwork(v4="224.0.0.0/8")},
        {"cidr": meta.DualStackNetwork(v6="2001:4860::/32")},
        {"cidr": meta.DualStackNetwork(v6="::ffff:10.0.0.0/104")},
        {"cidr": meta.DualStackNetwork(v6="fc00::/7")},
        {"cidr": meta.DualStackNetwork(v6="fc00::/6")},
        {"cidr": meta.DualStackNetwork(v6="2000::/3")},
        {"cidr": meta.DualStackNetwork(v6="fe80::/64")},
        {"cidr": meta.DualStackNetwork(v4="100.64.0.1/16")},
        {"dns": user.Dns(servers=["dns.example"])},
        {"dns": user.Dns(servers=["8.8.8.8"])},
        {"dns": user.Dns(servers=["100.64.0.2", "10.9.8.1"])},
        {"dns": user.Dns(servers=["fdee:1:2:3::2%lo"])},
        {"gateways": [gateway(key=b"short")]},
        {"gateways": [gateway(port=0)]},
        {"gateways": [gateway(port=65_536)]},
        {"gateways": [gateway(addresses=["gw.example"])]},
        {"gateways": [gateway(ranges=["everything"])]},
        {"gateways": [gateway(ranges=["0.0.0.0/0"])]},
        {"gateways": [gateway(ranges=["100.64.0.0/24", "2001:4860::/32"])]},
        {"gateways": [gateway()] * 1025},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TunnelError, match="the Cluster announces"):
        connected(state(**wrong))


@pytest.mark.parametrize(
    ("v4", "own"),
    [
        ("100.64.0.0/16", "100.65.0.7/32"),
        ("100.64.0.0/10", "100.127.255.255/32"),
        ("10.192.0.0/16", "10.193.0.7/32"),
        ("172.16.0.0/12", "172.16.0.7/32"),
        ("192.168.0.0/16", "192.168.7.7/32"),
    ],
)
@pytest.mark.parametrize("v6", ["fdee::/16", "fdee:1:2::/48", "fc01:2::/32"])
def test_private_networks_are_had_without_asking(v4: str, own: str, v6: str) -> None:
    if v6 == "fdee::/16":  # the networks of all Clusters; each has a /64
        v6 = "fdee:ffff::/64"
    said = state(
        cidr=meta.DualStackNetwork(v4=v4, v6=v6),
        addresses=[meta.DualStackNetwork(v4=own, v6="fdee:1:2:3:1::7/128")],
        dns=user.Dns(servers=[v4.partition("/")[0], v6.partition("/")[0]]),
    )
    assert connected(said).routes == (v4, v6)


def test_what_is_no_private_network_must_be_allowed() -> None:
    public = state(
        cidr=meta.DualStackNetwork(v4="8.8.0.0/16"),
        addresses=[meta.DualStackNetwork(v4="8.9.0.7/32")],
        gateways=[gateway(ranges=["8.8.0.0/24"])],
        dns=user.Dns(servers=["8.8.0.2"]),
    )
    with pytest.raises(TunnelError, match=r"a route for 8\.8\.0\.0/16, which is no priv") as caught:
        connected(public)
    assert "--allow-range 8.8.0.0/16" in caught.value.remedy
    with pytest.raises(TunnelError, match=r"the address 8\.9\.0\.7/32 for this host, which is no"):
        connected(public, ["8.8.0.0/16"])
    assert connected(public, ["8.8.0.0/15"]).addresses == ("8.9.0.7/32",)
    loopback = state(cidr=meta.DualStackNetwork(v4="127.0.0.0/16"))
    with pytest.raises(TunnelError, match="the Cluster announces"):
        connected(loopback, ["127.0.0.0/8"])


_TEXTS = st.one_of(
    st.text(max_size=40),
    st.ip_addresses().map(str),
    st.builds("{}/{}".format, st.ip_addresses(), st.integers(-1, 130)),
)


@given(_TEXTS, _TEXTS, _TEXTS, st.integers(-(2**31), 2**31 - 1), st.binary(max_size=40))
def test_whatever_a_cluster_says_is_refused_or_fit_for_use(
    own: str, cidr: str, server: str, mtu: int, key: bytes
) -> None:
    said = state(
        addresses=[meta.DualStackNetwork(v4=own)],
        cidr=meta.DualStackNetwork(v4=cidr),
        dns=user.Dns(servers=[server]),
        mtu=mtu,
        gateways=[gateway(key=key, addresses=[server], ranges=[cidr], port=mtu & 0x7FFFFFFF)],
    )
    try:
        found = connected(said)
    except TunnelError:
        return
    LinkPlan(found.mtu, (), found.routes, found.addresses)
    assert len(found.addresses) == len({ip_interface(each).version for each in found.addresses})
    ranges = [ip_network(each) for each in found.routes]
    for each in (*ranges, *(ip_network(text) for text in found.addresses)):
        assert each.is_private or each.network_address in ip_network("100.64.0.0/10")
    assert all(any(ip_address(each) in one for one in ranges) for each in found.dns)


def test_a_gateway_without_wireguard_is_none() -> None:
    message = gateway()
    message.ClearField("wireguard")
    assert gateway_of(message, {4}) is None
    assert gateway_of(gateway(addresses=[]), {4}) is None


def test_a_key_that_is_no_base64() -> None:
    message = gateway()
    message.wireguard.public_key = "%%%"
    with pytest.raises(TunnelError, match="with the key '%%%'"):
        gateway_of(message, {4})
