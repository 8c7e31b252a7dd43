"""SAML responses made to measure: signed as a test wants them, saying what it wants."""

from __future__ import annotations

import base64
import datetime as dt
import importlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lxml import etree  # type: ignore[import-untyped]  # has no types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.peers.saml import RsaPair

xmlsec: Any = importlib.import_module("xmlsec")  # its stubs leave out what it has
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
_RESPONSE = """<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{response_id}" Version="2.0"
 IssueInstant="{now}" Destination="{destination}" InResponseTo="{response_to}"
><saml:Issuer>{issuer}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{status}"/></samlp:Status
>{assertion}</samlp:Response>"""
_ASSERTION = """<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"
 ID="{assertion_id}" Version="2.0" IssueInstant="{issued}"
><saml:Issuer>{assertion_issuer}</saml:Issuer><saml:Subject><saml:NameID>subject</saml:NameID><saml:SubjectConfirmation
 Method="{method}"><saml:SubjectConfirmationData{recipient}{answers}{confirmed_until}
/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{begins}"
 NotOnOrAfter="{ends}">{restriction}</saml:Conditions><saml:AuthnStatement AuthnInstant="{now}"
{session_ends}><saml:AuthnContext><saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement
><saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"""


def at(seconds: float) -> str:
    """A time so many seconds from now."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Said:
    """What a response says; `None` leaves something out."""

    issuer: str
    audience: str | None
    consumer: str
    request_id: str
    attributes: dict[str, Sequence[str]] = field(
        default_factory=lambda: {EMAIL: ["alice@example.com"]}
    )
    assertion_issuer: str = ""
    destination: str = ""
    recipient: str | None = ""
    response_to: str = ""
    answers: str | None = ""
    begins: float = -30
    ends: float = 300
    confirmed_until: float | None = 300
    session_ends: float | None = None
    issued: float = 0
    status: str = "urn:oasis:names:tc:SAML:2.0:status:Success"
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    context: str = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
    raw_attributes: str = ""

    def assertion(self) -> str:
        """An assertion, not signed."""
        audience = self.audience
        return _ASSERTION.format(
            assertion_id=f"_{secrets.token_hex(16)}",
            issued=at(self.issued),
            now=at(0),
            assertion_issuer=self.assertion_issuer or self.issuer,
            method=self.method,
            recipient=_attribute("Recipient", self.recipient, self.consumer),
            answers=_attribute("InResponseTo", self.answers, self.request_id),
            confirmed_until=""
            if self.confirmed_until is None
            else f' NotOnOrAfter="{at(self.confirmed_until)}"',
            begins=at(self.begins),
            ends=at(self.ends),
            restriction=""
            if audience is None
            else "<saml:AudienceRestriction><saml:Audience>"
            f"{audience}</saml:Audience></saml:AudienceRestriction>",
            session_ends=""
            if self.session_ends is None
            else f' SessionNotOnOrAfter="{at(self.session_ends)}"',
            context=self.context,
            attributes=self.raw_attributes
            or "".join(
                f'<saml:Attribute Name="{name}">'
                + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
                + "</saml:Attribute>"
                for name, values in self.attributes.items()
            ),
        )

    def response(self, *assertions: str) -> Any:
        """A response, not signed, as an element."""
        return etree.fromstring(
            _RESPONSE.format(
                response_id=f"_{secrets.token_hex(16)}",
                now=at(0),
                destination=self.destination or self.consumer,
                response_to=self.response_to or self.request_id,
                issuer=self.issuer,
                status=self.status,
                assertion="".join(assertions or (self.assertion(),)),
            )
        )


def _attribute(name: str, value: str | None, usual: str) -> str:
    return "" if value is None else f' {name}="{value or usual}"'


def sign(element: Any, pair: RsaPair, *, sha1: bool = False) -> None:
    """Sign an assertion or a response in place; its signature follows the issuer."""
    method = xmlsec.Transform.RSA_SHA1 if sha1 else xmlsec.Transform.RSA_SHA256
    digest = xmlsec.Transform.SHA1 if sha1 else xmlsec.Transform.SHA256
    signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, method, ns="ds")
    element.insert(1, signature)
    reference = xmlsec.template.add_reference(signature, digest, uri=f"#{element.get('ID')}")
    xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    xmlsec.tree.add_ids(element, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(pair.key, xmlsec.KeyFormat.PEM, None)
    context.key.load_cert_from_memory(pair.certificate, xmlsec.KeyFormat.PEM)
    context.sign(signature)


def signed(said: Said, pair: RsaPair, *, sha1: bool = False) -> Any:
    """A response with one assertion, which is signed."""
    response = said.response()
    sign(response.find(SAML + "Assertion"), pair, sha1=sha1)
    return response


def text(response: Any) -> str:
    """A response as XML."""
    return str(etree.tostring(response, encoding="unicode"))


def posted(response: Any) -> str:
    """As a browser posts it."""
    return base64.b64encode(text(response).encode()).decode()


def element(name: str) -> Any:
    """An empty element."""
    return etree.Element(name)


def element_in(parent: Any, name: str) -> Any:
    """An empty element at the end of another one."""
    return etree.SubElement(parent, name)
