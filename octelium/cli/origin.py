"""The Sessions that a Credential has made, which neither end with it nor when it is disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.cli.invocation import Invocation

_MOST = 5


def tell_sessions(invocation: Invocation, credential: Any) -> None:
    """Say which Sessions of a Credential go on, if the caller may list them. Raises ApiError."""
    from octelium.client.errors import ApiError
    from octelium.schema.kinds import KINDS

    owner = credential.status.user_ref.name or credential.spec.user
    filters = {"user": owner} if owner else {}
    try:
        sessions = list(invocation.client.resources.list_all(KINDS["Session"], **filters))
    except ApiError as error:
        if error.code not in ("PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND"):
            raise
        invocation.terminal.note("Sessions made from it, if there are any, go on.")
        return
    names = list(_going_on(sessions, credential.metadata.uid, invocation.now()))
    if names:
        word = "Session made from it goes on" if len(names) == 1 else "Sessions made from it go on"
        which = f"{' '.join(names[:_MOST])}{' ...' if len(names) > _MOST else ''}"
        invocation.terminal.note(f"{len(names)} {word}: octeliumctl delete session {which}")


def _going_on(sessions: Iterable[Any], credential: str, now: float) -> Iterable[str]:
    from octelium.schema.pb import core_v1_pb2 as core

    for session in sessions:
        spec = session.spec
        ended = spec.HasField("expires_at") and spec.expires_at.seconds <= now
        if (
            session.status.credential_ref.uid == credential
            and spec.state != core.SessionSpecState__.REJECTED
            and not ended
        ):
            yield session.metadata.name
