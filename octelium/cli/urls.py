"""Where people find public Services: the URLs that a browser or an HTTP client takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from octelium.cli.modes import SERVED
from octelium.schema.names import public_fqdn

if TYPE_CHECKING:
    from octelium.cli.invocation import Invocation

_PORT = 443


def service_url(invocation: Invocation, name: str, mode: str, *, is_public: bool) -> str:
    """The URL of a Service by its full name; empty where it has none. Raises ClientError.

    The port is that of the API's endpoint: both are served by the Cluster's one front door.
    """
    if not is_public or mode not in SERVED:
        return ""
    client = invocation.client
    port = client.target.port
    host = public_fqdn(name, client.domain)
    return f"https://{host}" if port == _PORT else f"https://{host}:{port}"
