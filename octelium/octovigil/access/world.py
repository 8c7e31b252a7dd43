"""The resources of one replica, prepared for the question who may do what.

Worlds that share a `Workshop` share whatever is made of entries that they share, so that two of
which one is a fork of the other differ in what was changed, and in nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from octelium.octovigil import checks, scoping
from octelium.octovigil.access.conditions import Check
from octelium.octovigil.access.configs import Configuration
from octelium.octovigil.access.formula import FALSE, TRUE, Formulas
from octelium.octovigil.access.outcome import Outcomes
from octelium.octovigil.access.parties import Parts as SeenParts
from octelium.octovigil.access.parties import Place, Subject
from octelium.octovigil.access.rules import AccessPolicy, Attached, PolicyList
from octelium.octovigil.access.scopes import covered_calls
from octelium.octovigil.access.triggers import pre_condition
from octelium.octovigil.errors import DecisionError
from octelium.octovigil.triggers import Parties
from octelium.schema.modes import SERVED_MODES, not_served

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from octelium.octovigil.access.formula import Formula
    from octelium.octovigil.access.outcome import Outcome
    from octelium.octovigil.access.parties import Party
    from octelium.replica.replica import (
        DeviceEntry,
        Entry,
        GroupEntry,
        Replica,
        ServiceEntry,
        SessionEntry,
        Trigger,
        UserEntry,
    )
    from octelium.schema.pb import core_v1_pb2 as core

_TYPES: Final = ("CLIENT", "CLIENTLESS")


class Workshop:
    """What is made of entries, each thing once. Belongs to one thread; dropped when done."""

    def __init__(self, now: float, served: Container[int] = SERVED_MODES) -> None:
        """`now`, in Unix seconds, tells which triggers with instants apply.

        Services of other modes than `served` refuse everybody.
        """
        self.now = now
        self.served = served
        self.formulas = Formulas()
        self.outcomes = Outcomes(self.formulas)
        self.parts = SeenParts()
        self._policies: dict[Entry[Any], tuple[AccessPolicy, ...]] = {}
        self._lists: dict[tuple[Attached, ...], PolicyList] = {}
        self._triggers: dict[Entry[Any], Check | None] = {}
        self._subjects: dict[tuple[object, ...], Subject] = {}
        self._places: dict[tuple[object, ...], Place] = {}
        self._askers: dict[tuple[object, ...], Asker] = {}
        self._offers: dict[tuple[object, ...], Offer] = {}
        self._configurations: dict[ServiceEntry, Check | None] = {}
        self._scopes: dict[SessionEntry, Check] = {}

    def named(self, entry: Entry[Any]) -> AccessPolicy:
        """A Policy."""
        made = self._policies.get(entry)
        if made is None:
            made = (AccessPolicy(entry.message.spec, f"Policy {entry.name}"),)
            self._policies[entry] = made
        return made[0]

    def inline(
        self, owner: Entry[Any], policies: Sequence[core.InlinePolicy]
    ) -> tuple[AccessPolicy, ...]:
        """The inline policies of a resource."""
        if not policies:
            return ()
        made = self._policies.get(owner)
        if made is None:
            where = f"of {owner.kind} {owner.name}"
            made = self._policies[owner] = tuple(
                AccessPolicy(policy.spec, f"inline policy {policy.name or index} {where}")
                for index, policy in enumerate(policies, 1)
            )
        return made

    def list_of(self, attached: Sequence[Attached]) -> PolicyList:
        """The list of some attached Policies."""
        key = tuple(dict.fromkeys(attached))
        made = self._lists.get(key)
        if made is None:
            made = self._lists[key] = PolicyList(key)
        return made

    def trigger(self, trigger: Trigger) -> Check | None:
        """When a trigger applies; None if always."""
        if trigger.source not in self._triggers:
            self._triggers[trigger.source] = pre_condition(trigger, self.now)
        return self._triggers[trigger.source]

    def subject(
        self,
        user: UserEntry,
        groups: tuple[GroupEntry, ...],
        session: SessionEntry | None,
        device: DeviceEntry | None,
        types: tuple[str, ...],
    ) -> Subject:
        """Who asks."""
        key = (user, groups, session, device, types)
        made = self._subjects.get(key)
        if made is None:
            made = self._subjects[key] = Subject(self.parts, user, groups, session, device, types)
        return made

    def place(self, service: ServiceEntry, namespace: Any) -> Place:
        """What is asked for."""
        made = self._places.get((service, namespace))
        if made is None:
            made = self._places[service, namespace] = Place(self.parts, service, namespace)
        return made

    def configuration(self, service: ServiceEntry) -> Check | None:
        """The dynamic configuration of a Service, if it has any."""
        if service not in self._configurations:
            has = bool(service.message.spec.dynamic_config.rules)
            self._configurations[service] = Check(Configuration(service)) if has else None
        return self._configurations[service]

    def scope(self, session: SessionEntry) -> Check:
        """Which gRPC calls the scopes of a Session cover."""
        made = self._scopes.get(session)
        if made is None:
            made = self._scopes[session] = Check(covered_calls(session.scopes))
        return made

    def asker(self, *key: Any) -> Asker:
        """One object for equal `Asker`s."""
        made = self._askers.get(key)
        if made is None:
            made = self._askers[key] = Asker(*key)
        return made

    def offer(self, *key: Any) -> Offer:
        """One object for equal `Offer`s."""
        made = self._offers.get(key)
        if made is None:
            made = self._offers[key] = Offer(*key)
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """A User, with a Session or a new one, and the Policies that it brings along.

    `refusal` is why it is refused everywhere; empty if it is not.
    """

    subject: Subject
    policies: PolicyList
    refusal: str


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A Service with the Policies that it brings along; `refusal` is why nobody may use it."""

    place: Place
    policies: PolicyList
    refusal: str


