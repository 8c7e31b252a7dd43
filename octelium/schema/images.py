"""Names of container images: `[registry/]path[:tag][@digest]`.

The grammar is that of "Pulling manifests" in the specification of OCI distribution, with a registry
before it as container runtimes read it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

DOCKER_HUB: Final = "docker.io"
"""The registry of images that name none."""

_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_HOST_PART = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PATH: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGITS: Final = {"sha256": 64, "sha512": 128}
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_REGISTRY: Final = re.compile(
    rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[[0-9a-fA-F:.]+\])(?::([0-9]{{1,5}}))?"
)

_KUBERNETES_HOSTS: Final = frozenset({"kubernetes", "kubernetes.default"})
_KUBERNETES_ENDINGS: Final = (".svc", ".cluster.local")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""The last part of what resolvers take for an address in an unusual form (inet_aton(3))."""
_NAT64: Final = ip_network("64:ff9b::/96")
_NODE_ONLY: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "100.100.100.200/32",
        "168.63.129.16/32", "192.0.0.192/32", "::/127", "fe80::/10", "ff00::/8",
        "fd00:ec2::254/128", "fd20:ce::254/128",
    )
)  # fmt: skip
"""Loopback, link-local and multicast addresses, and those of clouds' metadata."""


def check_image(image: str) -> None:
    """Refuse what no container runtime takes for an image. Raises ValueError, for people."""
    if image != image.strip() or not image:
        raise ValueError(f"{image!r} is not the name of an image")
    if "://" in image:
        raise ValueError(f"{image!r} is a URL, and an image is named without the {_scheme(image)}")
    rest, at, digest = image.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        name, colon, _ = digest.partition(":")
        if colon and name in _DIGITS:
            said = f"{_DIGITS[name]} hex digits in lower case after {name}:"
            raise ValueError(f"{digest!r} is not a digest, which has {said}")
        raise ValueError(f"{digest!r} is not a digest, which begins with sha256:")
    registry, path = _split(rest)
    if registry and not is_registry(registry):
        raise ValueError(f"{registry!r} is not a registry")
    path, colon, tag = path.partition(":")
    if colon and _TAG.fullmatch(tag) is None:
        raise ValueError(f"{tag!r} is not a tag")
    if path != path.lower():
        raise ValueError(f"{path!r} is not in lower case")
    if _PATH.fullmatch(path) is None:
        raise ValueError(f"{path!r} is not the path of an image")


def _scheme(image: str) -> str:
    return f"{image.partition('://')[0]}://"


def is_registry(text: str) -> bool:
    """Whether a text is the host of a registry, with or without a port."""
    found = _REGISTRY.fullmatch(text)
    return found is not None and (found[1] is None or 0 < int(found[1]) <= 65535)


def registry_of(image: str) -> str:
    """The registry that an image comes from; one that names none comes from Docker Hub."""
    return _split(image.partition("@")[0])[0] or DOCKER_HUB


def registry_host(registry: str) -> str:
    """The host of a registry, in lower case: without scheme, port, path and brackets."""
    bare = registry.removeprefix("https://").removeprefix("http://").partition("/")[0].lower()
    if bare.startswith("["):
        return bare[1:].partition("]")[0]
    return bare.partition(":")[0]


def registry_fault(registry: str) -> str:
    """Why no node may be sent to a registry, for people; empty if it may be.

    It is the node itself that asks, from its own network: not for what only it reaches, which is
    itself, the names of Kubernetes and the addresses at which clouds hand out credentials. Private
    addresses are allowed, as many have a registry at home.
    """
    host = registry_host(registry)
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host!r} is the node itself"
    if host in _KUBERNETES_HOSTS or host.endswith(_KUBERNETES_ENDINGS):
        return f"{host!r} is a name within Kubernetes"
    try:
        address = carried(ip_address(host))
    except ValueError:
        if _NUMERIC.fullmatch(host.rpartition(".")[2]):
            return f"{host!r} is neither a name nor an address of four numbers"
        return ""
    if any(address in network for network in _NODE_ONLY):
        return f"{host!r} is an address that only the node reaches"
    return ""


def carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address of IPv4 that one of IPv6 stands for (RFC 4291, 2.5.5.2; RFC 6052)."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def pinned(image: str) -> bool:
    """Whether the name holds a digest, so that it always means the same image."""
    return "@" in image


def _split(rest: str) -> tuple[str, str]:
    """Registry and path: what stands before the first slash is a registry if it looks like one."""
    first, slash, path = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, path
    return "", rest
