"""The plan of an apply: what happens to each resource, in which order, and who must allow it.

Each contained operation is decided as if it were called by its official method: a resource that
exists is got, and updated if it differs; one that does not is created; pruning lists and deletes.
Comparing a Secret would tell whether a guess at its data is right, so whoever declares one needs
the right to update it even when nothing differs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from octelium.apiserver.apply.comparison import differ
from octelium.apiserver.apply.refusals import Refusals
from octelium.apiserver.apply.steps import Step
from octelium.apiserver.core.verbs import candidate
from octelium.schema.errors import Invalid
from octelium.schema.names import check_not_reserved
from octelium.schema.pb import core_v1_pb2 as core
from octelium.schema.pb import ext_v1_pb2 as ext
from octelium.schema.validation.metadata import is_uuid4
from octelium.store.errors import NotFound, PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from octelium.apiserver.core.rules import Rules
    from octelium.apiserver.rpc import Call
    from octelium.store.reading import Reader

_SERVICE = core.DESCRIPTOR.services_by_name["MainService"].full_name
_PRUNED_LAST = frozenset({"Group"})
"""Kinds whose objects may lose their last users by the very updates that are applied."""


def method_of(verb: str, rules: Rules) -> str:
    """The `/package.Service/Method` of core.v1 that does `verb` to the kind."""
    return f"/{_SERVICE}/{verb}{rules.name}"


class BuiltIn(Protocol):
    """Knows what the Cluster has made itself."""

    def __call__(self, reader: Reader) -> frozenset[str]:
        """The uids of what it made at its first start and nobody has edited since."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one apply does, given a state of the store."""

    steps: Sequence[Step]
    """Those of the request, in its order."""
    prunes: Sequence[Step]
    pruned: Sequence[Rules]
    """The kinds that are pruned."""
    spared: Sequence[ext.Spared] = ()
    """What of these kinds the request lacks, and is left alone."""

    def methods(self) -> Iterator[tuple[str, Step]]:
        """Every `/package.Service/Method` that the caller needs, and for what."""
        for rules in self.pruned:
            yield method_of("List", rules), Step(rules, "")
        for step in (*self.steps, *self.prunes):
            for verb in _verbs(step):
                yield method_of(verb, step.rules), step

    def stages(self) -> Iterator[list[Step]]:
        """Steps that are done one stage after the other.

        What is pruned goes first, so that nothing written afterwards can refer to it; then the
        kinds, what is referred to before what refers to it, a Policy's parents before it.
        """
        yield [step for step in self.prunes if step.rules.name not in _PRUNED_LAST]
        by_kind: dict[int, list[Step]] = {}
        for step in self.steps:
            by_kind.setdefault(step.rules.kind.apply_order, []).append(step)
        for order in sorted(by_kind):
            yield sorted(by_kind[order], key=_generation)
        yield [step for step in self.prunes if step.rules.name in _PRUNED_LAST]


def make_plan(
    reader: Reader,
    steps: Sequence[Step],
    pruned: Sequence[Rules],
    call: Call,
    built_in: BuiltIn | None = None,
) -> Plan:
    """What the steps come to in the state that `reader` sees.

    Pruning spares what `built_in` names, and what the caller stands on.

    Raises:
        ApiError: Some resources cannot be applied at all.
    """
    refusals = Refusals()
    planned = [replace(step) for step in steps]
    for step in planned:
        refusals.attempt(_settle_action, step, reader)
    refusals.settle(call)
    if not pruned:
        return Plan(planned, [], pruned)
    own = _own(reader, call.session_uid)
    kept = own if built_in is None else own | built_in(reader)
    prunes: list[Step] = []
    spared: list[ext.Spared] = []
    for step in _surplus(reader, planned, pruned):
        uid = step.old.metadata.uid
        if uid in kept:
            spared.append(ext.Spared(kind=step.rules.name, name=step.name, own=uid in own))
        else:
            prunes.append(step)
    return Plan(planned, prunes, pruned, spared)


def _own(reader: Reader, session_uid: str) -> frozenset[str]:
    """What a caller stands on: its User, and the Credential that its Session was made from.

    Pruning leaves them alone; whoever means them names them in a deletion.
    """
    session = reader.peek("Session", uid=session_uid) if session_uid else None
    if session is None:
        return frozenset()
    return frozenset((session.status.user_ref.uid, session.status.credential_ref.uid))


def _settle_action(step: Step, reader: Reader) -> None:
    rules = step.rules
    # Before the look-up: not even whether the Cluster has such a name may be learnt.
    check_not_reserved(rules.kind, step.name)
    if step.given.metadata.name or rules.kind.singleton:
        step.old = reader.find(rules.name, name=step.name)
    else:
        if not is_uuid4(step.name):
            raise Invalid("metadata.uid", f"{step.name[:64]!r} is not a UUID of version 4")
        step.old = reader.find(rules.name, uid=step.name)
    if step.old is None:
        if "Create" not in rules.verbs:
            raise NotFound(f"core.v1.{rules.name} {step.name} does not exist")
        step.action = ext.Action__.CREATED
    elif step.old.metadata.is_system_hidden:
        # Not even whether it is equal may be learnt.
        raise PermissionDenied(f"this {rules.name} belongs to the Cluster itself")
    elif differ(step.old, candidate(rules, step.given, step.old)):
        step.action = ext.Action__.UPDATED


def _surplus(reader: Reader, steps: Iterable[Step], pruned: Iterable[Rules]) -> Iterator[Step]:
    """What the kinds hold and the request does not, users before what they use."""
    kept = {(step.rules.name, step.name) for step in steps}
    for rules in sorted(pruned, key=lambda rules: -rules.kind.apply_order):
        surplus = [
            Step(rules, message.metadata.name, old=message, action=ext.Action__.DELETED)
            for message in reader.peek_all(rules.name)
            if not (message.metadata.is_system or message.metadata.is_system_hidden)
            and (rules.name, message.metadata.name) not in kept
        ]
        yield from sorted(surplus, key=_generation, reverse=True)


def _generation(step: Step) -> int:
    """How many ancestors a Policy has; its name tells."""
    return step.name.count(".") if step.rules.name == "Policy" else 0


def _verbs(step: Step) -> tuple[str, ...]:
    match step.action:
        case ext.Action__.CREATED:
            return ("Create",)
        case ext.Action__.DELETED:
            return ("Delete",)
        case ext.Action__.UPDATED:
            return ("Get", "Update")
        case _:
            return ("Get", "Update") if step.rules.kind.has_data else ("Get",)
