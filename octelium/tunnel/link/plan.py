"""What a link shall be, and what it is."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from ipaddress import ip_interface, ip_network
from typing import Any

DEVICE = "octelium0"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,14}")
_MOST = 64
_MTU = range(1280, 65521)  # IPv6 needs 1280 (RFC 8200 section 5); a packet's length has 16 bits


class PlanError(ValueError):
    """A plan that cannot be; the text says what is wrong with which part. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class FirewallPlan:
    """Who may talk to whom over the TUN device: packets between `peers` and `own`, nothing else.

    `peers` are the ranges at the other side, `own` those of this side. Without `incoming`, peers
    may not begin TCP connections. With `listed` they may begin what is told beside the plan (see
    `open_places`), and nothing else.
    """

    peers: tuple[str, ...]
    own: tuple[str, ...]
    incoming: bool = True
    listed: bool = False


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A TUN device and its addresses and routes. Ranges are like `100.64.0.0/16`."""

    mtu: int
    local_routes: tuple[str, ...] = ()
    """Ranges every address of which is this host's own (AnyIP)."""
    tun_routes: tuple[str, ...] = ()
    tun_addresses: tuple[str, ...] = ()
    """Like `100.65.0.7/32`."""
    firewall: FirewallPlan | None = None
    device: str = DEVICE
    offload: bool = True
    """Whether the engine takes large packets, see `open_tun`."""

    def __post_init__(self) -> None:
        if type(self.mtu) is not int or self.mtu not in _MTU:
            raise PlanError(f"mtu: {self.mtu!r} is not from {_MTU.start} to {_MTU.stop - 1}")
        if not isinstance(self.device, str) or _NAME.fullmatch(self.device) is None:
            raise PlanError(f"device: {self.device!r} is not 1 to 15 of a-z, 0-9 and hyphens")
        if type(self.offload) is not bool:
            raise PlanError("offload: neither true nor false")
        if self.device == "lo":
            raise PlanError("device: lo is the loopback interface")
        for name in ("local_routes", "tun_routes"):
            _ranges(name, getattr(self, name))
        _few("tun_addresses", self.tun_addresses)
        for text in self.tun_addresses:
            try:
                ip_interface(text)
            except ValueError as error:
                raise PlanError(f"tun_addresses: {error}") from error
        if self.firewall is not None:
            _ranges("firewall.peers", self.firewall.peers)
            _ranges("firewall.own", self.firewall.own)

    @property
    def is_listed(self) -> bool:
        """Whether a list of open places belongs to it."""
        return self.firewall is not None and self.firewall.listed

    def to_wire(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> LinkPlan:
        """The reverse of `to_wire`. Raises PlanError."""
        given = _members("plan", data, cls)
        firewall = given.get("firewall")
        if firewall is not None:
            wall = _members("firewall", firewall, FirewallPlan)
            for name, default in (("incoming", True), ("listed", False)):
                if type(wall.setdefault(name, default)) is not bool:
                    raise PlanError(f"firewall.{name}: neither true nor false")
            for name in ("peers", "own"):
                wall[name] = _texts(f"firewall.{name}", wall.get(name, ()))
            given["firewall"] = FirewallPlan(**wall)
        for name in ("local_routes", "tun_routes", "tun_addresses"):
            given[name] = _texts(name, given.get(name, ()))
        return cls(**{"mtu": None, **given})


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What a link process tells of itself."""

    plan: LinkPlan | None
    """None until it was told one."""
    firewall: str = ""
    """`active`, `none` (not planned), or `unavailable: ` and why."""
    counters: dict[str, int] = field(default_factory=dict)
    """Packets by rule of the firewall, such as `input-dropped`."""
    unset: tuple[str, ...] = ()
    """Kernel settings beyond the necessary ones that could not be set."""
    listeners: int = 0
    clients: int = 0

    def to_wire(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> LinkStatus:
        """The reverse of `to_wire`."""
        plan = data["plan"]
        unset = tuple(data["unset"])
        return cls(**{**data, "unset": unset, "plan": plan and LinkPlan.from_wire(plan)})


def _members(what: str, data: object, kind: type) -> dict[str, Any]:
    known = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]  # both callers' kinds are
    if not isinstance(data, dict):
        raise PlanError(f"{what}: not an object")
    if unknown := set(data) - known:
        raise PlanError(f"{what}: unknown {sorted(map(str, unknown))}")
    return dict(data)


def _texts(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise PlanError(f"{name}: not a list of texts")
    return tuple(value)


def _few(name: str, values: tuple[str, ...]) -> None:
    if len(values) > _MOST:
        raise PlanError(f"{name}: {len(values)} are more than {_MOST}")


def _ranges(name: str, values: tuple[str, ...]) -> None:
    _few(name, values)
    for text in values:
        try:
            network = ip_network(text)
        except ValueError as error:
            raise PlanError(f"{name}: {error}") from error
        if network.prefixlen == 0:
            raise PlanError(f"{name}: {text} is everything")
