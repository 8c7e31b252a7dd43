"""A SAML response: whether it answers our request, and what its assertion says.

"Profiles for the OASIS Security Assertion Markup Language (SAML) V2.0" section 4.1.4.3.
"""

from __future__ import annotations

import base64
import copy
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from octelium.authserver.providers.saml_metadata import POST, REDIRECT, instant
from octelium.authserver.providers.saml_shape import only_assertion
from octelium.authserver.providers.xml import (
    DS,
    SAML,
    SAMLP,
    Element,
    XmlError,
    parse,
    serialized,
    text_of,
)

if TYPE_CHECKING:
    from octelium.authserver.providers.saml_metadata import IdentityProviderMetadata

LARGEST: Final = 256 << 10
"""Bytes of a response."""
LEEWAY: Final = 60
"""Seconds that clocks may differ."""
_SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
_DENIALS: Final = ("AuthnFailed", "RequestDenied")
"""Second codes of a status (SAML core, section 3.2.2.2)."""
_BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


class ResponseError(Exception):
    """A response that proves nothing; the text is for the Cluster's own log."""


class DeniedError(ResponseError):
    """The provider says that the person declined, or may not sign in."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a response must be about."""

    metadata: IdentityProviderMetadata
    entity_id: str
    """Of the Cluster."""
    consumer: str
    """URL that the response is posted to."""
    request_id: str
    now: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a verified assertion says."""

    text: str
    """Its XML, without the signature."""
    attributes: dict[str, list[str]]
    """The values of each attribute, by its name."""


def verify(encoded: str, wanted: Wanted) -> Assertion:
    """The assertion of a response as browsers post it, every check passed.

    Raises:
        DeniedError: it says that nobody signed in.
        ResponseError: it proves nothing.
    """
    try:
        root = _parse(encoded)
        _check_status(root)
        assertion = only_assertion(root)
        _check_response(root, wanted)
        _check_assertion(assertion, wanted)
        _check_signatures(root, wanted)
        return Assertion(_text(assertion), _attributes(assertion))
    except XmlError as error:
        raise ResponseError(str(error)) from error


def _parse(encoded: str) -> Element:
    if len(encoded) > LARGEST * 3 // 2:
        raise ResponseError(f"the response is larger than {LARGEST} bytes")
    try:
        data = base64.b64decode("".join(encoded.split()).encode(), validate=True)
    except (Base64Error, ValueError) as error:
        raise ResponseError("the response is not in base64") from error
    return parse(data, largest=LARGEST, plain=True)


def _check_status(root: Element) -> None:
    codes = [code.get("Value", "") for code in root.iter(SAMLP + "StatusCode")]
    if codes[:1] != [_SUCCESS]:
        last = codes[-1].rpartition(":")[2][:60] if codes else "nothing"
        kind = DeniedError if last in _DENIALS else ResponseError
        raise kind(f"the identity provider answers {last!r}")


def _check_signatures(root: Element, wanted: Wanted) -> None:
    """By python3-saml in its strict mode, which checks the rest of the profile too."""
    from onelogin.saml2.response import (  # type: ignore[import-untyped]  # has no types
        OneLogin_Saml2_Response,
    )
    from onelogin.saml2.settings import (  # type: ignore[import-untyped]  # has no types
        OneLogin_Saml2_Settings,
    )

    settings = OneLogin_Saml2_Settings(_settings(wanted))
    consumer = urlsplit(wanted.consumer)
    request = {"https": "on", "http_host": consumer.netloc, "script_name": consumer.path}
    # Both parsers read the same text: what this one writes down is what that one gets.
    response = OneLogin_Saml2_Response(settings, base64.b64encode(serialized(root).encode()))
    if not response.is_valid(request, wanted.request_id):
        raise ResponseError(str(response.get_error())[:300])


def _settings(wanted: Wanted) -> dict[str, Any]:
    return {
        "strict": True,
        "debug": False,
        "sp": {
            "entityId": wanted.entity_id,
            "assertionConsumerService": {"url": wanted.consumer, "binding": POST},
            "NameIDFormat": _UNSPECIFIED,
        },
        "idp": {
            "entityId": wanted.metadata.entity_id,
            "singleSignOnService": {"url": wanted.metadata.sign_on_url, "binding": REDIRECT},
            "x509certMulti": {"signing": list(wanted.metadata.certificates)},
        },
        "security": {
            "wantAssertionsSigned": True,
            "wantMessagesSigned": False,
            "wantNameId": False,
            "wantAttributeStatement": True,
            "rejectDeprecatedAlgorithm": True,
            "requestedAuthnContext": False,
            "allowSingleLabelDomains": True,
        },
    }


def _check_response(root: Element, wanted: Wanted) -> None:
    if root.get("InResponseTo") != wanted.request_id:
        raise ResponseError("the response answers another request")
    if root.get("Destination", wanted.consumer) != wanted.consumer:
        raise ResponseError("the response is meant for another place")


def _check_assertion(assertion: Element, wanted: Wanted) -> None:
    """What the signature covers says itself whom it is for, and when."""
    if text_of(_one(assertion, "Issuer")) != wanted.metadata.entity_id:
        raise ResponseError("the assertion is of another issuer")
    conditions = _one(assertion, "Conditions")
    _check_window(conditions, wanted.now, must_end=False)
    restrictions = conditions.findall(SAML + "AudienceRestriction")
    if not restrictions:
        raise ResponseError("the assertion is meant for nobody in particular")
    for restriction in restrictions:
        audiences = [text_of(found) for found in restriction.findall(SAML + "Audience")]
        if wanted.entity_id not in audiences:
            raise ResponseError("the assertion is meant for another audience")
    confirmations = _one(assertion, "Subject").findall(SAML + "SubjectConfirmation")
    bearers = [found for found in confirmations if found.get("Method") == _BEARER]
    if len(bearers) != 1:
        raise ResponseError("the assertion has not exactly one bearer")
    data = _one(bearers[0], "SubjectConfirmationData")
    if data.get("Recipient") != wanted.consumer:
        raise ResponseError("the assertion is meant for another recipient")
    if data.get("InResponseTo") != wanted.request_id:
        raise ResponseError("the assertion answers another request")
    _check_window(data, wanted.now, must_end=True)
    ends = _one(assertion, "AuthnStatement").get("SessionNotOnOrAfter")
    if ends is not None and instant(ends) <= wanted.now - LEEWAY:
        raise ResponseError("the person's session at the identity provider has ended")
    if instant(assertion.get("IssueInstant", "")) > wanted.now + LEEWAY:
        raise ResponseError("the assertion is from the future")


def _check_window(element: Element, now: float, *, must_end: bool) -> None:
    begins, ends = element.get("NotBefore"), element.get("NotOnOrAfter")
    if begins is not None and instant(begins) > now + LEEWAY:
        raise ResponseError("the assertion is from the future")
    if ends is None and must_end:
        raise ResponseError("the assertion never expires")
    if ends is not None and instant(ends) <= now - LEEWAY:
        raise ResponseError("the assertion has expired")


def _one(parent: Element, name: str) -> Element:
    found = parent.findall(SAML + name)
    if len(found) != 1:
        raise ResponseError(f"the assertion has not exactly one {name}")
    return found[0]


def _attributes(assertion: Element) -> dict[str, list[str]]:
    attributes: dict[str, list[str]] = {}
    for statement in assertion.findall(SAML + "AttributeStatement"):
        for attribute in statement.findall(SAML + "Attribute"):
            values = [text_of(value) for value in attribute.findall(SAML + "AttributeValue")]
            attributes.setdefault(attribute.get("Name", ""), []).extend(filter(None, values))
    return attributes


def _text(assertion: Element) -> str:
    """Rules search it for words, which a signature may hold by chance."""
    plain = copy.deepcopy(assertion)
    for signature in plain.findall(DS + "Signature"):
        plain.remove(signature)
    return serialized(plain)
