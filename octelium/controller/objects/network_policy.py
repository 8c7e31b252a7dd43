"""Who may reach a container, and what it may reach: its NetworkPolicy."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from octelium.controller.objects.public_networks import public_networks

if TYPE_CHECKING:
    from octelium.controller.managed import Managed
    from octelium.controller.objects.outcome import Manifest
    from octelium.controller.objects.settings import Settings


def network_policy_spec(managed: Managed, selector: dict[str, str], settings: Settings) -> Manifest:
    """Only the Cluster's Pod reaches the container's port; the container reaches public addresses.

    Containers do not reach each other, the node, the API of Kubernetes or the networks around
    them. Name servers of the settings that are not public are reached at port 53 alone.

    Raises:
        ValueError: the settings hold something that is no address.
    """
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [
                    {
                        "namespaceSelector": {
                            "matchLabels": {
                                "kubernetes.io/metadata.name": settings.cluster_namespace
                            }
                        },
                        "podSelector": {"matchLabels": dict(settings.cluster_labels)},
                    }
                ],
                "ports": [_port(managed.container.port, managed.protocol)],
            }
        ],
        "egress": _egress(settings),
    }


def _egress(settings: Settings) -> list[Manifest]:
    public = public_networks(settings.refused)
    rules: list[Manifest] = []
    if public:
        rules.append({"to": [_block(str(cidr), map(str, without)) for cidr, without in public]})
    addresses = [ip_address(text) for text in settings.name_servers]
    private = [one for one in addresses if not any(block.holds(one) for block in public)]
    if private:
        rules.append(
            {
                "to": [_block(f"{one}/{one.max_prefixlen}", ()) for one in private],
                "ports": [_port(53, "UDP"), _port(53, "TCP")],
            }
        )
    return rules


def _block(cidr: str, without: Any) -> Manifest:
    excepted = list(without)
    return {"ipBlock": {"cidr": cidr, **({"except": excepted} if excepted else {})}}


def _port(port: int, protocol: str) -> Manifest:
    return {"port": port, "protocol": protocol}
