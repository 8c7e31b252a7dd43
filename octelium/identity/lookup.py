"""Which User an identity at an IdentityProvider stands for.

https://octelium.com/docs/octelium/latest/management/core/identity-provider/overview: the explicit
identities of Users come first, then their e-mail addresses, unless the IdentityProvider says that
addresses do not count. Nobody is made a User by signing in. Texts are compared code point by code
point: who may write an address in another case, another script or another form of Unicode at the
provider is not the same person for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from octelium.identity.errors import DisabledUserError, RefusedError, UnknownUserError
from octelium.identity.sessions import is_user_barred
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.slug import slug
from octelium.schema.validation.user import EMAIL_LABEL, identity_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from octelium.identity.verified import VerifiedIdentity
    from octelium.store.transaction import Transaction

_TYPES: Final = core.IdentityProviderStatusType__
WEB_TYPES: Final = frozenset({_TYPES.GITHUB, _TYPES.OIDC, _TYPES.SAML})
"""The types of IdentityProvider by which people sign in, with a browser."""
_LONGEST_IDENTIFIER: Final = 256
_LONGEST_EMAIL: Final = 150


def is_web(provider: core.IdentityProvider) -> bool:
    """Whether people sign in by this IdentityProvider; by the others workloads do."""
    return provider.status.type in WEB_TYPES


def is_provider_barred(provider: core.IdentityProvider) -> bool:
    """Whether nobody may sign in by this IdentityProvider at present."""
    return provider.spec.is_disabled or provider.status.is_locked


def provider_of(tx: Transaction, verified: VerifiedIdentity) -> core.IdentityProvider:
    """The IdentityProvider of an identity, as it is stored now.

    Raises:
        RefusedError: it is gone, disabled or locked, or what its protocol was checked against has
            changed meanwhile.
    """
    checked = verified.provider
    name = checked.metadata.name
    provider = tx.find(core.IdentityProvider, uid=checked.metadata.uid)
    if provider is None:
        raise RefusedError(f"the IdentityProvider {name} does not exist any longer")
    if is_provider_barred(provider):
        raise RefusedError(f"the IdentityProvider {name} is disabled or locked")
    if _protocol(provider) != _protocol(checked):
        raise RefusedError(f"the IdentityProvider {name} was changed meanwhile; sign in again")
    return provider


def _protocol(provider: core.IdentityProvider) -> tuple[int, bytes]:
    form = provider.spec.WhichOneof("type")
    settings = b"" if form is None else getattr(provider.spec, form).SerializeToString()
    return provider.status.type, settings


def user_of(tx: Transaction, verified: VerifiedIdentity) -> core.User:
    """The User that an identity stands for. It may sign in in this way.

    Raises:
        UnknownUserError: there is none.
        DisabledUserError: the User is barred.
        RefusedError: the identity cannot be used, or the IdentityProvider is for Users of the other
            type.
    """
    provider = verified.provider
    name = provider.metadata.name
    if not _is_clean(verified.identifier, _LONGEST_IDENTIFIER):
        raise RefusedError(f"the IdentityProvider {name} gives an identifier that cannot be used")
    _check_verification(verified)
    user = _by_identity(tx, verified) or _by_email(tx, verified)
    if user is None:
        raise UnknownUserError(
            f"no User has the identity {verified.identifier!r} at the IdentityProvider {name}"
            + _or_address(verified),
            detail=_nearly(tx, verified),
        )
    wanted = core.UserSpecType__.HUMAN if is_web(provider) else core.UserSpecType__.WORKLOAD
    if user.spec.type != wanted:
        kind = core.UserSpecType__.UserSpecType.Name(wanted)
        raise RefusedError(
            f"User {user.metadata.name} is no {kind}: the IdentityProvider {name} is for those"
        )
    if is_user_barred(user):
        raise DisabledUserError(f"User {user.metadata.name} is disabled or locked")
    return user


def _or_address(verified: VerifiedIdentity) -> str:
    """What else was looked for in vain."""
    provider = verified.provider
    email = _email_of(verified)
    if not is_web(provider) or provider.spec.disable_email_as_identity or not email:
        return ""
    return f", and none the address {email!r} (spec.email)"


def _check_verification(verified: VerifiedIdentity) -> None:
    """An address that the provider has not checked proves nothing, wherever it stands."""
    provider = verified.provider
    wanted = provider.spec.oidc.check_email_verified
    if verified.email_verified is False:
        identifies = verified.identifier.casefold() == verified.email.casefold()
        if wanted or identifies:
            raise RefusedError(
                f"the IdentityProvider {provider.metadata.name} has not verified the address "
                f"{verified.email!r}"
            )
    elif verified.email_verified is None and wanted:
        raise RefusedError(
            f"the IdentityProvider {provider.metadata.name} does not say whether it has verified "
            f"the address {verified.email!r}"
        )


def _by_identity(tx: Transaction, verified: VerifiedIdentity) -> core.User | None:
    name = verified.provider.metadata.name

    def has_identity(user: core.User) -> bool:
        return any(
            identity.identity_provider == name and identity.identifier == verified.identifier
            for identity in user.spec.authentication.identities
        )

    return _only(tx, identity_label(name), verified.identifier, has_identity)


def _by_email(tx: Transaction, verified: VerifiedIdentity) -> core.User | None:
    provider = verified.provider
    if not is_web(provider) or provider.spec.disable_email_as_identity:
        return None
    email = _email_of(verified)
    if not email or verified.email_verified is False:
        return None
    if not _is_address(email):
        raise RefusedError(
            f"the IdentityProvider {provider.metadata.name} gives {email[:200]!r} as an address"
        )
    return _only(tx, EMAIL_LABEL, email, lambda user: user.spec.email == email)


def _email_of(verified: VerifiedIdentity) -> str:
    """The address. Of SAML it is the identifier or nothing: no other attribute is trusted."""
    if verified.provider.status.type != _TYPES.SAML:
        return verified.email
    return verified.identifier if _is_address(verified.identifier) else ""


def _only(
    tx: Transaction, label: str, text: str, is_it: Callable[[core.User], bool]
) -> core.User | None:
    found = [user for user in tx.peek_all(core.User, by=_index(label, text)) if is_it(user)]
    if len(found) > 1:
        names = ", ".join(user.metadata.name for user in found[:5])
        raise RefusedError(f"{text!r} stands for more than one User", detail=names)
    return tx.get(core.User, uid=found[0].metadata.uid) if found else None


def _index(label: str, text: str) -> dict[str, str]:
    return {f"specLabels.{label}": slug(text)}


def _nearly(tx: Transaction, verified: VerifiedIdentity) -> str:
    """A hint for the log: who would be meant if spelling did not count, or why nobody was tried."""
    name = verified.provider.metadata.name
    places = [(identity_label(name), verified.identifier)]
    if is_web(verified.provider):
        places.append((EMAIL_LABEL, verified.email or verified.identifier))
    for label, text in places:
        for user in tx.peek_all(core.User, by=_index(label, text)):
            if label == EMAIL_LABEL and verified.provider.spec.disable_email_as_identity:
                return f"User {user.metadata.name}: addresses do not count here"
            if label == EMAIL_LABEL and verified.email_verified is False:
                return f"User {user.metadata.name}: the address is not verified"
            return f"User {user.metadata.name} is spelled otherwise"
    return ""


def _is_clean(text: str, longest: int) -> bool:
    return 0 < len(text) <= longest and text.isprintable() and text == text.strip()


def _is_address(text: str) -> bool:
    """Whether a text can be one address: not two, no name beside it, no room for comments."""
    local, mark, domain = text.partition("@")
    return (
        bool(mark and local and domain)
        and "@" not in domain
        and _is_clean(text, _LONGEST_EMAIL)
        and not any(character in ' "(),:;<>[\\]' for character in text)
    )
