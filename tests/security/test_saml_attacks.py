"""SAML responses that were forged, moved or changed, posted to a running Cluster.

"On Breaking SAML: Be Whoever You Want to Be" (USENIX Security 2012) for wrapped signatures; the
"Security and Privacy Considerations for SAML 2.0" for the others. The provider is SimpleSAMLphp,
whose key signs what a forger could have got hold of.
"""

from __future__ import annotations

import base64
import copy
import time
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree  # type: ignore[import-untyped]  # has no types

from tests.peers import assertions as made
from tests.peers import saml, wrapping
from tests.peers.assertions import DS, EMAIL, SAML, Said
from tests.security.lab import AUDIENCE
from tests.security.visitor import STATE, gives_nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.security.lab import Lab
    from tests.security.visitor import Visitor

STRANGER = saml.RsaPair.make()


class Login:
    """A login at SimpleSAMLphp, of which a test makes the response up."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.visitor: Visitor = lab.visitor()
        self.url = self.visitor.begin(lab.uid("okta"))
        (packed,) = parse_qs(urlsplit(self.url).query)["SAMLRequest"]
        request = zlib.decompress(base64.b64decode(packed), wbits=-15)
        self.request_id = str(etree.fromstring(request).get("ID"))

    def genuine(self) -> bytes:
        """What the provider itself says about Eve."""
        landing = self.lab.walk(self.url, username="eve", password=saml.PASSWORD)
        return base64.b64decode(landing.parameters["SAMLResponse"])

    def said(self, **changes: Any) -> Said:
        """What a good response about Eve says."""
        usual: dict[str, Any] = {
            "issuer": self.lab.okta.entity_id,
            "audience": AUDIENCE,
            "consumer": self.lab.cluster.url("", "/callback"),
            "request_id": self.request_id,
            "attributes": {EMAIL: ["eve@example.com"]},
        }
        return Said(**{**usual, **changes})

    def response(self, both: bool = False, **changes: Any) -> Any:
        """A response that the provider signed."""
        response = made.signed(self.said(**changes), self.lab.okta.signer)
        if both:
            made.sign(response, self.lab.okta.signer)
        return response

    def form(self, text: bytes) -> dict[str, str]:
        """A response as the provider's page posts it."""
        return {
            "RelayState": self.visitor.cookies[STATE],
            "SAMLResponse": base64.b64encode(text).decode(),
        }

    def refused(self, response: Any, why: str) -> None:
        """Post it; nothing comes of it."""
        text = response if isinstance(response, bytes) else made.text(response).encode()
        begun = time.perf_counter()
        with self.lab.refused(self.visitor, why):
            gives_nothing(self.visitor.come_back(self.form(text), posted=True))
        assert time.perf_counter() - begun < 60


@pytest.fixture
def login(lab: Lab) -> Login:
    return Login(lab)


def test_good_ones(lab: Lab, login: Login) -> None:
    """What the others are variants of signs Eve in."""
    other = Login(lab)
    for one, text in (
        (login, login.genuine()),
        (other, made.text(other.response()).encode()),
    ):
        one.visitor.come_back(one.form(text), posted=True)
        assert "eve" in one.visitor.get(lab.cluster.url("portal")).text


@pytest.mark.parametrize("wrap", wrapping.WRAPPED)
def test_wrapped_signatures(login: Login, wrap: Callable[[wrapping.Make], Any]) -> None:
    forged = wrap(login.response)
    for value in forged.iter(SAML + "AttributeValue"):
        if value.text == wrapping.ADMIN:
            value.text = "ann@example.com"
    assert "ann@example.com" in made.text(forged)
    login.refused(forged, "")


@pytest.mark.parametrize("wrap", wrapping.WRAPPED)
def test_wrapped_signatures_of_a_real_response(
    login: Login, wrap: Callable[[wrapping.Make], Any]
) -> None:
    def make(both: bool) -> Any:
        response = etree.fromstring(login.genuine())
        if both and response.find(DS + "Signature") is None:
            made.sign(response, login.lab.okta.signer)
        return response

    login.refused(wrap(make), "")


