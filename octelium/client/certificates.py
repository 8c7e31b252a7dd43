"""A certificate and its key, looked at before a Cluster is asked to use them."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from octelium.client.errors import ClientError

_DER = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class CertificateError(ClientError):
    """A certificate or key that cannot serve."""


def check_pair(chain: str, key: str, *, now: float) -> x509.Certificate:
    """The first certificate of a PEM chain, after checking that the key is its own.

    `now` in Unix seconds. Raises CertificateError for texts that are no certificates or keys, for
    a key of another certificate and for certificates that are not valid now.
    """
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError as error:
        raise CertificateError("the chain holds no readable certificate in PEM form") from error
    try:
        private = load_pem_private_key(key.encode(), None)
    except TypeError as error:
        raise CertificateError(
            "the key is encrypted", "decrypt it first: openssl pkey -in KEY -out PLAIN"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("the key is not a readable private key in PEM form") from error
    leaf = certificates[0]
    if private.public_key().public_bytes(*_DER) != leaf.public_key().public_bytes(*_DER):
        raise CertificateError(
            "the key does not belong to the first certificate of the chain",
            "the Cluster's own certificate stands first, then those of the authorities",
        )
    moment = datetime.fromtimestamp(now, UTC)
    if moment > leaf.not_valid_after_utc:
        raise CertificateError(f"the certificate has expired on {leaf.not_valid_after_utc:%F}")
    if moment < leaf.not_valid_before_utc:
        raise CertificateError(f"the certificate begins only on {leaf.not_valid_before_utc:%F}")
    return leaf


def uncovered_names(leaf: x509.Certificate, domain: str, namespace: str) -> list[str]:
    """The names that Services of a Namespace are reached by and the certificate is not for."""
    is_default = namespace == "default"
    wanted = [domain, f"*.{domain}"] if is_default else [f"*.{namespace}.{domain}"]
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return wanted
    names = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    return [name for name in wanted if name.lower() not in names]
