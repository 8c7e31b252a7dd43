"""Kernel settings of the private network namespace (ip-sysctl.rst of the Linux documentation).

The necessary ones must hold, or nothing is served: a new namespace takes some of the host's values,
forwarding among them. The others are further locks; those that this kernel lacks are reported.
"""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/proc/sys/net")
_FRAGMENT_MEMORY = 1 << 20
"""Bytes that fragments of both families may hold each, while they wait for the rest."""
_FRAGMENT_SECONDS = 5

_NECESSARY = {
    "ipv4/ip_unprivileged_port_start": "0",
    "ipv4/ip_forward": "0",
    "ipv6/conf/all/forwarding": "0",
}
_FURTHER = {
    "ipv4/icmp_echo_ignore_broadcasts": "1",
    "ipv4/tcp_syncookies": "1",
    "ipv4/tcp_mtu_probing": "1",
    "ipv4/ipfrag_low_thresh": str(_FRAGMENT_MEMORY * 3 // 4),
    "ipv4/ipfrag_high_thresh": str(_FRAGMENT_MEMORY),
    "ipv4/ipfrag_time": str(_FRAGMENT_SECONDS),
    "ipv6/ip6frag_low_thresh": str(_FRAGMENT_MEMORY * 3 // 4),
    "ipv6/ip6frag_high_thresh": str(_FRAGMENT_MEMORY),
    "ipv6/ip6frag_time": str(_FRAGMENT_SECONDS),
}
_DEVICE4 = {
    "forwarding": "0",
    "accept_redirects": "0",
    "secure_redirects": "0",
    "send_redirects": "0",
    "shared_media": "0",
    "accept_source_route": "0",
    "accept_local": "0",
    "route_localnet": "0",
    "proxy_arp": "0",
    "rp_filter": "1",
}
_DEVICE6 = {
    "forwarding": "0",
    "accept_ra": "0",
    "accept_redirects": "0",
    "accept_source_route": "-1",
    "autoconf": "0",
    "router_solicitations": "0",
    "accept_dad": "0",
    "dad_transmits": "0",
    "addr_gen_mode": "1",
    "use_tempaddr": "0",
    "proxy_ndp": "0",
    "disable_ipv6": "0",
}


class SysctlError(Exception):
    """A necessary setting cannot be made; the text says which and what to do."""


def has_ipv6() -> bool:
    """Whether this kernel has IPv6."""
    return (_ROOT / "ipv6").is_dir()


def apply() -> tuple[str, ...]:
    """Set what holds for the whole namespace and for devices to come; the names left unset.

    For a process inside the private namespace only.

    Raises:
        SysctlError: a necessary one does not hold.
    """
    for path, value in _NECESSARY.items():
        if (path.startswith("ipv4/") or has_ipv6()) and (why := _set(path, value)):
            name = _name(path)
            raise SysctlError(
                f"{name} must be {value} in the private network: {why}. Where /proc/sys is "
                "read-only, let the container write there (--security-opt systempaths=unconfined)"
            )
    unset = _each(_FURTHER)
    for device in ("all", "default"):
        unset += apply_to(device)
    return unset


def apply_to(device: str) -> tuple[str, ...]:
    """Set what holds for one device; the names left unset."""
    four = {f"ipv4/conf/{device}/{name}": value for name, value in _DEVICE4.items()}
    six = {f"ipv6/conf/{device}/{name}": value for name, value in _DEVICE6.items()}
    if device == "all":
        del six["ipv6/conf/all/addr_gen_mode"]  # the kernel takes it for devices and `default`
    return _each(four | six)


def _each(values: dict[str, str]) -> tuple[str, ...]:
    present = has_ipv6()
    return tuple(
        _name(path)
        for path, value in values.items()
        if (present or path.startswith("ipv4/")) and _set(path, value)
    )


def _set(path: str, value: str) -> str:
    """Why a setting does not hold; empty if it does."""
    file = _ROOT / path
    try:
        if file.read_text().strip() != value:
            file.write_text(value)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _name(path: str) -> str:
    return "net." + path.replace("/", ".")
