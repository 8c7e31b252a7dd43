"""The upstreams of Services whose bytes or datagrams are passed on as they are."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.vigil.errors import Unserviceable
from octelium.vigil.origins import client_certificate_secret
from octelium.vigil.upstream_url import parse_upstream_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from octelium.schema.pb import core_v1_pb2 as core
    from octelium.vigil.origins import Origins

_TLS: Final = frozenset({"tls", "https", "wss", "dot"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: a host and port, or with a `user` what clients of that User serve.

    With `tls` the stream to it is encrypted, for `host` as the server's name.
    """

    host: str
    port: int
    user: str = ""
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        place = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"{place} at User {self.user}" if self.user else place


def stream_endpoints(
    service: core.Service, config: core.ServiceSpecConfig | None, origins: Origins
) -> list[Endpoint]:
    """The endpoints of a Service of mode TCP.

    Streams are encrypted where the URL's scheme says so, and where a client certificate or other
    settings of TLS are configured.

    Raises:
        Unserviceable: there is none, or not one that this version can reach.
        NotReady: it is a container to which nothing can be sent now.
    """
    if config is None:
        raise Unserviceable("the Service has no configuration", 502)
    certificate = client_certificate_secret(config)
    always = bool(certificate) or config.HasField("tls")
    made = []
    for url, user in origins.endpoints(service, config):
        scheme, host, port = parse_upstream_url(url)
        context = None
        if always or scheme in _TLS:
            context, _ = origins.client_tls(config, certificate)
        made.append(Endpoint(host, port, user, context))
    return made


def datagram_endpoints(
    service: core.Service, config: core.ServiceSpecConfig | None, origins: Origins
) -> list[Endpoint]:
    """The endpoints of a Service of mode UDP. Raises Unserviceable as `stream_endpoints`."""
    if config is None:
        raise Unserviceable("the Service has no configuration", 502)
    return [
        Endpoint(host, port, user)
        for url, user in origins.endpoints(service, config)
        for _, host, port in (parse_upstream_url(url),)
    ]


def pick(choices: Sequence[Endpoint]) -> Endpoint:
    """One of several, with equal chance."""
    return choices[0] if len(choices) == 1 else secrets.choice(choices)