@pytest.mark.parametrize("middle", ["<!---->", "<!-- x -->", "<?x?>", "<![CDATA[]]>"])
def test_names_that_some_readers_cut(login: Login, middle: str) -> None:
    response = made.text(login.response(attributes={EMAIL: ["ann@example.com.evil.test"]}))
    cut = response.replace("ann@example.com", f"ann@example.com{middle}")
    assert cut != response
    login.refused(cut.encode(), "comments, instructions")


def test_unsigned(login: Login) -> None:
    response = etree.fromstring(login.genuine())
    for signature in list(response.iter(DS + "Signature")):
        signature.getparent().remove(signature)
    login.refused(response, "not signed itself")


def test_only_the_response_signed(login: Login) -> None:
    response = login.said().response()
    made.sign(response, login.lab.okta.signer)
    login.refused(response, "not signed itself")


def test_a_strangers_key(login: Login) -> None:
    """The certificate that a signature brings along is believed by nobody."""
    login.refused(made.signed(login.said(), STRANGER), "Signature validation failed")


def test_an_old_digest(login: Login) -> None:
    signer = login.lab.okta.signer
    login.refused(made.signed(login.said(), signer, sha1=True), "SHA-1")


def test_a_changed_response(login: Login) -> None:
    changed = login.genuine().replace(b"eve@example.com", b"ann@example.com")
    login.refused(changed, "ignature validation failed")


def test_two_assertions(login: Login) -> None:
    said = login.said()
    response = said.response(said.assertion(), said.assertion())
    for assertion in response.findall(SAML + "Assertion"):
        made.sign(assertion, login.lab.okta.signer)
    login.refused(response, "2 assertions")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"audience": "https://other.example"}, "another audience"),
        ({"audience": f"{AUDIENCE}/"}, "another audience"),
        ({"audience": AUDIENCE.upper()}, "another audience"),
        ({"audience": None}, "nobody in particular"),
        ({"issuer": "https://other.example"}, "another issuer"),
        ({"recipient": "https://other.example/callback"}, "another recipient"),
        ({"destination": "https://other.example/callback"}, "another place"),
        ({"response_to": "_other"}, "answers another request"),
        ({"answers": "_other"}, "answers another request"),
        ({"answers": None}, "answers another request"),
        ({"ends": -61}, "expired"),
        ({"confirmed_until": -61}, "expired"),
        ({"confirmed_until": None}, "never expires"),
        ({"begins": 280}, "future"),
        ({"issued": 3600}, "future"),
        ({"session_ends": -61}, "has ended"),
        ({"status": "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"}, "AuthnFailed"),
        ({"attributes": {EMAIL: ["ann@example.com", "eve@example.com"]}}, "2 values"),
        ({"attributes": {EMAIL: ["ann@example.com@evil.test"]}}, "no User has the identity"),
    ],
)
def test_assertions_for_others_or_other_times(
    login: Login, changes: dict[str, Any], why: str
) -> None:
    login.refused(login.response(**changes), why)


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE r [<!ENTITY a0 "x">{laughs}]>',
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE r [<!ENTITY % x SYSTEM "https://localhost/x.dtd">%x;]>',
        '<!DOCTYPE r SYSTEM "https://localhost/x.dtd">',
    ],
)
def test_entities(login: Login, declared: str) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    text = made.text(login.response()).replace("eve@example.com", "&a9;")
    login.refused((declared.format(laughs=laughs) + text).encode(), "comments, instructions")


def test_other_encodings_and_sizes(login: Login, lab: Lab) -> None:
    text = made.text(login.response())
    login.refused(text.encode("utf-16"), "not in UTF-8")
    Login(lab).refused(b"<a>" + b" " * (300 << 10), "larger than")
    Login(lab).refused(b"", "")
    deep = b"<a>" * 100_000
    Login(lab).refused(deep[: 200 << 10], "")


def test_copies_of_the_signature(login: Login) -> None:
    response = login.response()
    response.append(copy.deepcopy(next(response.iter(DS + "Signature"))))
    login.refused(response, "")
