"""Which Authenticators a Session can use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from octelium.store.reading import Reader

TYPES = core.AuthenticatorStatusType__


@dataclass(frozen=True, slots=True)
class Selection:
    """`main` is the one that must be used, if one must; `items` are shared, not to be written."""

    main: core.Authenticator | None = None
    items: list[core.Authenticator] = field(default_factory=list)


def allowed_types(session: core.Session) -> frozenset[int]:
    """The types that a Session can use: what its client can do."""
    if session.status.is_browser:
        return frozenset((TYPES.FIDO, TYPES.TOTP))
    if session.status.type == core.SessionStatusType__.CLIENT:
        return frozenset((TYPES.TOTP, TYPES.TPM))
    return frozenset()


def is_usable(session: core.Session, authenticator: core.Authenticator) -> bool:
    """Whether a Session can authenticate with an Authenticator of its User."""
    status = authenticator.status
    device, own = status.device_ref.uid, session.status.device_ref.uid
    return (
        status.is_registered
        and status.user_ref.uid == session.status.user_ref.uid
        and authenticator.spec.state == core.AuthenticatorSpecState__.ACTIVE
        and status.type in allowed_types(session)
        and not (device and own and device != own)
    )


def usable(store: Reader, session: core.Session) -> list[core.Authenticator]:
    """All that a Session can use, in order of creation."""
    own = {"status.userRef": session.status.user_ref.uid}
    found = store.peek_all(core.Authenticator, by=own)
    return [one for one in found if is_usable(session, one)]


def selection(store: Reader, session: core.Session) -> Selection:
    """What a Session may authenticate with.

    A Session that began with a FIDO Authenticator, or was authenticated with one since, goes on
    with that one alone, even where it cannot be used any more.
    """
    items = usable(store, session)
    bound = _bound_to(session)
    if not bound:
        return Selection(None, items)
    main = next((one for one in items if one.metadata.uid == bound), None)
    return Selection(main, [] if main is None else [main])


def _bound_to(session: core.Session) -> str:
    status = session.status
    if status.HasField("required_authenticator_ref"):
        return status.required_authenticator_ref.uid
    began = status.initial_authentication.info.authenticator
    return began.authenticator_ref.uid if began.type == TYPES.FIDO else ""
