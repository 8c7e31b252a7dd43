"""The Gateway: its resource, its key in a Secret of the Cluster's own, and the key's rotation."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import logging
import os
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.apiserver.connect.network import (
    choose_ranges,
    clients_take,
    network_of,
    put_ranges,
)
from octelium.apiserver.connect.service_addresses import (
    assign_missing,
    ledger_of,
    put_ledger,
)
from octelium.replica.gateway_key import LABEL, GatewayKeys, keys_from, name_of
from octelium.schema.durations import milliseconds
from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.store.metadata import reference, set_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.store.reading import Reader
    from octelium.store.transaction import Transaction

_LOG = logging.getLogger(__name__)
DEFAULT_PORT: Final = 53820
"""UDP port for WireGuard, as Octelium's Gateways have it."""
ROTATION: Final = 12 * 3600.0
"""Seconds for which a key is used, unless the ClusterConfig says another time."""
SHORTEST_ROTATION: Final = 30.0
PREVIOUS_KEY: Final = 300.0
"""Seconds for which a former key is still answered: longer than a client that lost its stream is
kept (120 s), and than data may be sent under one handshake (180 s, the WireGuard paper, 6.1)."""

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_REGION = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """What this machine's Gateway is to be."""

    public_addresses: tuple[str, ...]
    """IP addresses at which clients reach it; the first is what they use."""
    port: int = DEFAULT_PORT
    network_v4: str = ""
    """The Cluster's IPv4 network; empty for what the Cluster has, or the default."""
    network_v6: str = ""
    host_routes: tuple[str, ...] = ()
    """Destinations of the host's routes, which the Cluster's network must not overlap."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An address of the host, and whether its interface has the default route."""

    address: str
    is_default: bool


def choose_public_addresses(interfaces: Iterable[Interface], setting: Sequence[str]) -> list[str]:
    """Where clients reach the Gateway: as set, or else by the host's own addresses.

    Preferred are addresses that are routed on the Internet, then those of the interface with the
    default route, then any but loopback and link-local ones; IPv4 before IPv6, because clients try
    the first only and more of them have IPv4.

    Raises:
        Invalid: a setting is no IP address, or the host has none to offer.
    """
    if setting:
        try:
            return [str(ipaddress.ip_address(text)) for text in setting]
        except ValueError as error:
            raise Invalid("public-address", str(error), "give IP addresses") from None
    ranked = []
    for place, interface in enumerate(interfaces):
        address = ipaddress.ip_address(interface.address)
        if address.is_loopback or address.is_link_local or address.is_multicast:
            continue
        if address.is_unspecified:
            continue
        rank = (not address.is_global, not interface.is_default, address.version, place)
        ranked.append((rank, str(address)))
    if not ranked:
        raise Invalid(
            "public-address", "this host has no address for clients", "give --public-address"
        )
    best = min(ranked)[0][:2]
    return [text for rank, text in sorted(ranked) if rank[:2] == best]


def prepare(tx: Transaction, plan: GatewayPlan) -> core.Gateway:
    """Make the Gateway, the address plan and the addresses of Services, as far as they are missing.

    Does nothing more on a second call with the same plan.

    Raises:
        Invalid: the plan cannot be, or the Cluster has another network already.
        NoAddressLeftError: there are more Services than addresses.
    """
    gateway = next(iter(tx.list(core.Gateway)), None)
    _prepare_network(tx, plan, is_new=gateway is None)
    if gateway is None:
        gateway = _create(tx, plan)
    changed = core.Gateway()
    changed.CopyFrom(gateway)
    changed.status.wireguard.port = plan.port
    del changed.status.public_i_ps[:]
    changed.status.public_i_ps.extend(plan.public_addresses)
    gateway = tx.update(changed)
    assign_missing(tx)
    return gateway


def _prepare_network(tx: Transaction, plan: GatewayPlan, *, is_new: bool) -> None:
    config = tx.get(core.ClusterConfig, name="default")
    network = config.status.network
    if is_new:
        ranges = choose_ranges(
            plan.host_routes, v4=plan.network_v4, v6=plan.network_v6, random_bytes=os.urandom
        )
        put_ranges(config, ranges)
        tx.update(config)
        return
    for wanted, present, path in (
        (plan.network_v4, network.cluster_network.v4, "network-v4"),
        (plan.network_v6, network.cluster_network.v6, "network-v6"),
    ):
        if wanted and ipaddress.ip_network(wanted) != ipaddress.ip_network(present):
            raise Invalid(
                path, f"this Cluster's network is {present} since its first start", "remove it"
            )
    present = network.cluster_network.v4
    if present and not clients_take(ipaddress.IPv4Network(present)):
        _LOG.warning(
            "the Cluster's network %s is not private: clients connect with --allow-range %s only",
            present,
            present,
        )


