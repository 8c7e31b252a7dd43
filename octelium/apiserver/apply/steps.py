"""What one apply is to do with one resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from octelium.apiserver.apply.refusals import Refusals
from octelium.apiserver.core.rules import Rules, all_rules
from octelium.schema.errors import Invalid
from octelium.schema.pb import ext_v1_pb2 as ext

if TYPE_CHECKING:
    from octelium.apiserver.rpc import Call

MOST_RESOURCES = 20_000


@dataclass(slots=True)
class Step:
    """What is to become of one resource."""

    rules: Rules
    name: str
    """As stored; the uid of a resource that the request does not name."""
    index: int | None = None
    """Place in the request; None for what is pruned."""
    given: Any = None
    """The resource as the request has it; None for what is pruned."""
    old: Any = None
    """The resource as it is, if it exists."""
    new: Any = None
    """The resource as it is stored at the end, if the step wrote it."""
    action: ext.Action__.Action.ValueType = ext.Action__.UNCHANGED

    @property
    def label(self) -> str:
        """How errors name the resource."""
        place = "prune" if self.index is None else f"resources[{self.index}]"
        return f"{place} {self.rules.name} {self.name}".rstrip()


def read_steps(request: ext.ApplyRequest, call: Call) -> list[Step]:
    """One step for each resource of a request, nothing decided yet.

    Raises:
        Invalid: There are too many, or one is of no known kind.
        ApiError: Some have no name or are declared twice.
    """
    if len(request.resources) > MOST_RESOURCES:
        problem = f"there are {len(request.resources)}"
        raise Invalid("resources", problem, f"at most {MOST_RESOURCES} fit into one request")
    refusals = Refusals()
    rules_of = {rules.kind.message: rules for rules in all_rules().values()}
    steps: list[Step] = []
    places: dict[tuple[str, str], int] = {}
    for index, resource in enumerate(request.resources):
        chosen = resource.WhichOneof("resource")
        if chosen is None:
            raise Invalid(f"resources[{index}]", "there is no resource of a known kind")
        given = getattr(resource, chosen)
        rules = rules_of[type(given)]
        name = rules.stored_name(given.metadata.name)
        if not name and not rules.named_updates:
            name = given.metadata.uid
        step = Step(rules, name, index, given)
        steps.append(step)
        earlier = places.setdefault((rules.name, name), index)
        if not name:
            refusals.add(step, Invalid("metadata.name", "a name is missing"))
        elif earlier != index:
            problem = f"the {rules.name} {name} is declared twice"
            remedy = f"it stands in resources[{earlier}] too"
            refusals.add(step, Invalid("metadata.name", problem, remedy))
    refusals.settle(call)
    return steps


def read_prunes(request: ext.ApplyRequest) -> list[Rules]:
    """The kinds that a request prunes, each once.

    Raises:
        Invalid: A kind that cannot be pruned, or none at all.
    """
    if not request.prune:
        return []
    if not request.prune_kinds:
        raise Invalid("pruneKinds", "prune does not say which kinds", "name them")
    chosen: dict[str, Rules] = {}
    for index, name in enumerate(request.prune_kinds):
        rules = all_rules().get(name)
        if rules is None or not rules.kind.declarable or "Delete" not in rules.verbs:
            raise Invalid(f"pruneKinds[{index}]", f"{name[:64]!r} cannot be pruned")
        chosen[name] = rules
    return list(chosen.values())
