from __future__ import annotations

import base64
import time
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octelium.authserver.providers import saml_response
from octelium.authserver.providers.saml_metadata import IdentityProviderMetadata
from octelium.authserver.providers.saml_response import DeniedError, ResponseError, Wanted, verify
from tests.peers import assertions as made
from tests.peers.assertions import DS, EMAIL, SAML, Said
from tests.peers.saml import RsaPair
from tests.peers.timing import within

REQUEST = "_request"
CONSUMER = "https://example.com/callback"
ENTITY = "https://example.com"
IDP = "https://idp.example/meta"


@cache
def pair() -> RsaPair:
    return RsaPair.make()


def body_of(certificate: bytes) -> str:
    return "".join(certificate.decode().split("\n")[1:-2])


def wanted(**changes: Any) -> Wanted:
    metadata = IdentityProviderMetadata(
        IDP, "https://idp.example/sso", (body_of(pair().certificate),)
    )
    return replace(Wanted(metadata, ENTITY, CONSUMER, REQUEST, time.time()), **changes)


def said(**changes: Any) -> Said:
    usual = {"issuer": IDP, "audience": ENTITY, "consumer": CONSUMER, "request_id": REQUEST}
    return Said(**{**usual, **changes})


def refused(response: Any, **changes: Any) -> str:
    text = response if isinstance(response, str) else made.posted(response)
    with pytest.raises(ResponseError) as caught:
        verify(text, wanted(**changes))
    return str(caught.value)


def test_a_response() -> None:
    attributes = {EMAIL: ["alice@example.com"], "groups": ["ops", "dev", ""]}
    response = made.signed(said(attributes=attributes, context="urn:x:mfa"), pair())
    found = verify(made.posted(response), wanted())
    assert found.attributes == {EMAIL: ["alice@example.com"], "groups": ["ops", "dev"]}
    assert "urn:x:mfa" in found.text
    assert "Signature" not in found.text  # its base64 may hold any word


def test_forms_of_base64() -> None:
    text = made.posted(made.signed(said(), pair()))
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    assert verify(lines, wanted())
    for bad in ("", "*" + text, text[:-1] + "!", text.replace("=", "") + "A", "é", "PGEvPg=="):
        refused(bad)


def test_both_signed() -> None:
    response = made.signed(said(), pair())
    made.sign(response, pair())
    assert verify(made.posted(response), wanted())


def test_several_certificates() -> None:
    other = RsaPair.make()
    certificates = (body_of(other.certificate), body_of(pair().certificate))
    metadata = replace(wanted().metadata, certificates=certificates)
    for signer in (pair(), other):
        assert verify(made.posted(made.signed(said(), signer)), wanted(metadata=metadata))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"audience": "https://other.example"}, "audience"),
        ({"audience": "https://example.com/"}, "audience"),
        ({"audience": None}, "nobody in particular"),
        ({"assertion_issuer": "https://other.example"}, "another issuer"),
        ({"issuer": "https://other.example"}, "another issuer"),
        ({"issuer": "https://other.example", "assertion_issuer": IDP}, "Invalid issuer"),
        ({"recipient": "https://other.example/callback"}, "another recipient"),
        ({"recipient": CONSUMER + "/more"}, "another recipient"),
        ({"recipient": "https://evil.example/?" + CONSUMER}, "another recipient"),
        ({"recipient": None}, "another recipient"),
        ({"destination": "https://other.example/callback"}, "another place"),
        ({"destination": CONSUMER + ".evil.example"}, "another place"),
        ({"response_to": "_other"}, "response answers another request"),
        ({"answers": "_other"}, "assertion answers another request"),
        ({"answers": None}, "assertion answers another request"),
        ({"ends": -61}, "expired"),
        ({"confirmed_until": -61}, "expired"),
        ({"confirmed_until": None}, "never expires"),
        ({"begins": 400, "ends": 500}, "future"),
        ({"begins": 100}, "future"),
        ({"issued": 100}, "future"),
        ({"session_ends": -61}, "has ended"),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, "exactly one bearer"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, "answers 'Responder'"),
        ({"attributes": {}}, "Not match the saml-schema"),
    ],
)
def test_assertions_for_others_or_other_times(changes: dict[str, Any], why: str) -> None:
    assert why in refused(made.signed(said(**changes), pair()))


@pytest.mark.parametrize(
    ("code", "expected"),
    [("AuthnFailed", True), ("RequestDenied", True), ("NoPassive", False), ("Responder", False)],
)
def test_who_declines(code: str, expected: bool) -> None:
    status = f"urn:oasis:names:tc:SAML:2.0:status:{code}"
    with pytest.raises(ResponseError) as caught:
        verify(made.posted(made.signed(said(status=status), pair())), wanted())
    assert isinstance(caught.value, DeniedError) is expected


