"""Users."""

from __future__ import annotations

from octelium.schema.errors import Invalid
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.slug import slug
from octelium.schema.validation.rules import Validator, rule

_HUMAN = core.UserSpecType__.HUMAN

EMAIL_LABEL = "email"


def identity_label(identity_provider: str) -> str:
    """The index label of a User's identity at an IdentityProvider."""
    return f"auth-{identity_provider}"


@rule(core.User)
def check_user(user: core.User, _path: str, validator: Validator) -> None:
    """An e-mail address belongs to one human, an identity to one User.

    Both are compared by their slugs, by which logins find them.
    """
    email = user.spec.email
    if email:
        if user.spec.type != _HUMAN:
            raise Invalid("spec.email", "only a HUMAN User has an e-mail address")
        _check_free(user, EMAIL_LABEL, email, "spec.email", validator)
    providers: set[str] = set()
    for index, identity in enumerate(user.spec.authentication.identities):
        place = f"spec.authentication.identities[{index}]"
        if identity.identity_provider in providers:
            raise Invalid(
                f"{place}.identityProvider",
                f"a second identity at {identity.identity_provider!r}",
                "a User has one identity per IdentityProvider",
            )
        providers.add(identity.identity_provider)
        label = identity_label(identity.identity_provider)
        _check_free(user, label, identity.identifier, f"{place}.identifier", validator)


def _check_free(user: core.User, label: str, text: str, path: str, validator: Validator) -> None:
    if validator.view is None:
        return
    for other in validator.view.labelled("User", label, slug(text)):
        if other.metadata.name != user.metadata.name:
            raise Invalid(path, f"{text!r} belongs to the User {other.metadata.name!r}")


@rule(core.UserSpecSession)
def check_session_settings(
    settings: core.UserSpecSession, path: str, _validator: Validator
) -> None:
    """New Sessions begin active or pending."""
    if settings.default_state == core.SessionSpecState__.REJECTED:
        raise Invalid(f"{path}.defaultState", "new Sessions cannot begin REJECTED")


@rule(core.UserSpecAuthentication)
def check_authentication(
    settings: core.UserSpecAuthentication, path: str, _validator: Validator
) -> None:
    """New Authenticators begin active or pending."""
    if settings.authenticator_default_state == core.AuthenticatorSpecState__.REJECTED:
        raise Invalid(
            f"{path}.authenticatorDefaultState", "new Authenticators cannot begin REJECTED"
        )
