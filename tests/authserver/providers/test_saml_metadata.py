from __future__ import annotations

import base64
import datetime as dt
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers.saml_metadata import (
    LARGEST,
    instant,
    read_metadata,
    service_provider_metadata,
)
from octelium.authserver.providers.xml import METADATA, XmlError, parse

NOW = 1_800_000_000.0
NAMESPACES = (
    'xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
)
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
SSO = (
    '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
    'Location="https://idp.example/sso?a=b&amp;c=d"/>'
)


@cache
def certificate(kind: str = "rsa") -> str:
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    match kind:
        case "rsa" | "second":
            key = rsa.generate_private_key(65537, 2048)
        case "small":
            key = rsa.generate_private_key(65537, 1024)
        case "ec":
            key = ec.generate_private_key(ec.SECP256R1())
        case _:
            key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return base64.b64encode(built.public_bytes(Encoding.DER)).decode()


def key(text: str, use: str = ' use="signing"') -> str:
    return (
        f"<md:KeyDescriptor{use}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{text}\n"
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def role(content: str, protocols: str = PROTOCOL, more: str = "") -> str:
    return (
        f'<md:IDPSSODescriptor protocolSupportEnumeration="{protocols}"{more}>{content}'
        "</md:IDPSSODescriptor>"
    )


def entity(content: str, *, name: str = "https://idp.example/meta", more: str = "") -> str:
    return (
        f'<md:EntityDescriptor {NAMESPACES} entityID="{name}"{more}>{content}</md:EntityDescriptor>'
    )


def refused(text: str) -> str:
    with pytest.raises(XmlError) as caught:
        read_metadata(text.encode(), now=NOW)
    return str(caught.value)


def test_metadata() -> None:
    encryption = key(certificate("ec"), ' use="encryption"')
    keys = key(certificate()) + key(certificate("second"), "") + key(certificate()) + encryption
    found = read_metadata(entity("<!-- hello -->" + role(keys + SSO)).encode(), now=NOW)
    assert found.entity_id == "https://idp.example/meta"
    assert found.sign_on_url == "https://idp.example/sso?a=b&c=d"
    assert found.certificates == (certificate(), certificate("second"))
    assert read_metadata(entity(role(key(certificate("ec")) + SSO)).encode(), now=NOW).certificates


def test_metadata_that_was_read_before_expires() -> None:
    until = ' validUntil="2030-01-01T00:00:00Z"'
    data = entity(role(key(certificate()) + SSO), more=until).encode()
    end = dt.datetime(2030, 1, 1, tzinfo=dt.UTC).timestamp()
    assert read_metadata(data, now=end - 1) == read_metadata(data, now=end - 2)
    with pytest.raises(XmlError, match="expired"):
        read_metadata(data, now=end)


def test_exactly_one_identity_provider() -> None:
    good = role(key(certificate()) + SSO)
    assert "0 identity" in refused(entity(""))
    assert "0 identity" in refused(entity(role(SSO, "urn:oasis:names:tc:SAML:1.1:protocol")))
    assert "2 identity" in refused(entity(good + good))
    several = f"<md:EntitiesDescriptor {NAMESPACES}>{{}}</md:EntitiesDescriptor>"
    assert "2 identity" in refused(several.format(entity(good) + entity(good, name="https://b")))
    one = several.format(entity("", name="https://sp") + entity(good, name="https://b"))
    assert read_metadata(one.encode(), now=NOW).entity_id == "https://b"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (role(SSO), "no certificate"),
        (role(key("AAAA") + SSO), "cannot be read"),
        (role(key("é") + SSO), "cannot be read"),
        (role(key("") + SSO), "cannot be read"),
        (role(SSO + "{encryption}"), "no certificate"),
        (role("{small}" + SSO), "less than 2048 bits"),
        (role("{ed}" + SSO), "neither an RSA"),
        (role("{good}"), "no https URL"),
        (role("{good}" + SSO.replace("https:", "http:")), "no https URL"),
        (role("{good}" + SSO.replace("https://idp.example", "javascript:x")), "no https URL"),
        (role("{good}" + SSO.replace("HTTP-Redirect", "HTTP-POST")), "no https URL"),
        (role("{good}" + SSO, more=' validUntil="2020-01-01T00:00:00Z"'), "expired"),
        (role("{good}" + SSO, more=' validUntil="soon"'), "not written"),
    ],
)
def test_metadata_that_cannot_be_used(text: str, why: str) -> None:
    keys = {
        "good": key(certificate()),
        "small": key(certificate("small")),
        "ed": key(certificate("ed25519")),
        "encryption": key(certificate(), ' use="encryption"'),
    }
    for name, value in keys.items():
        text = text.replace("{" + name + "}", value)
    assert why in refused(entity(text))


def test_names_and_times_of_entities() -> None:
    good = role(key(certificate()) + SSO)
    assert "no entityID" in refused(entity(good, name=""))
    assert "expired" in refused(entity(good, more=' validUntil="2020-01-01T00:00:00Z"'))
    assert read_metadata(entity(good, more=' validUntil="2040-01-01T00:00:00Z"').encode(), now=NOW)


def test_documents_that_are_no_metadata() -> None:
    for text in ("", "<html/>", "<!DOCTYPE html><html/>", "x" * (LARGEST + 1)):
        refused(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2001-09-09T01:46:40Z", 1e9),
        ("2001-09-09T01:46:40", 1e9),
        ("2001-09-09T01:46:40.5Z", 1e9 + 0.5),
        ("2001-09-09T01:46:40.1234567Z", 1e9 + 0.123456),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert instant(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9e9",
        "2001-09-09",
        "2001-09-09T01:46:40+02:00",
        "2001-13-09T01:46:40Z",
        "\u0662001-09-09T01:46:40Z",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(XmlError):
        instant(text)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        assert instant(text) is not None
    except XmlError:
        return


def test_own_metadata() -> None:
    document = service_provider_metadata('urn:a&"<b', "https://example.com:8443/callback")
    root = parse(document, largest=10_000, plain=True)
    assert root.get("entityID") == 'urn:a&"<b'
    (service,) = root.iter(METADATA + "AssertionConsumerService")
    assert service.get("Location") == "https://example.com:8443/callback"
    (descriptor,) = root
    assert descriptor.get("WantAssertionsSigned") == "true"
