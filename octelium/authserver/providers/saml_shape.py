"""The shape of a SAML response: one assertion, signed itself, by a signature that says little.

Whoever wraps a signed assertion, so that one part is verified and another one read, needs a second
assertion, an ID that stands twice, or a signature in a place of its own. Here there is no room for
any of them.
"""

from __future__ import annotations

from typing import Final

from octelium.authserver.providers.xml import DS, SAML, SAMLP, Element, XmlError

_ENCRYPTED: Final = "{http://www.w3.org/2001/04/xmlenc#}"
_MORE: Final = "http://www.w3.org/2001/04/xmldsig-more#"
_CANONICAL: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SIGNATURES: Final = frozenset(
    f"{_MORE}{kind}-{size}" for kind in ("rsa", "ecdsa") for size in ("sha256", "sha384", "sha512")
)
_DIGESTS: Final = frozenset(
    (
        "http://www.w3.org/2001/04/xmlenc#sha256",
        f"{_MORE}sha384",
        "http://www.w3.org/2001/04/xmlenc#sha512",
    )
)
_TRANSFORMS: Final = ["http://www.w3.org/2000/09/xmldsig#enveloped-signature", _CANONICAL]
_IDS: Final = frozenset(("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id"))
_NAMES: Final = frozenset(("Assertion", "Response", "Signature"))


def only_assertion(root: Element) -> Element:
    """The assertion of a response.

    Raises:
        XmlError: the response has another shape.
    """
    if root.tag != SAMLP + "Response":
        raise XmlError("the document is no SAML response")
    _check_names(root)
    _check_ids(root)
    assertions = list(root.iter(SAML + "Assertion"))
    if len(assertions) != 1:
        raise XmlError(f"the response holds {len(assertions)} assertions instead of one")
    (assertion,) = assertions
    if assertion.getparent() is not root:
        raise XmlError("the assertion is not in its place")
    of_assertion = assertion.findall(DS + "Signature")
    if len(of_assertion) != 1:
        raise XmlError("the assertion is not signed itself, once")
    of_response = root.findall(DS + "Signature")
    signatures = list(root.iter(DS + "Signature"))
    if len(of_response) > 1 or len(signatures) != len(of_response) + 1:
        raise XmlError("the response holds a signature that belongs to nothing")
    for signature in signatures:
        _check_signature(signature)
    return assertion


def _check_names(root: Element) -> None:
    """No encryption, and no other names for what matters here."""
    known = {SAML + "Assertion", SAMLP + "Response", DS + "Signature"}
    for element in root.iter():
        tag = element.tag
        local = tag.rpartition("}")[2]
        if tag.startswith(_ENCRYPTED) or local.startswith("Encrypted"):
            raise XmlError("the response holds something encrypted")
        if local in _NAMES and tag not in known:
            raise XmlError("the response holds elements of other namespaces with its own names")
        if tag == SAMLP + "Response" and element is not root:
            raise XmlError("the response holds another one")


def _check_ids(root: Element) -> None:
    seen: set[str] = set()
    for element in root.iter():
        for name in _IDS & set(element.attrib):
            if element.get(name) in seen:
                raise XmlError("an ID stands twice in the response")
            seen.add(element.get(name))


def _check_signature(signature: Element) -> None:
    signed = signature.getparent().get("ID")
    children = [child.tag.removeprefix(DS) for child in signature]
    if children not in (
        ["SignedInfo", "SignatureValue"],
        ["SignedInfo", "SignatureValue", "KeyInfo"],
    ):
        raise XmlError("a signature holds what it should not")
    info = signature[0]
    if [child.tag.removeprefix(DS) for child in info] != [
        "CanonicalizationMethod",
        "SignatureMethod",
        "Reference",
    ]:
        raise XmlError("a signature does not sign exactly one thing")
    canonicalization, method, reference = info
    if not signed or reference.get("URI") != f"#{signed}":
        raise XmlError("a signature signs something else than what it stands in")
    if (
        canonicalization.get("Algorithm") != _CANONICAL
        or method.get("Algorithm") not in _SIGNATURES
    ):
        raise XmlError("a signature is made in a way that is not accepted, such as SHA-1")
    digest = reference.find(DS + "DigestMethod")
    if digest is None or digest.get("Algorithm") not in _DIGESTS:
        raise XmlError("a signature has a digest that is not accepted, such as SHA-1")
    transforms = [found.get("Algorithm") for found in reference.iter(DS + "Transform")]
    if transforms != _TRANSFORMS:
        raise XmlError("a signature transforms what it signs in a way that is not accepted")
