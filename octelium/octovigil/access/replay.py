"""Logged requests in two states of a Cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from octelium.octovigil.access.domains import Verdict
from octelium.octovigil.access.logged import Deciding
from octelium.octovigil.access.parties import Recalled
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable

    from octelium.octovigil.access.logged import LoggedRequest
    from octelium.octovigil.access.outcome import Outcome
    from octelium.octovigil.access.world import Asker, Offer, World


@dataclass(slots=True)
class _Alike:
    """Logged requests that agree in User, Service, method, path and both decisions."""

    newest: LoggedRequest
    allowed: bool
    """After the change."""
    why: str
    count: int = 0


class Replay:
    """Decides logged requests in two worlds that share a workshop.

    `alike` tells that what applies to everybody is the same in both.
    """

    def __init__(self, before: World, after: World, *, alike: bool) -> None:
        self._before = Deciding(before)
        self._after = Deciding(after)
        self._parts = before.workshop.parts
        self._missing = before.workshop.outcomes.constant("the Service does not exist")
        self._same = alike and _pins(before) == _pins(after)
        self._found: dict[tuple[object, ...], _Alike] = {}
        self._worlds = (before, after)
        self.count = 0
        """Of requests."""
        self.undecided = 0
        """Requests that may be decided otherwise, by what the log does not know."""

    def run(self, logged: Iterable[LoggedRequest]) -> None:
        """Decide these requests, the newest of which come first."""
        for each in logged:
            self.count += 1
            self._compare(each)

    def _compare(self, logged: LoggedRequest) -> None:
        one, two = self._before.offer(logged), self._after.offer(logged)
        first = None if one is None else self._before.asker(logged, one)
        second = None if two is None else self._after.asker(logged, two)
        if self._same and one is two and (first is second or first == second):
            return
        recalled = Recalled(self._parts, logged.request, logged.unknown, logged.at)
        before = self._outcome(self._before, logged, recalled, first, one)
        after = self._outcome(self._after, logged, recalled, second, two)
        if self._worlds[0].agree(before, after):
            return
        if Verdict.SOMETIMES in (before.verdict, after.verdict):
            self.undecided += 1
            return
        allowed = after.verdict is Verdict.ALWAYS
        user = logged.user or logged.session
        key = (user, logged.service, logged.method, logged.path, allowed)
        alike = self._found.get(key)
        if alike is None:
            alike = self._found[key] = _Alike(logged, allowed, after.why)
        alike.count += 1

    def _outcome(
        self,
        deciding: Deciding,
        logged: LoggedRequest,
        recalled: Recalled,
        asker: Asker | str | None,
        offer: Offer | None,
    ) -> Outcome:
        if asker is None or offer is None:
            return self._missing
        return deciding.outcome(logged, recalled, asker, offer)

    def changes(self) -> list[ext.LoggedChange]:
        """What would be decided otherwise, in the order of the newest of each kind."""
        return [
            ext.LoggedChange(
                id=alike.newest.id,
                count=alike.count,
                user=self._user(alike.newest),
                service=self._service(alike.newest),
                method=alike.newest.method,
                path=alike.newest.path,
                allowed_before=not alike.allowed,
                allowed_after=alike.allowed,
                why=alike.why,
            )
            for alike in self._found.values()
        ]

    def _user(self, logged: LoggedRequest) -> str:
        for world in self._worlds:
            session = world.replica.sessions.get(logged.session)
            uid = logged.user if session is None else session.user_uid
            if (user := world.replica.users.get(uid)) is not None:
                return user.name
        return ""

    def _service(self, logged: LoggedRequest) -> str:
        for world in self._worlds:
            if (service := world.replica.services.get(logged.service)) is not None:
                return service.name
        return ""


def _pins(world: World) -> bool:
    """Whether Sessions are bound to the address that they began at."""
    config = world.replica.cluster_config
    return config is not None and config.use_forwarded_for_header