def _create(tx: Transaction, plan: GatewayPlan) -> core.Gateway:
    config = tx.get(core.ClusterConfig, name="default")
    network = network_of(config)
    assert network is not None
    keys = GatewayKeys(secrets.token_bytes(32))
    node = secrets.token_bytes(16)
    label = base64.b32encode(hashlib.sha256(node).digest()).decode().lower()[:8]
    gateway_id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    gateway = core.Gateway(api_version="core/v1", kind="Gateway")
    gateway.metadata.name = f"{_REGION}-{label}"
    gateway.metadata.is_system = True
    gateway.spec.SetInParent()
    status = gateway.status
    status.region_ref.CopyFrom(reference(tx.get(core.Region, name=_REGION)))
    status.id = gateway_id
    status.hostname = f"_gw-{gateway_id}.{config.status.domain}"
    status.index = 0
    status.wireguard.port = plan.port
    status.wireguard.public_key = keys.public
    set_time(status.wireguard.key_rotated_at, tx.at)
    gateway = tx.create(gateway)
    ledger = ledger_of(tx)
    for cidr in network.blocks([ledger.own(gateway.metadata.uid)]):
        setattr(gateway.status.cidr, "v6" if ":" in cidr else "v4", cidr)
    ledger.next[gateway.metadata.uid] = ledger.owned(gateway.metadata.uid)[-1] * 256 + 16
    put_ledger(tx, ledger)
    _put_keys(tx, gateway, keys)
    return tx.update(gateway)


def rotation_period(config: core.ClusterConfig) -> float:
    """Seconds for which a key is used."""
    wanted = milliseconds(config.spec.gateway.wireguard_key_rotation_duration) / 1000
    return max(wanted, SHORTEST_ROTATION) if wanted else ROTATION


def rotate(tx: Transaction, now: float, *, replace: bool) -> int:
    """Forget former keys that are answered no more; with `replace`, change keys that are due.

    Keys may only change while clients learn of it, that is, while `Connect` streams are up. How
    many Secrets changed.
    """
    period = rotation_period(tx.get(core.ClusterConfig, name="default"))
    changed = 0
    for gateway in tx.list(core.Gateway):
        rotated_at = gateway.status.wireguard.key_rotated_at.ToMicroseconds() / 1_000_000
        keys = gateway_keys(tx, gateway)
        kept = tuple((key, until) for key, until in keys.previous if until > now)
        if replace and rotated_at + period <= now:
            kept = ((keys.current, now + PREVIOUS_KEY), *kept)
            keys = GatewayKeys(secrets.token_bytes(32), kept)
            gateway.status.wireguard.public_key = keys.public
            set_time(gateway.status.wireguard.key_rotated_at, now)
            tx.update(gateway)
        elif len(kept) < len(keys.previous):
            keys = GatewayKeys(keys.current, kept)
        else:
            continue
        _put_keys(tx, gateway, keys)
        changed += 1
    return changed


def is_due(reader: Reader, now: float) -> bool:
    """Whether `rotate` has a key to replace."""
    config = reader.peek(core.ClusterConfig, name="default")
    if config is None:
        return False
    period = rotation_period(config)
    return any(
        gateway.status.wireguard.key_rotated_at.ToMicroseconds() / 1_000_000 + period <= now
        for gateway in reader.peek_all(core.Gateway)
    )


def gateway_keys(reader: Reader, gateway: core.Gateway) -> GatewayKeys:
    """The keys of a Gateway.

    Raises:
        NotFound: its Secret is gone.
        GatewayKeyError: its Secret holds none.
    """
    return keys_from(reader.get(core.Secret, name=name_of(gateway.status.id)))


def _put_keys(tx: Transaction, gateway: core.Gateway, keys: GatewayKeys) -> None:
    name = name_of(gateway.status.id)
    secret = tx.find(core.Secret, name=name)
    if secret is not None:
        secret.data.value_bytes = keys.to_bytes()
        tx.update(secret)
        return
    secret = core.Secret(api_version="core/v1", kind="Secret")
    secret.metadata.name = name
    secret.metadata.is_system = secret.metadata.is_system_hidden = True
    secret.metadata.system_labels[LABEL] = gateway.metadata.uid
    secret.spec.SetInParent()
    secret.status.SetInParent()
    secret.data.value_bytes = keys.to_bytes()
    tx.create(secret)
