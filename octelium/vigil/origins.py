"""From a Service's upstream settings to the origins that the pool connects to."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, Final, Protocol

from octelium.http.pool import Origin
from octelium.http.tls import load_certificate
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.url_ports import HTTP_PORTS
from octelium.vigil.errors import Unserviceable
from octelium.vigil.upstream_url import parse_upstream_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLAIN: Final = frozenset({"http", "ws", "h2c", "grpc"})
_TLS: Final = frozenset({"https", "wss"})
_ALPN: Final = {False: ("http/1.1",), True: ("h2", "http/1.1")}
"""By whether HTTP/2 is wanted."""


class ContainerPlaces(Protocol):
    """Where the containers of Services are; `octelium.vigil.containers` tells."""

    def url(self, service: core.Service, config: core.ServiceSpecConfig) -> str:
        """The URL of a configuration's container. Raises Unserviceable, mostly NotReady."""


class Upstream:
    """An origin and the authority by which requests name it.

    With a `user`, clients of that User serve it, and the origin's host is a name alone.
    """

    __slots__ = ("authority", "origin", "user")

    def __init__(self, origin: Origin, authority: bytes, user: str) -> None:
        self.origin = origin
        self.authority = authority
        self.user = user


class Origins:
    """Makes upstreams; TLS settings that are equal share one context.

    `secret(name)` gives a Secret or raises `Unserviceable`. `containers` tells where those of
    Services are.
    """

    def __init__(self, secret: Callable[[str], core.Secret], containers: ContainerPlaces) -> None:
        self._secret = secret
        self._containers = containers
        self._contexts: dict[str, ssl.SSLContext] = {}

    def upstreams(self, service: core.Service, config: core.ServiceSpecConfig) -> list[Upstream]:
        """All endpoints of a configuration; one of them is to be picked for each request.

        Raises:
            Unserviceable: there is none, or not one that this version can reach.
        """
        owner = service.metadata.uid
        h2 = service.spec.mode == core.ServiceSpecMode__.GRPC or config.http.is_upstream_http2
        return [
            self._upstream(url, user, config, h2=h2, owner=owner)
            for url, user in self.endpoints(service, config)
        ]

    def endpoints(
        self, service: core.Service, config: core.ServiceSpecConfig
    ) -> Iterator[tuple[str, str]]:
        """The URL of each endpoint, and the User whose clients serve it, empty if none do.

        Raises:
            Unserviceable: there is none, or not one that this version can reach.
            NotReady: it is a container to which nothing can be sent now.
        """
        upstream = config.upstream
        kind = upstream.WhichOneof("type")
        if kind == "container":
            yield self._containers.url(service, config), ""
        elif kind == "url":
            yield upstream.url, upstream.user
        elif kind == "loadbalance" and upstream.loadbalance.endpoints:
            for endpoint in upstream.loadbalance.endpoints:
                yield endpoint.url, endpoint.user or upstream.user
        else:
            raise Unserviceable("the configuration has no upstream", 502)

    def _upstream(
        self, url: str, user: str, config: core.ServiceSpecConfig, *, h2: bool, owner: str
    ) -> Upstream:
        scheme, host, port = parse_upstream_url(url, HTTP_PORTS)
        certificate = client_certificate_secret(config)
        if scheme in _PLAIN:
            secure = False
        elif scheme in _TLS:
            secure = True
        else:
            secure = bool(certificate)
        h2 = h2 or scheme in {"grpc", "h2c"}
        bracketed = f"[{host}]" if ":" in host else host
        default = port == (443 if secure else 80)
        authority = bracketed if default else f"{bracketed}:{port}"
        context, key = (
            self.client_tls(config, certificate, alpn=_ALPN[h2]) if secure else (None, "")
        )
        plain = (
            self.client_tls(config, certificate, alpn=_ALPN[False])[0] if secure and h2 else None
        )
        origin = Origin(
            host=host,
            port=port,
            tls=context,
            tls_key=key,
            upgrade_tls=plain,
            server_name=host if secure else None,
            h2=h2,
            owner=owner,
        )
        return Upstream(origin, authority.encode("idna" if not host.isascii() else "ascii"), user)

    def client_tls(
        self, config: core.ServiceSpecConfig, certificate: str, *, alpn: tuple[str, ...] = ()
    ) -> tuple[ssl.SSLContext, str]:
        """A client's context for the TLS settings, and a name for it.

        `certificate` names the Secret of the client's own, empty for none; `alpn` are the
        protocols that are offered.

        Raises:
            Unserviceable: a Secret is missing, or holds something else.
        """
        tls = config.tls
        legacy = config.client_certificate
        authorities = list(tls.trusted_c_as) or list(legacy.trusted_c_as)
        chain, key = self._client_certificate(certificate) if certificate else (b"", b"")
        digest = hashlib.sha256()
        for part in (*(pem.encode() for pem in authorities), b"|", chain, key):
            digest.update(len(part).to_bytes(8, "big") + part)
        flags = f"{','.join(alpn)}:{tls.append_to_system_pool:d}{tls.insecure_skip_verify:d}"
        name = f"{flags}:{digest.hexdigest()}"
        context = self._contexts.get(name)
        if context is None:
            context = _client_context(
                authorities,
                system=tls.append_to_system_pool or not authorities,
                verify=not tls.insecure_skip_verify,
                alpn=alpn,
            )
            if certificate:
                try:
                    load_certificate(context, chain, key)
                except ssl.SSLError as error:
                    raise Unserviceable(
                        f"Secret {certificate} is no client certificate: {error}", 502
                    ) from error
            if len(self._contexts) >= 256:
                self._contexts.clear()
            self._contexts[name] = context
        return context, name

    def _client_certificate(self, name: str) -> tuple[bytes, bytes]:
        secret = self._secret(name)
        spec = secret.spec.data
        chain = spec.value_bytes or spec.value.encode()
        key = secret.data.value_bytes or secret.data.value.encode()
        if not chain or not key:
            raise Unserviceable(f"Secret {name} holds no certificate with its key", 502)
        return chain, key


def client_certificate_secret(config: core.ServiceSpecConfig) -> str:
    """The deprecated place wins over the newer one, as in Octelium."""
    legacy = config.client_certificate.from_secret
    return legacy or config.tls.client_certificate.from_secret


def _client_context(
    authorities: list[str], *, system: bool, verify: bool, alpn: tuple[str, ...]
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if system:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    try:
        for pem in authorities:
            context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise Unserviceable(
            f"a trusted CA of the upstream is not valid PEM: {error}", 502
        ) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
