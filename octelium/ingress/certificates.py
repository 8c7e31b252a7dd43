"""Certificates by name, as the Cluster's Secrets have them at the moment."""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Final

from cryptography import x509

from octelium.http.tls import load_certificate

if TYPE_CHECKING:
    from octelium.replica.replica import Replica, SecretEntry

_LOG = logging.getLogger(__name__)

_LABEL: Final = "octelium-cert"
_DEFAULT: Final = "crt-ns-default"
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; forward secrecy and authenticated encryption only."""
_ALPN: Final = ("h2", "http/1.1")
_MAX_REMEMBERED: Final = 1024


class Certificate:
    """A certificate chain with its key, ready to serve. `names` are its DNS names, lower-case."""

    def __init__(self, chain: bytes, key: bytes) -> None:
        """Raises ValueError or ssl.SSLError for what is no certificate with its key, in PEM."""
        leaf = x509.load_pem_x509_certificate(chain)
        try:
            extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound as error:
            raise ValueError("the certificate has no subject alternative names") from error
        self.names = frozenset(
            name.lower() for name in extension.value.get_values_for_type(x509.DNSName)
        )
        self.not_after = leaf.not_valid_after_utc
        self.context = server_context()
        load_certificate(self.context, chain, key)
        self._covered: dict[bytes, bool] = {}

    def covers(self, host: bytes) -> bool:
        """Whether the certificate is good for a host, wildcards for one label (RFC 9525)."""
        known = self._covered.get(host)
        if known is None:
            name = host.decode("ascii", "replace")
            known = name in self.names or "*." + name.partition(".")[2] in self.names
            if len(self._covered) >= _MAX_REMEMBERED:
                self._covered.clear()
            self._covered[host] = known
        return known


def server_context() -> ssl.SSLContext:
    """A context for clients of the front door: TLS 1.2 and 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(list(_ALPN))
    return context


_NAME: Final = "octelium_server_name"
"""Attribute of a connection: the standard library does not keep the name."""


class CertificateStore:
    """Follows the certificates among a replica's Secrets; connections keep what they have.

    `context` begins every handshake and picks the certificate by the client's SNI, which must be
    the Cluster's domain or a name below it; else the handshake is refused.
    """

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._by_secret: dict[str, tuple[int, Certificate | None]] = {}
        self._by_name: dict[str, Certificate] = {}
        self._by_context: dict[ssl.SSLContext, Certificate] = {}
        self._default: Certificate | None = None
        self._private: dict[str, ssl.SSLContext] = {}
        self.context = server_context()
        self.context.sni_callback = self._choose
        replica.listeners.append(self._changed)
        self._reload()

    def __len__(self) -> int:
        return len(self._by_context)

    def close(self) -> None:
        """Stop following the replica."""
        self._replica.listeners.remove(self._changed)

    def of(self, context: ssl.SSLContext | None) -> Certificate | None:
        """The certificate that a handshake ended with."""
        return None if context is None else self._by_context.get(context)

    def find(self, name: str) -> Certificate | None:
        """The certificate for a name inside the Cluster's domain, None outside.

        Names that no certificate covers get that of the default Namespace: the client will see
        what is wrong.
        """
        config = self._replica.cluster_config
        if config is None or not config.domain:
            return None
        name = name.lower()
        if name != config.domain and not name.endswith("." + config.domain):
            return None
        return (
            self._by_name.get(name)
            or self._by_name.get("*." + name.partition(".")[2])
            or self._default
        )

    def private_context(self, namespace: str) -> ssl.SSLContext:
        """What begins handshakes in the private network with Services of a Namespace.

        Clients there call Services by addresses and by short names too, for which they send no SNI
        or one outside the Cluster's domain: they get the certificate of the Namespace.
        """
        context = self._private.get(namespace)
        if context is None:

            def choose(
                connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext
            ) -> int | None:
                certificate = None if name is None else self.find(name)
                certificate = certificate or self._of_namespace(namespace)
                if certificate is None:
                    return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
                connection.context = certificate.context
                return None

            if len(self._private) >= _MAX_REMEMBERED:
                self._private.clear()
            context = self._private[namespace] = server_context()
            context.sni_callback = choose
        return context

    def _of_namespace(self, namespace: str) -> Certificate | None:
        known = self._by_secret.get(f"crt-ns-{namespace}")
        return (None if known is None else known[1]) or self._default

    def _choose(
        self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        certificate = None if name is None else self.find(name)
        if certificate is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = certificate.context
        setattr(connection, _NAME, name)
        return None

    @staticmethod
    def name_of(connection: ssl.SSLObject | None) -> bytes:
        """The server name of a handshake that ended well, lower-case."""
        return str(getattr(connection, _NAME, "")).lower().encode()

    def _changed(self, changed: frozenset[tuple[str, str]]) -> None:
        if any(kind in {"Secret", "ClusterConfig"} for kind, _ in changed):
            self._reload()

    def _reload(self) -> None:
        """Take over what has changed. A damaged Secret leaves its last good certificate."""
        current: dict[str, tuple[int, Certificate | None]] = {}
        for name, entry in self._replica.secrets_by_name.items():
            if not _is_certificate(entry):
                continue
            known = self._by_secret.get(name)
            if known is not None and known[0] == entry.version:
                current[name] = known
                continue
            current[name] = (entry.version, _load(entry, None if known is None else known[1]))
        self._by_secret = current
        loaded = {name: made for name, (_, made) in current.items() if made is not None}
        self._default = loaded.get(_DEFAULT) or next(iter(loaded.values()), None)
        self._by_context = {made.context: made for made in loaded.values()}
        self._by_name = {dns: made for made in loaded.values() for dns in made.names}


def _is_certificate(entry: SecretEntry) -> bool:
    """Only what the Cluster made and labelled: anybody may give a Secret any name."""
    metadata = entry.message.metadata
    return metadata.is_system and metadata.system_labels.get(_LABEL) == "true"


def _load(entry: SecretEntry, former: Certificate | None) -> Certificate | None:
    try:
        return Certificate(entry.chain, entry.value)
    except (ValueError, ssl.SSLError) as error:
        _LOG.error("Secret %s is no certificate with its key: %s", entry.name, error)
        return former
