"""The URL of an upstream, taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from octelium.schema.url_ports import SCHEME_PORTS
from octelium.vigil.errors import Unserviceable

if TYPE_CHECKING:
    from collections.abc import Mapping


class UpstreamURL(NamedTuple):
    """Where an upstream is, and what is spoken there; the scheme and the host are lower-case."""

    scheme: str
    host: str
    port: int


def parse_upstream_url(url: str, ports: Mapping[str, int] = SCHEME_PORTS) -> UpstreamURL:
    """Take an upstream's URL apart; without a port it is that of its scheme in `ports`.

    Raises:
        Unserviceable: the URL leads nowhere.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Unserviceable(f"upstream URL is not valid: {error}", 502) from error
    scheme = parts.scheme.lower()
    if not host:
        raise Unserviceable("upstream URL has no host", 502)
    if port is None:
        port = ports.get(scheme)
    if not port:
        raise Unserviceable(f"upstream URL with scheme {scheme} has no port", 502)
    return UpstreamURL(scheme, host, port)
