"""What else a change opens: other Services to the same User, or Services to other Users.

Users and Services are compared as lists of who may do what compare them. In a large Cluster only
so many are looked at; the Cluster's own API is always among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from octelium.octovigil.access.outcome import VERDICTS
from octelium.octovigil.access.world import Workshop, World
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from octelium.octovigil.access.outcome import Outcome
    from octelium.octovigil.access.world import Asker, Offer
    from octelium.octovigil.explain.supposition import Supposition

API: Final = "default.octelium-api"
"""Who may use this Service without bounds may change everything."""

_MAX_LOOKED_AT: Final = 1000
"""Users, and Services."""
_MAX_PAIRS: Final = 2000
_MAX_NAMED: Final = 3
_MANY: Final = 3
"""Other Services from which on half of all are as good as everything."""

_ORDER: Final = {
    ext.AccessVerdict__.REFUSED: 0,
    ext.AccessVerdict__.DEPENDS: 1,
    ext.AccessVerdict__.ALLOWED: 2,
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What a change opens besides the pair that was asked about: pairs of User and Service."""

    pairs: Sequence[tuple[str, str]] = ()
    user: str = ""
    services: int = 0
    """Of the Cluster, besides the one that was asked for."""

    @property
    def own(self) -> list[str]:
        """The Services that open to the User who asks."""
        return [service for user, service in self.pairs if user == self.user]

    @property
    def is_too_wide(self) -> bool:
        """Whether the Cluster's API opens to somebody, or about everything to the User."""
        if any(service == API for _, service in self.pairs):
            return True
        return len(self.own) >= _MANY and 2 * len(self.own) >= self.services

    def remark(self) -> str:
        """The same for people; empty if nothing else opens."""
        parts = []
        if own := self.own:
            parts.append(f"{_listed('Service', own)} to User {self.user}")
        others = sorted({user for user, _ in self.pairs if user != self.user})
        if others:
            services = sorted({service for user, service in self.pairs if user != self.user})
            parts.append(f"{_listed('Service', services)} to {_listed('User', others)}")
        if not parts:
            return ""
        api = any(service == API for _, service in self.pairs)
        ending = ", the Cluster's API among them" if api else ""
        return f"This also opens {', and '.join(parts)}{ending}."


NOTHING_ELSE: Final = Opened()


class Breadth:
    """Compares worlds with the one of a supposition."""

    def __init__(self, supposition: Supposition) -> None:
        """`supposition` may change afterwards."""
        self._service = supposition.service.name
        self._user = "" if supposition.user is None else supposition.user.name
        self._session = supposition.session_uid
        self._before = World(supposition.replica.fork(), Workshop(supposition.now))
        replica = self._before.replica
        self._services = _first(replica.service_by_name, (API, self._service))
        self._users = _first(replica.users_by_name, (self._user,))
        self._askers = {name: self._of(self._before, name) for name in self._users}
        self._offers = {
            name: self._before.offer(replica.service_by_name[name]) for name in self._services
        }

    def opened(self, supposition: Supposition) -> Opened:
        """What is open in the world of `supposition`, and was not."""
        after = World(supposition.replica.fork(), self._before.workshop)
        alike = after.triggers is self._before.triggers and after.refusal == self._before.refusal
        offers = {
            name: after.offer(service)
            for name in self._services
            if (service := after.replica.service_by_name.get(name)) is not None
        }
        moved = {name for name, offer in offers.items() if offer is not self._offers[name]}
        pairs: list[tuple[str, str]] = []
        compared = 0
        for user in self._users:
            if user not in after.replica.users_by_name:
                continue
            one, two = self._askers[user], self._of(after, user)
            same = alike and one == two
            for name in sorted(moved) if same else offers:
                if compared >= _MAX_PAIRS:
                    break
                compared += 1
                if (user, name) != (self._user, self._service) and self._opens(
                    after, (one, two), (self._offers[name], offers[name])
                ):
                    pairs.append((user, name))
        return Opened(pairs, self._user, max(len(self._services) - 1, 0))

    def _of(self, world: World, name: str) -> tuple[Asker, ...]:
        """New Sessions of a User: of any type, and of type CLIENT; and the one that asks."""
        user = world.replica.users_by_name[name]
        made = (world.asker(user), world.asker(user, client=True))
        session = world.replica.sessions.get(self._session) if name == self._user else None
        return made if session is None else (*made, world.asker(user, session=session))

    def _opens(
        self, after: World, askers: tuple[Sequence[Asker], Sequence[Asker]], offers: Sequence[Offer]
    ) -> bool:
        chosen = [0 if offers[0].place.service.is_public else 1]
        chosen += range(2, min(map(len, askers)))
        return any(
            self._is_wider(
                self._before.outcome(askers[0][index], offers[0]),
                after.outcome(askers[1][index], offers[1]),
            )
            for index in chosen
        )

    def _is_wider(self, before: Outcome, after: Outcome) -> bool:
        return _ORDER[VERDICTS[after.verdict]] > _ORDER[VERDICTS[before.verdict]]


def _first(names: Iterable[str], needed: Iterable[str]) -> list[str]:
    """So many of the names, those that are needed first."""
    known = sorted(names)
    members = set(known)
    wanted = [name for name in needed if name in members]
    return list(dict.fromkeys((*wanted, *known)))[:_MAX_LOOKED_AT]


def _listed(kind: str, names: Sequence[str]) -> str:
    if len(names) > _MAX_NAMED:
        return f"{len(names)} other {kind}s"
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}"
