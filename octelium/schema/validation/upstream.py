"""Upstreams of Services: addresses and load-balanced endpoints."""

from __future__ import annotations

from urllib.parse import urlsplit

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.url_ports import url_port
from octelium.schema.validation.rules import Validator, rule
from octelium.schema.validation.texts import split_url


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
