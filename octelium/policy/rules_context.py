"""`ctx` for the rules of logins. `octelium.policy.shape.contexts` has the shapes of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from octelium.policy.cel.values import normalized
from octelium.schema.jsonform import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.schema.pb import core_v1_pb2 as core


def of_assertion(claims: Mapping[str, Any], assertion: str = "") -> dict[str, Any]:
    """What `aalRules` see: the claims, or attributes, of an assertion, and the text of a SAML one.

    `claims` is JSON data.
    """
    context: dict[str, Any] = {"assertionMap": dict(claims)}
    if assertion:
        context["assertion"] = assertion
    return _normalized(context)


def of_login(
    user: core.User,
    provider: core.IdentityProvider,
    info: core.SessionStatusAuthenticationInfo,
) -> dict[str, Any]:
    """What the `postAuthenticationRules` of an IdentityProvider see."""
    return _context(user=user, identityProvider=provider, authenticationInfo=info)


def of_enforcement(
    user: core.User,
    provider: core.IdentityProvider,
    session: core.Session,
    authenticators: core.AuthenticatorList,
) -> dict[str, Any]:
    """What the enforcement rules of Authenticators see."""
    return _context(
        user=user, identityProvider=provider, session=session, authenticatorList=authenticators
    )


def of_authentication(
    authenticator: core.Authenticator,
    user: core.User,
    session: core.Session,
    info: core.SessionStatusAuthenticationInfo,
) -> dict[str, Any]:
    """What the `postAuthenticationRules` of Authenticators see."""
    return _context(authenticator=authenticator, user=user, session=session, info=info)


def _context(**messages: Any) -> dict[str, Any]:
    return _normalized({name: to_json(message) for name, message in messages.items()})


def _normalized(context: dict[str, Any]) -> dict[str, Any]:
    form = normalized(context)
    assert isinstance(form, dict)
    return form
