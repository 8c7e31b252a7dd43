"""What administrators do to other people's access, told to the authentication log.

Whatever a person does with the own account is told where it is done. Changes by the API of
administrators are seen here once they are stored: so an apply of many resources is told of too, and
nothing is told that did not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from octelium.identity.attempts import Attempt, Way
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from octelium.store.resources import Resources
    from octelium.store.state import Change, Committed

MOST: Final = 200
"""Deeds of one commit that are told one by one."""
_SERVICES: Final = tuple(
    f"{package.DESCRIPTOR.services_by_name['MainService'].full_name}/" for package in (core, ext)
)
_OWNERS: Final = ("User", "Device")
"""Kinds with which what belongs to them goes."""
_STATES: Final = {
    int(core.SessionSpecState__.ACTIVE): "approved {}",
    int(core.SessionSpecState__.PENDING): "put {} back to waiting for approval",
    int(core.SessionSpecState__.REJECTED): "rejected {}",
}
"""Sessions, Devices and Authenticators have the same states, with the same numbers."""


class Revocations:
    """Follows the store, and tells of each User, Session, Credential, … whose access changes."""

    def __init__(self, resources: Resources, tell: Callable[[Attempt], None]) -> None:
        self._resources = resources
        self._tell = tell

    def committed(self, commit: Committed) -> None:
        """Tell of what administrators did in one commit; a subscriber of the store."""
        deeds = list(self._deeds(commit))
        for deed in deeds[:MOST]:
            self._tell(deed)
        if len(deeds) > MOST:
            more = deeds[MOST]
            rest = Attempt(way=Way.ACCOUNT, operation=more.operation)
            rest.did(f"{len(deeds) - MOST} more at once, the first of them: {more.reason}")
            self._tell(rest)

    def _deeds(self, commit: Committed) -> Iterator[Attempt]:
        gone = {
            change.uid
            for change in commit.changes
            if change.kind in _OWNERS and change.after is None
        }
        for change in commit.changes:
            if change.kind not in _TELLERS or change.before is None:
                continue
            item = change.after or change.deletion
            if item is None or not item.message.metadata.actor_operation.startswith(_SERVICES):
                continue
            if change.after is None and gone & _owners(change.before.message):
                continue
            if what := _what(change):
                yield self._deed(item.message, what)

    def _deed(self, message: Any, what: str) -> Attempt:
        metadata = message.metadata
        deed = Attempt(way=Way.ACCOUNT, operation=metadata.actor_operation)
        _TELLERS[message.kind](deed, message)
        done = what.format(f"{message.kind} {metadata.name}")
        deed.did(f"{self._author(metadata.actor_ref)} has {done}")
        return deed

    def _author(self, actor: Any) -> str:
        session = self._resources.peek(core.Session, uid=actor.uid) if actor.uid else None
        if session is None:
            return f"Session {actor.name}" if actor.name else "the Cluster"
        return f"{session.status.user_ref.name} (Session {session.metadata.name})"


def _owners(message: Any) -> set[str]:
    """The uids of what a resource goes with."""
    if message.kind in ("IdentityProvider", "User"):
        return set()
    owners = {message.status.user_ref.uid}
    if message.kind == "Session":
        owners.add(message.status.device_ref.uid)
    return owners - {""}


def _what(change: Change) -> str:
    """What was done, with a place for the resource; empty if it concerns nobody's access."""
    assert change.before is not None
    if change.after is None:
        return "deleted {} and what belongs to it" if change.kind in _OWNERS else "deleted {}"
    before, after = change.before.message, change.after.message
    if change.kind in ("Session", "Device", "Authenticator"):
        if before.spec.state != after.spec.state:
            return _STATES.get(after.spec.state, "")
        if change.kind == "Session" and _end(after) < _end(before):
            return "shortened {}"
        return ""
    if before.spec.is_disabled != after.spec.is_disabled:
        return "disabled {}" if after.spec.is_disabled else "enabled {} again"
    if change.kind == "Credential" and before.status.token_id != after.status.token_id:
        # Until its first token a Credential has no id of one.
        ends = before.status.token_id
        return "given {} a new token, which ends earlier ones" if ends else "given {} a token"
    return ""


def _end(session: core.Session) -> int:
    return session.spec.expires_at.seconds


def _of_user(deed: Attempt, user: core.User) -> None:
    deed.concerns(user=user)


def _of_provider(deed: Attempt, provider: core.IdentityProvider) -> None:
    deed.concerns(provider=provider)


def _of_credential(deed: Attempt, credential: core.Credential) -> None:
    deed.concerns(credential=credential)
    deed.user = credential.status.user_ref


def _of_authenticator(deed: Attempt, authenticator: core.Authenticator) -> None:
    deed.concerns(authenticator=authenticator)
    deed.user = authenticator.status.user_ref


def _of_device(deed: Attempt, device: core.Device) -> None:
    deed.user = device.status.user_ref


_TELLERS: Final[dict[str, Callable[[Attempt, Any], None]]] = {
    "User": _of_user,
    "IdentityProvider": _of_provider,
    "Credential": _of_credential,
    "Authenticator": _of_authenticator,
    "Device": _of_device,
    "Session": Attempt.concerns_session,
}
"""How a deed takes up whom it is about."""
