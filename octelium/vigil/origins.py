"""From a Service's upstream settings to the origins that the pool connects to."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from octelium.http.pool import Origin
from octelium.http.tls import load_certificate
from octelium.schema.pb import core_v1_pb2 as core
from octelium.vigil.errors import Unserviceable, not_offered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PORTS: Final = {
    "http": 80,
    "ws": 80,
    "h2c": 80,
    "grpc": 80,
    "https": 443,
    "wss": 443,
}
_PLAIN: Final = frozenset({"http", "ws", "h2c", "grpc"})
_TLS: Final = frozenset({"https", "wss"})


class Upstream:
    """An origin and the authority by which requests name it."""

    __slots__ = ("authority", "origin")

    def __init__(self, origin: Origin, authority: bytes) -> None:
        self.origin = origin
        self.authority = authority


class Origins:
    """Makes upstreams; TLS settings that are equal share one context.

    `secret(name)` gives a Secret or raises `Unserviceable`.
    """

    def __init__(self, secret: Callable[[str], core.Secret]) -> None:
        self._secret = secret
        self._contexts: dict[str, ssl.SSLContext] = {}

    def upstreams(self, config: core.ServiceSpecConfig, *, mode: int, owner: str) -> list[Upstream]:
        """All endpoints of a configuration; one of them is to be picked for each request.

        Raises:
            Unserviceable: there is none, or not one that this version can reach.
        """
        grpc = mode == core.ServiceSpecMode__.GRPC
        return [
            self._upstream(url, config, h2=grpc or config.http.is_upstream_http2, owner=owner)
            for url in _urls(config.upstream)
        ]

    def _upstream(
        self, url: str, config: core.ServiceSpecConfig, *, h2: bool, owner: str
    ) -> Upstream:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise Unserviceable(f"upstream URL is not valid: {error}", 502) from error
        scheme = parts.scheme.lower()
        if not host:
            raise Unserviceable("upstream URL has no host", 502)
        certificate = _certificate_secret(config)
        if scheme in _PLAIN:
            secure = False
        elif scheme in _TLS:
            secure = True
        else:
            secure = bool(certificate)
        if port is None:
            port = _PORTS.get(scheme)
            if port is None:
                raise Unserviceable(f"upstream URL with scheme {scheme} has no port", 502)
        h2 = h2 or scheme in {"grpc", "h2c"}
        bracketed = f"[{host}]" if ":" in host else host
        default = port == (443 if secure else 80)
        authority = bracketed if default else f"{bracketed}:{port}"
        context, key = self._tls(config, certificate, h2=h2) if secure else (None, "")
        plain = self._tls(config, certificate, h2=False)[0] if secure and h2 else None
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
        return Upstream(origin, authority.encode("idna" if not host.isascii() else "ascii"))

    def _tls(
        self, config: core.ServiceSpecConfig, certificate: str, *, h2: bool
    ) -> tuple[ssl.SSLContext, str]:
        """A client's context for the TLS settings, and a name for it."""
        tls = config.tls
        legacy = config.client_certificate
        authorities = list(tls.trusted_c_as) or list(legacy.trusted_c_as)
        chain, key = self._client_certificate(certificate) if certificate else (b"", b"")
        digest = hashlib.sha256()
        for part in (*(pem.encode() for pem in authorities), b"|", chain, key):
            digest.update(len(part).to_bytes(8, "big") + part)
        flags = f"{h2:d}{tls.append_to_system_pool:d}{tls.insecure_skip_verify:d}"
        name = f"{flags}:{digest.hexdigest()}"
        context = self._contexts.get(name)
        if context is None:
            context = _client_context(
                authorities,
                system=tls.append_to_system_pool or not authorities,
                verify=not tls.insecure_skip_verify,
                h2=h2,
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


def _certificate_secret(config: core.ServiceSpecConfig) -> str:
    """The deprecated place wins over the newer one, as in Octelium."""
    legacy = config.client_certificate.from_secret
    return legacy or config.tls.client_certificate.from_secret


def _urls(upstream: core.ServiceSpecConfigUpstream) -> Iterator[str]:
    if upstream.user or any(endpoint.user for endpoint in upstream.loadbalance.endpoints):
        raise not_offered("an upstream served by a connected client")
    kind = upstream.WhichOneof("type")
    if kind == "container":
        raise not_offered("an upstream in a managed container")
    if kind == "url":
        yield upstream.url
    elif kind == "loadbalance" and upstream.loadbalance.endpoints:
        for endpoint in upstream.loadbalance.endpoints:
            yield endpoint.url
    else:
        raise Unserviceable("the configuration has no upstream", 502)


def _client_context(
    authorities: list[str], *, system: bool, verify: bool, h2: bool
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["h2", "http/1.1"] if h2 else ["http/1.1"])
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
