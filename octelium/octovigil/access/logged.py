"""Logged requests, decided again.

The question is about policies: that tokens and Sessions expire is left aside. A request is that of
its Session if that still exists, else that of a new one of its User. `now()` is the time at which
it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil.access.parties import Recalled, split
from octelium.policy.cel.reads import Path
from octelium.policy.observation import ambiguous
from octelium.schema.pb import core_v1_pb2 as core

if TYPE_CHECKING:
    from collections.abc import Mapping

    from octelium.octovigil.access.outcome import Outcome
    from octelium.octovigil.access.world import Asker, Offer, World

_CLIENTLESS: Final = core.SessionStatusType__.CLIENTLESS


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request of the access log.

    `session`, `user` and `service` are uids, the first two empty for a request from nobody. `at`
    are Unix seconds. `request` is `ctx.request` as far as it is known, None for a stream without
    one; `unknown` are paths below it at which anything may have stood, `repeated` those at which
    something was given twice, or in a form that servers read in different ways. `address` is the
    client's, empty if unknown. `method` and `path` are for people.
    """

    id: str
    at: float
    service: str
    session: str = ""
    user: str = ""
    method: str = ""
    path: str = ""
    request: Mapping[str, Any] | None = None
    unknown: frozenset[Path] = field(default_factory=frozenset)
    repeated: frozenset[Path] = field(default_factory=frozenset)
    address: str = ""


class Deciding:
    """Decides logged requests in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._askers: dict[tuple[str, str, bool], Asker | str] = {}
        self._offers: dict[str, Offer | None] = {}

    def offer(self, logged: LoggedRequest) -> Offer | None:
        """What is asked for; None if it is gone."""
        if logged.service not in self._offers:
            entry = self._world.replica.services.get(logged.service)
            self._offers[logged.service] = None if entry is None else self._world.offer(entry)
        return self._offers[logged.service]

    def asker(self, logged: LoggedRequest, offer: Offer) -> Asker | str:
        """Who asks, or why nobody can."""
        client = not offer.place.service.is_public
        key = (logged.session, logged.user, client)
        asker = self._askers.get(key)
        if asker is None:
            asker = self._askers[key] = self._find(logged, client=client)
        return asker

    def _find(self, logged: LoggedRequest, *, client: bool) -> Asker | str:
        replica = self._world.replica
        session = replica.sessions.get(logged.session)
        user = replica.users.get(logged.user if session is None else session.user_uid)
        if user is None:
            known = logged.session or logged.user
            return "the User does not exist" if known else "the request comes from nobody"
        return self._world.asker(user, session=session, client=client)

    def outcome(
        self, logged: LoggedRequest, recalled: Recalled, asker: Asker | str, offer: Offer
    ) -> Outcome:
        """What becomes of the request."""
        world = self._world
        outcomes = world.workshop.outcomes
        service = offer.place.service
        if isinstance(asker, str) and not service.is_anonymous:
            return outcomes.constant(asker)
        by = None if isinstance(asker, str) else asker
        outcome = world.outcome(by, offer, recalled)
        if logged.repeated:
            twice = self._ambiguous(logged, by, offer)
            if twice:
                return outcomes.constant(twice)
        if by is not None and not service.is_anonymous and self._elsewhere(logged, by, offer):
            return outcomes.constant("the Session is used from another address than its own")
        return outcome

    def _ambiguous(self, logged: LoggedRequest, asker: Asker | None, offer: Offer) -> str:
        """What some condition reads that the request leaves open to two readings."""
        outcome = self._world.outcome(asker, offer)
        reads = frozenset[Path]().union(*(hit.rule.check.reads for hit in outcome.open_hits))
        configuration = self._world.workshop.configuration(offer.place.service)
        if configuration is not None:
            reads |= configuration.reads
        below = tuple(path[1:] for path in split(reads)[2] if path[:1] in ((), ("request",)))
        for path in ambiguous(sorted(below)):
            if any(
                each[: len(path)] == path or path[: len(each)] == each for each in logged.repeated
            ):
                where = ".".join(("ctx", "request", *path))
                return f"a condition reads {where}, which is open to two readings"
        return ""

    def _elsewhere(self, logged: LoggedRequest, asker: Asker, offer: Offer) -> bool:
        """Whether the Session is bound to another address."""
        session = asker.subject.session
        config = self._world.replica.cluster_config
        if session is None or config is None or not config.use_forwarded_for_header:
            return False
        if not offer.place.service.is_public or session.type != _CLIENTLESS:
            return False
        return _differ(session.client_address, logged.address)


def _differ(pinned: str, address: str) -> bool:
    """Whether two addresses differ; not if one is unknown."""
    if not pinned or not address or pinned == address:
        return False
    try:
        return ip_address(pinned) != ip_address(address)
    except ValueError:
        return True
