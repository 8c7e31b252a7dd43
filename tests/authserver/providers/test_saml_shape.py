"""Wrapped signatures, and other responses of a shape that is not wanted."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from octelium.authserver.providers.saml_response import verify
from octelium.authserver.providers.saml_shape import only_assertion
from octelium.authserver.providers.xml import XmlError, parse
from tests.authserver.providers.test_saml_response import pair, refused, said, wanted
from tests.peers import assertions as made
from tests.peers.assertions import DS, EMAIL, SAML, SAMLP
from tests.peers.wrapping import ADMIN, WRAPPED, assertion_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peers.wrapping import Make


def genuine(*, both: bool = False) -> Any:
    """A response that is good; with `both` it is signed as a whole too."""
    response = made.signed(said(), pair())
    if both:
        made.sign(response, pair())
    return response


@pytest.mark.parametrize("wrap", WRAPPED)
def test_wrapping(wrap: Callable[[Make], Any]) -> None:
    response = wrap(lambda both: genuine(both=both))
    assert ADMIN in made.text(response)
    refused(response)
    with pytest.raises(XmlError):
        only_assertion(parse(made.text(response).encode(), largest=1 << 20))


def test_genuine_ones_pass() -> None:
    for both in (False, True):
        found = verify(made.posted(genuine(both=both)), wanted())
        assert found.attributes == {EMAIL: ["alice@example.com"]}


def test_two_assertions() -> None:
    both_signed = said().response(said().assertion(), said().assertion())
    for assertion in both_signed.findall(SAML + "Assertion"):
        made.sign(assertion, pair())
    assert "2 assertions" in refused(both_signed)
    one_signed = said().response(said().assertion(), said().assertion())
    made.sign(assertion_of(one_signed), pair())
    assert "2 assertions" in refused(one_signed)
    assert "0 assertions" in refused(said().response("<saml:Advice/>"))


def test_an_assertion_in_another_place() -> None:
    """Genuine and alone, but where no reader looks for it."""
    response = genuine()
    original = assertion_of(response)
    response.remove(original)
    made.element_in(response, SAMLP + "Extensions").append(original)
    assert "not in its place" in refused(response)


def test_an_id_that_stands_twice() -> None:
    for name in ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id"):
        response = genuine()
        response.find(SAMLP + "Status").set(name, assertion_of(response).get("ID"))
        assert "an ID stands twice" in refused(response)


def test_names_of_other_namespaces() -> None:
    for name in ("Assertion", "Response", "Signature"):
        response = genuine()
        made.element_in(response, f"{{urn:x}}{name}")
        assert "other namespaces" in refused(response)


def test_encryption() -> None:
    for name in (SAML + "EncryptedAssertion", "{http://www.w3.org/2001/04/xmlenc#}EncryptedData"):
        response = genuine()
        made.element_in(response, name)
        assert "encrypted" in refused(response)


@pytest.mark.parametrize(
    ("path", "attribute", "value", "why"),
    [
        ("Reference", "URI", "", "something else"),
        ("Reference", "URI", "#_other", "something else"),
        ("Reference", "URI", "https://idp.example/x", "something else"),
        ("SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "SHA-1"),
        ("SignatureMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "SHA-1"),
        (
            "SignatureMethod",
            "Algorithm",
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
            "not accepted",
        ),
        ("DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1", "SHA-1"),
        ("DigestMethod", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#md5", "not accepted"),
        (
            "Transform",
            "Algorithm",
            "http://www.w3.org/TR/1999/REC-xslt-19991116",
            "transforms",
        ),
        ("Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116", "transforms"),
        (
            "CanonicalizationMethod",
            "Algorithm",
            "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
            "not accepted",
        ),
    ],
)
def test_signatures_of_other_kinds(path: str, attribute: str, value: str, why: str) -> None:
    response = genuine()
    next(response.iter(DS + path)).set(attribute, value)
    assert why in refused(response)


def test_parts_of_signatures() -> None:
    response = genuine()
    info = next(response.iter(DS + "SignedInfo"))
    info.append(copy.deepcopy(info[-1]))
    assert "exactly one thing" in refused(response)
    response = genuine()
    signature = next(response.iter(DS + "Signature"))
    signature.append(copy.deepcopy(signature[0]))
    assert "what it should not" in refused(response)
    response = genuine()
    response.append(copy.deepcopy(next(response.iter(DS + "Signature"))))
    assert "something else" in refused(response)
    response = genuine()
    response.find(SAMLP + "Status").append(copy.deepcopy(next(response.iter(DS + "Signature"))))
    assert "belongs to nothing" in refused(response)
    response = genuine()
    assertion_of(response).insert(1, copy.deepcopy(next(response.iter(DS + "Signature"))))
    assert "not signed itself, once" in refused(response)


def test_other_documents() -> None:
    for text in ("<a/>", '<Response xmlns="urn:oasis:names:tc:SAML:1.0:protocol"/>'):
        with pytest.raises(XmlError, match="no SAML response"):
            only_assertion(parse(text.encode(), largest=1000))