class World:
    """One replica. Nothing of it is changed."""

    def __init__(self, replica: Replica, workshop: Workshop) -> None:
        self.replica = replica
        self.workshop = workshop
        self.triggers, self.refusal = self._triggers()
        self._nobody = Subject(workshop.parts)
        self._none = workshop.list_of(())

    # --- what takes part

    def _triggers(self) -> tuple[PolicyList, str]:
        attached: list[Attached] = []
        try:
            for trigger in self.replica.triggers:
                when = self.workshop.trigger(trigger)
                attached += self._attached(
                    trigger.source, trigger.policies, trigger.inline_policies, when
                )
        except DecisionError as error:
            return self.workshop.list_of(()), str(error)
        return self.workshop.list_of(attached), ""

    def _attached(
        self,
        owner: Entry[Any],
        names: Sequence[str],
        inline: Sequence[core.InlinePolicy],
        trigger: Check | None = None,
    ) -> Iterator[Attached]:
        by_name = self.replica.policies_by_name
        for name in names:
            entry = by_name.get(name)
            for ancestor in (name,) if entry is None else entry.lineage:
                entry = by_name.get(ancestor)
                if entry is None:
                    raise DecisionError(
                        f"Policy {ancestor}, attached to {owner.kind} {owner.name}, does not exist"
                    )
                yield Attached(self.workshop.named(entry), trigger)
        for policy in self.workshop.inline(owner, inline):
            yield Attached(policy, trigger)

    def _brought(self, *owners: Entry[Any] | None) -> tuple[PolicyList, str]:
        """The Policies of some resources, and why they cannot be asked."""
        attached: list[Attached] = []
        try:
            for owner in owners:
                if owner is not None and owner.has_authorization:
                    spec = owner.message.spec.authorization
                    attached += self._attached(owner, spec.policies, spec.inline_policies)
        except DecisionError as error:
            return self.workshop.list_of(()), str(error)
        return self.workshop.list_of(attached), ""

    def asker(
        self,
        user: UserEntry,
        *,
        session: SessionEntry | None = None,
        client: bool = False,
        own: bool = True,
    ) -> Asker:
        """A User in an existing Session, or in a new one, with `client` of type CLIENT.

        Without `own`, Policies of the Session itself are left aside.
        """
        replica = self.replica
        missing = ""
        groups: list[GroupEntry] = []
        for name in user.groups:
            group = replica.groups_by_name.get(name)
            if group is None:
                missing = missing or f"Group {name} of User {user.name} does not exist"
            else:
                groups.append(group)
        device = None
        if session is not None and session.device_uid:
            device = replica.devices.get(session.device_uid)
            if device is None:
                missing = missing or f"the Device of Session {session.name} does not exist"
        policies, problem = self._brought(user, *groups, session if own else None, device)
        types = _TYPES[:1] if client else _TYPES
        subject = self.workshop.subject(
            user, tuple(groups), session, device, () if session is not None else types
        )
        if user.is_locked:
            missing = missing or f"User {user.name} is locked"
        elif user.is_disabled:
            missing = missing or f"User {user.name} is disabled"
        return self.workshop.asker(subject, policies, missing or problem)

    def offer(self, service: ServiceEntry) -> Offer:
        """A Service."""
        namespace = self.replica.namespaces.get(service.namespace_uid)
        open_to_all = service.is_anonymous and not service.enable_anonymous
        problem = ""
        if service.is_disabled:
            problem = f"Service {service.name} is disabled"
        elif service.message.spec.mode not in self.workshop.served:
            problem = f"{not_served(service.message.spec.mode)}: every request is refused"
        elif namespace is None and not open_to_all:
            problem = f"the Namespace of Service {service.name} does not exist"
        place = self.workshop.place(service, None if open_to_all else namespace)
        policies, missing = self._brought(*(() if open_to_all else (service, namespace)))
        return self.workshop.offer(place, policies, problem or missing)

    # --- what they may do

    def outcome(self, asker: Asker | None, offer: Offer, asked: Party | None = None) -> Outcome:
        """Which requests are let in.

        Without an `asker` they come from nobody; `asked` is what is known of them, by default
        nothing.
        """
        outcomes = self.workshop.outcomes
        place, service = offer.place, offer.place.service
        if offer.refusal:
            return outcomes.constant(offer.refusal)
        own, limit, refusal = self._none, TRUE, ""
        if service.is_anonymous:
            subject = self._nobody
        elif asker is None:
            return outcomes.constant("the request comes from nobody")
        else:
            subject, own, refusal = asker.subject, asker.policies, asker.refusal
            if not refusal and subject.session is not None:
                limit, refusal = self._limit(subject, offer, asked)
        if service.is_anonymous and not service.enable_anonymous:
            outcome = outcomes.constant("the Service is open to everybody", allowed=True)
        elif refusal or self.refusal:
            return outcomes.constant(refusal or self.refusal)
        else:
            lists = (offer.policies, own, self.triggers)
            outcome = outcomes.walked(lists, subject, place, asked)
        if limit is not TRUE:
            outcome = outcomes.limited(outcome, limit, "the scopes of the Session do not cover it")
        configuration = self.workshop.configuration(service)
        if configuration is None:
            return outcome
        formulas = self.workshop.formulas
        fails = configuration.judge(formulas, subject, place, asked).fails
        return outcomes.limited(
            outcome, formulas.negation(fails), "the Service's dynamic configuration fails"
        )

    def agree(self, one: Outcome, two: Outcome) -> bool:
        """Whether two outcomes let the same requests in."""
        return self.workshop.outcomes.agree(one, two)

    def _limit(self, subject: Subject, offer: Offer, asked: Party | None) -> tuple[Formula, str]:
        """Which requests an existing Session may make at all, and why none if so.

        That it expires is left aside: it may be renewed.
        """
        session, place = subject.session, offer.place
        assert session is not None
        parties = Parties(place.service, place.namespace, session, subject.user, subject.device)
        reason = checks.refusal(parties, -math.inf)
        if reason is not None:
            return FALSE, f"Session {session.name} is refused: {reason.type.name}"
        if scoping.covers_service(session, place.service):
            return TRUE, ""
        limit = FALSE
        if scoping.depends_on_call(place.service):
            scope = self.workshop.scope(session)
            limit = scope.judge(self.workshop.formulas, subject, place, asked).holds
        if limit is FALSE:
            return FALSE, f"the scopes of Session {session.name} cover no such request"
        return limit, ""
