from __future__ import annotations

from typing import Any

import pytest

from octelium.controller.objects.network_policy import network_policy_spec
from octelium.controller.objects.settings import Settings
from tests.controller.objects.samples import managed

SELECTOR = {"a": "b"}


def spec(settings: Settings | None = None, mode: str = "WEB") -> dict[str, Any]:
    return network_policy_spec(managed({"port": 8080}, mode=mode), SELECTOR, settings or Settings())


def test_it_concerns_the_pods_of_its_container_both_ways() -> None:
    made = spec()
    assert made["podSelector"] == {"matchLabels": SELECTOR}
    assert made["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(("mode", "protocol"), [("WEB", "TCP"), ("UDP", "UDP")])
def test_the_cluster_alone_reaches_the_port_alone(mode: str, protocol: str) -> None:
    settings = Settings(cluster_namespace="home", cluster_labels={"app": "octelium", "x": "y"})
    assert spec(settings, mode)["ingress"] == [
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "home"}},
                    "podSelector": {"matchLabels": {"app": "octelium", "x": "y"}},
                }
            ],
            "ports": [{"port": 8080, "protocol": protocol}],
        }
    ]


def test_it_reaches_public_addresses() -> None:
    (rule,) = spec()["egress"]
    assert rule.keys() == {"to"}
    assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == [
        *("0.0.0.0/0", "2000::/3", "64:ff9b::/96"),
    ]
    assert "10.0.0.0/8" in rule["to"][0]["ipBlock"]["except"]
    assert "64:ff9b::a00:0/104" in rule["to"][2]["ipBlock"]["except"]


def test_further_addresses_are_excepted() -> None:
    (rule,) = spec(Settings(refused=("198.51.101.7",)))["egress"]
    assert "198.51.101.7/32" in rule["to"][0]["ipBlock"]["except"]


def test_name_servers_that_are_not_public_answer_at_their_port_alone() -> None:
    _, rule = spec(Settings(name_servers=("8.8.8.8", "192.168.1.1", "fd00::1")))["egress"]
    assert rule == {
        "to": [{"ipBlock": {"cidr": "192.168.1.1/32"}}, {"ipBlock": {"cidr": "fd00::1/128"}}],
        "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    }


def test_nothing_is_reached_where_nothing_is_left() -> None:
    settings = Settings(refused=("0.0.0.0/0", "::/0"), name_servers=("10.0.0.1",))
    (rule,) = spec(settings)["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    settings = Settings(refused=("0.0.0.0/0", "::/0"), name_servers=())
    assert spec(settings)["egress"] == []


def test_a_name_server_is_an_address() -> None:
    with pytest.raises(ValueError, match="dns"):
        spec(Settings(name_servers=("dns.test",)))