def test_every_restriction_of_the_audience_counts() -> None:
    """SAML Core 2.5.1.4: several restrictions must all be met; of one, any audience will do."""
    end, begin = "</saml:Audience>", "<saml:Audience>"
    other = "https://other.example"
    either = f"{other}{end}{begin}{ENTITY}"
    assert verify(made.posted(made.signed(said(audience=either), pair())), wanted())
    both = f"{ENTITY}{end}</saml:AudienceRestriction><saml:AudienceRestriction>{begin}{other}"
    assert "another audience" in refused(made.signed(said(audience=both), pair()))


def test_a_response_of_another_request() -> None:
    response = made.signed(said(), pair())
    assert verify(made.posted(response), wanted())
    assert "another request" in refused(response, request_id="_another")
    del response.attrib["InResponseTo"]
    assert "another request" in refused(response)


def test_time_goes_by() -> None:
    response = made.signed(said(), pair())
    assert "expired" in refused(response, now=time.time() + 361)
    assert "future" in refused(response, now=time.time() - 91)


def test_unsigned() -> None:
    assert "not signed itself" in refused(said().response())


def test_only_the_response_signed() -> None:
    response = said().response()
    made.sign(response, pair())
    assert "not signed itself" in refused(response)


def test_another_key() -> None:
    assert "ignature" in refused(made.signed(said(), RsaPair.make()))


def test_a_key_that_the_response_brings_along() -> None:
    """The certificate within a signature is not what it is verified with."""
    stranger = RsaPair.make()
    response = made.signed(said(), stranger)
    assert body_of(stranger.certificate)[:40] in made.text(response)
    assert "ignature" in refused(response)


def test_weak_signatures() -> None:
    assert "SHA-1" in refused(made.signed(said(), pair(), sha1=True))


def test_changes_after_signing() -> None:
    for path, change in (
        (f".//{SAML}AttributeValue", "admin@example.com"),
        (f".//{SAML}NameID", "admin"),
    ):
        response = made.signed(said(), pair())
        response.find(path).text = change
        assert "ignature" in refused(response)
    response = made.signed(said(), pair())
    response.find(f".//{SAML}Conditions").set("NotOnOrAfter", made.at(9000))
    assert "ignature" in refused(response)
    response = made.signed(said(), pair())
    value = response.find(f".//{DS}SignatureValue")
    value.text = base64.b64encode(bytes(256)).decode()
    assert "ignature" in refused(response)


@pytest.mark.parametrize("middle", ["<!---->", "<!-- x -->", "<?x?>", "<![CDATA[]]>"])
def test_comments_in_the_middle_of_a_name(middle: str) -> None:
    """Exclusive canonicalization leaves comments out, so that they do not break a signature."""
    response = made.signed(said(attributes={EMAIL: ["admin@example.com.evil.example"]}), pair())
    text = made.text(response)
    cut = text.replace("admin@example.com", "admin@example.com" + middle)
    assert cut != text
    told = refused(base64.b64encode(cut.encode()).decode())
    assert "comments, instructions" in told


def test_entities() -> None:
    text = made.text(made.signed(said(), pair()))
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    for kind in (
        f'<!DOCTYPE r [<!ENTITY a0 "x">{laughs}]>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        "<!DOCTYPE r>",
    ):
        with within(10):
            told = refused(base64.b64encode((kind + text).encode()).decode())
        assert "comments, instructions" in told


class Unread(str):
    """Tells its length and nothing else."""

    __slots__ = ()

    def split(self, *_arguments: Any) -> list[str]:
        raise AssertionError("it was read")


def test_sizes() -> None:
    assert "larger than" in refused(Unread("A" * (64 << 20)))
    padding = said(attributes={EMAIL: ["alice@example.com"], "x": ["y" * saml_response.LARGEST]})
    assert "larger than" in refused(made.signed(padding, pair()))


def test_text_within_elements_is_whole() -> None:
    value = "<saml:AttributeValue><b>alice</b>@example.com</saml:AttributeValue>"
    raw = f'<saml:Attribute Name="{EMAIL}">{value}</saml:Attribute>'
    response = made.signed(said(raw_attributes=raw), pair())
    assert verify(made.posted(response), wanted()).attributes == {EMAIL: ["alice@example.com"]}


@cache
def genuine() -> bytes:
    return made.text(made.signed(said(), pair())).encode()


@given(st.data())
def test_a_changed_byte_proves_nothing_or_the_same(data: st.DataObject) -> None:
    text = bytearray(genuine())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(32, 126))
    try:
        found = verify(base64.b64encode(text).decode(), wanted())
    except ResponseError:
        return
    assert found.attributes == {EMAIL: ["alice@example.com"]}


@given(st.text(max_size=200))
def test_any_text_proves_nothing(text: str) -> None:
    for encoded in (text, base64.b64encode(text.encode()).decode()):
        with pytest.raises(ResponseError):
            verify(encoded, wanted())
