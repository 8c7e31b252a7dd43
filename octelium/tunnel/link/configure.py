"""Makes the network namespace that the caller is in as a plan says."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from octelium.tunnel.link import addresses, firewall, sysctls, tun
from octelium.tunnel.link.addresses import Route

if TYPE_CHECKING:
    from octelium.tunnel.link.open_places import OpenPlace
    from octelium.tunnel.link.plan import LinkPlan


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan: `firewall` and `unset` as in LinkStatus."""

    firewall: str
    unset: tuple[str, ...]


def configure(plan: LinkPlan, places: frozenset[OpenPlace] = frozenset()) -> Outcome:
    """Make a private namespace as planned. Done again, only differences change. `places` are open,
    see `FirewallPlan.listed`.

    The firewall comes first, so that nothing is open in between.

    Raises:
        SysctlError, TunError, OSError: it cannot be; what was done so far stays.
    """
    unset = sysctls.apply()
    wall = _put_firewall(plan, places)
    addresses.set_up("lo")
    if tun.is_up(plan.device):  # somebody may have it open
        unset += _set_up(plan)
    else:
        # Open while it is turned on, or the kernel would drop what is sent until it notices later.
        device = tun.open_tun(plan.device, persistent=True, offload=plan.offload)
        try:
            unset += _set_up(plan)
        finally:
            os.close(device.descriptor)
    put_in_place(plan)
    return Outcome(wall, unset)


def put_in_place(plan: LinkPlan) -> None:
    """Addresses and routes of a plan, for a device that exists and is up. Also for a namespace that
    is not ours alone: what others made stays. The MTU of the way to peers is the device's, and no
    peer can say otherwise.

    Raises:
        NetlinkError, OSError: it cannot be.
    """
    addresses.put_addresses(plan.device, _usable(plan.tun_addresses))
    device, loopback = socket.if_nametoindex(plan.device), socket.if_nametoindex("lo")
    wanted = [Route(ip_network(text), loopback, True) for text in _usable(plan.local_routes)]
    routes = _usable(plan.tun_routes)
    wanted += [Route(ip_network(text), device, False, plan.mtu) for text in routes]
    addresses.put_routes(wanted)


def _usable(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Without IPv6 where the kernel has none."""
    return texts if sysctls.has_ipv6() else tuple(text for text in texts if ":" not in text)


def _put_firewall(plan: LinkPlan, places: frozenset[OpenPlace]) -> str:
    try:
        firewall.put(plan.firewall, plan.device, places)
    except firewall.FirewallUnavailableError as error:
        return f"unavailable: {error}" if plan.firewall is not None else "none"
    return "none" if plan.firewall is None else "active"


def _set_up(plan: LinkPlan) -> tuple[str, ...]:
    unset = sysctls.apply_to(plan.device)
    addresses.set_up(plan.device, plan.mtu)
    return unset
