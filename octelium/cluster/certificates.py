"""The Cluster's own CA and its certificate, made at the first start."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = dt.timedelta(days=3650)
LEAF_LIFETIME = dt.timedelta(days=5 * 365)
_BACKDATE = dt.timedelta(hours=1)  # for clients whose clocks are a little behind


class CertificateError(Exception):
    """A certificate or key that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its private key, both PEM."""

    chain: str
    key: str


def cluster_names(domain: str) -> list[str]:
    """The names of the Cluster's certificate."""
    prefixes = (
        "*.",
        "*.octelium.",
        "*.octelium-api.",
        "*.local.",
        "*.default.",
        "*.default.local.",
        "*.octelium.local.",
        "*.octelium-api.local.",
    )
    return [domain, *(prefix + domain for prefix in prefixes)]


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, lifetime: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
    )


def make_cluster_certificate(domain: str) -> tuple[str, Pair]:
    """A new CA and a certificate of it for a domain: the CA's certificate (PEM), and the pair.

    The CA's key is not kept: the next certificate gets a CA of its own.
    """
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"Octelium Cluster {domain}"[:64])]
    )
    ca_identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _builder(ca_name, ca_name, CA_LIFETIME)
        .public_key(ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(ca_identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )  # fmt: skip
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    names = [x509.DNSName(each) for each in cluster_names(domain)]
    leaf = (
        _builder(name, ca_name, LEAF_LIFETIME)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_identifier),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    ca_pem = ca.public_bytes(serialization.Encoding.PEM).decode()
    leaf_pem = leaf.public_bytes(serialization.Encoding.PEM).decode()
    return ca_pem, Pair(leaf_pem + ca_pem, _pem(key))


def check_pair(pair: Pair, now: dt.datetime | None = None) -> x509.Certificate:
    """The leaf of a pair that a server can use.

    Raises:
        CertificateError: chain or key cannot be read, do not belong together, the chain's order is
            wrong, or the leaf has expired or names nothing.
    """
    try:
        chain = x509.load_pem_x509_certificates(pair.chain.encode())
    except ValueError as error:
        raise CertificateError(f"the certificate cannot be read as PEM: {error}") from error
    try:
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"the private key cannot be read as PEM: {error}") from error
    leaf = chain[0]
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    ):
        raise CertificateError("the private key is neither RSA, EC nor Ed25519")
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*spki) != leaf.public_key().public_bytes(*spki):
        raise CertificateError("the private key is not that of the first certificate")
    if leaf.not_valid_after_utc < (now or dt.datetime.now(dt.UTC)):
        raise CertificateError(f"the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}")
    try:
        leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        raise CertificateError("the certificate has no subjectAltName") from None
    for certificate, issuer in itertools.pairwise(chain):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as error:
            subject = certificate.subject.rfc4514_string()
            raise CertificateError(
                f"the chain is out of order: {subject} is not issued by the next certificate"
            ) from error
    return leaf
