"""SAML metadata: what an identity provider says of itself, and what the Cluster does.

"Metadata for the OASIS Security Assertion Markup Language (SAML) V2.0".
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from xml.sax.saxutils import quoteattr

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from octelium.authserver.providers.xml import DS, METADATA, Element, XmlError, parse, text_of

LARGEST: Final = 1 << 20
MEDIA_TYPE: Final = "application/samlmetadata+xml"
REDIRECT: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
PROTOCOL: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
_SMALLEST_RSA: Final = 2048
_MOST_CERTIFICATES: Final = 16
_KEPT: Final = 8
"""Documents that are remembered as they were read."""
_INSTANT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z?", re.ASCII)


@dataclass(frozen=True, slots=True)
class IdentityProviderMetadata:
    """What is needed of an identity provider."""

    entity_id: str
    sign_on_url: str
    """Where browsers are sent, by the HTTP-Redirect binding."""
    certificates: tuple[str, ...]
    """Of the keys that it signs with; base64 of DER."""


def read_metadata(data: bytes, *, now: float) -> IdentityProviderMetadata:
    """The metadata of one identity provider; `now` in Unix seconds.

    Raises:
        XmlError: it cannot be read, has expired, or is not of exactly one identity provider that
            can be used.
    """
    found, ends_at = _read(data)
    if ends_at <= now:
        raise XmlError("the metadata has expired")
    return found


@lru_cache(maxsize=_KEPT)
def _read(data: bytes) -> tuple[IdentityProviderMetadata, float]:
    """Metadata, and until when it is valid; a large document takes longer than a login may."""
    root = parse(data, largest=LARGEST)
    roles = [
        (entity, role)
        for entity in root.iter(METADATA + "EntityDescriptor")
        for role in entity.findall(METADATA + "IDPSSODescriptor")
        if PROTOCOL in role.get("protocolSupportEnumeration", "").split()
    ]
    if len(roles) != 1:
        raise XmlError(f"the metadata is of {len(roles)} identity providers instead of one")
    ((entity, role),) = roles
    ends = [element.get("validUntil") for element in (root, entity, role)]
    name = entity.get("entityID", "")
    if not name:
        raise XmlError("the metadata gives the identity provider no entityID")
    read = IdentityProviderMetadata(name, _sign_on_url(role), _certificates(role))
    return read, min((instant(end) for end in ends if end is not None), default=math.inf)


def instant(text: str) -> float:
    """A time as SAML writes it (SAML Core 1.3.3: UTC), in Unix seconds. Raises XmlError."""
    match = _INSTANT.fullmatch(text.strip())
    try:
        if match is not None:
            return dt.datetime.fromisoformat(match[1]).replace(tzinfo=dt.UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise XmlError("a time does not exist") from error
    raise XmlError("a time is not written as SAML wants it")


def _sign_on_url(role: Element) -> str:
    urls = [
        service.get("Location", "")
        for service in role.findall(METADATA + "SingleSignOnService")
        if service.get("Binding") == REDIRECT
    ]
    if not urls or not urls[0].startswith("https://") or "#" in urls[0]:
        raise XmlError("the metadata names no https URL for sign-on by HTTP-Redirect")
    return str(urls[0])


def _certificates(role: Element) -> tuple[str, ...]:
    texts = [
        text_of(certificate)
        for key in role.findall(METADATA + "KeyDescriptor")
        if key.get("use", "signing") == "signing"
        for certificate in key.iter(DS + "X509Certificate")
    ]
    found = dict.fromkeys(map(_certificate, texts[:_MOST_CERTIFICATES]))
    if not found:
        raise XmlError("the metadata names no certificate for signing")
    return tuple(found)


def _certificate(text: str) -> str:
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode("".join(text.split())))
        key = certificate.public_key()
    except ValueError as error:
        raise XmlError("a certificate in the metadata cannot be read") from error
    if isinstance(key, RSAPublicKey):
        if key.key_size < _SMALLEST_RSA:
            raise XmlError(f"an RSA key in the metadata has less than {_SMALLEST_RSA} bits")
    elif not isinstance(key, EllipticCurvePublicKey):
        raise XmlError("a key in the metadata is neither an RSA nor an elliptic-curve key")
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def service_provider_metadata(entity_id: str, consumer: str) -> bytes:
    """The Cluster's own metadata for an entity ID, with the URL where it consumes assertions."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" '
        f"entityID={quoteattr(entity_id)}>\n"
        '  <md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" '
        f'protocolSupportEnumeration="{PROTOCOL}">\n'
        f'    <md:AssertionConsumerService Binding="{POST}" Location={quoteattr(consumer)} '
        'index="0" isDefault="true"/>\n'
        "  </md:SPSSODescriptor>\n"
        "</md:EntityDescriptor>\n"
    ).encode()
