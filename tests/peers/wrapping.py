"""Wrapped signatures: every way that "On Breaking SAML: Be Whoever You Want to Be" lists.

Each makes of a response that is good one in which the signature still fits, but a reader may find
that somebody else signs in.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.peers.assertions import DS, SAML, SAMLP, element, element_in

ADMIN = "admin@example.com"
"""Who the forged assertions are about."""
Make: TypeAlias = Callable[[bool], Any]
"""Makes a good response; if asked, signed as a whole too."""


def assertion_of(response: Any) -> Any:
    """The first assertion right within a response."""
    return response.find(SAML + "Assertion")


def evil(element: Any, *, signed: bool = False, new_id: bool = True) -> Any:
    """A copy of an element that says something else, usually with an ID of its own."""
    forged = copy.deepcopy(element)
    for value in forged.iter(SAML + "AttributeValue"):
        value.text = ADMIN
    if not signed:
        for signature in list(forged.iter(DS + "Signature")):
            signature.getparent().remove(signature)
    if new_id:
        for part in forged.iter(SAML + "Assertion", SAMLP + "Response"):
            part.set("ID", "_evil" + part.get("ID"))
    return forged


def detached(element: Any) -> tuple[Any, Any]:
    """A copy of an element without its own signature, and the signature."""
    bare = copy.deepcopy(element)
    signature = bare.find(DS + "Signature")
    bare.remove(signature)
    return bare, signature


def wrapped_1(make: Make) -> Any:
    """A forged response with the signed one inside its signature."""
    response = make(True)
    forged = evil(response)
    bare, signature = detached(response)
    signature.append(bare)
    forged.insert(1, signature)
    return forged


def wrapped_2(make: Make) -> Any:
    """A forged response with the signed one and its signature side by side."""
    response = make(True)
    forged = evil(response)
    bare, signature = detached(response)
    forged.insert(1, signature)
    forged.insert(1, bare)
    return forged


def wrapped_3(make: Make) -> Any:
    """A forged assertion before the signed one."""
    response = make(False)
    response.insert(2, evil(assertion_of(response)))
    return response


def wrapped_4(make: Make) -> Any:
    """A forged assertion around the signed one."""
    response = make(False)
    original = assertion_of(response)
    forged = evil(original)
    response.replace(original, forged)
    forged.append(original)
    return response


def wrapped_5(make: Make) -> Any:
    """A forged assertion with the signature, whose assertion follows."""
    response = make(False)
    original = assertion_of(response)
    forged = evil(original, signed=True)
    bare, _ = detached(original)
    response.replace(original, forged)
    response.append(bare)
    return response


def wrapped_6(make: Make) -> Any:
    """A forged assertion with the signature, which holds its assertion."""
    response = make(False)
    original = assertion_of(response)
    forged = evil(original, signed=True)
    bare, _ = detached(original)
    forged.find(DS + "Signature").append(bare)
    response.replace(original, forged)
    return response


def wrapped_7(make: Make) -> Any:
    """A forged assertion in the extensions, which may hold anything."""
    response = make(False)
    extensions = element(SAMLP + "Extensions")
    extensions.append(evil(assertion_of(response), new_id=False))
    response.insert(1, extensions)
    return response


def wrapped_8(make: Make) -> Any:
    """A forged assertion with the signature, in an object of which its assertion is."""
    response = make(False)
    original = assertion_of(response)
    forged = evil(original, signed=True)
    bare, _ = detached(original)
    held = element_in(forged.find(DS + "Signature"), DS + "Object")
    held.append(bare)
    response.replace(original, forged)
    return response


WRAPPED = (
    wrapped_1,
    wrapped_2,
    wrapped_3,
    wrapped_4,
    wrapped_5,
    wrapped_6,
    wrapped_7,
    wrapped_8,
)
