"""A User's own Authenticators. Functions within a transaction; other Users' do not exist here."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING, Final

from octelium.identity.authenticators import ceremonies
from octelium.identity.authenticators.callers import require_proof, require_second_factor
from octelium.identity.authenticators.errors import InvalidRequestError, NotOfferedError
from octelium.identity.errors import RefusedError
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import meta_v1_pb2 as meta
from octelium.store.metadata import reference

if TYPE_CHECKING:
    from octelium.identity.authenticators.callers import Caller
    from octelium.store.query import Page
    from octelium.store.transaction import Transaction

MOST: Final = 32
"""Authenticators of one User."""
MAX_DISPLAY_NAME: Final = 120
TYPES: Final = core.AuthenticatorStatusType__
_NAME_CHARACTERS: Final = string.ascii_lowercase + string.digits


def own(tx: Transaction, asking: Caller, ref: meta.ObjectReference) -> core.Authenticator:
    """One Authenticator of the caller's User, by its uid or name.

    Raises:
        InvalidRequestError: neither is given.
        RefusedError: there is none. Whether others have it is not told.
    """
    if not ref.uid and not ref.name:
        raise InvalidRequestError("name an Authenticator by its uid or name")
    if ref.uid:
        found = tx.find(core.Authenticator, uid=ref.uid)
    else:
        found = tx.find(core.Authenticator, name=ref.name)
    if found is None or found.status.user_ref.uid != asking.user.metadata.uid:
        raise RefusedError("you have no such Authenticator")
    return found


def page(
    tx: Transaction, asking: Caller, options: meta.CommonListOptions, now: int
) -> Page[core.Authenticator]:
    """The caller's Authenticators, without those whose registration was given up."""

    def counts(one: core.Authenticator) -> bool:
        begun = one.status.authentication_attempt.created_at.seconds
        last = max(one.metadata.created_at.seconds, begun)
        return one.status.is_registered or now - last < ceremonies.LIFETIME

    return tx.page(core.Authenticator, options, by=_of(asking), where=counts)


def create(
    tx: Transaction, asking: Caller, kind: int, display_name: str, now: int
) -> core.Authenticator:
    """A new Authenticator, not registered yet.

    Raises:
        InvalidRequestError: the type or the name is none.
        NotOfferedError: the type is not offered.
        RefusedError: not for this User or Session, or there are too many already.
    """
    require_second_factor(asking)
    require_proof(tx, asking, now)
    _check_display_name(display_name)
    _check_type(asking, kind)
    if tx.count(core.Authenticator, by=_of(asking)) >= MOST:
        raise RefusedError(f"you have {MOST} Authenticators, as many as one may have: delete one")
    made = core.Authenticator(api_version="core/v1", kind="Authenticator")
    made.metadata.name = _new_name(tx, kind)
    made.spec.display_name = display_name
    made.spec.state = (
        asking.user.spec.authentication.authenticator_default_state
        or asking.config.spec.authenticator.default_state
        or core.AuthenticatorSpecState__.ACTIVE
    )
    made.status.user_ref.CopyFrom(reference(asking.user))
    made.status.type = core.AuthenticatorStatusType__.AuthenticatorStatusType.ValueType(kind)
    return tx.create(made)


def rename(
    tx: Transaction, asking: Caller, ref: meta.ObjectReference, display_name: str
) -> core.Authenticator:
    """Give one another display name; nothing else of it can be changed by its User."""
    require_second_factor(asking)
    _check_display_name(display_name)
    found = own(tx, asking, ref)
    found.spec.display_name = display_name
    return tx.update(found)


def delete(
    tx: Transaction, asking: Caller, ref: meta.ObjectReference, now: int
) -> core.Authenticator:
    """Remove one; Sessions that must go on with it cannot be authenticated any more."""
    require_second_factor(asking)
    found = own(tx, asking, ref)
    if found.status.is_registered:
        require_proof(tx, asking, now)
    tx.delete("Authenticator", found.metadata.uid)
    return found


def _of(asking: Caller) -> dict[str, str]:
    return {"status.userRef": asking.user.metadata.uid}


def _check_display_name(text: str) -> None:
    if len(text) > MAX_DISPLAY_NAME or not text.isascii() or not text.isprintable():
        raise InvalidRequestError(
            f"the display name must be at most {MAX_DISPLAY_NAME} printable ASCII characters"
        )


def _check_type(asking: Caller, kind: int) -> None:
    status = asking.session.status
    if kind == TYPES.TPM:
        if status.type != core.SessionStatusType__.CLIENT:
            raise RefusedError("a TPM is registered by a client on its own computer")
        raise NotOfferedError("this Cluster does not offer TPM Authenticators; use TOTP")
    if kind not in (TYPES.FIDO, TYPES.TOTP):
        raise InvalidRequestError("the type must be FIDO or TOTP")
    if not asking.is_human:
        raise RefusedError("only a HUMAN has Authenticators of this type")
    if kind == TYPES.FIDO and not status.is_browser:
        raise RefusedError("security keys and passkeys are registered in a browser")


def _new_name(tx: Transaction, kind: int) -> str:
    prefix = TYPES.AuthenticatorStatusType.Name(
        core.AuthenticatorStatusType__.AuthenticatorStatusType.ValueType(kind)
    ).lower()
    while True:
        suffix = "".join(secrets.choice(_NAME_CHARACTERS) for _ in range(6))
        name = f"{prefix}-{suffix}"
        if tx.peek(core.Authenticator, name=name) is None:
            return name
