"""What a client is told: its connection, the Gateways, name servers, the Services it serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from octelium.apiserver.connect.service_addresses import cidrs
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.schema.pb import user_v1_pb2 as user

if TYPE_CHECKING:
    from collections.abc import Sequence

    from octelium.apiserver.connect.network import Network
    from octelium.store.reading import Reader

DNS_SERVICE: Final = "dns.octelium"
"""The Service that answers for the Cluster's names; clients are told its addresses."""

_L3 = core.SessionStatusConnectionL3Mode__
_L4 = user.HostedServiceL4Type__
_HOSTED = user.HostedServiceMode__
_ESSH = core.SessionStatusConnectionUpstreamMode__.ESSH


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one connection. The private halves are for its client and are kept nowhere."""

    x25519: X25519PrivateKey
    ed25519: Ed25519PrivateKey

    @classmethod
    def generate(cls) -> Keys:
        """New ones."""
        return cls(X25519PrivateKey.generate(), Ed25519PrivateKey.generate())

    def put_public(self, connection: core.SessionStatusConnection) -> None:
        """Write the public halves into the connection that is stored."""
        connection.x25519_public_key = self.x25519.public_key().public_bytes_raw()
        connection.ed25519_public_key = self.ed25519.public_key().public_bytes_raw()


def connection_state(
    reader: Reader,
    network: Network,
    connection: core.SessionStatusConnection,
    keys: Keys,
    gateways: Sequence[user.Gateway],
) -> user.ConnectionState:
    """Everything that a client needs to be connected.

    The Ed25519 key has Go's form: the seed, then the public key (RFC 8032 has the seed only).
    Addresses are given in both families whatever the client asked for; it takes its own choice.
    """
    services, mode = network, connection.l3_mode
    seed = keys.ed25519.private_bytes_raw()
    return user.ConnectionState(
        mtu=network.mtu,
        x25519_key=keys.x25519.private_bytes_raw(),
        ed25519_key=seed + keys.ed25519.public_key().public_bytes_raw(),
        addresses=connection.addresses,
        gateways=gateways,
        dns=user.Dns(
            servers=dns_servers(reader, v4=mode != _L3.V6, v6=mode != _L3.V4),
        ),
        l3_mode=user.ConnectionStateL3Mode__.ConnectionStateL3Mode.ValueType(mode),
        service_options=user.ConnectionStateServiceOptions(services=hosted_services(connection)),
        cidr=meta.DualStackNetwork(
            v4=str(services.services_v4) if network.has_v4 else "",
            v6=str(services.services_v6) if network.has_v6 else "",
        ),
    )


def gateway_views(reader: Reader, network: Network) -> dict[str, user.Gateway]:
    """Each Gateway by its id, as clients see it. There is no tunnel by QUIC."""
    behind = cidrs(reader, network)
    return {
        gateway.status.id: user.Gateway(
            id=gateway.status.id,
            addresses=gateway.status.public_i_ps,
            cid_rs=behind.get(gateway.metadata.uid, []),
            hostname=gateway.status.hostname,
            wireguard=user.GatewayWireGuard(
                port=gateway.status.wireguard.port,
                public_key=gateway.status.wireguard.public_key,
            ),
        )
        for gateway in reader.peek_all(core.Gateway)
    }


def dns_servers(reader: Reader, *, v4: bool = True, v6: bool = True) -> list[str]:
    """The addresses at which the Cluster's names are answered; none without that Service."""
    service = reader.peek(core.Service, name=DNS_SERVICE)
    if service is None:
        return []
    addresses = [address.dual_stack_ip for address in service.status.addresses]
    return [
        text
        for address in addresses
        for text in (address.ipv4 if v4 else "", address.ipv6 if v6 else "")
        if text
    ]


def hosted_services(connection: core.SessionStatusConnection) -> list[user.HostedService]:
    """What the client is to serve, in the order of allocation."""
    address = meta.DualStackIp()
    for own in connection.addresses:
        address.ipv4, address.ipv6 = own.v4.partition("/")[0], own.v6.partition("/")[0]
    return [
        user.HostedService(
            name=entry.service_ref.name,
            port=entry.port,
            l4_type=_L4.HostedServiceL4Type.ValueType(entry.l4_type),
            upstream=user.HostedServiceUpstream(host=entry.backend.host, port=entry.backend.port),
            address=address,
            mode=_HOSTED.MODE_ESSH if entry.mode == _ESSH else _HOSTED.MODE_DEFAULT,
        )
        for entry in connection.upstreams
    ]


def hosted_events(
    before: Sequence[user.HostedService], after: Sequence[user.HostedService]
) -> list[user.ConnectResponse]:
    """What leads a client from one list of served Services to another.

    A client stops everything of a name at once, so what serves several upstreams under one name is
    taken away and added anew.
    """
    old, new = _by_name(before), _by_name(after)
    events = []
    for name, services in old.items():
        now = new.get(name, [])
        if now == services:
            continue
        if len(services) == len(now) == 1:
            updated = user.ConnectResponseUpdateService(service=now[0])
            events.append(user.ConnectResponse(update_service=updated))
            continue
        deleted = user.ConnectResponseDeleteService(name=name)
        events.append(user.ConnectResponse(delete_service=deleted))
        events += map(_added, now)
    for name, services in new.items():
        if name not in old:
            events += map(_added, services)
    return events


def _added(service: user.HostedService) -> user.ConnectResponse:
    return user.ConnectResponse(add_service=user.ConnectResponseAddService(service=service))


def _by_name(services: Sequence[user.HostedService]) -> dict[str, list[user.HostedService]]:
    found: dict[str, list[user.HostedService]] = {}
    for service in services:
        found.setdefault(service.name, []).append(service)
    return found
