"""Pairs of User and Service in two states of a Cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from octelium.octovigil.access.listing import access, sessions_with_policies
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from octelium.octovigil.access.outcome import Outcome
    from octelium.octovigil.access.world import Asker, Offer, World
    from octelium.replica.replica import SessionEntry, UserEntry


class _Askers(NamedTuple):
    """Who asks, in both worlds: None where there is no such."""

    before: Asker | None
    after: Asker | None


class _Offers(NamedTuple):
    """What is asked for, in both worlds: None where there is no such."""

    before: Offer | None
    after: Offer | None


class _Special(NamedTuple):
    """An existing Session with policies of its own: with and without them."""

    name: str
    own: _Askers
    plain: _Askers


class Pairs:
    """All pairs in two worlds that share a workshop.

    `alike` tells that what applies to everybody is the same in both.
    """

    def __init__(self, before: World, after: World) -> None:
        self._before = before
        self._after = after
        self._missing = before.workshop.outcomes.constant("it does not exist")
        self.alike = before.triggers is after.triggers and before.refusal == after.refusal
        now = before.workshop.now
        self._own = (
            sessions_with_policies(before.replica, now),
            sessions_with_policies(after.replica, now),
        )
        one, two = before.replica, after.replica
        self._users = sorted(one.users_by_name.keys() | two.users_by_name.keys())
        self._offers = dict(self._offered())
        self.count = len(self._users) * len(self._offers)
        """Of pairs."""

    def changes(self) -> Iterator[ext.AccessChange]:
        """Those that differ, by User, then by Service."""
        one, two = self._before.replica.users_by_name, self._after.replica.users_by_name
        for name in self._users:
            yield from self._of_user(name, one.get(name), two.get(name))

    def _offered(self) -> Iterator[tuple[str, _Offers]]:
        one, two = self._before.replica.service_by_name, self._after.replica.service_by_name
        for name in sorted(one.keys() | two.keys()):
            yield (
                name,
                _Offers(
                    self._before.offer(one[name]) if name in one else None,
                    self._after.offer(two[name]) if name in two else None,
                ),
            )

    def _of_user(
        self, name: str, one: UserEntry | None, two: UserEntry | None
    ) -> Iterator[ext.AccessChange]:
        any_type = _Askers(_new(self._before, one), _new(self._after, two))
        client = _Askers(_new(self._before, one, client=True), _new(self._after, two, client=True))
        special = list(self._special(one, two))
        for service, offers in self._offers.items():
            askers = _Askers(
                client.before if _needs_client(offers.before) else any_type.before,
                client.after if _needs_client(offers.after) else any_type.after,
            )
            outcomes = self._outcomes(askers, offers)
            if outcomes is not None:
                yield self._change(name, service, outcomes)
            for session in special:
                outcomes = self._outcomes(session.own, offers)
                if outcomes is not None and self._matters(session, offers, outcomes):
                    yield self._change(name, service, outcomes, session.name)

    def _special(self, one: UserEntry | None, two: UserEntry | None) -> Iterator[_Special]:
        first = {} if one is None else {each.uid: each for each in self._own[0].get(one.uid, ())}
        second = {} if two is None else {each.uid: each for each in self._own[1].get(two.uid, ())}
        for uid in dict.fromkeys((*first, *second)):
            old, new = first.get(uid), second.get(uid)
            askers = [
                _Askers(_in(self._before, one, old, own=own), _in(self._after, two, new, own=own))
                for own in (True, False)
            ]
            either = old or new
            assert either is not None
            yield _Special(either.name, *askers)

    def _outcomes(self, askers: _Askers, offers: _Offers) -> tuple[Outcome, Outcome] | None:
        """What becomes of a pair in both worlds; None if that is the same."""
        if self.alike and askers.before is askers.after and offers.before is offers.after:
            return None
        before = self._outcome(self._before, askers.before, offers.before)
        after = self._outcome(self._after, askers.after, offers.after)
        return None if self._before.agree(before, after) else (before, after)

    def _outcome(self, world: World, asker: Asker | None, offer: Offer | None) -> Outcome:
        if asker is None or offer is None:
            return self._missing
        return world.outcome(asker, offer)

    def _matters(
        self, session: _Special, offers: _Offers, outcomes: tuple[Outcome, Outcome]
    ) -> bool:
        """Whether a Session's own policies make a difference, before or after."""
        plain = (
            self._outcome(self._before, session.plain.before, offers.before),
            self._outcome(self._after, session.plain.after, offers.after),
        )
        return not all(
            self._before.agree(with_own, without)
            for with_own, without in zip(outcomes, plain, strict=True)
        )

    def _change(
        self, user: str, service: str, outcomes: tuple[Outcome, Outcome], session: str = ""
    ) -> ext.AccessChange:
        before, after = outcomes
        change = ext.AccessChange()
        if before is not self._missing:
            change.before.CopyFrom(access(user, service, before, session))
        if after is not self._missing:
            change.after.CopyFrom(access(user, service, after, session))
            for text in _other_modules(before, after):
                change.after.why += f"; {text}"
        return change


def _other_modules(before: Outcome, after: Outcome) -> Iterator[str]:
    """What is different about Rego modules that both outcomes depend on under one name."""
    old = {atom.text: atom for atom in before.allowed.atoms if atom.says is not None}
    for atom in sorted(after.allowed.atoms, key=lambda each: each.text):
        was = old.get(atom.text)
        if was is not None and atom.says is not None and was is not atom:
            what = "the Rego" if was.says != atom.says else "what is known to the Rego"
            yield f"{what} of {atom.text} changed"


def _new(world: World, user: UserEntry | None, *, client: bool = False) -> Asker | None:
    return None if user is None else world.asker(user, client=client)


def _in(
    world: World, user: UserEntry | None, session: SessionEntry | None, *, own: bool
) -> Asker | None:
    if user is None or session is None:
        return None
    return world.asker(user, session=session, own=own)


def _needs_client(offer: Offer | None) -> bool:
    return offer is not None and not offer.place.service.is_public
