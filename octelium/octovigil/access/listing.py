"""Which Users may open which Services."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from octelium.octovigil.access.outcome import VERDICTS
from octelium.octovigil.access.world import Workshop, World
from octelium.octovigil.inquiry import InquiryError
from octelium.schema.modes import SERVED_MODES
from octelium.schema.names import full_service_name
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.suggestion import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from octelium.octovigil.access.outcome import Outcome
    from octelium.octovigil.access.world import Asker
    from octelium.replica.replica import Replica, SessionEntry, UserEntry

NOTES: Final = (
    "This is about Sessions that work: approved, not locked, not over. Devices are left out.",
)
"""What whoever reads verdicts must know."""


def list_access(
    replica: Replica,
    *,
    user: str = "",
    service: str = "",
    clock: Callable[[], float] = time.time,
    served: Container[int] = SERVED_MODES,
) -> list[ext.Access]:
    """What new Sessions of Users may do with Services, by User, then by Service.

    `user` and `service` are names, empty for all. An existing Session whose own policies make a
    difference to a pair has an item of its own, after that of a new Session. `replica` must not
    change meanwhile. Services of other modes than `served` refuse everybody.

    Raises:
        InquiryError: there is no such User or Service.
    """
    world = World(replica, Workshop(clock(), served))
    users = chosen("User", user, replica.users_by_name)
    name = full_service_name(service) if service else ""
    services = chosen("Service", name, replica.service_by_name)
    offers = {each: world.offer(replica.service_by_name[each]) for each in services}
    whose = {replica.users_by_name[each].uid for each in users} if user else None
    own = sessions_with_policies(replica, world.workshop.now, whose)
    found: list[ext.Access] = []
    for each in users:
        entry = replica.users_by_name[each]
        askers = {kind: world.asker(entry, client=kind) for kind in (False, True)}
        special = [_with_and_without(world, entry, one) for one in own.get(entry.uid, ())]
        for offered, offer in offers.items():
            asker = askers[not offer.place.service.is_public]
            found.append(access(each, offered, world.outcome(asker, offer)))
            for session, with_own, without in special:
                outcome = world.outcome(with_own, offer)
                if not world.agree(outcome, world.outcome(without, offer)):
                    found.append(access(each, offered, outcome, session))
    return found


def list_for_session(
    replica: Replica,
    session: str,
    *,
    clock: Callable[[], float] = time.time,
    served: Container[int] = SERVED_MODES,
) -> list[ext.Access]:
    """What one existing Session may do with Services, by Service.

    Those that only Sessions of type CLIENT reach are judged for a new one of the same User, if the
    Session has another type. `session` is a uid.

    Raises:
        InquiryError: there is no such Session, or its User is gone.
    """
    world = World(replica, Workshop(clock(), served))
    entry = replica.sessions.get(session)
    user = None if entry is None else replica.users.get(entry.user_uid)
    if entry is None or user is None:
        raise InquiryError("the Session is gone")
    own = world.asker(user, session=entry)
    is_client = entry.type == core.SessionStatusType__.CLIENT
    elsewhere = own if is_client else world.asker(user, client=True)
    found: list[ext.Access] = []
    for name, service in sorted(replica.service_by_name.items()):
        offer = world.offer(service)
        asker = own if service.is_public else elsewhere
        found.append(access(user.name, name, world.outcome(asker, offer)))
    return found


def _with_and_without(
    world: World, user: UserEntry, session: SessionEntry
) -> tuple[str, Asker, Asker]:
    return (
        session.name,
        world.asker(user, session=session),
        world.asker(user, session=session, own=False),
    )


def chosen(kind: str, name: str, known: Mapping[str, object]) -> list[str]:
    """`name`, or all names in their order if it is empty.

    Raises:
        InquiryError: there is no such name.
    """
    if not name:
        return sorted(known)
    if name not in known:
        remedy = did_you_mean(name, known)
        raise InquiryError(f"there is no {kind} {name!r}" + (f"; {remedy}" if remedy else ""))
    return [name]


def access(user: str, service: str, outcome: Outcome, session: str = "") -> ext.Access:
    """A pair and what becomes of it."""
    why = outcome.why
    if session:
        why = f"Session {session} has policies of its own: {why}"
    return ext.Access(
        user=user,
        service=service,
        verdict=VERDICTS[outcome.verdict],
        why=why,
        depends_on=outcome.depends_on,
        session=session,
    )


def sessions_with_policies(
    replica: Replica, now: float, users: Container[str] | None = None
) -> dict[str, list[SessionEntry]]:
    """The Sessions that are not over at `now` and have policies of their own, by User.

    `users` are the uids of those that matter; all unless given.
    """
    found: dict[str, list[SessionEntry]] = {}
    for session in replica.sessions.values():
        if users is not None and session.user_uid not in users:
            continue
        if not session.has_authorization:
            continue
        if session.is_active and session.expires_at > now and not session.is_locked:
            spec = session.message.spec.authorization
            if spec.policies or spec.inline_policies:
                found.setdefault(session.user_uid, []).append(session)
    for sessions in found.values():
        sessions.sort(key=lambda session: session.name)
    return found
