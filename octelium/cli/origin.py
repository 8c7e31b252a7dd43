"""What stays of a Credential or an IdentityProvider that is deleted or disabled.

The Sessions that began with it go on; Users' identities at an IdentityProvider point to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.cli.invocation import Invocation

_MOST = 5
_HIDDEN = ("PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND")


def tell_sessions(invocation: Invocation, credential: Any) -> None:
    """Say which Sessions of a Credential go on, if the caller may list them. Raises ApiError."""
    from octelium.client.errors import ApiError
    from octelium.schema.kinds import KINDS

    owner = credential.status.user_ref.name or credential.spec.user
    filters = {"user": owner} if owner else {}
    try:
        sessions = list(invocation.client.resources.list_all(KINDS["Session"], **filters))
    except ApiError as error:
        if error.code not in _HIDDEN:
            raise
        invocation.terminal.note("Sessions made from it, if there are any, go on.")
        return
    uid = credential.metadata.uid
    made = (item for item in sessions if item.status.credential_ref.uid == uid)
    _tell(invocation, made)


def tell_identities(invocation: Invocation, provider: Any) -> None:
    """Say which Sessions of a deleted IdentityProvider go on, and who had an identity there.

    Raises ApiError.
    """
    from octelium.client.relations import Neighbourhood

    around = Neighbourhood(invocation.client.resources, invocation.client.domain)
    uid, name = provider.metadata.uid, provider.metadata.name
    _tell(invocation, (item for item in around.all("Session") if _provider_of(item) == uid))
    users = [
        user.metadata.name
        for user in around.all("User")
        if any(each.identity_provider == name for each in user.spec.authentication.identities)
    ]
    if users:
        which = f"{', '.join(users[:_MOST])}{' ...' if len(users) > _MOST else ''}"
        invocation.terminal.note(f"Identities that point to it have no use any more: {which}")
    if around.hidden:
        invocation.terminal.note("Sessions made from it, if there are any, go on.")


def _provider_of(session: Any) -> str:
    """The uid of the IdentityProvider with which a Session began."""
    began = session.status.initial_authentication.info.identity_provider
    uid: str = began.identity_provider_ref.uid
    return uid


def _tell(invocation: Invocation, sessions: Iterable[Any]) -> None:
    names = list(_going_on(sessions, invocation.now()))
    if names:
        word = "Session made from it goes on" if len(names) == 1 else "Sessions made from it go on"
        which = f"{' '.join(names[:_MOST])}{' ...' if len(names) > _MOST else ''}"
        invocation.terminal.note(f"{len(names)} {word}: octeliumctl delete session {which}")


def _going_on(sessions: Iterable[Any], now: float) -> Iterable[str]:
    from octelium.schema.pb import core_v1_pb2 as core

    for session in sessions:
        spec = session.spec
        ended = spec.HasField("expires_at") and spec.expires_at.seconds <= now
        if spec.state != core.SessionSpecState__.REJECTED and not ended:
            yield session.metadata.name
