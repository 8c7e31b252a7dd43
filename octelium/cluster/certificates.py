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


def namespace_names(namespace: str, domain: str) -> list[str]:
    """The names of the certificate of a Namespace that an administrator has made."""
    return [f"*.{namespace}.{domain}", f"*.{namespace}.local.{domain}"]


def cluster_names(domain: str) -> list[str]:
    """The names of the Cluster's own certificate."""
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


def make_authority(domain: str) -> Pair:
    """A new CA for a domain; `chain` is its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Octelium Cluster {domain}"[:64])])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, CA_LIFETIME)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_identifier(key), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key))


def issue(authority: Pair, names: list[str]) -> Pair:
    """A certificate of `authority` for DNS names, with the chain behind it."""
    ca = x509.load_pem_x509_certificate(authority.chain.encode())
    ca_key = serialization.load_pem_private_key(authority.key.encode(), password=None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(_identifier(ca_key))
    leaf = (
        _builder(subject, ca.subject, LEAF_LIFETIME)
        .public_key(key.public_key())
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .add_extension(_identifier(key), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return Pair(leaf.public_bytes(serialization.Encoding.PEM).decode() + authority.chain, _pem(key))


def _identifier(key: ec.EllipticCurvePrivateKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def check_names(leaf: x509.Certificate, wanted: list[str]) -> None:
    """Refuse a certificate that browsers and clients would not take for names (RFC 6125).

    Raises:
        CertificateError: it does not cover them all.
    """
    extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    held = {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}
    for name in wanted:
        if name not in held and "*." + name.partition(".")[2] not in held:
            raise CertificateError(
                f"the certificate does not cover {name} (it is for {', '.join(sorted(held))})"
            )


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
