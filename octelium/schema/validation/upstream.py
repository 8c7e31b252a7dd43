"""Upstreams of Services: addresses, load-balanced endpoints, managed containers."""

from __future__ import annotations

from urllib.parse import urlsplit

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.url_ports import url_port
from octelium.schema.validation.rules import Validator, rule
from octelium.schema.validation.texts import split_url

_MAX_RESOURCES = 100


def upstream_port(upstream: core.ServiceSpecConfigUpstream) -> int | None:
    """The port of an upstream: that of its first endpoint or of its container."""
    form = upstream.WhichOneof("type")
    if form == "container":
        return upstream.container.port or None
    if form == "url":
        return url_port(urlsplit(upstream.url))
    if form == "loadbalance" and upstream.loadbalance.endpoints:
        return url_port(urlsplit(upstream.loadbalance.endpoints[0].url))
    return None


def upstream_users(upstream: core.ServiceSpecConfigUpstream) -> list[str]:
    """The names of the Users whose clients serve an upstream."""
    named = [upstream.user, *(endpoint.user for endpoint in upstream.loadbalance.endpoints)]
    return [name for name in named if name]


@rule(core.ServiceSpecConfigUpstreamLoadbalance)
def check_endpoints(
    loadbalance: core.ServiceSpecConfigUpstreamLoadbalance, path: str, validator: Validator
) -> None:
    """Endpoints stand in for each other: one scheme, and one port unless the Service has one."""
    first = None
    for index, endpoint in enumerate(loadbalance.endpoints):
        place = f"{path}.endpoints[{index}].url"
        parts = split_url(endpoint.url, place)
        if first is None:
            first = parts
        elif parts.scheme != first.scheme:
            raise Invalid(place, f"has the scheme {parts.scheme!r}, the first {first.scheme!r}")
        elif not validator.root.spec.port and url_port(parts) != url_port(first):
            raise Invalid(
                place,
                f"has the port {url_port(parts)}, the first {url_port(first)}",
                "give spec.port, or all endpoints the same port",
            )


@rule(core.ServiceSpecConfigUpstreamContainer)
def check_container(
    container: core.ServiceSpecConfigUpstreamContainer, path: str, _validator: Validator
) -> None:
    """Names within a container are unique, and what is mounted is declared."""
    resources = container.resource_limit.ext
    if len(resources) > _MAX_RESOURCES:
        raise Invalid(
            f"{path}.resourceLimit.ext",
            f"has {len(resources)} entries",
            f"at most {_MAX_RESOURCES} are allowed",
        )
    _check_unique([env.name for env in container.env], f"{path}.env")
    _check_unique([volume.name for volume in container.volumes], f"{path}.volumes")
    declared = {volume.name for volume in container.volumes}
    for index, mount in enumerate(container.volume_mounts):
        if mount.name not in declared:
            place = f"{path}.volumeMounts[{index}].name"
            raise Invalid(place, f"there is no volume {mount.name!r}", "declare it in volumes")


def _check_unique(found: list[str], path: str) -> None:
    for index, name in enumerate(found):
        if name in found[:index]:
            raise Invalid(f"{path}[{index}].name", f"{name!r} is given twice")
